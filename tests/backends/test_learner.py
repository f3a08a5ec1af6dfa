"""What every learner promises, for either backend."""

import dataclasses

import numpy as np
import pytest

from pogo.core.algorithms import ALGORITHMS
from pogo.core.errors import BadInput, RunFailed
from pogo.core.learner.interface import Pair
from tests.helpers.learners import make, transitions
from tests.helpers.pairs import check_pairs
from tests.helpers.problems import ACT, OBS, problem
from tests.helpers.slow import quick


@pytest.mark.parametrize("algorithm", quick(ALGORITHMS, ("iql", "td3_bc", "edac")))
def test_windows_do_not_depend_on_how_they_are_cut(framework, algorithm):
    """The same bits, metrics included, in one call or in many, with a snapshot and a restore between."""
    spec = problem(algorithm, "float32", num_actors=2)
    cut = make(framework, spec)
    cut.train(4, close_window=False)
    cut.train(7, close_window=False)
    saved = cut.snapshot()
    other = make(framework, spec)
    means = other.train(23)
    first = other.snapshot()
    other.restore(saved)  # it is elsewhere, and in another window
    assert other.updates == 11
    assert other.train(12) == means
    second = other.snapshot()
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


def test_seeds_differ_and_repeat(framework):
    spec = problem("iql", "float32")
    same, again, other = (make(framework, spec, seed) for seed in (0, 0, 1))
    for learner in (same, again, other):
        learner.train(3)
    kernels = [learner.snapshot()["critic/hidden_0/kernel"] for learner in (same, again, other)]
    assert np.array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_sampling_covers_the_data_evenly(framework):
    """Rewards of 0 but in one row: the mean TD target of a fresh critic shows how often that row is drawn."""
    data = transitions(50)
    learner = make(framework, problem("iql", "float32", num_actors=1), data=data)
    draws = np.concatenate([rewards_drawn(framework, learner) for _ in range(200)])
    counts = np.array([(draws == reward).sum() for reward in data.rewards])
    expected = len(draws) / 50
    assert counts.sum() == len(draws)
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 90  # 49 degrees of freedom: 1 in 3000


def rewards_drawn(framework, learner):
    if framework.name == "torch":
        return framework.numpy(learner._sample_batch(learner._stream)["rewards"])
    import jax

    learner._key = jax.random.fold_in(learner._key, 1)
    return np.asarray(learner._sample_batch(learner._data, learner._key)["rewards"])


def test_noise_has_its_distribution(framework):
    from pogo.core.problem.noise import Draw, distinct_pairs, keep_mask, normal, uniform01, uniform11

    learner = make(framework, problem("iql", "float32"))

    def draw(spec: Draw) -> np.ndarray:
        if framework.name == "torch":
            return learner._draw(spec, learner._generators["stream/torch"]).numpy()
        import jax

        return np.asarray(learner._draw(spec, jax.random.key(0)))

    n = 40_000
    assert draw(normal(n)).mean() == pytest.approx(0, abs=0.03)
    assert draw(normal(n)).std() == pytest.approx(1, abs=0.02)
    assert draw(uniform01(n)).min() >= 0
    assert draw(uniform01(n)).mean() == pytest.approx(0.5, abs=0.01)
    assert draw(uniform11(n)).min() < -0.99
    assert draw(uniform11(n)).std() == pytest.approx(1 / np.sqrt(3), abs=0.01)
    mask = draw(keep_mask(0.75, n))
    assert set(np.unique(mask)) == {0.0, 1.0}
    assert mask.mean() == pytest.approx(0.75, abs=0.01)
    check_pairs(draw(distinct_pairs(4, 3, n)), 4, (3, 2, n))


def test_a_metric_that_is_not_finite_names_its_update(framework):
    hot = {"critic_learning_rate": 1e8}
    learner = make(framework, problem("iql", "float32", hyperparameters=hot))
    with pytest.raises(RunFailed, match=r"update (\d+): .+ is not finite") as caught:
        learner.train(50)
    named = int(str(caught.value).split("update ")[1].split(":")[0])
    one_by_one = make(framework, problem("iql", "float32", hyperparameters=hot))
    for _ in range(named - 1):
        one_by_one.train(1, close_window=False)
    with pytest.raises(RunFailed, match=f"update {named}:"):
        one_by_one.train(1, close_window=False)
    assert named > 1  # it is counted, not guessed


def test_a_snapshot_that_does_not_fit_is_refused(framework):
    learner = make(framework, problem("iql", "float32"))
    arrays = learner.snapshot()
    for change, message in (
        ({"critic/hidden_0/kernel": np.zeros((2, 3, 4), np.float32)}, r"checkpoint's critic/hidden_0/kernel is"),
        ({"value/novel": np.zeros(1, np.float32)}, "unknown value/novel"),
        ({"updates": np.zeros((), np.int64)}, "checkpoint's updates is int64"),
    ):
        with pytest.raises(BadInput, match=message):
            learner.restore(arrays | change)
    del arrays["value/output/bias"]
    with pytest.raises(BadInput, match="lacks value/output/bias"):
        learner.restore(arrays)


def test_acting_on_its_own(framework):
    """No data is needed, and a batch acts as its rows do."""
    spec = problem("iql", "float32", ({"kind": "gaussian"}, {"kind": "stochastic"}))
    learner = framework.module("learner").make_learner(spec, 0, None, device="cpu")
    rng = np.random.default_rng(0)
    observations, noise = rng.standard_normal((6, OBS)), rng.standard_normal((6, ACT))
    for actor in range(3):
        for z in (None, noise):
            whole = learner.act(observations, actor, z)
            assert whole.shape == (6, ACT)
            assert whole.dtype == np.float32
            row = learner.act(observations[2:3], actor, None if z is None else z[2:3])
            np.testing.assert_allclose(whole[2:3], row, rtol=1e-5)
    assert not np.allclose(learner.act(observations, 1), learner.act(observations, 1, noise))


def test_acting_in_pairs_is_acting_one_by_one(framework):
    spec = problem("iql", "float32", ({"kind": "gaussian"}, {"kind": "deterministic"}, {"kind": "tanh_gaussian"}))
    learner = framework.module("learner").make_learner(spec, 0, None, device="cpu")
    pairs = [Pair(0, "deterministic"), Pair(0, "stochastic"), Pair(1, "deterministic"), Pair(2, "stochastic")]
    rng = np.random.default_rng(0)
    noise = rng.standard_normal((6, ACT), dtype=np.float32)
    for _ in range(2):
        observations = rng.standard_normal((4, 6, OBS), dtype=np.float32)
        together = learner.act_pairs(observations, pairs, noise)
        assert together.dtype == np.float32
        alone = [
            learner.act(rows, pair.actor, noise if pair.mode == "stochastic" else None)
            for rows, pair in zip(observations, pairs, strict=True)
        ]
        np.testing.assert_array_equal(together, np.stack(alone))  # to the bit


def test_float64_is_float64_throughout(framework):
    with framework.precision("float64"):
        learner = make(framework, dataclasses.replace(problem("rebrac"), dtype="float64"))
        learner.train(3)
        kinds = {value.dtype for name, value in learner.snapshot().items() if not name.startswith("stream/")}
    assert kinds == {np.dtype("float64"), np.dtype("int32")}


def test_an_unknown_device_is_refused(framework):
    for device in ("cuda:9", "tpu", "cpu:x"):
        with pytest.raises(BadInput, match=f"device={device}"):
            framework.module("learner").make_learner(problem("iql"), 0, None, device=device)
