"""Random datasets of known episodes, and their files in every layout that a reader takes."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gymnasium
import h5py
import numpy as np

from pogo.core.data.config import DatasetConfig
from pogo.core.data.dataset import Dataset, dataset_from_arrays
from pogo.core.data.loading import load_dataset
from pogo.core.data.preprocessing import Preprocessing

Arrays = dict[str, np.ndarray]
PLAIN = Preprocessing()
BOUND = 2.0  # of every action
LAYOUTS = (
    "hdf5",
    "hdf5 without next_observations",
    "hdf5 without timeouts",
    "hdf5 with both flags",
    "hdf5 interleaved",
    "arrays",
    "ogbench regular",
    "ogbench raw",
    "ogbench compact",
    "npz of D4RL",
    "npz of D4RL without timeouts",
    "minari",
)


@dataclass(frozen=True)
class Episode:
    """T steps; the last one is a true end, a time-out, or the file's last row and neither."""

    observations: np.ndarray  # [T + 1, O] float64
    actions: np.ndarray  # [T, A] float32
    rewards: np.ndarray  # [T] float32
    end: str  # terminal | timeout | cut

    def __len__(self) -> int:
        return len(self.rewards)


@dataclass(frozen=True)
class Case:
    """A dataset, and how it is written."""

    seed: int
    layout: str
    episodes: list[Episode]
    limit: int  # steps after which an episode is cut off
    rng: np.random.Generator  # of the choices that a writer makes

    def rows(self) -> Arrays:
        """All transitions, an episode after another, and which episode each is of."""
        episodes = self.episodes
        last = [np.arange(len(episode)) == len(episode) - 1 for episode in episodes]
        return {
            "observations": np.concatenate([episode.observations[:-1] for episode in episodes]),
            "next_observations": np.concatenate([episode.observations[1:] for episode in episodes]),
            "actions": np.concatenate([episode.actions for episode in episodes]),
            "rewards": np.concatenate([episode.rewards for episode in episodes]),
            "terminals": np.concatenate(
                [is_last & (episode.end == "terminal") for is_last, episode in zip(last, episodes, strict=True)]
            ),
            "timeouts": np.concatenate(
                [is_last & (episode.end == "timeout") for is_last, episode in zip(last, episodes, strict=True)]
            ),
            "episode": np.repeat(np.arange(len(episodes)), [len(episode) for episode in episodes]),
        }


def random_case(seed: int) -> Case:
    """The case of this seed: sizes, offsets, ends and values all differ from case to case."""
    rng = np.random.default_rng(seed)
    layout = LAYOUTS[seed % len(LAYOUTS)]
    limit = int(rng.integers(4, 12))
    size, action_size = int(rng.integers(1, 6)), int(rng.integers(1, 4))
    # Some columns are far from zero, as metres of a map's grid; what a file of float32 cannot hold is not in it.
    in_double = layout in ("hdf5", "arrays", "npz of D4RL", "ogbench raw", "minari") and bool(rng.integers(2))
    offset = rng.choice([0.0, 0.0, 3.0, 5.3e6], size) if in_double else rng.choice([0.0, 3.0], size)
    scale = 10.0 ** rng.integers(-2, 2, size)
    episodes = []
    count = int(rng.integers(2, 7))
    for index in range(count):
        end = str(rng.choice(["terminal", "timeout"]))
        may_be_cut = "without timeouts" not in layout and not layout.startswith(("ogbench", "minari", "hdf5 inter"))
        if index == count - 1 and may_be_cut and rng.integers(2):
            end = "cut"
        steps = limit if end == "timeout" else int(rng.integers(2, limit))
        observations = offset + scale * rng.normal(size=(steps + 1, size)).cumsum(axis=0)
        if not in_double:
            observations = observations.astype(np.float32).astype(np.float64)
        actions = rng.uniform(-BOUND, BOUND, (steps, action_size)).astype(np.float32)
        episodes.append(Episode(observations, actions, rng.normal(size=steps).astype(np.float32), end))
    return Case(seed, layout, episodes, limit, rng)


def load_case(case: Case, folder: Path, monkeypatch: Any, view: str) -> Dataset:
    """Write the case and read it back."""
    options: dict[str, Any] = {"view": view, "action_low": [-BOUND], "action_high": [BOUND]}
    if "without timeouts" in case.layout:
        options["max_episode_steps"] = case.limit
    if case.layout == "arrays":
        arrays = {key: array for key, array in case.rows().items() if key != "episode"}
        bounds = [-BOUND] * arrays["actions"].shape[1], [BOUND] * arrays["actions"].shape[1]
        return dataset_from_arrays(**arrays, view=view, action_bounds=bounds)  # type: ignore[arg-type]
    if case.layout == "minari":
        name = _offer_minari(case, monkeypatch)
        return load_dataset(DatasetConfig(name=name, offline=True, **options), PLAIN, "none")
    path = folder / ("data.hdf5" if case.layout.startswith("hdf5") else "data.npz")
    _WRITERS[case.layout](case, path)
    return load_dataset(DatasetConfig(path=str(path), **options), PLAIN, "none")


def interleaved_order(case: Case) -> np.ndarray:
    """Rows of two environments that take turns; each has every second episode. Rows beyond the shorter are left out."""
    episode = case.rows()["episode"]
    first, second = np.flatnonzero(episode % 2 == 0), np.flatnonzero(episode % 2 == 1)
    length = min(len(first), len(second))
    return np.stack([first[:length], second[:length]], axis=1).reshape(-1)


def _write_hdf5(case: Case, path: Path) -> None:
    arrays = case.rows()
    del arrays["episode"]
    if case.layout == "hdf5 interleaved":
        order = interleaved_order(case)
        arrays = {key: array[order] for key, array in arrays.items()}
    if "without next_observations" in case.layout:
        del arrays["next_observations"]
    if "without timeouts" in case.layout:
        del arrays["timeouts"]
    if "both flags" in case.layout:
        arrays["timeouts"] = arrays["timeouts"] | arrays["terminals"]
    with h5py.File(path, "w") as file:
        for key, array in arrays.items():
            stored = _stored(key, array, case)
            more: dict[str, Any] = {"compression": "gzip", "chunks": True} if case.rng.integers(2) else {}
            file.create_dataset(key, data=stored, **more)
        file["infos/qpos"] = np.zeros(3)


def _stored(key: str, array: np.ndarray, case: Case) -> np.ndarray:
    """The array in one of the types and shapes that files have it in, without loss."""
    rng = case.rng
    if key in ("terminals", "timeouts"):
        array = array.astype(rng.choice(["bool", "uint8", "int64", "float32", "float64"]))
    elif key in ("observations", "next_observations"):
        fits = (array.astype(np.float32) == array).all()
        array = array.astype(rng.choice(["<f4", ">f4", "<f8"] if fits else ["<f8", ">f8"]))
    else:
        array = array.astype(rng.choice(["<f4", ">f4", "<f8"]))
    if key in ("rewards", "terminals", "timeouts") and rng.integers(2):
        array = array[:, None]
    if key == "actions" and array.shape[1] == 1 and rng.integers(2):
        array = array[:, 0]
    return array


def _write_npz_of_d4rl(case: Case, path: Path) -> None:
    arrays = case.rows()
    del arrays["episode"]
    if "without timeouts" in case.layout:
        del arrays["timeouts"]
    np.savez(path, **{key: _stored(key, array, case) for key, array in arrays.items()})  # type: ignore[arg-type]


def _write_regular(case: Case, path: Path) -> None:
    rows = case.rows()
    stops = rows["terminals"] | rows["timeouts"]
    arrays = {key: rows[key] for key in ("observations", "next_observations", "actions", "rewards")}
    _save_ogbench(path, **arrays, terminals=stops, masks=~rows["terminals"])


def _write_raw(case: Case, path: Path) -> None:
    _save_ogbench(path, **_with_last_observations(case))


def _write_compact(case: Case, path: Path) -> None:
    arrays = _with_last_observations(case)
    stops = arrays["terminals"]
    # As OGBench gives it: the last transition is marked as well as the row that carries the last observation.
    _save_ogbench(path, **arrays | {"valids": 1 - stops, "terminals": np.minimum(stops + np.append(stops[1:], 1), 1)})


def _with_last_observations(case: Case) -> Arrays:
    """T + 1 rows an episode, the last of which carries its last observation."""
    parts: dict[str, list[np.ndarray]] = {
        key: [] for key in ("observations", "actions", "rewards", "terminals", "masks")
    }
    for episode in case.episodes:
        steps, fell = len(episode), float(episode.end == "terminal")
        parts["observations"].append(episode.observations)
        parts["actions"].append(np.vstack([episode.actions, case.rng.uniform(-1, 1, (1, episode.actions.shape[1]))]))
        parts["rewards"].append(np.append(episode.rewards, case.rng.normal()))
        parts["terminals"].append(np.append(np.zeros(steps), 1.0))
        parts["masks"].append(np.append(np.ones(steps - 1), [1 - fell, float(case.rng.integers(2))]))
    return {key: np.concatenate(arrays) for key, arrays in parts.items()}


def _save_ogbench(path: Path, **arrays: np.ndarray) -> None:
    in_float32 = {key: array.astype(np.float32) for key, array in arrays.items() if key != "observations"}
    observations = arrays["observations"]
    if (observations.astype(np.float32) == observations).all():
        observations = observations.astype(np.float32)
    np.savez_compressed(path, **in_float32, observations=observations)  # type: ignore[arg-type]


_WRITERS: dict[str, Callable[[Case, Path], None]] = {
    **dict.fromkeys([layout for layout in LAYOUTS if layout.startswith("hdf5")], _write_hdf5),
    "ogbench regular": _write_regular,
    "ogbench raw": _write_raw,
    "ogbench compact": _write_compact,
    "npz of D4RL": _write_npz_of_d4rl,
    "npz of D4RL without timeouts": _write_npz_of_d4rl,
}


def _offer_minari(case: Case, monkeypatch: Any) -> str:
    """Have Minari offer the case under a name; of several columns, as a Dict whose keys are in a random order."""
    import minari

    size = case.episodes[0].observations.shape[1]
    keys = [f"part_{column}" for column in range(size)]  # in the order of their names: the columns' own
    shuffled = case.rng.permutation(keys).tolist()
    box = gymnasium.spaces.Box(-np.inf, np.inf, (1,), np.float64)
    action_size = case.episodes[0].actions.shape[1]
    episodes = [
        SimpleNamespace(
            id=index,
            observations={key: episode.observations[:, [keys.index(key)]] for key in shuffled},
            actions=episode.actions,
            rewards=episode.rewards,
            terminations=np.arange(len(episode)) == (len(episode) - 1 if episode.end == "terminal" else -1),
            truncations=np.arange(len(episode)) == (len(episode) - 1 if case.rng.integers(2) else -1),
        )
        for index, episode in enumerate(case.episodes)
    ]
    dataset = SimpleNamespace(
        observation_space=gymnasium.spaces.Dict([(key, box) for key in shuffled]),
        action_space=gymnasium.spaces.Box(-BOUND, BOUND, (action_size,), np.float32),
        total_steps=sum(len(episode) for episode in case.episodes),
        iterate_episodes=lambda: iter(episodes),
        env_spec=None,
        eval_env_spec=None,
        storage=SimpleNamespace(metadata={}),
    )
    monkeypatch.setattr(minari, "load_dataset", lambda *_, **__: dataset)
    return "minari:random/case-v0"
