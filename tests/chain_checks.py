"""The chain against known answers, for either backend."""

import dataclasses
from functools import partial

import numpy as np
import pytest
from pogo_quadratic import NAME
from pogo_quadratic.definition import Hyperparameters

from pogo.core.data.transitions import Transitions
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.chain import ChainConfig
from pogo.core.problem.parameters import LayerInitialisers, actor_parameters
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import W2Config
from tests.backends import Framework

OBS, ACT, BATCH = 2, 2, 256
CLOSED_FORM_TOLERANCE = 0.01  # of a step's length
JUST_UPDATED = 1e-3  # at least the W2^2 of actor 2 to an actor 1 that has just moved
STOCHASTIC_KINDS = {
    "gaussian": ActorConfig("gaussian", (16,)),
    "tanh_gaussian": ActorConfig("tanh_gaussian", (16,), log_std="head"),
    "stochastic": ActorConfig("stochastic", (16,)),
}
KINDS = STOCHASTIC_KINDS | {"deterministic": ActorConfig("deterministic", (16,))}


def observations_only(rows: int = 512) -> Transitions:
    rng = np.random.default_rng(0)
    observations = rng.uniform(-1, 1, (rows, OBS)).astype(np.float32)
    zeros = np.zeros(rows, dtype=np.float32)
    actions = np.zeros((rows, ACT), dtype=np.float32)
    return Transitions(observations, actions, zeros, observations, zeros, np.zeros(rows, dtype=bool))


def problem(actors, weights, hp=None, w2=None, **chain) -> TrainSpec:
    return TrainSpec(
        algorithm=NAME,
        observation_size=OBS,
        action_size=ACT,
        batch_size=BATCH,
        actors=actors,
        chain=ChainConfig(num_actors=len(actors), w2_weights=weights, **chain),
        w2=w2 or W2Config(),
        hyperparameters=hp or Hyperparameters(),
    )


def make_learner(framework, spec, seed=0):
    return framework.module("learner").make_learner(spec, seed, observations_only(), device="cpu")


def distances_from_the_closed_form(framework, updates=6000) -> list[float]:
    """How far actors 1 and 2 end from m = (h c + 2 w m0) / (h + 2 w), s = 2 w s0 / (h + 2 w), in lengths of that step.

    Actors are linear, so that the answer is one of theirs in every state: head and log_std are compared, averaged
    over the last quarter of training. Spreads keep the mass beyond the bounds below 1e-6.
    """
    weights = (0.75, 1.0)  # steps of 1/2.5 and 1/3 of the way
    hp = Hyperparameters(curvature=1.0, centre=0.4, learning_rate=2e-3)
    actor = ActorConfig("gaussian", (), tanh_mean=False, log_std_init=float(np.log(0.1)))
    learner = make_learner(framework, problem((actor,) * 3, weights, hp))
    start = learner.snapshot()
    start["actor_0/output/kernel"] = np.array([[0.10, -0.05], [0.05, 0.10]], dtype=np.float32)
    start["actor_0/output/bias"] = np.array([-0.3, 0.1], dtype=np.float32)
    for index in (1, 2):  # copies, as `chain.init=copy` makes them
        for name in ("output/kernel", "output/bias", "log_std"):
            start[f"actor_{index}/{name}"] = start[f"actor_0/{name}"].copy()
    learner.restore(start)
    found = []
    for update in range(0, updates, 50):
        learner.train(50)
        if update >= 0.75 * updates:
            arrays = learner.snapshot()
            found.append({index: moments(arrays, index) for index in range(3)})
    before, distances = moments(start, 0), []
    for index, weight in enumerate(weights, start=1):
        share = hp.curvature / (hp.curvature + 2 * weight)
        assert 0.2 < share < 0.6
        target = {"kernel": 0.0, "bias": hp.centre, "std": 0.0}
        expected = {name: (1 - share) * value + share * target[name] for name, value in before.items()}
        mean = {name: np.mean([record[index][name] for record in found], axis=0) for name in before}
        moved = np.sqrt(sum(np.sum((expected[name] - before[name]) ** 2) for name in before))
        off = np.sqrt(sum(np.sum((mean[name] - expected[name]) ** 2) for name in before))
        distances.append(float(off / moved))
        before = expected
    return distances


def moments(arrays, index):
    return {
        "kernel": arrays[f"actor_{index}/output/kernel"].astype(float),
        "bias": arrays[f"actor_{index}/output/bias"].astype(float),
        "std": np.exp(arrays[f"actor_{index}/log_std"].astype(float)),
    }


def distances_in_the_first_update(framework) -> list[float]:
    """W2^2 of actors 1 and 2 to their references as the first update finds it, actor 1 being pulled far in that one.

    One Adam step moves each trained entry by the learning rate: only an updated reference is at a distance.
    """
    hp = Hyperparameters(curvature=1.0, centre=5.0, learning_rate=0.1)
    actor = ActorConfig("gaussian", (), tanh_mean=False, log_std_init=float(np.log(0.01)))
    metrics = make_learner(framework, problem((actor,) * 3, (0.0, 1.0), hp)).train(1)
    return [metrics[f"actor_{index}/w2_squared"] for index in (1, 2)]


class ChainChecks:
    """Subclassed once per backend."""

    backend: str

    @pytest.fixture
    def framework(self):
        return Framework(self.backend)

    def test_each_step_is_the_closed_form(self, framework):
        """A linear energy has a JKO step in closed form, actor after actor."""
        for index, off in enumerate(distances_from_the_closed_form(framework), start=1):
            assert off < CLOSED_FORM_TOLERANCE, f"actor {index}: off by {off:.2%} of its step"

    @pytest.mark.parametrize("kind", STOCHASTIC_KINDS)
    def test_zero_energy_is_the_identity_with_common_noise(self, framework, kind):
        """Equal policies are at distance zero with no slope: nothing moves."""
        spec = problem((STOCHASTIC_KINDS[kind],) * 2, (10.0,), Hyperparameters(curvature=0.0))
        learner = make_learner(framework, spec)
        start = learner.snapshot()
        metrics = learner.train(100)
        assert metrics["actor_1/w2_squared"] == pytest.approx(0.0, abs=1e-9)
        end = learner.snapshot()
        for name in start:
            if name.startswith("actor_1/"):
                np.testing.assert_allclose(end[name], start[name], atol=1e-6, err_msg=name)

    def test_common_noise_finds_the_reference_from_elsewhere(self, framework):
        """Zero energy, another start: the spread comes back to the reference's, where independent noise shrinks it."""
        actors = (STOCHASTIC_KINDS["stochastic"],) * 2
        ratios = {}
        for noise in ("common", "independent"):
            hp = Hyperparameters(curvature=0.0, learning_rate=3e-3)
            spec = problem(actors, (10.0,), hp, W2Config(noise=noise), init="independent")
            learner = make_learner(framework, spec)
            learner.train(1500)
            rng = np.random.default_rng(1)
            observations, z = (
                np.zeros((2000, OBS), dtype=np.float32),
                rng.standard_normal((2000, ACT)).astype(np.float32),
            )
            spread = [np.std(learner.act(observations, index, z), axis=0) for index in (0, 1)]
            ratios[noise] = np.sqrt(np.sum(spread[1] ** 2) / np.sum(spread[0] ** 2))
        assert ratios["common"] == pytest.approx(1.0, abs=0.05)
        assert ratios["independent"] < 0.8

    def test_reference_is_the_just_updated_actor(self, framework):
        """With actor 1 pulled far in one step, actor 2's first gradient feels where it is now, not where it was."""
        of_actor_1, of_actor_2 = distances_in_the_first_update(framework)
        assert of_actor_1 == pytest.approx(0.0, abs=1e-12)
        assert of_actor_2 > JUST_UPDATED

    @pytest.mark.parametrize("exact_points", [False, True])
    @pytest.mark.parametrize("reference_kind", KINDS)
    @pytest.mark.parametrize("kind", KINDS)
    def test_a_distance_moves_the_actor_and_never_its_reference(self, framework, kind, reference_kind, exact_points):
        configs = KINDS[kind], KINDS[reference_kind]
        rng = np.random.default_rng(1)
        params = [actor_parameters(rng, config, OBS, ACT, LayerInitialisers()) for config in configs]
        with framework.precision("float64"):
            observations = framework.array(rng.uniform(-1, 1, (8, OBS)))
            shapes = {"energy": (8, ACT), "w2": (8, 4, ACT), "w2_reference": (8, ACT)}
            noise = {name: framework.array(rng.standard_normal(shape)) for name, shape in shapes.items()}

            def distance(bias, of):
                make_actor = framework.module("actors").make_actor
                actors = [
                    make_actor(config, framework.params(arrays) | ({"output/bias": bias} if index == of else {}))
                    for index, (config, arrays) in enumerate(zip(configs, params, strict=True))
                ]
                w2 = W2Config(exact_points=exact_points)
                # A gradient of nothing but the other actor would not be one.
                return framework.module("chain").w2_squared(*actors, observations, noise, w2).mean() + 0.0 * bias.sum()

            of_actor, of_reference = (
                framework.gradient(partial(distance, of=index), params[index]["output/bias"]) for index in (0, 1)
            )
        assert np.abs(of_actor[:ACT]).min() > 1e-3
        assert not of_reference.any()

    def test_actor_0_stays_where_its_algorithm_leaves_it(self, framework):
        spec = problem((STOCHASTIC_KINDS["gaussian"],) * 3, (1.0, 1.0))
        learner = make_learner(framework, spec)
        start = learner.snapshot()
        learner.train(20)
        end = learner.snapshot()
        moved = {name.split("/")[0] for name in start if name.startswith("actor_") and (start[name] != end[name]).any()}
        assert moved == {"actor_1", "actor_2"}

    def test_same_update_twice_gives_the_same_bits(self, framework):
        spec = dataclasses.replace(problem((STOCHASTIC_KINDS["stochastic"],) * 3, (1.0, 1.0)))
        ends = []
        for _ in range(2):
            learner = make_learner(framework, spec)
            learner.train(5)
            ends.append(learner.snapshot())
        assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])
