"""Gradient steps and target moves. Twin: pogo/torch_backend/optimizers.py.

Adam is (0.9, 0.999, 1e-8), bias-corrected, without weight decay, one per network. A state is never changed: a new
one is returned, and under jit with donation it takes over the old one's memory.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import optax
from jax import Array

from pogo.core.problem.state import AdamState, TrainState
from pogo.jax_backend.networks import Params

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
_ADAM = optax.scale_by_adam(b1=BETA_1, b2=BETA_2, eps=EPSILON, eps_root=0.0)


def minimise(
    loss_function: Callable[..., tuple[Array, Any]],
    state: TrainState,
    network: str,
    learning_rate: float | Array,
    *arguments: Any,
) -> tuple[TrainState, dict[str, Array], Any]:
    """One Adam step of `network` on `loss_function(params, *arguments) -> (scalar loss, auxiliary values)`.

    Only that network's gradients are built, whatever else the loss runs through.

    Returns:
        The state after the step; the metrics `<network>/loss` and `<network>/gradient_norm`, a 2-norm over all of the
        network's parameters; auxiliary values. All but the state are from before the step.
    """
    params = state.networks[network]
    (loss, auxiliary), gradients = jax.value_and_grad(loss_function, has_aux=True)(params, *arguments)
    metrics = {f"{network}/loss": loss, f"{network}/gradient_norm": _norm_of_all(gradients)}
    params, optimizer = _adam_step(params, gradients, state.optimizers[network], learning_rate)
    networks = state.networks | {network: params}
    state = state._replace(networks=networks, optimizers=state.optimizers | {network: optimizer})
    return state, metrics, auxiliary


def move_target(state: TrainState, target: str, source: Params, tau: float | Array) -> TrainState:
    """Polyak average: target <- (1 - tau) target + tau source."""
    params = state.networks[target]
    moved = {name: value + tau * (source[name] - value) for name, value in params.items()}
    return state._replace(networks=state.networks | {target: moved})


def copy_target(state: TrainState, target: str, source: Params, due: Array) -> TrainState:
    """Hard move: target <- source where `due`, a scalar: a recorded or compiled update could not branch."""
    copied = {name: jnp.where(due, source[name], value) for name, value in state.networks[target].items()}
    return state._replace(networks=state.networks | {target: copied})


def steps_taken(state: TrainState, network: str) -> Array:
    """How many steps the network's optimizer has made, a scalar on its device."""
    return state.optimizers[network].count


def cosine_decay(base: float, state: TrainState, network: str, length: int) -> Array:
    """Base rate times (1 + cos(pi t / length)) / 2, t the network's steps so far; 0 beyond `length`."""
    dtype = next(iter(state.networks[network].values())).dtype
    done = jnp.minimum(steps_taken(state, network).astype(dtype) / length, 1.0)
    return base * 0.5 * (1.0 + jnp.cos(jnp.pi * done))


def linear_decay(base: float, state: TrainState, network: str, length: int) -> Array:
    """Base rate times 1 - t / length, t the network's steps so far; 0 beyond `length`."""
    dtype = next(iter(state.networks[network].values())).dtype
    return base * jnp.maximum(1.0 - steps_taken(state, network).astype(dtype) / length, 0.0)


def _norm_of_all(gradients: Params) -> Array:
    # As products: XLA sums squares on a CPU by a windowed reduction, two percent of a step.
    return jnp.sqrt(jnp.stack([jnp.vdot(gradient, gradient) for gradient in gradients.values()]).sum())


def _adam_step(
    params: Params, gradients: Params, optimizer: AdamState, learning_rate: float | Array
) -> tuple[Params, AdamState]:
    moments = optax.ScaleByAdamState(count=optimizer.count, mu=optimizer.mu, nu=optimizer.nu)
    directions, moments = _ADAM.update(gradients, moments)
    moved = {name: value - learning_rate * directions[name] for name, value in params.items()}
    return moved, AdamState(moments.count, moments.mu, moments.nu)
