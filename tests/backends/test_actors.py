"""Known answers of the four actor kinds, for either backend."""

import dataclasses

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.parameters import LayerInitialisers, actor_parameters
from tests.helpers.actors import KINDS
from tests.helpers.framework import Framework

OBS, ACT, B, K = 5, 3, 7, 4


@pytest.fixture(autouse=True)
def in_float64(framework):
    with framework.precision("float64"):
        yield


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def build(framework: Framework, config: ActorConfig, gain: float = 3.0):
    rng = np.random.default_rng(1)
    arrays = actor_parameters(rng, config, OBS, ACT, LayerInitialisers())
    arrays["output/kernel"] = arrays["output/kernel"] * gain  # past the linear part of a tanh
    return framework.module("actors").make_actor(config, framework.params(arrays))


@pytest.mark.parametrize("name", KINDS)
def test_shapes_and_bounds(framework, name):
    config = KINDS[name]
    actor = build(framework, config)
    observations, noise = framework.array(draws(B, OBS)), framework.array(draws(B, K, ACT, seed=2))
    assert actor.deterministic_actions(observations).shape == (B, ACT)
    samples = framework.numpy(actor.sample_actions(observations, noise))
    assert samples.shape == (B, K, ACT)
    assert actor.log_prob_actions(observations, framework.array(0.3 * draws(B, ACT))).shape == (B,)
    assert actor.action_for_loss(observations, noise[:, 0]).shape == (B, ACT)
    if not config.is_gaussian:
        assert np.abs(samples).max() <= 1.0
    boxed = framework.numpy(actor.clipped_samples(observations, noise))
    assert np.array_equal(boxed, np.clip(samples, -1.0, 1.0))


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].is_stochastic])
def test_std_and_entropy_are_those_of_the_policy(framework, name):
    """A gaussian's from its std; the others' from many samples, and from the density of each."""
    config = KINDS[name]
    actor = build(framework, config)
    observations, noise = framework.array(draws(B, OBS)), draws(B, 64, ACT, seed=2)
    found = framework.numpy(actor.std(observations, framework.array(noise)))
    samples = framework.numpy(actor.sample_actions(observations, framework.array(noise)))
    if config.is_gaussian:
        std = framework.numpy(actor.mean_std(observations)[1])
        assert found == pytest.approx(np.sqrt(np.square(std).mean()))
        expected = np.log(std * np.sqrt(2 * np.pi * np.e)).sum(axis=-1).mean()
    else:
        assert found == pytest.approx(np.sqrt(samples.var(axis=1, ddof=1).mean()))
        expected = -np.mean([
            framework.numpy(actor.log_prob_actions(observations, framework.array(samples[:, index])))
            for index in range(samples.shape[1])
        ])  # fmt: skip
    if config.has_density:
        entropy = framework.numpy(actor.entropy(observations, framework.array(noise)))
        # Where the tanh saturates, inverting it loses digits.
        assert entropy == pytest.approx(expected, rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].kind in ("gaussian", "tanh_gaussian")])
def test_density_is_that_of_the_samples(framework, name):
    """The change of variables, against the Normal density of what went in and a numeric derivative."""
    config = dataclasses.replace(KINDS[name])
    actor = build(framework, config, gain=1.0)
    observations, noise = framework.array(draws(B, OBS)), draws(B, ACT, seed=3)
    mean, std = (framework.numpy(part) for part in actor.mean_std(observations))
    actions = framework.numpy(actor.sample_actions(observations, framework.array(noise[:, None, :])))[:, 0]
    expected = (-0.5 * noise**2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(axis=-1)
    if config.kind == "tanh_gaussian":
        step = 1e-6
        x = mean + std * noise
        expected -= np.log((np.tanh(x + step) - np.tanh(x - step)) / (2 * step)).sum(axis=-1)
    found = framework.numpy(actor.log_prob_actions(observations, framework.array(actions)))
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    sampled, log_probs = actor.clipped_sample_and_log_prob(observations, framework.array(noise))
    if config.kind == "tanh_gaussian":
        np.testing.assert_allclose(framework.numpy(sampled), actions, rtol=1e-12)
        np.testing.assert_allclose(framework.numpy(log_probs), expected, rtol=1e-6)


@pytest.mark.parametrize("name", [name for name in KINDS if KINDS[name].has_density])
def test_density_of_a_draw_knows_no_clip(framework, name):
    """Held constant or not, it has the same value; a gaussian's is that of the Normal, beyond the box too."""
    config = KINDS[name]
    actor = build(framework, config)
    observations, noise = framework.array(draws(B, OBS)), draws(B, K, ACT, seed=3)
    actions, log_probs = actor.clipped_samples_and_draw_log_probs(observations, framework.array(noise))
    samples = framework.numpy(actor.sample_actions(observations, framework.array(noise)))
    np.testing.assert_allclose(framework.numpy(actions), np.clip(samples, -1.0, 1.0))
    if config.is_gaussian:
        std = framework.numpy(actor.mean_std(observations)[1])[:, None, :]
        expected = (-0.5 * noise**2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(axis=-1)
    else:
        expected = framework.numpy(actor.clipped_samples_and_log_probs(observations, framework.array(noise))[1])
    np.testing.assert_allclose(framework.numpy(log_probs), expected, rtol=1e-9)
    held = actor.clipped_samples_and_draw_log_probs(observations, framework.array(noise), constant=True)
    for ours, theirs in zip(held, (actions, log_probs), strict=True):
        np.testing.assert_allclose(framework.numpy(ours), framework.numpy(theirs), rtol=1e-9)


@pytest.mark.parametrize("kind", ["gaussian", "tanh_gaussian"])
def test_score_function(framework, kind):
    """The gradient of a constant draw's log-density in the mean is noise / std, whatever squashes the draw."""
    config = ActorConfig(kind, (), tanh_mean=False, log_std="fixed", log_std_init=-0.5)
    arrays = actor_parameters(np.random.default_rng(1), config, OBS, ACT, LayerInitialisers())
    observations, noise = framework.array(draws(B, OBS)), draws(B, K, ACT, seed=3)

    def total(bias):
        actor = framework.module("actors").make_actor(config, framework.params(arrays) | {"output/bias": bias})
        return actor.clipped_samples_and_draw_log_probs(observations, framework.array(noise), constant=True)[1].sum()

    found = framework.gradient(total, arrays["output/bias"])
    np.testing.assert_allclose(found, noise.sum(axis=(0, 1)) / np.exp(-0.5), rtol=1e-9)


@pytest.mark.parametrize("name", ["stochastic", "deterministic"])
def test_a_draw_without_a_density_is_refused(framework, name):
    actor = build(framework, KINDS[name])
    with pytest.raises(TypeError, match="has no density"):
        actor.clipped_samples_and_draw_log_probs(framework.array(draws(B, OBS)), framework.array(draws(B, K, ACT)))


def test_density_integrates_to_one(framework):
    """On a grid over the open interval, one action dimension."""
    config = KINDS["tanh_gaussian"]
    arrays = actor_parameters(np.random.default_rng(4), config, OBS, 1, LayerInitialisers())
    actor = framework.module("actors").make_actor(config, framework.params(arrays))
    grid = np.linspace(-1, 1, 20_002)[1:-1]
    observations = framework.array(np.repeat(draws(1, OBS), len(grid), axis=0))
    log_probs = framework.numpy(actor.log_prob_actions(observations, framework.array(grid[:, None])))
    assert np.trapezoid(np.exp(log_probs), grid) == pytest.approx(1.0, abs=2e-4)


def test_epsilon_density(framework):
    config = dataclasses.replace(KINDS["tanh_gaussian"], density="epsilon")
    actor = build(framework, config)
    observations, noise = framework.array(draws(B, OBS)), draws(B, ACT, seed=5)
    mean, std = (framework.numpy(part) for part in actor.mean_std(observations))
    x = mean + std * noise
    normal = -0.5 * noise**2 - np.log(std) - 0.5 * np.log(2 * np.pi)
    expected = (normal - np.log(1 - np.tanh(x) ** 2 + 1e-6)).sum(axis=-1)
    found = framework.numpy(actor.clipped_sample_and_log_prob(observations, framework.array(noise))[1])
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_density_far_out_is_torchs(framework):
    """log(1 - tanh(x)^2) by torch's softplus, which is the identity above 20: CORL's CQL at x = -10.1."""
    config = ActorConfig("tanh_gaussian", (), log_std="fixed", log_std_init=0.0)
    arrays = actor_parameters(np.random.default_rng(1), config, OBS, 1, LayerInitialisers())
    arrays = {name: np.zeros_like(value) for name, value in arrays.items()}
    observations = framework.array(draws(1, OBS))

    def log_density(bias):
        actor = framework.module("actors").make_actor(config, framework.params(arrays) | {"output/bias": bias})
        return actor.clipped_sample_and_log_prob(observations, framework.array(np.zeros((1, 1))))[1].sum()

    at = np.array([-10.1])
    log_slope = 2 * (np.log(2) + 10.1 - 20.2)  # -18.81370563888; with the exact softplus ...564226
    expected = -0.5 * np.log(2 * np.pi) - log_slope
    assert framework.numpy(log_density(framework.array(at))) == pytest.approx(expected, rel=1e-13)
    assert framework.gradient(log_density, at) == pytest.approx([-2.0], rel=1e-13)


@pytest.mark.parametrize("name", ["stochastic", "deterministic"])
def test_no_density_means_zeros(framework, name):
    actor = build(framework, KINDS[name])
    found = actor.log_prob_actions(framework.array(draws(B, OBS)), framework.array(draws(B, ACT)))
    assert not framework.numpy(found).any()


def test_modes(framework):
    """Deterministic: the mean, or the map at z = 0; the loss takes a gaussian's mean and others' sample."""
    observations, noise = framework.array(draws(B, OBS)), framework.array(draws(B, ACT, seed=6))
    for name, config in KINDS.items():
        actor = build(framework, config)
        mode = framework.numpy(actor.deterministic_actions(observations))
        at_zero = framework.numpy(actor.sample_actions(observations, framework.array(np.zeros((B, 1, ACT)))))[:, 0]
        np.testing.assert_allclose(mode, at_zero, rtol=1e-12, err_msg=name)
        for_loss = framework.numpy(actor.action_for_loss(observations, noise))
        sample = framework.numpy(actor.sample_actions(observations, noise[:, None, :]))[:, 0]
        np.testing.assert_allclose(for_loss, sample if config.samples_for_loss else mode, rtol=1e-12)


def test_layer_norm_and_dropout(framework):
    """Against numpy: activation, then norm (epsilon 1e-6, biased variance), then mask / keep probability."""
    config = ActorConfig("deterministic", (8,), layer_norm=True, dropout=0.25)
    arrays = actor_parameters(np.random.default_rng(7), config, OBS, ACT, LayerInitialisers())
    arrays["norm_0/scale"], arrays["norm_0/bias"] = draws(8, seed=8), draws(8, seed=9)
    mask = (np.random.default_rng(10).random((B, 8)) < 0.75).astype(float)
    observations = draws(B, OBS)
    hidden = np.maximum(observations @ arrays["hidden_0/kernel"] + arrays["hidden_0/bias"], 0)
    centred = hidden - hidden.mean(axis=-1, keepdims=True)
    hidden = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + 1e-6)
    hidden = (hidden * arrays["norm_0/scale"] + arrays["norm_0/bias"]) * mask / 0.75
    expected = np.tanh(hidden @ arrays["output/kernel"] + arrays["output/bias"])
    make_actor = framework.module("actors").make_actor
    dropped = make_actor(config, framework.params(arrays), (framework.array(mask),))
    found = framework.numpy(dropped.deterministic_actions(framework.array(observations)))
    np.testing.assert_allclose(found, expected, rtol=1e-10)


def test_log_std_limits_stop_the_gradient_outside_only(framework):
    """1 at the bound itself, 0 beyond: torch's convention on both backends."""
    config = KINDS["gaussian"]
    arrays = actor_parameters(np.random.default_rng(1), config, OBS, ACT, LayerInitialisers())
    observations, actions = framework.array(draws(B, OBS)), framework.array(draws(B, ACT))

    def loss(log_std):
        params = framework.params(arrays) | {"log_std": log_std}
        actor = framework.module("actors").make_actor(config, params)
        return actor.log_prob_actions(observations, actions).sum()

    slope = framework.gradient(loss, np.array([2.0, 2.1, 0.0]))
    assert slope[0] != 0
    assert slope[1] == 0
    assert slope[2] != 0


def test_usable_alone(framework):
    actors = framework.module("actors")
    actor = actors.GaussianMLP.create(ActorConfig("gaussian"), OBS, ACT, seed=3)
    mean, std = actor.mean_std(framework.array(draws(B, OBS), "float32"))
    assert mean.shape == std.shape == (B, ACT)
    with pytest.raises(BadInput, match="GaussianMLP is the gaussian kind"):
        actors.GaussianMLP.create(ActorConfig("stochastic"), OBS, ACT)


def test_sampling_without_noise_is_refused(framework):
    actor = build(framework, KINDS["stochastic"])
    with pytest.raises(ValueError, match="needs noise"):
        actor.action_for_loss(framework.array(draws(B, OBS)))
