"""Transitions: what every algorithm trains on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pogo.core.errors import BadInput


@dataclass(frozen=True, eq=False)
class Transitions:
    """Rows of (observation, action, reward, next observation), in the dataset's order; N rows.

    Actions are in units of the environment's bounds, [-1, 1]. `terminals` marks true ends only: a time-out still
    bootstraps. `episode_ends` marks the last row that each episode has here, whatever ended it.
    """

    observations: np.ndarray  # [N, O] float32
    actions: np.ndarray  # [N, A] float32
    rewards: np.ndarray  # [N] float32
    next_observations: np.ndarray  # [N, O] float32
    terminals: np.ndarray  # [N] float32, 0 or 1
    episode_ends: np.ndarray  # [N] bool
    next_actions: np.ndarray | None = None  # [N, A] float32, where an algorithm asks for them

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def observation_size(self) -> int:
        """Width of an observation."""
        return self.observations.shape[1]

    @property
    def action_size(self) -> int:
        """Width of an action."""
        return self.actions.shape[1]

    def check(self, where: str) -> None:
        """Refuse arrays that do not fit together; `where` names their source in the message.

        Raises:
            BadInput: no rows, a wrong shape or dtype, unequal lengths, a non-finite value, a terminal besides 0 and 1.
        """
        rows = self.rewards.shape[0] if self.rewards.ndim == 1 else -1
        if rows == 0:
            raise BadInput(f"{where}: no transitions are left; a dataset needs at least two rows of one episode.")
        for name, array, shape in self._expected(rows):
            if array.shape != shape:
                raise BadInput(f"{where}: {name} has shape {array.shape}, expected {shape}.")
            wanted = np.bool_ if name == "episode_ends" else np.float32
            if array.dtype != wanted:
                raise BadInput(f"{where}: {name} is {array.dtype}, expected {np.dtype(wanted)}.")
            if wanted is np.float32:
                check_finite(array, name, where)
        if not np.isin(self.terminals, (0.0, 1.0)).all():
            raise BadInput(f"{where}: terminals holds values besides 0 and 1.")

    def _expected(self, rows: int) -> list[tuple[str, np.ndarray, tuple[int, ...]]]:
        observation_size, action_size = self.observations.shape[-1], self.actions.shape[-1]
        expected = [
            ("rewards", self.rewards, (rows,)),
            ("observations", self.observations, (rows, observation_size)),
            ("actions", self.actions, (rows, action_size)),
            ("next_observations", self.next_observations, (rows, observation_size)),
            ("terminals", self.terminals, (rows,)),
            ("episode_ends", self.episode_ends, (rows,)),
        ]
        if self.next_actions is not None:
            expected.append(("next_actions", self.next_actions, (rows, action_size)))
        return expected

    def pack(self, names: Sequence[str]) -> tuple[np.ndarray, dict[str, slice]]:
        """One row-major float32 matrix [N, D] of the named arrays, and each one's columns.

        A batch is then a single gather of rows, which costs a fraction of one gather per array. A [N] array takes one
        column.

        Raises:
            ValueError: a name is not one of the arrays, or its array is absent.
        """
        arrays = []
        for name in names:
            array = getattr(self, name) if name in self.__dataclass_fields__ else None
            if array is None:
                raise ValueError(f"these transitions have no {name!r} to pack")
            arrays.append(array.reshape(len(self), -1))
        packed = np.empty((len(self), sum(array.shape[1] for array in arrays)), dtype=np.float32)
        columns, start = {}, 0
        for name, array in zip(names, arrays, strict=True):
            columns[name] = slice(start, start + array.shape[1])
            packed[:, columns[name]] = array
            start += array.shape[1]
        return packed, columns


def check_finite(array: np.ndarray, name: str, where: str) -> None:
    """Refuse NaN and infinity, naming the array and the first row that holds one.

    Raises:
        BadInput: a value is not finite.
    """
    finite = np.isfinite(array)
    if not finite.all():
        position = np.argwhere(~finite)[0]
        raise BadInput(
            f"{where}: {name} holds {array[tuple(position)]} at row {position[0]} "
            f"({np.count_nonzero(~finite)} such values); drop or repair those rows."
        )
