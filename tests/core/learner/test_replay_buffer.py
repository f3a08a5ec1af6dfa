"""The replay buffer, on both backends: circular, in place, told apart by name, and back from a checkpoint."""

import dataclasses
from typing import Any

import numpy as np
import pytest

from pogo.core.learner.replay_buffer import REPLAY_ARRAYS, ReplayBuffer, StoredReplay
from tests.helpers.problems import problem
from tests.helpers.runs import BACKENDS

OBS, ACT = 3, 2


def make(backend: str, capacity: int, dtype: str = "float32") -> ReplayBuffer:
    framework = pytest.importorskip(backend)
    device = framework.device("cpu") if backend == "torch" else framework.devices("cpu")[0]
    module = pytest.importorskip(f"pogo.{backend}_backend.replay_buffer")
    spec = dataclasses.replace(problem("sac", dtype), observation_size=OBS, action_size=ACT)
    return module.ReplayBuffer(capacity, spec, device)


def rows(first: int, count: int) -> dict[str, np.ndarray]:
    """Row k holds k in every array, and another decimal in each."""
    numbers = np.arange(first, first + count, dtype=np.float32)
    widths = {"observations": OBS, "next_observations": OBS, "actions": ACT}
    return {
        name: np.repeat((numbers + index / 8)[:, None], widths[name], axis=1) if name in widths else numbers + index / 8
        for index, name in enumerate(REPLAY_ARRAYS)
    }


def assert_holds(buffer: ReplayBuffer, first: int, count: int) -> None:
    assert len(buffer) == count
    for name, array in rows(first, count).items():
        np.testing.assert_array_equal(buffer.transitions()[name], array, err_msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_newest_rows_stay(backend: str) -> None:
    buffer = make(backend, capacity=10)
    assert_holds(buffer, 0, 0)
    for first, held in ((0, 4), (4, 8), (8, 10), (12, 10), (16, 10)):
        buffer.insert(rows(first, 4))
        assert_holds(buffer, first + 4 - held, held)
    assert buffer.inserted == 20


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_snapshot_brings_everything_back_on_either_backend(backend: str, dtype: str) -> None:
    buffer = make(backend, 6)
    for first in (0, 4):
        buffer.insert(rows(first, 4))
    arrays = buffer.snapshot()
    buffer.insert(rows(8, 2))  # a snapshot is a copy
    for other in BACKENDS:
        restored = make(other, 6, dtype if other == "torch" else "float32")
        restored.restore(arrays)
        assert_holds(restored, 2, 6)
        restored.insert(rows(8, 3))
        assert_holds(restored, 5, 6)
    assert_holds(StoredReplay(OBS, ACT, arrays), 2, 6)


def test_the_oldest_row_of_a_stored_buffer_is_found_after_many_rounds() -> None:
    buffer = make("torch", 5)
    for first in range(0, 33, 3):
        buffer.insert(rows(first, 3))
    assert_holds(StoredReplay(OBS, ACT, buffer.snapshot()), 28, 5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_it_may_grow_before_it_is_full(backend: str) -> None:
    buffer = make(backend, 6)
    buffer.insert(rows(0, 6))
    larger = make(backend, 9)
    larger.restore(buffer.snapshot())
    larger.insert(rows(6, 4))
    assert_holds(larger, 1, 9)


@pytest.mark.parametrize("backend", BACKENDS)
def test_batches_are_of_the_rows_held_uniformly(backend: str) -> None:
    """Never an empty slot, and each row as often as another."""
    pytest.importorskip(backend)
    learner: Any = pytest.importorskip(f"pogo.{backend}_backend.learner")
    spec = problem("sac", "float32")
    made = learner.make_learner(spec, seed=0, device="cpu", replay_capacity=100)
    width = {"observations": spec.observation_size, "next_observations": spec.observation_size}
    width["actions"] = spec.action_size
    for first in range(0, 30, 5):
        numbers = np.arange(first, first + 5, dtype=np.float32)
        made.replay_buffer.insert(
            {
                name: np.repeat(numbers[:, None], width[name], axis=1) if name in width else numbers
                for name in REPLAY_ARRAYS
            }
        )
    drawn = np.concatenate([sample(made, backend, index) for index in range(120)])
    counts = np.bincount(drawn.astype(int), minlength=30)
    assert len(counts) == 30
    chi_squared = float(((counts - len(drawn) / 30) ** 2 / (len(drawn) / 30)).sum())
    assert chi_squared < 61  # 29 degrees of freedom: 1 in 2000


def sample(learner: Any, backend: str, index: int) -> np.ndarray:
    if backend == "torch":
        return learner._sample_batch(learner._stream)["rewards"].numpy()
    import jax

    data = learner.replay_buffer.rows, learner.replay_buffer.held
    return np.asarray(learner._sample_batch(data, jax.random.fold_in(learner._key, index))["rewards"])
