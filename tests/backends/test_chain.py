"""The chain against known answers, for either backend."""

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import pytest
from pogo_quadratic.definition import Hyperparameters

from pogo.core.problem.chain import LARGEST_WEIGHT, SMALLEST_WEIGHT, ChainConfig
from pogo.core.problem.parameters import LayerInitialisers, actor_parameters
from pogo.core.problem.w2 import W2Config
from tests.helpers import learners
from tests.helpers.framework import BACKENDS
from tests.helpers.quadratic import (
    ACT,
    CLOSED_FORM_TOLERANCE,
    JUST_UPDATED,
    KINDS,
    OBS,
    STOCHASTIC_KINDS,
    distances_from_the_closed_form,
    distances_in_the_first_update,
    make_learner,
    problem,
    steps_and_weights,
)
from tests.helpers.slow import quick


@pytest.mark.parametrize("framework", quick(BACKENDS, ("jax",)), indirect=True)  # torch takes eight times as long
def test_each_step_is_the_closed_form(framework):
    """A linear energy has a JKO step in closed form, actor after actor."""
    for index, off in enumerate(distances_from_the_closed_form(framework), start=1):
        assert off < CLOSED_FORM_TOLERANCE, f"actor {index}: off by {off:.2%} of its step"


@pytest.mark.parametrize("framework", quick(BACKENDS, ("jax",)), indirect=True)
def test_a_stated_step_is_the_constrained_minimum(framework):
    """Its length, its direction and its multiplier, from weights that begin far too high and far too low."""
    for index, (step, weight, off) in enumerate(steps_and_weights(framework), start=1):
        assert step == pytest.approx(1.0, abs=0.01), f"actor {index}"
        assert weight == pytest.approx(1.0, abs=0.05), f"actor {index}"
        assert off < 0.03, f"actor {index}: off by {off:.2%} of its step"


@pytest.mark.parametrize("framework", quick(BACKENDS, ("jax",)), indirect=True)
def test_a_short_step_is_held_too(framework):
    """No shorter than Adam's own movement: the rate follows the step, where it is not given."""
    chain = ChainConfig(num_actors=3, w2_weights=(10.0, 10.0), steps=(0.015, 0.3), carry=True)
    assert [chain.rate_of(index, 1e-3) for index in (1, 2)] == pytest.approx([1e-4, 1e-3])
    assert dataclasses.replace(chain, learning_rate=2e-3).rate_of(1, 1e-3) == 2e-3
    assert dataclasses.replace(chain, steps=()).rate_of(1, 1e-3) == 1e-3
    spec = dataclasses.replace(learners.problem("td3_bc", "float32"), chain=chain)
    learner = learners.make(framework, spec)
    learner.train(2000)
    assert learner.train(1000)["actor_1/step"] == pytest.approx(0.015, rel=0.1)


def test_weights_stay_within_their_bounds(framework):
    """A step that no energy makes, and one that no weight prevents."""
    hp = Hyperparameters(curvature=0.0, learning_rate=1e-3)
    actors = (STOCHASTIC_KINDS["gaussian"],) * 2
    spec = problem(actors, (SMALLEST_WEIGHT * 1.001,), hp, steps=(0.1,), carry=True)
    metrics = make_learner(framework, spec).train(50)
    assert metrics["actor_1/w2_weight"] == pytest.approx(SMALLEST_WEIGHT, rel=1e-3)
    spec = problem(actors, (LARGEST_WEIGHT * 0.999,), hp, init="independent", steps=(1e-4,))
    metrics = make_learner(framework, spec).train(50)
    assert metrics["actor_1/w2_weight"] == pytest.approx(LARGEST_WEIGHT, rel=1e-3)


@pytest.mark.parametrize("framework", quick(BACKENDS, ("torch",)), indirect=True)  # JAX compiles for longer
def test_a_carried_actor_moves_as_its_reference(framework):
    """Actors that learn nothing themselves: carried ones are where actor 0 is, the others where they began."""
    cases: tuple[tuple[dict[str, Any], str], ...] = (
        ({"carry": True}, "actor_0"),
        ({"carry": False}, "start"),
        ({"carry": True, "init": "independent"}, "own start"),  # another network's movement means nothing to them
    )
    for chain, reference in cases:
        learner = learners.make(framework, learners.problem("iql", "float32", learning_rate=1e-30, **chain))
        start = learner.snapshot()
        learner.train(20)
        end = learner.snapshot()
        for name in (name for name in start if name.startswith("actor_0/")):
            assert (end[name] != start[name]).any()
            for index in (1, 2):
                later = name.replace("actor_0", f"actor_{index}")
                expected = {"actor_0": end[name], "start": start[name], "own start": start[later]}[reference]
                np.testing.assert_allclose(end[later], expected, atol=1e-6)


@pytest.mark.parametrize("kind", STOCHASTIC_KINDS)
def test_zero_energy_is_the_identity_with_common_noise(framework, kind):
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


@pytest.mark.slow
def test_common_noise_finds_the_reference_from_elsewhere(framework):
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


def test_reference_is_the_just_updated_actor(framework):
    """With actor 1 pulled far in one step, actor 2's first gradient feels where it is now, not where it was."""
    of_actor_1, of_actor_2 = distances_in_the_first_update(framework)
    assert of_actor_1 == pytest.approx(0.0, abs=1e-12)
    assert of_actor_2 > JUST_UPDATED


@pytest.mark.parametrize("exact_points", [False, True])
@pytest.mark.parametrize("reference_kind", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_distance_moves_the_actor_and_never_its_reference(framework, kind, reference_kind, exact_points):
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


def test_actor_0_stays_where_its_algorithm_leaves_it(framework):
    spec = problem((STOCHASTIC_KINDS["gaussian"],) * 3, (1.0, 1.0))
    learner = make_learner(framework, spec)
    start = learner.snapshot()
    learner.train(20)
    end = learner.snapshot()
    moved = {name.split("/")[0] for name in start if name.startswith("actor_") and (start[name] != end[name]).any()}
    assert moved == {"actor_1", "actor_2"}


def test_same_update_twice_gives_the_same_bits(framework):
    spec = dataclasses.replace(problem((STOCHASTIC_KINDS["stochastic"],) * 3, (1.0, 1.0)))
    ends = []
    for _ in range(2):
        learner = make_learner(framework, spec)
        learner.train(5)
        ends.append(learner.snapshot())
    assert all(np.array_equal(ends[0][name], ends[1][name]) for name in ends[0])
