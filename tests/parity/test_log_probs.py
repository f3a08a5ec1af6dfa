"""Log-densities by name: torch against JAX, values and gradients, every kind and form, saturated actions too."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.parameters import LayerInitialisers, actor_parameters
from tests.helpers.actors import KINDS
from tests.helpers.framework import Framework

OBS, ACT, B, K = 5, 3, 12, 4
CONFIGS = {
    # A std of e^-20 leaves no digits of (x - mean) / std: what would be compared is rounding.
    **{name: replace(config, log_std_min=max(config.log_std_min, -5.0)) for name, config in KINDS.items()},
    "tanh_gaussian, epsilon": ActorConfig("tanh_gaussian", (16, 16), log_std="head", density="epsilon"),
    "tanh_gaussian, free log_std": ActorConfig("tanh_gaussian", (16,), log_std_init=-0.5),
}
# Gain of the last layer: a policy past the linear part of its tanh, and one saturated in most dimensions.
GAINS = (4.0, 60.0)
# Differences as shares of the largest entry of an array, or of 1. In float32, between the backends and from float64 for
# actions inside the box: at its bound, the 1 - 1e-6 that an action is cut to is itself 3 % off from its distance to 1.
FLOAT64 = 1e-12
FLOAT32_APART = {"value": 3e-5, "gradient": 2e-4}
FLOAT32_ERROR = {"value": 1e-5, "gradient": 1e-4}


def inputs(config: ActorConfig, gain: float, saturated: bool = True) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    params = actor_parameters(rng, config, OBS, ACT, LayerInitialisers())
    params["output/kernel"] = params["output/kernel"] * gain
    actions = rng.uniform(-0.9, 0.9, (B, ACT))
    if saturated:
        edges = np.array([1.0, -1.0, 1 - 1e-6, 1e-6 - 1, 1 - 1e-4, 0.999])
        actions[: len(edges), 0] = edges
        actions[6] = 1.0, -1.0, 0.0
    # Float32 inputs in both precisions: what is compared is the arithmetic, not the rounding of what goes in.
    arrays = {
        "observations": rng.normal(size=(B, OBS)),
        "actions": actions,
        "noise": 2.0 * rng.normal(size=(B, K, ACT)),
    }
    as_float32 = {name: value.astype(np.float32).astype(np.float64) for name, value in (params | arrays).items()}
    return {"params": {name: as_float32[name] for name in params}, **{name: as_float32[name] for name in arrays}}


def log_probs(backend: str, config: ActorConfig, given: dict[str, Any], dtype: str) -> dict[str, np.ndarray]:
    """Every log-density that the actor gives, and each one's gradient in every parameter, in actions and in noise."""
    framework, found = Framework(backend), {}
    make_actor = framework.module("actors").make_actor
    with framework.precision(dtype):
        params = {name: value.astype(dtype) for name, value in given["params"].items()}
        observations, actions, noise = (given[name].astype(dtype) for name in ("observations", "actions", "noise"))

        def of_actions(params: Any, actions: Any) -> Any:
            return make_actor(config, params).log_prob_actions(framework.array(observations, dtype), actions)

        def of_samples(params: Any, noise: Any) -> Any:
            return make_actor(config, params).clipped_samples_and_log_probs(
                framework.array(observations, dtype), noise
            )[1]

        def of_constant_draws(params: Any, noise: Any) -> Any:
            actor = make_actor(config, params)
            return actor.clipped_samples_and_draw_log_probs(framework.array(observations, dtype), noise, constant=True)[
                1
            ]

        functions = {"actions": (of_actions, actions), "samples": (of_samples, noise)}
        if config.has_density:
            functions["draws"] = (of_constant_draws, noise)
        for name, (function, at) in functions.items():
            values = framework.numpy(function(framework.params(params, dtype), framework.array(at, dtype)))
            assert values.dtype == dtype
            found[f"{name}/value"] = values
            if not config.has_density:
                continue
            weights = framework.array(np.random.default_rng(1).uniform(0.5, 1.5, values.shape), dtype)

            def total(leaf: Any, key: str, function: Any = function, at: Any = at, weights: Any = weights) -> Any:
                changed = framework.params(params, dtype) | ({} if key == "" else {key: leaf})
                return (function(changed, framework.array(at, dtype) if key else leaf) * weights).sum()

            # A constant draw has no gradient in its noise.
            for key, leaf in (params if name == "draws" else {"": at, **params}).items():
                gradient = framework.gradient(lambda leaf, key=key, total=total: total(leaf, key), leaf)
                assert gradient.dtype == dtype
                found[f"{name}/gradient/{key or 'input'}"] = gradient
    return found


def error(ours: np.ndarray, theirs: np.ndarray) -> float:
    """The largest difference, as a share of the largest entry or of 1."""
    return float(np.abs(ours - theirs).max() / max(1.0, np.abs(theirs).max()))


@pytest.mark.parametrize("gain", GAINS)
@pytest.mark.parametrize("name", CONFIGS)
def test_the_backends_agree(name: str, gain: float) -> None:
    given = inputs(CONFIGS[name], gain)
    for dtype in ("float64", "float32"):
        torch, jax = (log_probs(backend, CONFIGS[name], given, dtype) for backend in ("torch", "jax"))
        assert torch.keys() == jax.keys()
        for key, values in torch.items():
            assert np.isfinite(values).all(), key
            bound = FLOAT64 if dtype == "float64" else FLOAT32_APART[key.split("/")[1]]
            assert error(values, jax[key]) <= bound, f"{dtype}, {key}"


@pytest.mark.parametrize("backend", ["torch", "jax"])
@pytest.mark.parametrize("gain", GAINS[:1])
@pytest.mark.parametrize("name", [name for name in CONFIGS if CONFIGS[name].has_density])
def test_float32_has_the_digits_of_float64(name: str, gain: float, backend: str) -> None:
    """A density whose digits cancel, as log(1 - tanh(x)^2 + 1e-6) written as it reads, misses the bound by far."""
    given = inputs(CONFIGS[name], gain, saturated=False)
    exact = log_probs("torch", CONFIGS[name], given, "float64")
    for key, values in log_probs(backend, CONFIGS[name], given, "float32").items():
        assert error(values, exact[key]) <= FLOAT32_ERROR[key.split("/")[1]], key
