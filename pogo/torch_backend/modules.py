"""Policies as plain torch modules, in the environment's own units. Twin: pogo/jax_backend/modules.py.

The networks are those of pogo/torch_backend/actors.py, on the same canonical parameters; here normalisation and action
scaling are inside, and nothing that only training needs. What is saved of a module needs torch alone.
"""

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, fx, nn
from typing_extensions import override

from pogo.core.data.preprocessing import Normalisation
from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.torch_backend.networks import LAYER_NORM_EPSILON

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "gelu_tanh": lambda: nn.GELU(approximate="tanh"),
}


class PolicyModule(nn.Module, ABC):
    """Observations [B, O] to actions [B, A], both in the environment's own units.

    `module(observations)` is the deterministic mode; `module(observations, noise)`, with N(0, 1) draws [B, A], is the
    stochastic one of the kinds that have it. Observations are scaled in float64, as pogo does; the network computes,
    and actions come, in `dtype`.

    `torch.save(module)` leaves a `torch.fx.GraphModule`: it loads where there is no pogo, and computes the same.
    """

    def __init__(
        self, config: ActorConfig | FlowConfig, normalisation: Normalisation, dtype: torch.dtype = torch.float32
    ) -> None:
        """A module with torch's own starting parameters.

        Args:
            config: the architecture.
            normalisation: of observations and actions; it tells their sizes too.
            dtype: of the parameters.
        """
        super().__init__()
        self.config = config
        self.action_size = len(normalisation.action_low)
        sizes = len(normalisation.observation_mean), self.action_size
        widths = [config.input_size(*sizes), *config.hidden_sizes]
        for index in range(len(config.hidden_sizes)):
            self.add_module(f"hidden_{index}", nn.Linear(widths[index], widths[index + 1], dtype=dtype))
            if config.layer_norm:
                self.add_module(f"norm_{index}", nn.LayerNorm(widths[index + 1], LAYER_NORM_EPSILON, dtype=dtype))
        self.activation = ACTIVATIONS[config.activation]()
        self.output = nn.Linear(widths[-1], config.output_size(self.action_size), dtype=dtype)
        for name, values in normalisation.scaling().items():
            self.register_buffer(name, torch.from_numpy(values))

    @property
    def dtype(self) -> torch.dtype:
        """The type of the parameters and of the actions."""
        return self.output.weight.dtype

    def forward(self, observations: Tensor, noise: Tensor | float = 0.0) -> Tensor:
        """Actions [B, A] within the environment's bounds, at observations [B, O]; noise [B, A], or 0 for none."""
        inside = torch.where(self.held, self.held_values, observations.to(torch.float64))
        inside = (inside - self.observation_mean) / self.observation_std
        actions = self.box_actions(inside.to(torch.float32).to(self.dtype), noise).to(torch.float64)
        actions = self.action_middle + self.action_half * actions
        return torch.minimum(torch.maximum(actions, self.action_low), self.action_high).to(self.dtype)

    @abstractmethod
    def box_actions(self, observations: Tensor, noise: Tensor | float) -> Tensor:
        """Actions [B, A], before they are cut to the box [-1, 1], at normalised observations [B, O]."""

    def _network(self, inputs: Tensor) -> Tensor:
        """The head, [B, out], before any squashing."""
        for index in range(len(self.config.hidden_sizes)):
            inputs = self.activation(getattr(self, f"hidden_{index}")(inputs))
            if self.config.layer_norm:
                inputs = getattr(self, f"norm_{index}")(inputs)
        return self.output(inputs)

    def load_canonical(self, parameters: Mapping[str, np.ndarray]) -> Self:
        """Take over a network's canonical parameters (`pogo.core.problem.parameters`); gives the module itself.

        Raises:
            BadInput: they are of another architecture.
        """
        own = {_canonical_name(name): parameter for name, parameter in self.named_parameters()}
        if own.keys() != parameters.keys():
            raise BadInput(f"the parameters are {sorted(parameters)}, and this module's {sorted(own)}.")
        for name, parameter in own.items():
            value = torch.from_numpy(np.array(parameters[name], order="C"))
            if name.endswith("/kernel"):
                value = value.T  # lies in memory as the kernel: the same product, to the bit
            if value.shape != parameter.shape:
                raise BadInput(f"{name} has shape {parameters[name].shape}; this module's is of another architecture.")
            parameter.data = value.to(device=parameter.device, dtype=parameter.dtype)
        return self

    def canonical_parameters(self) -> dict[str, np.ndarray]:
        """The network's parameters by their canonical names: the inverse of `load_canonical`."""
        found = {_canonical_name(name): parameter.numpy(force=True) for name, parameter in self.named_parameters()}
        return {name: value.T if name.endswith("/kernel") else value for name, value in found.items()}

    @override
    def __reduce__(self) -> Any:
        return fx.symbolic_trace(self).__reduce__()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        # By hand: a copy would go by the pickled form, which is of another class.
        clone = self.__class__.__new__(self.__class__)
        memo[id(self)] = clone
        clone.__dict__ = copy.deepcopy(self.__dict__, memo)
        return clone


def _canonical_name(name: str) -> str:
    layer, _, part = name.partition(".")
    if part == "weight":
        part = "scale" if layer.startswith("norm_") else "kernel"
    return f"{layer}/{part}" if part else layer


class _NormalMLP(PolicyModule):
    """What the two kinds around a Normal share: its mean and standard deviation."""

    config: ActorConfig

    def __init__(self, config: ActorConfig, normalisation: Normalisation, dtype: torch.dtype = torch.float32) -> None:
        super().__init__(config, normalisation, dtype)
        if config.has_free_log_std:
            self.log_std = nn.Parameter(torch.full((self.action_size,), config.log_std_init, dtype=dtype))
        elif config.log_std == "head" and config.log_std_affine:
            for name, value in (("multiplier", config.log_std_multiplier_init), ("offset", config.log_std_offset_init)):
                self.register_parameter(f"log_std_{name}", nn.Parameter(torch.full((1,), value, dtype=dtype)))

    def mean_std(self, observations: Tensor) -> tuple[Tensor, Tensor | float]:
        """The head and the standard deviation at normalised observations, broadcast to [B, A]."""
        config, outputs = self.config, self._network(observations)
        if config.log_std == "fixed":
            return outputs, math.exp(config.log_std_init)
        if config.log_std == "free":
            return outputs, self._std_of(self.log_std)
        log_std = outputs[:, self.action_size :]
        if config.log_std_affine and config.std == "exp":
            log_std = self.log_std_multiplier * log_std + self.log_std_offset
        return outputs[:, : self.action_size], self._std_of(log_std)

    def _std_of(self, log_std: Tensor) -> Tensor:
        if self.config.std == "softplus":
            return nn.functional.softplus(log_std) + self.config.std_floor
        return torch.exp(torch.clamp(log_std, self.config.log_std_min, self.config.log_std_max))


class GaussianMLP(_NormalMLP):
    """N(mean, diag std^2), its draws cut to the box."""

    @override
    def box_actions(self, observations: Tensor, noise: Tensor | float) -> Tensor:
        head, std = self.mean_std(observations)
        return (torch.tanh(head) if self.config.tanh_mean else head) + std * noise


class TanhGaussianMLP(_NormalMLP):
    """tanh(x), x ~ N(mean, diag std^2)."""

    @override
    def box_actions(self, observations: Tensor, noise: Tensor | float) -> Tensor:
        mean, std = self.mean_std(observations)
        return torch.tanh(mean + std * noise)


class StochasticMLP(PolicyModule):
    """A transport map T(s, z), z ~ N(0, I); its deterministic mode is T(s, 0)."""

    config: ActorConfig

    @override
    def box_actions(self, observations: Tensor, noise: Tensor | float) -> Tensor:
        outputs = self._network(torch.cat([observations, _latents(observations, noise, self.action_size)], dim=-1))
        return torch.tanh(outputs) if self.config.output == "tanh" else outputs


class DeterministicMLP(PolicyModule):
    """s -> action; noise changes nothing."""

    config: ActorConfig

    @override
    def box_actions(self, observations: Tensor, noise: Tensor | float) -> Tensor:
        outputs = self._network(observations)
        return torch.tanh(outputs) if self.config.output == "tanh" else outputs


class FlowMLP(PolicyModule):
    """The data's own policy as FQL learns it: a velocity field carries noise to actions, by Euler's method.

    It has no deterministic mode of its own: without noise it starts from the latent's centre.
    """

    config: FlowConfig

    @override
    def box_actions(self, observations: Tensor, noise: Tensor | float) -> Tensor:
        points, steps = _latents(observations, noise, self.action_size), self.config.steps
        for step in range(steps):
            times = torch.full_like(points[:, :1], step / steps)
            points = points + self._network(torch.cat([observations, points, times], dim=-1)) / steps
        return points


def _latents(observations: Tensor, noise: Tensor | float, action_size: int) -> Tensor:
    """Noise as a tensor [B, A], also where it is 0; no shape is read, so that an export keeps its batch open."""
    zeros = torch.zeros_like(observations[:, :1])
    return nn.functional.pad(zeros, (0, action_size - 1)) + noise


_CLASSES: dict[str, type[PolicyModule]] = {
    "gaussian": GaussianMLP,
    "tanh_gaussian": TanhGaussianMLP,
    "stochastic": StochasticMLP,
    "deterministic": DeterministicMLP,
    "flow": FlowMLP,
}


def make_module(
    config: ActorConfig | FlowConfig, parameters: Mapping[str, np.ndarray], normalisation: Normalisation
) -> PolicyModule:
    """The module of a trained policy, in the type of its parameters."""
    dtype = torch.from_numpy(np.array(parameters["output/bias"])).dtype
    return _CLASSES[config.kind](config, normalisation, dtype).load_canonical(parameters)
