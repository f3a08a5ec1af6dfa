"""Canonical parameters: named numpy arrays, and the distributions that they start from.

A network is a flat mapping: `hidden_0/kernel` [in, out], `hidden_0/bias` [out], `norm_0/scale`, `norm_0/bias`,
..., `output/kernel`, `output/bias`, and free vectors such as `log_std` [A]. An ensemble has a leading member axis
on every array. `pogo.core.problem.state` says what the arrays of a whole
state are called.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from pogo.core.problem.actors import ActorConfig

Params = dict[str, np.ndarray]
Initialiser = Callable[[np.random.Generator, int, int, tuple[int, ...]], np.ndarray]


def torch_default(rng: np.random.Generator, fan_in: int, fan_out: int, shape: tuple[int, ...]) -> np.ndarray:
    """U(-1/sqrt(fan_in), 1/sqrt(fan_in)), for kernels and biases alike: torch's linear layer."""
    bound = 1.0 / np.sqrt(fan_in)
    return rng.uniform(-bound, bound, shape)


def fan_out_bound(rng: np.random.Generator, fan_in: int, fan_out: int, shape: tuple[int, ...]) -> np.ndarray:
    """U(-1/sqrt(fan_out), 1/sqrt(fan_out)): a routine for [out, in] kernels that was handed [in, out] ones."""
    bound = 1.0 / np.sqrt(fan_out)
    return rng.uniform(-bound, bound, shape)


def uniform(bound: float) -> Initialiser:
    """U(-bound, bound)."""
    return lambda rng, fan_in, fan_out, shape: rng.uniform(-bound, bound, shape)


def xavier(gain: float) -> Initialiser:
    """Give U(-b, b), b = gain sqrt(6 / (fan_in + fan_out)): Glorot's, and flax's variance scaling by fan_avg."""
    return lambda rng, fan_in, fan_out, shape: rng.uniform(-1.0, 1.0, shape) * gain * np.sqrt(6.0 / (fan_in + fan_out))


def orthogonal(gain: float) -> Initialiser:
    """A uniformly random matrix with orthonormal rows or columns, whichever are fewer, times `gain`."""

    def draw(rng: np.random.Generator, fan_in: int, fan_out: int, shape: tuple[int, ...]) -> np.ndarray:
        tall = rng.standard_normal((max(shape), min(shape)))
        q, r = np.linalg.qr(tall)
        q *= np.sign(np.diag(r))  # without this the law is not uniform
        return gain * (q if shape[0] >= shape[1] else q.T)

    return draw


def constant(value: float) -> Initialiser:
    """The same value everywhere; draws nothing."""
    return lambda rng, fan_in, fan_out, shape: np.full(shape, value)


@dataclass(frozen=True)
class LayerInitialisers:
    """How one algorithm starts its layers."""

    hidden_kernel: Initialiser = torch_default
    hidden_bias: Initialiser = torch_default
    output_kernel: Initialiser = torch_default
    output_bias: Initialiser = torch_default


def mlp_parameters(
    rng: np.random.Generator,
    sizes: Sequence[int],
    initialisers: LayerInitialisers,
    layer_norm: bool = False,
) -> Params:
    """Starting parameters of one network: `sizes` = (input, *hidden, output)."""
    params: Params = {}
    last = len(sizes) - 2
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        if index == last:
            name, kernel, bias = "output", initialisers.output_kernel, initialisers.output_bias
        else:
            name, kernel, bias = f"hidden_{index}", initialisers.hidden_kernel, initialisers.hidden_bias
        params[f"{name}/kernel"] = kernel(rng, fan_in, fan_out, (fan_in, fan_out))
        params[f"{name}/bias"] = bias(rng, fan_in, fan_out, (fan_out,))
        if layer_norm and index != last:
            params[f"norm_{index}/scale"] = np.ones(fan_out)
            params[f"norm_{index}/bias"] = np.zeros(fan_out)
    return params


def stack_members(members: Sequence[Params]) -> Params:
    """One ensemble from its members: every array gains a leading member axis."""
    return {name: np.stack([member[name] for member in members]) for name in members[0]}


def actor_parameters(
    rng: np.random.Generator,
    config: ActorConfig,
    observation_size: int,
    action_size: int,
    initialisers: LayerInitialisers,
) -> Params:
    """Starting parameters of one actor."""
    sizes = (config.input_size(observation_size, action_size), *config.hidden_sizes, config.output_size(action_size))
    params = mlp_parameters(rng, sizes, initialisers, config.layer_norm)
    if config.has_free_log_std:
        params["log_std"] = np.full(action_size, config.log_std_init)
    elif config.has_density and config.log_std == "head" and config.log_std_affine:
        params["log_std_multiplier"] = np.full(1, config.log_std_multiplier_init)
        params["log_std_offset"] = np.full(1, config.log_std_offset_init)
    return params
