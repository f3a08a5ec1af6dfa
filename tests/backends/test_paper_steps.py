"""Steps of the POGO paper on a quadratic energy with entropy: mean and standard deviation by its closed forms.

Q = g'x + x'Hx / 2, x = a - mu_b; the energy is -E Q - lambda H. Of the Fisher-Rao steps, which have no closed form, the
answers are minima found by another optimiser.
"""

import numpy as np
import pytest
from pogo_quadratic.definition import Hyperparameters

from pogo.core.problem.actors import ActorConfig
from tests.helpers.framework import BACKENDS
from tests.helpers.quadratic import ACT, OBS, make_learner, problem
from tests.helpers.slow import quick

MEAN, STD, GRADIENT = (0.2, -0.1), (0.3, 0.5), (0.7, -0.4)
RISING, FALLING = (-1.5, 0.6, 0.6, 0.8), (-1.5, 0.6, 0.6, -0.8)  # H, row by row
ANSWERS = {
    "w2, tau 0.1": ("w2", RISING, 0.1, [((0.25880121, -0.13964340), (0.27658901, 0.55330074))]),
    "fisher_rao, tau 0.1": ("fisher_rao", RISING, 0.1, [((0.20613733, -0.11024570), (0.29877526, 0.50647539))]),
    "w2, two steps": (
        "w2",
        FALLING,
        0.5,
        [
            ((0.38220339, -0.20381356), (0.23279472, 0.40160707)),
            ((0.47709351, -0.25763251), (0.20329605, 0.33946584)),
        ],
    ),
    "fisher_rao, two steps": (
        "fisher_rao",
        FALLING,
        0.5,
        [
            ((0.22800930, -0.14235254), (0.29467269, 0.48395472)),
            ((0.25257183, -0.17725014), (0.28963414, 0.46949452)),
        ],
    ),
    "w2, tau 1": ("w2", FALLING, 1.0, [((0.44637681, -0.24009662), (0.21362291, 0.35584027))]),
}
QUICK = ("w2, two steps", "fisher_rao, two steps")
CASES = [(name, backend) for name in ANSWERS for backend in BACKENDS]


@pytest.mark.parametrize("natural_gradient", [False, True])
@pytest.mark.parametrize(("case", "framework"), quick(CASES, [(name, "jax") for name in QUICK]), indirect=["framework"])
def test_each_step_is_the_papers(framework, case, natural_gradient):
    geometry, hessian, tau, steps = ANSWERS[case]
    hp = Hyperparameters(
        centre=MEAN,  # type: ignore[arg-type] - one number or one for each dimension
        gradient=GRADIENT,
        hessian=hessian,
        entropy_weight=0.05,
        learning_rate=2e-3,
    )
    actor = ActorConfig("gaussian", (), tanh_mean=False)
    weights = (1 / (2 * tau),) * len(steps)
    chain = {"geometry": geometry, "natural_gradient": natural_gradient}
    learner = make_learner(framework, problem((actor,) * (len(steps) + 1), weights, hp, **chain))
    start = learner.snapshot()
    for index in range(len(steps) + 1):
        start[f"actor_{index}/output/kernel"] = np.zeros((OBS, ACT), dtype=np.float32)
        start[f"actor_{index}/output/bias"] = np.array(MEAN, dtype=np.float32)
        start[f"actor_{index}/log_std"] = np.log(np.array(STD, dtype=np.float32))
    learner.restore(start)
    learner.train(4000)
    arrays = learner.snapshot()
    for index, (mean, std) in enumerate(steps, start=1):
        np.testing.assert_allclose(arrays[f"actor_{index}/output/bias"], mean, atol=3e-4)
        np.testing.assert_allclose(np.exp(arrays[f"actor_{index}/log_std"]), std, atol=3e-4)


@pytest.mark.parametrize(
    ("mean", "std"),
    [((0.1, 0.2), (0.5, 0.7)), ((0.1 + 1e-6, 0.2), (0.5, 0.7)), ((0.4, -0.3), (0.2, 1.5)), ((9.0, 9.0), (0.01, 0.01))],
)
def test_fisher_rao_is_twice_the_angle_between_the_densities_roots(framework, mean, std):
    """By numerical integration of the product of the roots, and with a gradient that is a number everywhere."""
    ref_mean, ref_std = (0.1, 0.2), (0.5, 0.7)
    affinity = 1.0
    for here, spread, there, other in zip(mean, std, ref_mean, ref_std, strict=True):
        x = np.linspace(min(here, there) - 12 * max(spread, other), max(here, there) + 12 * max(spread, other), 400_001)
        densities = [
            np.exp(-0.5 * ((x - m) / s) ** 2) / (s * np.sqrt(2 * np.pi)) for m, s in ((here, spread), (there, other))
        ]
        affinity *= np.trapezoid(np.sqrt(densities[0] * densities[1]), x)
    expected = (2 * np.arccos(min(affinity, 1.0))) ** 2
    with framework.precision("float64"):
        distance = framework.module("distances").gaussian_fisher_rao_squared
        arrays = [framework.array(np.array([values])) for values in (mean, std, ref_mean, ref_std)]
        assert framework.numpy(distance(*arrays)) == pytest.approx(expected, rel=1e-5, abs=1e-9)
        gradient = framework.gradient(lambda value: distance(value, *arrays[1:]).sum(), np.array([mean]))
        assert np.isfinite(gradient).all()
