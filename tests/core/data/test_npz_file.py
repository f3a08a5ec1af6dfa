import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.data.config import DatasetConfig
from pogo.core.data.loading import load_dataset
from pogo.core.data.npz_file import read_npz
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.errors import BadInput

# Two trajectories of three transitions: four observations each, the last row of each only carries the last one.
ROWS = 8
COMPACT = {
    "observations": np.arange(ROWS * 3, dtype=np.float32).reshape(ROWS, 3),
    "actions": np.arange(ROWS, dtype=np.float32).reshape(ROWS, 1) / 10,
    "rewards": np.array([-1, -1, -1, 7, -1, -1, 0, 7], dtype=np.float32),
    "terminals": np.array([0, 0, 0, 1, 0, 0, 0, 1], dtype=np.float32),
    "masks": np.array([1, 1, 1, 1, 1, 1, 0, 1], dtype=np.float32),
}


def save(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("view", ["d4rl", "full"])
def test_compact_files_give_ogbenchs_own_transitions(tmp_path: Path, view: str) -> None:
    path = save(tmp_path / "data.npz", **COMPACT, qpos=np.zeros((ROWS, 2)))
    dataset = load_dataset(DatasetConfig(path=str(path), view=view), Preprocessing(next_actions=True), "Pendulum-v1")
    transitions, kept = dataset.transitions, [0, 1, 2, 4, 5, 6]
    np.testing.assert_array_equal(transitions.observations, COMPACT["observations"][kept])
    np.testing.assert_array_equal(transitions.next_observations, COMPACT["observations"][[row + 1 for row in kept]])
    np.testing.assert_array_equal(transitions.rewards, [-1, -1, -1, -1, -1, 0])
    np.testing.assert_array_equal(transitions.terminals, [0, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(transitions.next_actions, COMPACT["actions"][[row + 1 for row in kept]] / 2)
    assert transitions.episode_ends.tolist() == [0, 0, 1, 0, 0, 1]
    assert dataset.name == "data"


@pytest.mark.parametrize("view", ["d4rl", "full"])
def test_files_with_next_observations_keep_every_row(tmp_path: Path, view: str) -> None:
    arrays = COMPACT | {"next_observations": COMPACT["observations"] + 3}  # those of the next row
    path = save(tmp_path / "data.npz", **arrays)
    dataset = load_dataset(DatasetConfig(path=str(path), view=view), Preprocessing(), "Pendulum-v1")
    np.testing.assert_array_equal(dataset.transitions.next_observations, arrays["next_observations"])
    np.testing.assert_array_equal(dataset.transitions.terminals, 1 - COMPACT["masks"])
    np.testing.assert_array_equal(dataset.transitions.episode_ends, [0, 0, 0, 1, 0, 0, 1, 1])
    assert (dataset.behaviour.return_min, dataset.behaviour.return_mean) == (-2.0, (4.0 - 2.0 + 7.0) / 3)


def test_goal_conditioned_files_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "data.npz", **{key: COMPACT[key] for key in ("observations", "actions", "terminals")})
    with pytest.raises(BadInput, match=r"no rewards, so this is OGBench's goal-conditioned data; relabel"):
        read_npz(path, 1.0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.array([None] * ROWS)}, "rewards has type object.*pickled objects are never loaded"),
        ({"actions": np.zeros((3, 1))}, r"actions has shape \(3, 1\), but observations has 8 rows"),
        ({"masks": np.zeros(3)}, r"masks has shape \(3,\), terminals \(8,\)"),
        ({"terminals": np.full(ROWS, 3.0)}, "terminals holds 3.0 at row 0"),
        ({"rewards": np.full(ROWS, 1e300)}, "rewards holds inf at row 0"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, changes: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_npz(save(tmp_path / "data.npz", **(COMPACT | changes)), 1.0)


def test_sizes_are_checked_before_reading(tmp_path: Path) -> None:
    path = save(tmp_path / "data.npz", **(COMPACT | {"observations": np.zeros((ROWS, 10**6), np.float32)}))
    with pytest.raises(BadInput, match=r"GiB is above the limit dataset.max_gib=0.01"):
        read_npz(path, 0.01)


@pytest.mark.parametrize("member", ["../rewards.npy", "a/b.npy", "a\\b.npy"])
def test_member_names_with_paths_are_refused(tmp_path: Path, member: str) -> None:
    path = save(tmp_path / "data.npz", **COMPACT)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, b"")
    with pytest.raises(BadInput, match="has a path in its name or occurs twice"):
        read_npz(path, 1.0)


def test_a_checksum_that_does_not_match_is_refused(tmp_path: Path) -> None:
    """A flipped bit in a large stored member leaves everything well-formed but the checksum."""
    arrays = {key: np.repeat(array, 20_000, axis=0) for key, array in COMPACT.items()}
    path = tmp_path / "data.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    damaged = bytearray(path.read_bytes())
    damaged[500_000] ^= 1
    path.write_bytes(damaged)
    with pytest.raises(BadInput, match=r"not a readable .npz file \(Bad CRC-32 for file 'observations.npy'\)"):
        read_npz(path, 1.0)


def test_members_that_go_on_after_their_array_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "data.npz", **{key: COMPACT[key] for key in COMPACT if key != "rewards"})
    with zipfile.ZipFile(path, "a") as archive, archive.open("rewards.npy", "w") as member:
        np.lib.format.write_array(member, COMPACT["rewards"])
        member.write(b"x" * 10)
    with pytest.raises(BadInput, match=r"not a readable .npz file \(rewards goes on after its array\)"):
        read_npz(path, 1.0)


def test_damaged_archives_are_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "data.npz", **COMPACT)
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[int(rng.integers(len(whole)))] ^= 1 << int(rng.integers(8))
        path.write_bytes(damaged)
        try:
            read_npz(path, 1.0)
        except BadInput:
            refused += 1
    assert refused > 100
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"data.npz: not a readable .npz file"):
        read_npz(path, 1.0)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("rewards.npy", pickle.dumps({}))
    with pytest.raises(BadInput, match=r"not a readable .npz file|no observations"):
        read_npz(path, 1.0)
