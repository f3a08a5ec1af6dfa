"""Collecting: rows as the environment made them, ends told apart, and a state that a checkpoint brings back."""

import itertools
import logging
from collections.abc import Iterator

import numpy as np
import pytest

from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.make import environment_spec
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import RunFailed
from pogo.core.online.collector import Collector, collect_episodes, random_returns
from tests.helpers.environments import LIMIT

NUM_ENVS = 3


@pytest.fixture(scope="module")
def spec() -> EnvironmentSpec:
    return environment_spec("tests.helpers.environments:Counting-v0")


def unchanged(spec: EnvironmentSpec) -> Normalisation:
    return Normalisation.identity(spec.action_low, spec.action_high, spec.observation_size)


@pytest.fixture
def collector(spec: EnvironmentSpec) -> Iterator[Collector]:
    with Collector(spec, NUM_ENVS, unchanged(spec), seed=4) as made:
        yield made


def actions_of(step: int) -> np.ndarray:
    """The first environment is truly ended now and then, the second by its time limit, the third by both."""
    return np.array([[0.1], [-0.5], [0.2 if step % 20 < 10 else -0.5]], dtype=np.float32)


def test_rows_are_the_environments_own(collector: Collector) -> None:
    rows = [collector.step(actions_of(step)) for step in range(60)]
    seen = {"terminals": 0, "timeouts": 0}
    for index in range(NUM_ENVS):
        for now, after in itertools.pairwise(rows):
            start, time, total = now["observations"][index]
            taken = 1.0 + 2.0 * now["actions"][index, 0]  # the box is [-1, 3]
            np.testing.assert_allclose(now["next_observations"][index], [start, time + 1, total + taken], rtol=1e-6)
            np.testing.assert_allclose(now["rewards"][index], taken + start, rtol=1e-6)
            is_end = total + taken > 2.5
            assert now["terminals"][index] == is_end
            assert now["timeouts"][index] == (not is_end and time + 1 == LIMIT)
            if is_end or time + 1 == LIMIT:
                assert after["observations"][index, 1] == 0  # a new episode, whose first row is not the last's next
            else:
                np.testing.assert_array_equal(after["observations"][index], now["next_observations"][index])
            seen["terminals"] += int(now["terminals"][index])
            seen["timeouts"] += int(now["timeouts"][index])
    assert min(seen.values()) > 5
    assert collector.env_steps == 60 * NUM_ENVS


def test_an_end_that_is_both_is_a_true_one(spec: EnvironmentSpec) -> None:
    """The last step that the time limit allows may be the one that truly ends it."""
    with Collector(spec, 1, unchanged(spec), seed=0) as collector:
        # In the environment's units 0.4 six times, then 0.4: 2.8 after LIMIT = 7 steps, 2.4 before.
        rows = [collector.step(np.array([[-0.3]], dtype=np.float32)) for _ in range(LIMIT)]
    assert [float(row["terminals"][0]) for row in rows] == [0.0] * (LIMIT - 1) + [1.0]
    assert [float(row["timeouts"][0]) for row in rows] == [0.0] * LIMIT


def test_finished_episodes_have_their_returns(collector: Collector) -> None:
    rows = [collector.step(actions_of(step)) for step in range(40)]
    expected = []
    totals, lengths = np.zeros(NUM_ENVS), np.zeros(NUM_ENVS, dtype=int)
    for row in rows:
        totals, lengths = totals + row["rewards"], lengths + 1
        for index in np.flatnonzero(row["terminals"] + row["timeouts"]):
            expected.append((totals[index], lengths[index]))
            totals[index], lengths[index] = 0.0, 0
    found = collector.take_finished()
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-6)
    assert collector.take_finished() == []


def test_every_episode_starts_elsewhere_and_every_seed_too(spec: EnvironmentSpec) -> None:
    starts = []
    for seed in (0, 1):
        with Collector(spec, NUM_ENVS, unchanged(spec), seed) as collector:
            rows = [collector.step(np.full((NUM_ENVS, 1), 1.0)) for _ in range(30)]  # an episode a step
        starts += [float(start) for row in rows for start in row["observations"][:, 0]]
    assert len(set(starts)) > 150  # of 180 draws out of 1000 one meets 164 values


def test_draws_are_standard_and_differ_by_step_and_environment(spec: EnvironmentSpec) -> None:
    with Collector(spec, NUM_ENVS, unchanged(spec), seed=0) as collector:
        noise, uniform = [], []
        for _ in range(1500):  # over a block's end
            noise.append(collector.noise())
            uniform.append(collector.random_actions())
            collector.step(np.zeros((NUM_ENVS, 1)))
    normal, box = np.array(noise).ravel(), np.array(uniform).ravel()
    assert len(np.unique(normal)) > 0.999 * normal.size
    assert abs(normal.mean()) < 4 / np.sqrt(normal.size)
    assert abs(normal.var() - 1) < 4 * np.sqrt(2 / normal.size)
    assert -1 <= box.min() < -0.99 < 0.99 < box.max() <= 1
    assert abs(box.mean()) < 4 * np.sqrt(1 / 3 / box.size)


@pytest.mark.parametrize("steps", [0, 1, 5, 33])
def test_a_restored_collector_goes_on_as_if_never_stopped(spec: EnvironmentSpec, steps: int) -> None:
    with (
        Collector(spec, NUM_ENVS, unchanged(spec), seed=4) as whole,
        Collector(spec, NUM_ENVS, unchanged(spec), seed=4) as resumed,
    ):
        for step in range(steps):
            whole.step(actions_of(step))
        arrays = whole.snapshot()
        resumed.restore(arrays)
        for name, array in resumed.snapshot().items():
            np.testing.assert_array_equal(array, arrays[name], err_msg=name)
        for step in range(steps, steps + 30):
            np.testing.assert_array_equal(whole.noise(), resumed.noise())
            np.testing.assert_array_equal(whole.observations, resumed.observations)
            ours, theirs = whole.step(actions_of(step)), resumed.step(actions_of(step))
            for name, array in ours.items():
                np.testing.assert_array_equal(array, theirs[name], err_msg=name)
        assert whole.take_finished() == resumed.take_finished()


@pytest.mark.parametrize("env_id", ["Pendulum-v1", "Hopper-v5"])
def test_real_simulators_repeat_themselves(env_id: str) -> None:
    """To the bit, in the middle of an episode and after several."""
    if env_id == "Hopper-v5":
        pytest.importorskip("mujoco")
    spec = environment_spec(env_id)
    with Collector(spec, 2, unchanged(spec), seed=1) as whole, Collector(spec, 2, unchanged(spec), seed=1) as resumed:
        for _ in range(130):
            whole.step(whole.random_actions())
        resumed.restore(whole.snapshot())
        for _ in range(100):
            ours, theirs = whole.step(whole.random_actions()), resumed.step(resumed.random_actions())
            for name, array in ours.items():
                np.testing.assert_array_equal(array, theirs[name], err_msg=name)


def test_an_environment_that_cannot_be_repeated_is_said(caplog: pytest.LogCaptureFixture) -> None:
    spec = environment_spec("tests.helpers.environments:Careless-v0")
    with Collector(spec, 2, unchanged(spec), seed=0) as whole, Collector(spec, 2, unchanged(spec), seed=0) as resumed:
        for _ in range(3):
            whole.step(np.zeros((2, 1)))
        with caplog.at_level(logging.WARNING, logger="pogo"):
            resumed.restore(whole.snapshot())
        assert "does not repeat an episode" in caplog.text
        assert resumed.env_steps == 6
        np.testing.assert_array_equal(resumed.observations[:, 1], 0)  # new episodes
        assert resumed.step(np.zeros((2, 1)))["observations"].shape == (2, 3)


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("reward", "gave a reward that is not finite"),
        ("array", r"gave a reward of shape \(1,\), one number is needed"),
        ("observation", r"gave an observation that is not finite \(nan at index 0\)"),
        ("raises", "failed: ZeroDivisionError: a joint is gone"),
    ],
)
def test_a_fault_is_named_in_the_words_of_an_evaluation(how: str, message: str) -> None:
    spec = EnvironmentSpec("tests.helpers.environments:Breaking-v0", 1, 1, (-1.0,), (1.0,), 100, kwargs={"how": how})
    unscaled = Normalisation(np.zeros(1), np.ones(1), 1.0, 0.0, np.array([-1.0]), np.array([1.0]))
    with Collector(spec, 2, unscaled, seed=0) as collector:
        for _ in range(3):
            collector.step(np.ones((2, 1)))
        with pytest.raises(
            RunFailed, match=f"env=tests.helpers.environments:Breaking-v0 {message} at environment step 6: "
        ):
            collector.step(np.ones((2, 1)))


def test_networks_see_normalised_observations_and_rewards(spec: EnvironmentSpec) -> None:
    changed = Normalisation(
        np.array([100.0, 1.0, 0.0]), np.array([10.0, 2.0, 4.0]), 0.5, -1.0, np.array([-1.0]), np.array([3.0])
    )
    with Collector(spec, 1, unchanged(spec), 2) as raw, Collector(spec, 1, changed, 2) as normalised:
        ours, theirs = normalised.step(np.zeros((1, 1))), raw.step(np.zeros((1, 1)))
    for name in ("observations", "next_observations"):
        np.testing.assert_allclose(ours[name], (theirs[name] - [100, 1, 0]) / [10, 2, 4], rtol=1e-6)
    np.testing.assert_allclose(ours["rewards"], theirs["rewards"] * 0.5 - 1.0, rtol=1e-6)


def test_whole_episodes_from_every_environment(collector: Collector) -> None:
    """Of 3, 7 and 2 steps here: the first end at or after the tenth step is the 12th, the 14th and the 10th."""
    actions = np.array([[0.1], [-0.5], [0.2]], dtype=np.float32)
    rows = collect_episodes(collector, lambda _: actions, transitions=3 * 10)
    ends = (rows["terminals"] + rows["timeouts"]) > 0
    np.testing.assert_array_equal(np.diff(np.flatnonzero(ends), prepend=-1), [3] * 4 + [7] * 2 + [2] * 5)
    np.testing.assert_array_equal(rows["actions"], np.repeat(actions, [12, 14, 10], axis=0))
    np.testing.assert_array_equal(rows["observations"][1:][~ends[:-1]], rows["next_observations"][:-1][~ends[:-1]])


def test_random_returns_are_of_whole_episodes(spec: EnvironmentSpec) -> None:
    found = random_returns(spec, 20, seed=0)
    assert found.shape == (20,)
    np.testing.assert_array_equal(found, random_returns(spec, 20, seed=0))
    assert not np.array_equal(found, random_returns(spec, 20, seed=1))
