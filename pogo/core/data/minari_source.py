"""Minari datasets, through the optional `minari` package."""

import hashlib
import importlib
import importlib.util
import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
from gymnasium.envs.registration import EnvSpec
from gymnasium.spaces import Box, Dict, Space
from typing_extensions import override

from pogo.core.data.raw_rows import Metadata, RawRows, check_size, raw_rows
from pogo.core.data.reader import Reader, Recorded, Wanted
from pogo.core.environments.joined import part, parts_of
from pogo.core.environments.recorded import Parts, rebuilt_wrappers, without_display
from pogo.core.errors import BadInput

PREFIX = "minari:"
_ID = re.compile(r"[A-Za-z0-9_-]+(/[A-Za-z0-9_-]+)*-v[0-9]+")


def read_minari(name: str, *, offline: bool, max_gib: float) -> tuple[RawRows, Metadata, str]:
    """The raw rows, metadata and digest of one Minari dataset, `minari:` and its id.

    Minari looks in the folder of MINARI_DATASETS_PATH, or its own default.

    Raises:
        BadInput: no package, a malformed or unknown id, spaces other than boxes, too large, broken episodes.
    """
    dataset_id = name.removeprefix(PREFIX)
    if not _ID.fullmatch(dataset_id):
        raise BadInput(f"dataset.name={name}: a Minari id reads like minari:D4RL/pen/human-v2.")
    if importlib.util.find_spec("minari") is None:
        raise BadInput(f"dataset.name={name} needs minari, not installed here: pip install 'pogo[minari]'.")
    minari = importlib.import_module("minari")
    try:
        dataset = minari.load_dataset(dataset_id, download=not offline)
    except FileNotFoundError as error:
        raise BadInput(
            f"dataset.name={name} is not on this machine; fetch it: minari download {dataset_id}."
        ) from error
    except (OSError, ValueError, ImportError) as error:
        raise BadInput(f"dataset.name={name} cannot be loaded: {error}.") from error
    parts = parts_of_observations(dataset, name)
    width = sum(size for _, size in parts) + dataset.action_space.shape[0] + 3
    check_size(int(dataset.total_steps) * width * 4, max_gib, name)
    arrays = arrays_of(dataset, parts, name)
    return raw_rows(arrays, name), metadata_of(dataset, parts), _digest(arrays)


def parts_of_observations(dataset: Any, name: str) -> Parts:
    """The vectors that a dataset's observations are made of, in the order of their names.

    Raises:
        BadInput: observations that are no vectors, or actions that are no continuous vector.
    """
    if not isinstance(dataset.action_space, Box) or len(dataset.action_space.shape) != 1:
        raise BadInput(f"{name} has actions {dataset.action_space}; pogo needs one continuous Box of shape [size].")
    return _parts(dataset.observation_space, name)


def arrays_of(dataset: Any, parts: Parts, name: str) -> dict[str, np.ndarray]:
    """A dataset's episodes, one after another, by D4RL's keys.

    Raises:
        BadInput: an episode's arrays do not fit together, or there is none.
    """
    return _join(dataset.iterate_episodes(), [key for key, _ in parts], name)


def _parts(space: Space, name: str) -> Parts:
    """The vectors that an observation is made of, in the order of their names; one without a name."""
    if isinstance(space, Box) and len(space.shape) == 1:
        return (("", space.shape[0]),)
    found = parts_of(space) if isinstance(space, Dict) else None
    if found is None:
        raise BadInput(f"{name} has observations {space}; pogo needs continuous Boxes of shape [size].")
    return tuple(sorted(found))


def _join(episodes: Iterable[Any], names: list[str], name: str) -> dict[str, np.ndarray]:
    columns: dict[str, list[np.ndarray]] = {key: [] for key in _FIELDS}
    for episode in episodes:
        observations = np.concatenate(
            [np.asarray(part(episode.observations, each) if each else episode.observations) for each in names], axis=1
        )
        steps = len(episode.rewards)
        if len(observations) != steps + 1 or len(episode.actions) != steps or steps == 0:
            raise BadInput(
                f"{name}: episode {episode.id} has {len(observations)} observations, {len(episode.actions)} actions "
                f"and {steps} rewards; Minari episodes have T + 1, T and T."
            )
        columns["observations"].append(observations[:-1])
        columns["next_observations"].append(observations[1:])
        columns["actions"].append(np.asarray(episode.actions, dtype=np.float32))
        columns["rewards"].append(np.asarray(episode.rewards, dtype=np.float32))
        columns["terminals"].append(np.asarray(episode.terminations, dtype=bool))
        timeouts = np.asarray(episode.truncations, dtype=bool) & ~columns["terminals"][-1]
        timeouts[-1] = not columns["terminals"][-1][-1]  # an episode that just stops was cut off
        columns["timeouts"].append(timeouts)
    if not columns["rewards"]:
        raise BadInput(f"{name}: no episodes.")
    return {key: np.concatenate(parts) for key, parts in columns.items()}


_FIELDS = ("observations", "next_observations", "actions", "rewards", "terminals", "timeouts")


def metadata_of(dataset: Any, parts: Parts) -> Metadata:
    """What Minari says of the environment; only the id and plain settings, never an entry point to import."""
    stored = dataset.storage.metadata
    scores = {key: stored.get(key) for key in ("ref_min_score", "ref_max_score")}
    environment = dataset.env_spec
    if stored.get("eval_env_spec"):
        environment = EnvSpec.from_json(stored["eval_env_spec"])
    found: dict[str, Any] = {} if environment is None else _of_spec(environment)
    return Metadata(
        action_low=tuple(dataset.action_space.low.astype(float).tolist()),
        action_high=tuple(dataset.action_space.high.astype(float).tolist()),
        ref_min_score=None if scores["ref_min_score"] is None else float(scores["ref_min_score"]),
        ref_max_score=None if scores["ref_max_score"] is None else float(scores["ref_max_score"]),
        observation_parts=parts if parts[0][0] else (),
        **found,
    )


def _of_spec(environment: EnvSpec) -> dict[str, Any]:
    """The fields of `Metadata` that a recorded environment fills."""
    wrappers, unmade = rebuilt_wrappers(environment.additional_wrappers)
    limits = [wrapper.kwargs.get("max_episode_steps") for wrapper in environment.additional_wrappers if wrapper.kwargs]
    limits = [limit for limit in (environment.max_episode_steps, *limits) if limit]
    return {
        "env_id": environment.id,
        "env_kwargs": json.loads(json.dumps(without_display(environment.kwargs), default=list)),
        "wrappers": wrappers,
        "unmade": unmade,
        "max_episode_steps": min(limits, default=None),
    }


def _digest(arrays: dict[str, np.ndarray]) -> str:
    """SHA-256 over the values: Minari's files also hold dates and a size that differ between equal datasets."""
    digest = hashlib.sha256()
    for key in _FIELDS:
        array = arrays[key] if arrays[key].dtype == np.bool_ else arrays[key].astype(np.float32, copy=False)
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()


class MinariReader(Reader):
    """A dataset of Minari's, by its id."""

    prefix = PREFIX

    @override
    def read(self, source: str, wanted: Wanted) -> Recorded:
        raw, metadata, digest = read_minari(source, offline=wanted.offline, max_gib=wanted.max_gib)
        return Recorded(raw, wanted.view, metadata, digest)
