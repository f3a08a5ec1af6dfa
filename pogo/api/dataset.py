"""Datasets for `pogo.train`: from arrays, episodes, steps, or Minari."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike

from pogo.core.data.arrays import HeldArrays
from pogo.core.data.minari_source import arrays_of, metadata_of, parts_of_observations
from pogo.core.data.raw_rows import Metadata
from pogo.core.data.write_hdf5 import write_arrays
from pogo.core.errors import BadInput

DEFAULT_NAME = "arrays"
_STEP = "(observation, action, reward, next_observation, terminated, truncated)"


class Dataset:
    """Recorded transitions: N rows in the order of time, episodes one after another.

    Made by `from_arrays`, `from_episodes`, `from_steps` or `from_minari`; files and D4RL's names go to `pogo.train` as
    they are. Arrays are checked when a dataset is made, and not copied: leave them as they are until a run has ended.

    Attributes:
        arrays: by name: observations [N, O], actions [N, A] in the environment's units, rewards [N], terminals [N], and
            where there are any timeouts [N] and next_observations [N, O].
        name: what runs on it are filed under.
        env: the gymnasium id of the environment that policies are evaluated in; None: they are not.
    """

    def __init__(self, held: HeldArrays) -> None:
        self._held = held

    @property
    def arrays(self) -> Mapping[str, np.ndarray]:
        """The arrays, by name."""
        return self._held.arrays

    @property
    def name(self) -> str:
        """What runs on it are filed under."""
        return self._held.name

    @property
    def env(self) -> str | None:
        """The environment's gymnasium id."""
        return self._held.metadata.env_id

    def __len__(self) -> int:
        return len(self.arrays["rewards"])

    def __repr__(self) -> str:
        sizes = ", ".join(f"{key} {list(array.shape)}" for key, array in self.arrays.items())
        return f"pogo.Dataset({self.name!r}, env={self.env!r}: {sizes})"

    @classmethod
    def from_arrays(
        cls,
        observations: ArrayLike,
        actions: ArrayLike,
        rewards: ArrayLike,
        terminals: ArrayLike,
        timeouts: ArrayLike | None = None,
        *,
        next_observations: ArrayLike | None = None,
        env: str | None = None,
        name: str = DEFAULT_NAME,
        action_low: float | Sequence[float] | None = None,
        action_high: float | Sequence[float] | None = None,
        ref_min_score: float | None = None,
        ref_max_score: float | None = None,
        max_episode_steps: int | None = None,
    ) -> Self:
        """A dataset from arrays in D4RL's layout.

        Args:
            observations: vectors, [N, O].
            actions: continuous, [N, A], in the environment's own units.
            rewards: [N].
            terminals: [N], 1 where an episode has truly ended, after which nothing has value.
            timeouts: [N], 1 at the last step of an episode that only ran out of time; None: see `max_episode_steps`.
            next_observations: [N, O], where they are not simply those of the row after.
            env: the gymnasium id of the environment to evaluate in; None: train without evaluation.
            name: what runs on it are filed under.
            action_low: lower bounds of the actions, one number or one per dimension; None: the environment's.
            action_high: upper bounds, likewise.
            ref_min_score: the return that scores 0.
            ref_max_score: the return that scores 100.
            max_episode_steps: the time limit that the data was recorded with, which tells time-outs where `timeouts`
                does not; None: the environment's.

        Raises:
            BadInput: an array cannot be taken: it has another length, shape or type, a value that is not finite, whole
                numbers for actions, or images for observations. The message names the array, the row and the mend.
        """
        given = {
            "observations": observations,
            "actions": actions,
            "rewards": rewards,
            "terminals": terminals,
            "timeouts": timeouts,
            "next_observations": next_observations,
        }
        arrays = {key: _as_array(key, values, name) for key, values in given.items() if values is not None}
        size = 1 if arrays["actions"].ndim < 2 else arrays["actions"].shape[1]
        metadata = Metadata(
            env_id=env,
            action_low=_bounds("action_low", action_low, size, name),
            action_high=_bounds("action_high", action_high, size, name),
            ref_min_score=ref_min_score,
            ref_max_score=ref_max_score,
            max_episode_steps=max_episode_steps,
        )
        if (action_low is None) != (action_high is None):
            raise BadInput(f"{name}: action_low={action_low}, action_high={action_high}: give both bounds.")
        return cls(HeldArrays(name, arrays, metadata))

    @classmethod
    def from_episodes(cls, episodes: Iterable[Any], **options: Any) -> Self:
        """A dataset from episodes, each a mapping or an object with these entries.

        `observations` [T + 1, O], the last one included, or [T, O]; `actions` [T, A]; `rewards` [T]; and `terminated`,
        true where the episode has truly ended rather than been cut off. Minari's and d3rlpy's episodes are such.

        Args:
            episodes: one after another.
            options: as `from_arrays` takes them.

        Raises:
            BadInput: an episode's arrays do not fit together, or as `from_arrays`.
        """
        name = options.get("name", DEFAULT_NAME)
        columns: dict[str, list[np.ndarray]] = {}
        for number, episode in enumerate(episodes):
            for key, values in _rows_of_episode(episode, f"{name}: episode {number}").items():
                columns.setdefault(key, []).append(values)
        if not columns:
            raise BadInput(f"{name}: no episodes; give at least one.")
        if len(columns.get("next_observations", columns["rewards"])) != len(columns["rewards"]):
            raise BadInput(f"{name}: some episodes hold their last observation and some do not; give all T + 1, or T.")
        for key, parts in columns.items():
            widths = {part.shape[1:] for part in parts}
            if len(widths) > 1:
                raise BadInput(f"{name}: {key} have rows of shapes {sorted(widths)} in different episodes; give one.")
        return cls.from_arrays(**{key: np.concatenate(parts) for key, parts in columns.items()}, **options)

    @classmethod
    def from_steps(cls, steps: Iterable[Sequence[Any]], **options: Any) -> Self:
        """A dataset from steps as an environment gives them, all episodes in one row.

        Args:
            steps: each (observation, action, reward, next_observation, terminated, truncated).
            options: as `from_arrays` takes them.

        Raises:
            BadInput: a step is no such tuple, or as `from_arrays`.
        """
        name = options.get("name", DEFAULT_NAME)
        rows = list(steps)
        if not rows:
            raise BadInput(f"{name}: no steps; give at least one.")
        for number, row in enumerate(rows):
            if len(row) != len(_STEP.split(",")):
                raise BadInput(f"{name}: step {number} has {len(row)} entries; a step is {_STEP}.")
        observations, actions, rewards, following, terminated, truncated = zip(*rows, strict=True)
        ends = np.asarray(truncated, dtype=np.bool_).copy()
        ends[-1] = True  # nothing follows the last
        return cls.from_arrays(
            observations,
            actions,
            rewards,
            terminated,
            ends & ~np.asarray(terminated, dtype=np.bool_),
            next_observations=following,
            **options,
        )

    @classmethod
    def from_minari(cls, dataset: Any, *, env: str | None = None, name: str | None = None) -> Self:
        """A dataset from a `minari.MinariDataset`, with its environment, bounds and reference returns.

        A dataset that Minari has on this machine needs no loading: `pogo.train(dataset="minari:D4RL/pen/human-v2")`.

        Args:
            dataset: what `minari.load_dataset` gives.
            env: another environment to evaluate in than the dataset's own.
            name: what runs on it are filed under; None: its id.

        Raises:
            BadInput: spaces other than vectors, or broken episodes.
        """
        parts = parts_of_observations(dataset, dataset.id)
        metadata = metadata_of(dataset, parts)
        if env is not None:
            metadata = replace(metadata, env_id=env)
        found = name or dataset.id.replace("/", "-")
        return cls(HeldArrays(found, arrays_of(dataset, parts, dataset.id), metadata))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an HDF5 file in D4RL's layout, which `dataset.path=FILE` reads on every machine.

        Raises:
            BadInput: the file exists, has another ending than .hdf5, or no folder to be in.
            RunFailed: the file cannot be written.
        """
        write_arrays(Path(path).expanduser(), self._held)


def as_dataset(given: Any) -> Dataset:
    """The dataset that a program's own data makes: what one of `Dataset.from_...` takes.

    Raises:
        BadInput: the data is of none of these forms, or the method that takes its form refuses it.
    """
    if isinstance(given, Dataset):
        return given
    if isinstance(given, Mapping):
        return Dataset.from_arrays(**given)
    if hasattr(given, "iterate_episodes"):
        return Dataset.from_minari(given)
    if isinstance(given, Iterable) and not isinstance(given, np.ndarray):
        rows = list(given)
        is_steps = bool(rows) and isinstance(rows[0], tuple)
        return Dataset.from_steps(rows) if is_steps else Dataset.from_episodes(rows)
    raise BadInput(
        f"dataset is a {type(given).__name__}; give a pogo.Dataset, a mapping of arrays, a list of episodes, a Minari "
        "dataset, an iterator of steps, a name, or a file's path."
    )


def _as_array(key: str, values: Any, name: str) -> np.ndarray:
    if isinstance(values, Mapping):
        raise BadInput(
            f"{name}: {key} is a mapping of {', '.join(map(str, values))}, as of a Dict space; join its vectors to one "
            "[rows, size] by numpy.concatenate(..., axis=1)."
        )
    try:
        return np.asarray(values)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{name}: {key} is no array ({error}); give rows of one length.") from error


def _bounds(key: str, given: float | Sequence[float] | None, size: int, name: str) -> tuple[float, ...] | None:
    if given is None:
        return None
    bounds = np.asarray(given, dtype=np.float64).reshape(-1)
    if len(bounds) not in (1, size):
        raise BadInput(f"{name}: {key} has {len(bounds)} numbers, and an action {size}; give one, or one for each.")
    return tuple(np.broadcast_to(bounds, size).tolist())


def _rows_of_episode(episode: Any, where: str) -> dict[str, np.ndarray]:
    """An episode's rows by D4RL's keys."""
    entry = episode.get if isinstance(episode, Mapping) else lambda key: getattr(episode, key, None)
    found = {key: entry(key) for key in ("observations", "actions", "rewards")}
    if missing := [key for key, values in found.items() if values is None]:
        raise BadInput(f"{where} has no {', '.join(missing)}; an episode has observations, actions, rewards.")
    arrays = {key: _as_array(key, values, where) for key, values in found.items()}
    steps = len(arrays["rewards"])
    observations = arrays["observations"]
    if steps == 0 or len(arrays["actions"]) != steps or len(observations) not in (steps, steps + 1):
        raise BadInput(
            f"{where} has {len(observations)} observations, {len(arrays['actions'])} actions and {steps} rewards; an "
            "episode of T steps has T + 1 (or T), T and T."
        )
    ended = next((value for key in ("terminated", "terminations") if (value := entry(key)) is not None), False)
    terminals, timeouts = np.zeros(steps, dtype=np.bool_), np.zeros(steps, dtype=np.bool_)
    terminals[-1] = bool(np.asarray(ended).reshape(-1)[-1])
    timeouts[-1] = not terminals[-1]  # an episode that just stops was cut off
    rows = arrays | {"observations": observations[:steps], "terminals": terminals, "timeouts": timeouts}
    return rows | ({"next_observations": observations[1:]} if len(observations) > steps else {})
