"""Datasets from arrays, episodes and steps: what they come to, and what is refused, in one line with the mend."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import pogo
from pogo.core.data.arrays import holding
from pogo.core.data.config import DatasetConfig
from pogo.core.data.loading import load_dataset
from pogo.core.data.preprocessing import Preprocessing
from tests.helpers.library_runs import HIGH, LOW, ROWS, random_arrays


def made(**changes: Any) -> pogo.Dataset:
    return pogo.Dataset.from_arrays(**{**random_arrays(), "action_low": LOW, "action_high": HIGH, **changes})


def transitions_of(dataset: pogo.Dataset) -> dict[str, np.ndarray]:
    with holding(dataset._held):
        found = load_dataset(DatasetConfig(name=f"arrays:{dataset.name}"), Preprocessing(), "none").transitions
    return {"observations": found.observations, "next": found.next_observations, "rewards": found.rewards}


BAD = {
    "length": ({"rewards": np.zeros(7)}, "rewards has shape (7,), but observations has 600 rows"),
    "type": ({"rewards": np.array(["a"] * ROWS)}, "rewards has type <U1, expected plain numbers"),
    "nan": ({"rewards": np.full(ROWS, np.nan)}, "rewards holds nan at row 0"),
    "discrete observations": ({"observations": np.zeros(ROWS, dtype=np.int64)}, "as of a discrete space"),
    "discrete": ({"actions": np.zeros((ROWS, 2), dtype=np.int64)}, "actions has type int64: whole numbers"),
    "pixels": ({"observations": np.zeros((ROWS, 4, 4, 3), dtype=np.uint8)}, "images, or stacks of frames"),
    "mapping": ({"observations": {"position": np.zeros((ROWS, 2))}}, "observations is a mapping of position"),
    "ragged": ({"observations": [np.zeros(2), np.zeros(3)]}, "observations is no array"),
    "flags": ({"terminals": np.full(ROWS, 2)}, "terminals holds 2 at row 0"),
    "empty": ({"observations": np.zeros((0, 3))}, "no rows to train on"),
    "bounds": ({"action_high": None}, "give both bounds"),
    "bounds of another size": ({"action_low": (0.0, 0.0, 0.0)}, "action_low has 3 numbers"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_taken_is_named_before_any_work(case: str) -> None:
    changes, message = BAD[case]
    with pytest.raises(pogo.BadInput) as refused:
        made(**changes)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_value_that_is_not_finite_is_named_by_its_row() -> None:
    observations = random_arrays()["observations"]
    observations[123, 2] = np.inf
    with pytest.raises(pogo.BadInput, match="observations holds inf at row 123"):
        made(observations=observations)


def test_episodes_and_steps_come_to_the_arrays_that_they_are_of() -> None:
    arrays = random_arrays()
    next_observations = np.concatenate([arrays["observations"][1:], arrays["observations"][:1]])
    whole = transitions_of(made(next_observations=next_observations))
    bounds = {"action_low": LOW, "action_high": HIGH}
    episodes = [
        {
            "observations": np.concatenate(
                [arrays["observations"][start : start + 100], next_observations[[start + 99]]]
            ),
            "actions": arrays["actions"][start : start + 100],
            "rewards": arrays["rewards"][start : start + 100],
            "terminated": bool(arrays["terminals"][start + 99]),
        }
        for start in range(0, ROWS, 100)
    ]
    columns = (arrays[name] for name in ("observations", "actions", "rewards"))
    steps = zip(*columns, next_observations, arrays["terminals"], arrays["timeouts"], strict=True)
    for other in (pogo.Dataset.from_episodes(episodes, **bounds), pogo.Dataset.from_steps(steps, **bounds)):
        assert {name: array.tolist() for name, array in transitions_of(other).items()} == {
            name: array.tolist() for name, array in whole.items()
        }


def test_an_episode_that_does_not_fit_together_is_named() -> None:
    episode = {"observations": np.zeros((9, 2)), "actions": np.zeros((5, 1)), "rewards": np.zeros(5)}
    with pytest.raises(pogo.BadInput, match="episode 0 has 9 observations, 5 actions and 5 rewards"):
        pogo.Dataset.from_episodes([episode])
    with pytest.raises(pogo.BadInput, match="episode 0 has no rewards"):
        pogo.Dataset.from_episodes([{"observations": np.zeros((6, 2)), "actions": np.zeros((5, 1))}])
    with pytest.raises(pogo.BadInput, match="step 0 has 3 entries"):
        pogo.Dataset.from_steps([(np.zeros(2), np.zeros(1), 0.0)])


def test_a_saved_dataset_is_the_same_from_its_file(tmp_path: Path) -> None:
    dataset = made(env="Pendulum-v1", ref_min_score=-1.0, ref_max_score=2.0)
    dataset.save(tmp_path / "mine.hdf5")
    with h5py.File(tmp_path / "mine.hdf5") as file:
        assert file["metadata"].attrs["env_id"] == "Pendulum-v1"
    found = load_dataset(DatasetConfig(path=str(tmp_path / "mine.hdf5")), Preprocessing(), "none")
    assert found.reference_returns == (-1.0, 2.0)
    assert found.normalisation.action_low.tolist() == list(LOW)
    np.testing.assert_array_equal(found.transitions.observations, transitions_of(dataset)["observations"])
    with pytest.raises(pogo.BadInput, match="exists"):
        dataset.save(tmp_path / "mine.hdf5")


def test_a_minari_dataset_keeps_its_bounds_and_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    minari = pytest.importorskip("minari")
    gymnasium = pytest.importorskip("gymnasium")
    collector = minari.DataCollector(gymnasium.make("Pendulum-v1", max_episode_steps=20))
    for seed in range(2):
        collector.reset(seed=seed)
        done = False
        while not done:
            *_, terminated, truncated, _ = collector.step(collector.action_space.sample())
            done = terminated or truncated
    stored = collector.create_dataset("pogo/test-v0", author="pogo", author_email="", code_permalink="")
    dataset = pogo.Dataset.from_minari(stored)
    assert (dataset.name, dataset.env, len(dataset)) == ("pogo-test-v0", "Pendulum-v1", 40)
    assert dataset.arrays["observations"].shape == (40, 3)
