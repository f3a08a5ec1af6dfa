"""Policies as flax modules (linen), in the environment's own units. Twin: pogo/torch_backend/modules.py.

The networks are those of pogo/jax_backend/actors.py: canonical parameters are these modules' parameters, with a level
per `/` in their names. Normalisation and action scaling are inside, and nothing that only training needs.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from pogo.core.data.preprocessing import Normalisation
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.jax_backend.gradients import softplus
from pogo.jax_backend.networks import ACTIVATIONS, LAYER_NORM_EPSILON

Variables = dict[str, Any]  # what `module.apply` takes: {"params": {"hidden_0": {"kernel": ...}, ...}}


class PolicyModule(nn.Module):
    """Observations [B, O] to actions [B, A], both in the environment's own units.

    `module.apply(variables, observations)` is the deterministic mode; with N(0, 1) draws [B, A] as `noise` it is the
    stochastic one of the kinds that have it. Observations are scaled in float64, as pogo does, whatever
    `jax_enable_x64` says; the network computes, and actions come, in the type of the parameters.

    Attributes:
        config: the architecture.
        normalisation: of observations and actions; it tells their sizes too.
        dtype: of the parameters.
    """

    config: Any  # ActorConfig, or FlowConfig of the flow
    normalisation: Normalisation
    dtype: Any = jnp.float32

    @property
    def action_size(self) -> int:
        """A."""
        return len(self.normalisation.action_low)

    @nn.compact
    def __call__(self, observations: Array, noise: Array | float = 0.0) -> Array:
        """Actions [B, A] within the environment's bounds, at observations [B, O]; noise [B, A], or 0 for none."""
        scaling = self.normalisation.scaling()
        with jax.enable_x64(True):
            inside = jnp.where(scaling["held"], scaling["held_values"], jnp.asarray(observations, jnp.float64))
            inside = (inside - scaling["observation_mean"]) / scaling["observation_std"]
            inside = inside.astype(jnp.float32).astype(self.dtype)
        actions = self.box_actions(inside, noise)
        with jax.enable_x64(True):
            actions = scaling["action_middle"] + scaling["action_half"] * actions.astype(jnp.float64)
            return jnp.clip(actions, scaling["action_low"], scaling["action_high"]).astype(self.dtype)

    def box_actions(self, observations: Array, noise: Array | float) -> Array:
        """Actions [B, A], before they are cut to the box [-1, 1], at normalised observations [B, O]."""
        raise NotImplementedError

    def _network(self) -> Callable[[Array], Array]:
        """The head, [B, out], before any squashing, as a function of the network's input."""
        widths = [*self.config.hidden_sizes, self.config.output_size(self.action_size)]
        names = [*(f"hidden_{index}" for index in range(len(self.config.hidden_sizes))), "output"]
        options: dict[str, Any] = {"dtype": self.dtype, "param_dtype": self.dtype}
        layers = [
            nn.Dense(width, name=name, precision="highest", **options)
            for width, name in zip(widths, names, strict=True)
        ]
        norms = [
            nn.LayerNorm(LAYER_NORM_EPSILON, name=f"norm_{index}", use_fast_variance=False, **options)
            for index in range(len(layers) - 1 if self.config.layer_norm else 0)
        ]

        def run(inputs: Array) -> Array:
            for index, layer in enumerate(layers[:-1]):
                inputs = ACTIVATIONS[self.config.activation](layer(inputs))
                if norms:
                    inputs = norms[index](inputs)
            return layers[-1](inputs)

        return run


class _NormalMLP(PolicyModule):
    """What the two kinds around a Normal share: its mean and standard deviation."""

    def mean_std(self, observations: Array) -> tuple[Array, Array | float]:
        """The head and the standard deviation at normalised observations, broadcast to [B, A]."""
        config, outputs = self.config, self._network()(observations)
        if config.log_std == "fixed":
            return outputs, math.exp(config.log_std_init)
        if config.log_std == "free":
            return outputs, self._std_of(self._vector("log_std", self.action_size, config.log_std_init))
        mean, log_std = jnp.split(outputs, 2, axis=-1)
        if config.log_std_affine:
            multiplier = self._vector("log_std_multiplier", 1, config.log_std_multiplier_init)
            offset = self._vector("log_std_offset", 1, config.log_std_offset_init)
            if config.std == "exp":
                log_std = multiplier * log_std + offset
        return mean, self._std_of(log_std)

    def _std_of(self, log_std: Array) -> Array:
        if self.config.std == "softplus":
            return softplus(log_std) + self.config.std_floor
        return jnp.exp(jnp.clip(log_std, self.config.log_std_min, self.config.log_std_max))

    def _vector(self, name: str, size: int, value: float) -> Array:
        return self.param(name, nn.initializers.constant(value), (size,), self.dtype)


class GaussianMLP(_NormalMLP):
    """N(mean, diag std^2), its draws cut to the box."""

    @override
    def box_actions(self, observations: Array, noise: Array | float) -> Array:
        head, std = self.mean_std(observations)
        return (jnp.tanh(head) if self.config.tanh_mean else head) + std * noise


class TanhGaussianMLP(_NormalMLP):
    """tanh(x), x ~ N(mean, diag std^2)."""

    @override
    def box_actions(self, observations: Array, noise: Array | float) -> Array:
        mean, std = self.mean_std(observations)
        return jnp.tanh(mean + std * noise)


class StochasticMLP(PolicyModule):
    """A transport map T(s, z), z ~ N(0, I); its deterministic mode is T(s, 0)."""

    @override
    def box_actions(self, observations: Array, noise: Array | float) -> Array:
        latents = _latents(observations, noise, self.action_size)
        outputs = self._network()(jnp.concatenate([observations, latents], axis=-1))
        return jnp.tanh(outputs) if self.config.output == "tanh" else outputs


class DeterministicMLP(PolicyModule):
    """s -> action; noise changes nothing."""

    @override
    def box_actions(self, observations: Array, noise: Array | float) -> Array:
        outputs = self._network()(observations)
        return jnp.tanh(outputs) if self.config.output == "tanh" else outputs


class FlowMLP(PolicyModule):
    """The data's own policy as FQL learns it: a velocity field carries noise to actions, by Euler's method.

    It has no deterministic mode of its own: without noise it starts from the latent's centre.
    """

    @override
    def box_actions(self, observations: Array, noise: Array | float) -> Array:
        velocity, steps = self._network(), self.config.steps
        points = _latents(observations, noise, self.action_size)
        for step in range(steps):
            times = jnp.full_like(points[:, :1], step / steps)
            points = points + velocity(jnp.concatenate([observations, points, times], axis=-1)) / steps
        return points


def _latents(observations: Array, noise: Array | float, action_size: int) -> Array:
    """Noise as an array [B, A], also where it is 0."""
    return jnp.zeros((observations.shape[0], action_size), observations.dtype) + noise


_CLASSES: dict[str, type[PolicyModule]] = {
    "gaussian": GaussianMLP,
    "tanh_gaussian": TanhGaussianMLP,
    "stochastic": StochasticMLP,
    "deterministic": DeterministicMLP,
    "flow": FlowMLP,
}


def make_module(
    config: ActorConfig | FlowConfig, parameters: Mapping[str, np.ndarray], normalisation: Normalisation
) -> tuple[PolicyModule, Variables]:
    """The module of a trained policy, in the type of its parameters, and its variables."""
    dtype = parameters["output/bias"].dtype
    return _CLASSES[config.kind](config, normalisation, dtype), {"params": nested_parameters(parameters)}


def nested_parameters(parameters: Mapping[str, np.ndarray]) -> Variables:
    """Canonical parameters of one network as a module of this file has them."""
    found: Variables = {}
    for name, value in parameters.items():
        layer, _, part = name.partition("/")
        if part:
            found.setdefault(layer, {})[part] = value
        else:
            found[layer] = value
    return found


def canonical_parameters(variables: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """The inverse of `nested_parameters`, of a module's variables."""
    found: dict[str, np.ndarray] = {}
    for layer, value in variables["params"].items():
        if isinstance(value, Mapping):
            found |= {f"{layer}/{part}": np.asarray(array) for part, array in value.items()}
        else:
            found[layer] = np.asarray(value)
    return found
