"""The four actor kinds. Twin: pogo/jax_backend/actors.py.

An actor is a configuration and a network's parameters; it draws nothing: whatever is random comes in as `noise`.
Shapes: observations [B, O], actions [B, A], noise N(0, 1) of [B, A] for one sample or [B, K, A] for K.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.parameters import LayerInitialisers, actor_parameters
from pogo.core.problem.streams import generator
from pogo.torch_backend.gradients import clip, softplus
from pogo.torch_backend.networks import Params, mlp

_HALF_LOG_2_PI = 0.5 * math.log(2.0 * math.pi)
_TANH_EPSILON = 1e-6  # inside the log of SAC-N's and EDAC's tanh correction
LIMITS = 1e-3, 1e3  # of 1 / std^2 where it multiplies a gradient
_ATANH_LIMIT = 1.0 - 1e-6  # actions are cut here before atanh: a saturated float32 action has no finite one


class Actor(ABC):
    """What every kind offers.

    Attributes:
        config: kind and architecture.
        params: the network, canonical names; no copy is made.
        dropout_masks: 0/1 keep-masks [B, hidden], one per hidden layer, or none: then nothing is dropped.
    """

    def __init__(self, config: ActorConfig, params: Params, dropout_masks: Sequence[Tensor] = ()) -> None:
        self.config = config
        self.params = params
        self.dropout_masks = dropout_masks
        self._passes: dict[str, tuple[tuple[Tensor, ...], Any]] = {}

    kind = ""

    @classmethod
    def create(cls, config: ActorConfig, observation_size: int, action_size: int, seed: int = 0) -> "Actor":
        """A fresh actor in float32 with torch's default initialisation, the same on both backends.

        Raises:
            BadInput: `config` is of another kind.
        """
        if config.kind != cls.kind:
            raise BadInput(f"{cls.__name__} is the {cls.kind} kind, got a config of kind={config.kind}.")
        rng = generator(seed, "actor", 0)
        arrays = actor_parameters(rng, config, observation_size, action_size, LayerInitialisers())
        return cls(config, {name: torch.tensor(value, dtype=torch.float32) for name, value in arrays.items()})

    @abstractmethod
    def deterministic_actions(self, observations: Tensor) -> Tensor:
        """The action of the deterministic mode, [B, A]: the mean, or the map at z = 0."""

    @abstractmethod
    def sample_actions(self, observations: Tensor, noise: Tensor) -> Tensor:
        """K samples per state, [B, K, A], from noise [B, K, A]; gaussian ones are not clipped to the action box."""

    @abstractmethod
    def log_prob_actions(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Log-density of `actions`, [B]; zeros, by definition, for kinds that have none."""

    @abstractmethod
    def action_for_loss(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """The differentiable action of a loss, [B, A]: a gaussian's mean, else the sample that noise [B, A] gives."""

    def clipped_samples(self, observations: Tensor, noise: Tensor) -> Tensor:
        """What distances between samples take: `sample_actions`, gaussian ones clipped to the action box, [B, K, A]."""
        samples = self.sample_actions(observations, noise)
        return clip(samples, -1.0, 1.0) if self.config.is_gaussian else samples

    def action_for_energy(self, observations: Tensor, noise: Tensor | None) -> Tensor:
        """What energies take, [B, A]: one sample of noise [B, A], inside the box; a deterministic actor's action."""
        if not self.config.is_stochastic:
            return self.deterministic_actions(observations)
        return self.clipped_samples(observations, _required(noise, self.kind)[:, None, :])[:, 0]

    def mean_std(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (not variance), [B, A] each, of the gaussian kinds.

        Raises:
            TypeError: the kind has none.
        """
        raise TypeError(f"a {self.kind} actor has no mean and standard deviation.")

    def clipped_samples_and_log_probs(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """K samples [B, K, A] from noise [B, K, A], inside the box, and log-densities [B, K]: zeros for want of one."""
        actions = self.sample_actions(observations, noise)
        return actions, actions.new_zeros(noise.shape[:2])

    def clipped_sample_and_log_prob(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """One sample [B, A] from noise [B, A], inside the action box, and its log-density [B]."""
        actions, log_probs = self.clipped_samples_and_log_probs(observations, noise[:, None, :])
        return actions[:, 0], log_probs[:, 0]

    def clipped_samples_and_draw_log_probs(
        self, observations: Tensor, noise: Tensor, constant: bool = False
    ) -> tuple[Tensor, Tensor]:
        """`clipped_samples_and_log_probs`, but with a gaussian's log-density of the draw, before its clip to the box.

        With `constant`, a draw carries no gradient: that of its log-density, through mean and std only, is the score
        function.

        Raises:
            TypeError: the kind has no density.
        """
        raise TypeError(f"a {self.kind} actor has no density.")

    def unclipped_action_for_loss(self, observations: Tensor, noise: Tensor | None) -> Tensor:
        """`action_for_loss` before the clip of a `clipped` output, [B, A]."""
        return self.action_for_loss(observations, noise)

    def std(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Standard deviation of the actions, estimated from noise [B, K, A]; a root mean square, scalar."""
        return self.clipped_samples(observations, noise).var(dim=1, correction=1).mean().sqrt()

    def entropy(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Mean entropy in nats, estimated from noise [B, K, A], scalar; of kinds with a density."""
        return -self.clipped_samples_and_log_probs(observations, noise)[1].mean()

    def _shared_pass(self, name: str, forward: Callable[..., Any], *inputs: Tensor) -> Any:
        """`forward(*inputs)`, kept for the next call with the same arrays.

        The energy and the distance of one step share a forward pass, and so a backward one.
        """
        kept = self._passes.get(name)
        if kept is None or any(ours is not theirs for ours, theirs in zip(kept[0], inputs, strict=True)):
            kept = self._passes[name] = inputs, forward(*inputs)
        return kept[1]

    def _network(self, inputs: Tensor) -> Tensor:
        keep_probability = 1.0 - self.config.dropout
        return mlp(self.params, inputs, self.config.activation, self.dropout_masks, keep_probability)

    def _bounded(self, outputs: Tensor, clipped: bool = True) -> Tensor:
        """The head as an action of a deterministic or stochastic kind."""
        if self.config.output == "tanh":
            return torch.tanh(outputs)
        return clip(outputs, -1.0, 1.0) if clipped else outputs

    def _mean_std(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Head and standard deviation, [B, A] each, before any squashing."""
        return self._shared_pass("mean_std", self._mean_std_forward, observations)

    def _mean_std_forward(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        config = self.config
        outputs = self._network(observations)
        if config.log_std == "fixed":
            return outputs, torch.full_like(outputs, math.exp(config.log_std_init))
        if config.log_std == "free":
            return outputs, self._std_of(self.params["log_std"]).expand_as(outputs)
        mean, log_std = outputs.chunk(2, dim=-1)
        if config.log_std_affine and config.std == "exp":
            log_std = self.params["log_std_multiplier"] * log_std + self.params["log_std_offset"]
        return mean, self._std_of(log_std)

    def _std_of(self, log_std: Tensor) -> Tensor:
        """The standard deviation that a trained log_std stands for; under `std=softplus` it is no logarithm."""
        if self.config.std == "softplus":
            return softplus(log_std) + self.config.std_floor
        return clip(log_std, self.config.log_std_min, self.config.log_std_max).exp()


class GaussianMLP(Actor):
    """s -> N(mean, diag std^2); a free log_std, the same for every state, unless configured otherwise."""

    kind = "gaussian"

    def mean_std(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (not variance), [B, A] each."""
        head, std = self._mean_std(observations)
        return (torch.tanh(head) if self.config.tanh_mean else head), std

    def deterministic_actions(self, observations: Tensor) -> Tensor:
        """The mean, [B, A]."""
        return self.mean_std(observations)[0]

    def sample_actions(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Give mean + std * noise, [B, K, A], unclipped."""
        mean, std = self.mean_std(observations)
        return mean[:, None, :] + std[:, None, :] * noise

    def log_prob_actions(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Normal log-density, summed over action dimensions, [B]."""
        mean, std = self.mean_std(observations)
        return _normal_log_prob((actions - mean) / std, std)

    def action_for_loss(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """The mean, [B, A]; noise is not used."""
        return self.deterministic_actions(observations)

    def clipped_samples_and_log_probs(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """K samples, clipped to the box, and the Normal's log-densities there."""
        actions = self.clipped_samples(observations, noise)
        mean, std = (part[:, None, :] for part in self.mean_std(observations))
        return actions, _normal_log_prob((actions - mean) / std, std)

    def clipped_samples_and_draw_log_probs(
        self, observations: Tensor, noise: Tensor, constant: bool = False
    ) -> tuple[Tensor, Tensor]:
        """K samples, clipped to the box, and the Normal's log-densities at what they were before."""
        mean, std = (part[:, None, :] for part in self.mean_std(observations))
        samples = mean + std * noise
        samples = samples.detach() if constant else samples
        actions = clip(samples, -1.0, 1.0)
        return actions, _normal_log_prob((samples - mean) / std, std)

    def std(self, observations: Tensor, noise: Tensor) -> Tensor:
        """The Normal's own, before any clip, a root mean square, scalar; noise is not used."""
        return self.mean_std(observations)[1].square().mean().sqrt()

    def entropy(self, observations: Tensor, noise: Tensor) -> Tensor:
        """The Normal's own, before any clip, scalar; noise is not used."""
        return (self.mean_std(observations)[1].log() + _HALF_LOG_2_PI + 0.5).sum(dim=-1).mean()


class TanhGaussianMLP(Actor):
    """s -> tanh(x), x ~ N(mean, diag std^2)."""

    kind = "tanh_gaussian"

    def mean_std(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the Gaussian inside the tanh, [B, A] each."""
        return self._mean_std(observations)

    def deterministic_actions(self, observations: Tensor) -> Tensor:
        """Give tanh(mean), [B, A]."""
        return torch.tanh(self.mean_std(observations)[0])

    def sample_actions(self, observations: Tensor, noise: Tensor) -> Tensor:
        """Give tanh(mean + std * noise), [B, K, A]."""
        mean, std = self.mean_std(observations)
        return torch.tanh(mean[:, None, :] + std[:, None, :] * noise)

    def log_prob_actions(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Exact change of variables at the inverted tanh, [B]; actions beyond 1 - 1e-6 of the bound are cut there."""
        mean, std = self.mean_std(observations)
        inside = clip(actions, -_ATANH_LIMIT, _ATANH_LIMIT)
        pre_tanh = torch.atanh(inside)
        return _normal_log_prob((pre_tanh - mean) / std, std) - self._log_slope(pre_tanh, "softplus")

    def action_for_loss(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """One sample, [B, A], from noise [B, A]."""
        return self.sample_actions(observations, _required(noise, self.kind)[:, None, :])[:, 0]

    def clipped_samples_and_log_probs(self, observations: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """K samples and their log-densities from the values before the tanh, by the configured `density` formula."""
        mean, std = (part[:, None, :] for part in self.mean_std(observations))
        pre_tanh = mean + std * noise
        log_probs = _normal_log_prob(noise, std) - self._log_slope(pre_tanh, self.config.density)
        return torch.tanh(pre_tanh), log_probs

    def clipped_samples_and_draw_log_probs(
        self, observations: Tensor, noise: Tensor, constant: bool = False
    ) -> tuple[Tensor, Tensor]:
        """With `constant`, the values before the tanh carry no gradient: the density is exact at those."""
        if not constant:
            return self.clipped_samples_and_log_probs(observations, noise)
        mean, std = (part[:, None, :] for part in self.mean_std(observations))
        pre_tanh = (mean + std * noise).detach()
        log_probs = _normal_log_prob((pre_tanh - mean) / std, std) - self._log_slope(pre_tanh, self.config.density)
        return torch.tanh(pre_tanh), log_probs

    def _log_slope(self, pre_tanh: Tensor, density: str) -> Tensor:
        """Sum over action dimensions of log |da/dx|, [B]. The epsilon form is of a unit box, as the originals'."""
        if density == "epsilon":
            # 1 - tanh^2 by the exponential: in float32 the difference has lost its digits by |x| = 6.
            decay = torch.exp(-2.0 * pre_tanh.abs())
            return torch.log(4.0 * decay / torch.square(1.0 + decay) + _TANH_EPSILON).sum(dim=-1)
        # log(1 - tanh(x)^2) without cancellation: 2 (log 2 - x - softplus(-2 x)).
        log_slope = 2.0 * (math.log(2.0) - pre_tanh - softplus(-2.0 * pre_tanh))
        return log_slope.sum(dim=-1)


class StochasticMLP(Actor):
    """A transport map T(s, z) with z ~ N(0, I) of action size; it has no density."""

    kind = "stochastic"

    def deterministic_actions(self, observations: Tensor) -> Tensor:
        """T(s, 0), [B, A]: the centre of the latent, not the mean action."""
        action_size = self.params["output/bias"].shape[-1]
        centre = observations.new_zeros(len(observations), action_size)
        return self._map(observations, centre)

    def sample_actions(self, observations: Tensor, noise: Tensor) -> Tensor:
        """T(s, noise), [B, K, A]."""
        return self._map(observations[:, None, :].expand(-1, noise.shape[1], -1), noise)

    def log_prob_actions(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Zeros, [B], by definition."""
        return observations.new_zeros(len(observations))

    def action_for_loss(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """One sample, [B, A], from noise [B, A]."""
        return self._map(observations, _required(noise, self.kind))

    def action_for_energy(self, observations: Tensor, noise: Tensor | None) -> Tensor:
        """The same sample as `action_for_loss`, which is inside the box by itself."""
        return self.action_for_loss(observations, noise)

    def unclipped_action_for_loss(self, observations: Tensor, noise: Tensor | None) -> Tensor:
        """`action_for_loss` before the clip of a `clipped` output, [B, A]."""
        return self._map(observations, _required(noise, self.kind), clipped=False)

    def _map(self, observations: Tensor, latents: Tensor, clipped: bool = True) -> Tensor:
        return self._bounded(self._shared_pass("map", self._map_forward, observations, latents), clipped)

    def _map_forward(self, observations: Tensor, latents: Tensor) -> Tensor:
        return self._network(torch.cat([observations, latents], dim=-1))


class DeterministicMLP(Actor):
    """s -> action."""

    kind = "deterministic"

    def deterministic_actions(self, observations: Tensor) -> Tensor:
        """The action, [B, A]."""
        return self._bounded(self._shared_pass("action", self._network, observations))

    def sample_actions(self, observations: Tensor, noise: Tensor) -> Tensor:
        """The action K times, [B, K, A]; of noise only the shape is used."""
        return self.deterministic_actions(observations)[:, None, :].expand_as(noise)

    def log_prob_actions(self, observations: Tensor, actions: Tensor) -> Tensor:
        """Zeros, [B], by definition."""
        return observations.new_zeros(len(observations))

    def action_for_loss(self, observations: Tensor, noise: Tensor | None = None) -> Tensor:
        """The action, [B, A]; noise is not used."""
        return self.deterministic_actions(observations)


ACTOR_CLASSES: dict[str, type[Actor]] = {
    actor.kind: actor for actor in (GaussianMLP, TanhGaussianMLP, StochasticMLP, DeterministicMLP)
}


def make_actor(config: ActorConfig, params: Params, dropout_masks: Sequence[Tensor] = ()) -> Actor:
    """The actor of `config.kind` on `params`."""
    return ACTOR_CLASSES[config.kind](config, params, dropout_masks)


class _NaturalGaussianMLP(GaussianMLP):
    """A Normal whose gradients, at its mean and its log_std in each state, are those of a geometry.

    Each is multiplied by the inverse of the metric: for W2 diag(1, std^2), for Fisher-Rao diag(1 / std^2, 2). Minima
    among Normals stay where they are. POGO, supplement, equations 14 to 19.
    """

    def __init__(self, config: ActorConfig, params: Params, dropout_masks: Sequence[Tensor], geometry: str) -> None:
        super().__init__(config, params, dropout_masks)
        self.geometry = geometry

    def mean_std(self, observations: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (not variance), [B, A] each."""
        mean, std = super().mean_std(observations)
        if self.geometry == "w2":
            return mean, _scaled_gradient(std, (1.0 / torch.square(std)).clamp(*LIMITS))
        return _scaled_gradient(mean, torch.square(std)), _scaled_gradient(std, 0.5)


def with_natural_gradient(actor: Actor, geometry: str) -> Actor:
    """A gaussian actor whose gradients are natural ones; for the loss that moves it."""
    return _NaturalGaussianMLP(actor.config, actor.params, actor.dropout_masks, geometry=geometry)


def _scaled_gradient(value: Tensor, factor: Tensor | float) -> Tensor:
    """The value as it is, with its gradient multiplied by a factor that has none."""
    constant = value.detach()
    with torch.no_grad():
        weight = torch.as_tensor(factor, dtype=value.dtype)
    return constant + (value - constant) * weight.detach()


def _required(noise: Tensor | None, kind: str) -> Tensor:
    if noise is None:
        raise ValueError(f"a {kind} actor samples here and needs noise [B, A] of N(0, 1) draws; got none.")
    return noise


def _normal_log_prob(standardised: Tensor, std: Tensor) -> Tensor:
    """Log N at `standardised` = (x - mean) / std, summed over the last axis."""
    return (-0.5 * torch.square(standardised) - torch.log(std) - _HALF_LOG_2_PI).sum(dim=-1)
