"""Every distance on both backends: against each other, and against the converged float64 reference."""

from functools import cache

import numpy as np
import pytest

from tests.helpers.framework import BACKENDS, Framework
from tests.helpers.sinkhorn_reference import (
    GRADIENT_BOUND,
    VALUE_BOUND,
    Clouds,
    Reference,
    epsilon_of,
    gradient_errors,
    hard_clouds,
    reference_divergence,
    value_errors,
)

pytest.importorskip("torch")
pytest.importorskip("jax")

# (K, A, blur, states of each family). Between them: both of the solver's starts, unrolled and looped elimination.
QUICK = [(4, 6, 0.05, 24), (2, 1, 0.05, 24), (3, 2, 0.01, 16), (5, 2, 0.02, 16), (8, 3, 0.05, 12), (12, 2, 0.05, 4)]
SLOW = [
    (4, 1, 0.05, 500),
    (4, 6, 0.05, 500),
    (4, 17, 0.05, 200),
    (4, 32, 0.05, 200),
    (4, 32, 0.01, 200),
    (4, 3, 0.2, 200),
    (2, 3, 0.01, 200),
    (5, 1, 0.05, 200),
    (6, 2, 0.05, 200),
    (7, 4, 0.1, 100),
    (8, 1, 0.05, 200),
    (8, 6, 0.01, 100),
    (8, 32, 0.02, 50),
    (16, 3, 0.05, 30),
    (16, 2, 0.01, 30),
    (32, 6, 0.05, 8),
    (64, 3, 0.05, 4),
]


@cache
def hard_cases(num_samples: int, action_size: int, blur: float, states: int) -> tuple[np.ndarray, Clouds, Reference]:
    """All families in one batch, the family's name of each state, and the converged answers."""
    families = hard_clouds(np.random.default_rng(0), states, num_samples, action_size, blur)
    names = np.repeat(list(families), states)
    x, y = (np.concatenate([clouds[side] for clouds in families.values()]) for side in range(2))
    reference = reference_divergence(x, y, blur)
    assert reference.residual < 1e-8, "the reference has not converged"
    return names, (x, y), reference


def value_and_gradient(backend, dtype, clouds, blur, solver):
    framework = Framework(backend)
    with framework.precision(dtype):
        x, y = (cloud.astype(dtype) for cloud in clouds)
        divergence, ref_samples = framework.module("distances").sinkhorn_divergence, framework.array(y, dtype)
        values = framework.numpy(divergence(framework.array(x, dtype), ref_samples, blur, solver))
        gradient = framework.gradient(lambda x: divergence(x, ref_samples, blur, solver).sum(), x)
    assert values.dtype == gradient.dtype == dtype, "silent upcast"
    return values, gradient


def assert_within_bounds(case, values, gradient):
    names, _, reference = hard_cases(*case)
    for errors, bound in (
        (value_errors(values.astype(np.float64), reference, epsilon_of(case[2])), VALUE_BOUND),
        (gradient_errors(gradient.astype(np.float64), reference, epsilon_of(case[2])), GRADIENT_BOUND),
    ):
        worst = int(errors.argmax())
        assert errors[worst] <= bound, f"{names[worst]}, state {worst}: {errors[worst]:.2e} above {bound}"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", [*QUICK, *(pytest.param(case, marks=pytest.mark.slow) for case in SLOW)], ids=str)
def test_fused_is_within_bounds_on_every_state(case, backend, dtype):
    _, clouds, _ = hard_cases(*case)
    assert_within_bounds(case, *value_and_gradient(backend, dtype, clouds, case[2], "fused"))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", [(4, 3, 0.05, 4), pytest.param((8, 3, 0.05, 12), marks=pytest.mark.slow)], ids=str)
def test_library_is_within_bounds(case, backend):
    """On every generic state, and on all but a few hard ones, which alternating updates leave after any such count."""
    num_samples, action_size, blur, _ = case
    rng = np.random.default_rng(0)
    x, y = (np.tanh(rng.standard_normal((64, num_samples, action_size))).astype(np.float32) for _ in range(2))
    cases = [((x, y), reference_divergence(x, y, blur), 0.0), (*hard_cases(*case)[1:], 0.02)]
    for clouds, reference, missing in cases:
        values, gradient = value_and_gradient(backend, "float32", clouds, blur, "library")
        beyond = (value_errors(values, reference, epsilon_of(blur)) > VALUE_BOUND) | (
            gradient_errors(gradient, reference, epsilon_of(blur)) > GRADIENT_BOUND
        )
        assert beyond.mean() <= missing


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", QUICK, ids=str)
@pytest.mark.parametrize("solver", ["fused", "exact"])
def test_backends_agree(solver, case, dtype):
    _, clouds, _ = hard_cases(*case)
    if solver == "exact":  # of equally good pairings either may be taken: only generic clouds have one gradient
        rng = np.random.default_rng(1)
        clouds = tuple(rng.uniform(-1, 1, (50, *case[:2])) for _ in range(2))
    ours, theirs = (value_and_gradient(backend, dtype, clouds, case[2], solver) for backend in BACKENDS)
    epsilon = epsilon_of(case[2])
    if dtype == "float64":
        np.testing.assert_allclose(ours[0], theirs[0], rtol=1e-10, atol=1e-10 * epsilon)
        np.testing.assert_allclose(ours[1], theirs[1], rtol=1e-10, atol=1e-10 * np.sqrt(epsilon))
    else:  # float32 resolves costs of many epsilons only so far, and a tie turns that into mass
        assert value_errors(ours[0], Reference(*theirs, residual=0), epsilon).max() < VALUE_BOUND
        assert gradient_errors(ours[1], Reference(*theirs, residual=0), epsilon).max() < GRADIENT_BOUND / 2


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_distances_with_formulas_agree(dtype):
    rng = np.random.default_rng(0)
    moments = [0.5 + rng.random((6, 3)) for _ in range(4)]
    samples = rng.random((6, 4, 3))
    calls = {
        "gaussian_w2_squared": moments,
        "l2_squared": moments[:2],
        "point_to_gaussian_w2_squared": moments[:3],
        "point_to_samples_w2_squared": [moments[0], samples],
    }
    for function, arrays in calls.items():
        for one, other in zip(
            *(_value_and_gradient_of(function, backend, dtype, arrays) for backend in BACKENDS), strict=True
        ):
            np.testing.assert_allclose(one, other, rtol=1e-12 if dtype == "float64" else 1e-5)


def _value_and_gradient_of(function, backend, dtype, arrays):
    framework = Framework(backend)
    with framework.precision(dtype):
        rest = [framework.array(array, dtype) for array in arrays[1:]]
        distance, first = getattr(framework.module("distances"), function), arrays[0].astype(dtype)
        values = framework.numpy(distance(framework.array(first, dtype), *rest))
        return values, framework.gradient(lambda x: distance(x, *rest).sum(), first)
