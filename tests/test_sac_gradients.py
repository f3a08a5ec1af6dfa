"""SAC's two gradients of actor 0 are of the same thing: both meet the exact gradient of -E Q on a known quadratic Q.

The expectation over a Gaussian is a sum over a fine grid, its gradient a difference quotient; the estimates are means
over independent chunks of noise, whose spread is their error bar.
"""

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from pogo.core.algorithms.sac import DEFINITION, Hyperparameters
from pogo.core.problem.actors import ActorConfig
from tests.helpers.framework import BACKENDS, Framework

CURVATURES = np.array([0.5, 2.0])  # of two members: the actor climbs their mean
CENTRES = np.array([0.7, -0.4])  # per action dimension
HEAD = np.array([0.3, -0.2, -0.5, -1.5])  # mean and raw std of every state
CHUNKS, ROWS, SAMPLES = 60, 250, 8
ERROR_BARS = 4.5  # one of the test's 24 checks fails by chance once in 6000 runs


@pytest.fixture(params=BACKENDS)
def framework(request: pytest.FixtureRequest) -> Iterator[Framework]:
    framework = Framework(request.param)
    with framework.precision("float64"):
        yield framework


def quadratic(framework: Framework) -> Callable[..., object]:
    """Q_j(s, a) = -(h_j / 2) |a - c|^2, [2, B], in the place of the critics."""

    def q_values(critic: object, observations: object, actions: object, activation: str) -> object:
        squared = (actions - framework.array(CENTRES)) ** 2  # type: ignore[operator]
        return -0.5 * framework.array(CURVATURES)[:, None] * squared.sum(-1)

    return q_values


def exact_gradient(squash: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Of -E Q in the head, [mean and raw std of each action dimension]."""
    points = np.linspace(-9.0, 9.0, 40_001)
    weights = np.exp(-0.5 * points**2)

    def loss(head: np.ndarray) -> float:
        mean, raw = np.split(head, 2)
        std = np.log1p(np.exp(raw)) + 0.01
        actions = squash(mean[:, None] + std[:, None] * points)
        expected = ((actions - CENTRES[:, None]) ** 2 * weights).sum(axis=1) / weights.sum()
        return float(0.5 * CURVATURES.mean() * expected.sum())

    step = 1e-5
    return np.array([(loss(HEAD + step * unit) - loss(HEAD - step * unit)) / (2 * step) for unit in np.eye(len(HEAD))])


def estimates(framework: Framework, config: ActorConfig, actor_gradient: str) -> np.ndarray:
    """The gradient in the head by each chunk of noise, [CHUNKS, 4]."""
    sac, actors = framework.module("algorithms.sac"), framework.module("actors")
    hp = Hyperparameters(actor_gradient=actor_gradient)
    loss_function = sac.reinforce_loss if actor_gradient == "reinforce" else sac.reparametrized_loss
    samples = (SAMPLES,) if actor_gradient == "reinforce" else ()
    kernel = framework.array(np.zeros((1, len(HEAD))))
    observations = framework.array(np.zeros((ROWS, 1)))
    rng = np.random.default_rng(0)

    def gradient(noise: object) -> np.ndarray:
        def loss(head: object) -> object:
            actor = actors.make_actor(config, {"output/kernel": kernel, "output/bias": head})
            return loss_function(actor, {}, observations, noise, hp)

        return framework.gradient(loss, HEAD)

    return np.array([
        gradient(framework.array(rng.standard_normal((ROWS, *samples, len(CENTRES))))) for _ in range(CHUNKS)
    ])  # fmt: skip


@pytest.mark.parametrize("kind", ["tanh_gaussian", "gaussian"])
def test_both_gradients_agree_with_the_exact_one(
    framework: Framework, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gaussian's samples are clipped, and its density is of the draw before that: so is the exact expectation."""
    monkeypatch.setattr(framework.module("algorithms.sac"), "q_values", quadratic(framework))
    use_tanh = kind == "tanh_gaussian"
    config = DEFINITION.default_actor(Hyperparameters(use_tanh=use_tanh, num_layers=1, hidden_size=1))
    config = ActorConfig(**{**vars(config), "hidden_sizes": ()})
    exact = exact_gradient(np.tanh if use_tanh else lambda x: np.clip(x, -1.0, 1.0))
    means, errors = {}, {}
    for actor_gradient in ("reparametrize", "reinforce"):
        found = estimates(framework, config, actor_gradient)
        means[actor_gradient] = found.mean(axis=0)
        errors[actor_gradient] = found.std(axis=0, ddof=1) / np.sqrt(CHUNKS)
        assert (errors[actor_gradient] < 0.02 * np.abs(exact).max()).all(), "too wide to tell anything"
        apart = np.abs(means[actor_gradient] - exact) / errors[actor_gradient]
        assert (apart < ERROR_BARS).all(), f"{actor_gradient}: {apart} error bars from the exact gradient"
    joint = np.hypot(errors["reparametrize"], errors["reinforce"])
    assert (np.abs(means["reparametrize"] - means["reinforce"]) < ERROR_BARS * joint).all()
