"""Replay buffers: what both backends' have in common. The rows themselves are on the backend's device."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

import numpy as np
from typing_extensions import override

from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import LARGEST_STEP
from pogo.core.problem.state import REPLAY_PREFIX, damaged
from pogo.core.system.machine import memory_bytes

REPLAY_ARRAYS = ("observations", "actions", "rewards", "next_observations", "terminals", "timeouts")
_ROWS, _INSERTED = f"{REPLAY_PREFIX}rows", f"{REPLAY_PREFIX}inserted"


class ReplayBuffer(ABC):
    """The newest `capacity` transitions of a run that collects its own data; circular, allocated once.

    A row is one float32 vector of `REPLAY_ARRAYS` side by side, as the networks see them. `terminals` marks true ends,
    `timeouts` those by a time limit, which bootstrap as any other row.
    """

    def __init__(self, capacity: int, observation_size: int, action_size: int) -> None:
        self.capacity = capacity
        self.inserted = 0  # ever
        self.columns: dict[str, slice] = {}
        start = 0
        for name in REPLAY_ARRAYS:
            width = {"actions": action_size, "rewards": 1, "terminals": 1, "timeouts": 1}.get(name, observation_size)
            self.columns[name] = slice(start, start + width)
            start += width
        self.width = start

    def __len__(self) -> int:
        return min(self.inserted, self.capacity)

    def insert(self, transitions: Mapping[str, np.ndarray]) -> None:
        """Add rows over the oldest: `REPLAY_ARRAYS` by name, [n, O], [n, A] or [n], n at most the capacity."""
        count = len(transitions["rewards"])
        rows = np.empty((count, self.width), dtype=np.float32)
        for name, columns in self.columns.items():
            rows[:, columns] = transitions[name].reshape(count, -1)
        slots = (self.inserted + np.arange(count)) % self.capacity
        self.inserted += count
        self.write(slots, rows)

    def transitions(self) -> dict[str, np.ndarray]:
        """Copies of all rows by name, the oldest first."""
        oldest = self.inserted % self.capacity if self.inserted > self.capacity else 0
        rows = np.roll(self.read(), -oldest, axis=0)
        vectors = ("observations", "actions", "next_observations")
        return {name: rows[:, at] if name in vectors else rows[:, at.start] for name, at in self.columns.items()}

    def snapshot(self) -> dict[str, np.ndarray]:
        """The buffer's part of a checkpoint: rows where they lie, and how many were ever inserted."""
        return {_ROWS: self.read(), _INSERTED: np.asarray(self.inserted, dtype=np.int64)}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over a snapshot, of either backend. The capacity may have grown since, if it was not yet full.

        Raises:
            BadInput: the arrays are no snapshot of such a buffer.
        """
        rows, inserted = arrays.get(_ROWS), arrays.get(_INSERTED)
        if rows is None or rows.ndim != 2 or rows.shape[1] != self.width or rows.dtype != np.float32:
            raise damaged(_ROWS, f"float32[rows, {self.width}]")
        if inserted is None or inserted.shape != () or not 0 <= int(inserted) <= LARGEST_STEP:
            raise damaged(_INSERTED, "a count")
        if len(rows) != min(int(inserted), self.capacity):
            raise damaged(_ROWS, f"{min(int(inserted), self.capacity)} rows, of {inserted} ever inserted")
        self.inserted = int(inserted)
        self.write(np.arange(len(rows)), rows)

    @abstractmethod
    def write(self, slots: np.ndarray, rows: np.ndarray) -> None:
        """Put rows [n, width] at these slots, in place; `inserted` counts them already."""

    @abstractmethod
    def read(self) -> np.ndarray:
        """The rows held, [len(self), width] float32, where they lie."""


def check_memory(capacity: int, observation_size: int, action_size: int) -> None:
    """Refuse a buffer that this machine's memory cannot hold; a device's may be smaller, and says so itself.

    Raises:
        BadInput: `capacity` rows are larger than this machine's memory.
    """
    size = 4 * capacity * (2 * observation_size + action_size + 3)
    memory = memory_bytes()
    if memory is not None and size > memory:
        raise BadInput(
            f"the replay buffer of {capacity} transitions needs {size / 2**30:.3g} GiB, and this machine has "
            f"{memory / 2**30:.3g}; use a smaller train.replay_capacity."
        )


class StoredReplay(ReplayBuffer):
    """The buffer of a checkpoint, in the host's memory, to be read."""

    def __init__(self, observation_size: int, action_size: int, arrays: Mapping[str, np.ndarray]) -> None:
        held = len(arrays[_ROWS]) if _ROWS in arrays and arrays[_ROWS].ndim else 0
        super().__init__(max(1, held), observation_size, action_size)
        self._rows = np.zeros((self.capacity, self.width), dtype=np.float32)
        self.restore(arrays)

    @override
    def write(self, slots: np.ndarray, rows: np.ndarray) -> None:
        self._rows[slots] = rows

    @override
    def read(self) -> np.ndarray:
        return self._rows[: len(self)].copy()
