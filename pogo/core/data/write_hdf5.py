"""Writing datasets in D4RL's HDF5 layout: what pogo collects, others read, pogo among them (`dataset.path`)."""

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pogo.core.data import d4rl
from pogo.core.data.arrays import HeldArrays
from pogo.core.data.preprocessing import Normalisation
from pogo.core.data.raw_rows import RawRows
from pogo.core.data.views import behaviour_statistics
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.durable import sync_folder, write_new_file
from pogo.core.learner.replay_buffer import REPLAY_ARRAYS, ReplayBuffer
from pogo.core.setting import Values

FORMAT = "D4RL"
SUFFIXES = (".hdf5", ".h5")


@dataclass(frozen=True)
class References:
    """The returns that score 0 and 100, and where they are from."""

    random_return: float  # measured, of uniform actions
    random_episodes: int
    ref_min_score: float | None = None
    ref_max_score: float | None = None
    ref_min_source: str = ""
    ref_max_source: str = ""


@dataclass(frozen=True, eq=False)
class CollectedRows:
    """Rows to write, and which of them are of episodes that are here from start to end."""

    raw: RawRows  # with next observations and time-outs
    is_whole: np.ndarray  # [N] bool


def joined(parts: Sequence[CollectedRows]) -> CollectedRows:
    """One collected after another."""
    arrays = {name: np.concatenate([getattr(part.raw, name) for part in parts]) for name in REPLAY_ARRAYS}
    return CollectedRows(RawRows(**arrays), np.concatenate([part.is_whole for part in parts]))


def check_new_file(path: Path, option: str) -> None:
    """Refuse a dataset to write that is there already, has another ending, or no folder to be in.

    Raises:
        BadInput: the file's ending is not HDF5's, the file exists, or its folder does not.
    """
    if path.suffix not in SUFFIXES:
        raise BadInput(f"{option}={path} is to be an HDF5 file; give it a name that ends in .hdf5.")
    if path.exists():
        raise BadInput(f"{option}={path} exists; name another file, or move that one away.")
    if not path.absolute().parent.is_dir():
        raise BadInput(f"{option}={path}: there is no folder {path.absolute().parent}; make it first.")
    if not os.access(path.absolute().parent, os.W_OK):
        raise BadInput(f"{option}={path}: its folder cannot be written.")


def references(
    spec: EnvironmentSpec,
    random_returns: np.ndarray,
    known: tuple[float, float] | None,
    best_return: float | None = None,
) -> References:
    """Reference returns of an environment: those of the run, else the measured random return and the best one known.

    Args:
        spec: the environment.
        random_returns: of episodes of uniform actions, [episodes].
        known: the run's reference returns.
        best_return: the return that scores 100, as the user gives it.

    Raises:
        BadInput: the best return is not above the random one.
    """
    measured = References(float(random_returns.mean()), len(random_returns))
    if known is not None and best_return is None:
        source = "the run's reference returns"
        return replace(
            measured, ref_min_score=known[0], ref_max_score=known[1], ref_min_source=source, ref_max_source=source
        )
    if best_return is not None and not measured.random_return < best_return < math.inf:
        raise BadInput(
            f"--best-return {best_return} scores 100, and random actions, which score 0, return "
            f"{measured.random_return:.1f} here; give one above that."
        )
    robot = spec.env_id.rsplit("-", 1)[0].lower()
    source = "given"
    if best_return is None and f"{robot}-expert-v2" in d4rl.D4RL_DATASETS:
        best_return = d4rl.D4RL_DATASETS[f"{robot}-expert-v2"].ref_max_score
        source = f"D4RL's constant for {robot}"
    if best_return is None:
        return measured
    random_source = f"measured: mean return of uniform actions over {len(random_returns)} episodes"
    return replace(
        measured,
        ref_min_score=measured.random_return,
        ref_max_score=best_return,
        ref_min_source=random_source,
        ref_max_source=source,
    )


def rows_of_buffer(buffer: ReplayBuffer, num_envs: int, normalisation: Normalisation) -> CollectedRows:
    """What a replay buffer holds, one environment's rows after another's, each in the order of time.

    Where rows end in the middle of an episode, at the end of the run, `timeouts` is set: nothing may be read across.
    Undoing a normalisation rounds to float32; without one the values are those of the environment.
    """
    held = buffer.transitions()
    oldest = buffer.inserted - len(buffer)
    environment = (oldest + np.arange(len(buffer))) % num_envs
    order = np.argsort(environment, kind="stable")
    rows = {name: array[order] for name, array in held.items()}
    environment = environment[order]
    terminals, timeouts = rows["terminals"] > 0, rows["timeouts"] > 0
    goes_on = np.zeros(len(order), dtype=np.bool_)
    goes_on[:-1] = (environment[1:] == environment[:-1]) & (
        rows["observations"][1:] == rows["next_observations"][:-1]
    ).all(axis=1)
    is_cut = ~terminals & ~timeouts & ~goes_on
    observations, next_observations = (
        normalisation.raw_observations(rows[name]) for name in ("observations", "next_observations")
    )
    raw = RawRows(
        observations=observations,
        actions=normalisation.environment_actions(rows["actions"]).astype(np.float32),
        rewards=((rows["rewards"] - normalisation.reward_shift) / normalisation.reward_scale).astype(np.float32),
        terminals=terminals,
        timeouts=timeouts | is_cut,
        next_observations=next_observations,
    )
    return CollectedRows(raw, _is_whole(raw, is_cut, environment, begins_whole=oldest == 0))


def write_dataset(
    path: Path, collected: CollectedRows, spec: EnvironmentSpec, refer: References, origin: Values
) -> dict[str, Any]:
    """Write a new file: all of it, or nothing; returns its metadata.

    Args:
        path: which must not exist.
        collected: the rows; the returns in the metadata are of its whole episodes.
        spec: the environment.
        refer: random and reference returns.
        origin: what else the metadata says: the policy, seeds, versions.

    Raises:
        RunFailed: the file exists, or cannot be written.
    """
    metadata = _metadata(collected, spec, refer, origin)
    _write_file(path, {name: getattr(collected.raw, name) for name in REPLAY_ARRAYS}, metadata)
    return metadata


def write_arrays(path: Path, dataset: HeldArrays) -> None:
    """Write a dataset in memory to a new file: all of it, or nothing.

    Raises:
        BadInput: the file's ending is not HDF5's, the file exists, or its folder does not.
        RunFailed: the file cannot be written.
    """
    check_new_file(path, "Dataset.save: path")
    known = dataset.metadata
    bounds = {"action_low": known.action_low, "action_high": known.action_high}
    metadata = {
        "format": FORMAT,
        "env_id": known.env_id,
        "env_kwargs": json.dumps(dict(known.env_kwargs), sort_keys=True),
        "env_wrappers": json.dumps([dict(wrapper) for wrapper in known.wrappers], sort_keys=True),
        "observation_parts": json.dumps(known.observation_parts),
        "max_episode_steps": known.max_episode_steps,
        "ref_min_score": known.ref_min_score,
        "ref_max_score": known.ref_max_score,
        **{key: None if values is None else np.array(values) for key, values in bounds.items()},
    }
    _write_file(path, dataset.arrays, {key: value for key, value in metadata.items() if value is not None})


def _write_file(path: Path, arrays: Mapping[str, np.ndarray], metadata: Values) -> None:
    image = io.BytesIO()  # HDF5 itself ends the process where a disk is full
    with h5py.File(image, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array, compression="gzip", chunks=True)
        attributes = file.create_group("metadata").attrs
        for key, value in metadata.items():
            attributes[key] = value
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.unlink(missing_ok=True)  # of a process of the same number that was killed
        write_new_file(unfinished, image.getvalue())
        path.touch(exist_ok=False)  # a rename alone would go over a file that another process has made meanwhile
        unfinished.replace(path)
        sync_folder(path.absolute().parent)
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error.strerror or error}.") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _metadata(collected: CollectedRows, spec: EnvironmentSpec, refer: References, origin: Values) -> dict[str, Any]:
    whole = {name: getattr(collected.raw, name)[collected.is_whole] for name in REPLAY_ARRAYS}
    statistics = behaviour_statistics(RawRows(**whole))
    found = {
        "format": FORMAT,
        "env_id": spec.env_id,
        "env_kwargs": json.dumps(dict(spec.kwargs), sort_keys=True),
        "env_wrappers": json.dumps([dict(wrapper) for wrapper in spec.wrappers], sort_keys=True),
        "observation_parts": json.dumps(spec.observation_parts),
        "max_episode_steps": spec.max_episode_steps,
        "action_low": np.array(spec.action_low),
        "action_high": np.array(spec.action_high),
        "num_transitions": len(collected.raw),
        "num_episodes": statistics.episodes,
        "return_mean": statistics.return_mean,
        "return_std": statistics.return_std,
        "return_min": statistics.return_min,
        "return_max": statistics.return_max,
        "episode_length_mean": statistics.length_mean,
        "random_return_mean": refer.random_return,
        "random_episodes": refer.random_episodes,
        "ref_min_score": refer.ref_min_score,
        "ref_max_score": refer.ref_max_score,
        "ref_min_source": refer.ref_min_source or None,
        "ref_max_source": refer.ref_max_source or None,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **origin,
    }
    return {key: value for key, value in found.items() if value is not None}


def _is_whole(raw: RawRows, is_cut: np.ndarray, environment: np.ndarray, begins_whole: bool) -> np.ndarray:
    """Whether each row's episode is here from start to end, [N] bool."""
    assert raw.timeouts is not None
    episode = np.concatenate(([0], np.cumsum(raw.terminals | raw.timeouts)[:-1]))
    is_whole = np.ones(int(episode[-1]) + 1, dtype=np.bool_)
    is_whole[episode[is_cut]] = False
    if not begins_whole:  # the oldest rows went: each environment's first episode may have lost its start
        first = np.flatnonzero(np.concatenate(([True], environment[1:] != environment[:-1])))
        is_whole[episode[first]] = False
    return is_whole[episode]
