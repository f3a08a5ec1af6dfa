"""Gradient steps and target moves. Twin: pogo/jax_backend/optimizers.py.

Adam is (0.9, 0.999, 1e-8), bias-corrected, without weight decay, one per network. Here a state is changed in place:
the state that went in is the state that comes out.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pogo.core.problem.state import AdamState, TrainState
from pogo.torch_backend.networks import Params

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8


def minimise(
    loss_function: Callable[..., tuple[Tensor, Any]],
    state: TrainState,
    network: str,
    learning_rate: float | Tensor,
    *arguments: Any,
) -> tuple[TrainState, dict[str, Tensor], Any]:
    """One Adam step of `network` on `loss_function(params, *arguments) -> (scalar loss, auxiliary values)`.

    Only that network's gradients are built, whatever else the loss runs through.

    Returns:
        The state after the step; the metrics `<network>/loss` and `<network>/gradient_norm`, a 2-norm over all of the
        network's parameters; auxiliary values. All but the state are from before the step.
    """
    params = state.networks[network]
    loss, auxiliary = loss_function(params, *arguments)
    # A parameter that the loss does not reach (a log_std where the mean acts) has gradient 0, as in JAX.
    found = torch.autograd.grad(loss, list(params.values()), allow_unused=True, materialize_grads=True)
    gradients = dict(zip(params, found, strict=True))
    metrics = {f"{network}/loss": loss.detach(), f"{network}/gradient_norm": _norm_of_all(found)}
    _adam_step(params, gradients, state.optimizers[network], learning_rate)
    return state, metrics, auxiliary


def move_target(state: TrainState, target: str, source: Params, tau: float | Tensor) -> TrainState:
    """Polyak average: target <- (1 - tau) target + tau source."""
    with torch.no_grad():
        params = state.networks[target]
        weight = [tau] * len(params) if isinstance(tau, Tensor) else tau
        torch._foreach_lerp_(list(params.values()), [source[name] for name in params], weight)
    return state


def copy_target(state: TrainState, target: str, source: Params, due: Tensor) -> TrainState:
    """Hard move: target <- source where `due`, a scalar: a recorded or compiled update could not branch."""
    with torch.no_grad():
        for name, value in state.networks[target].items():
            value.copy_(torch.where(due, source[name], value))
    return state


def steps_taken(state: TrainState, network: str) -> Tensor:
    """How many steps the network's optimizer has made, a scalar on its device."""
    return state.optimizers[network].count


def cosine_decay(base: float, state: TrainState, network: str, length: int) -> Tensor:
    """Base rate times (1 + cos(pi t / length)) / 2, t the network's steps so far; 0 beyond `length`."""
    dtype = next(iter(state.networks[network].values())).dtype
    done = (steps_taken(state, network).to(dtype) / length).clamp(max=1.0)
    return base * 0.5 * (1.0 + torch.cos(torch.pi * done))


def linear_decay(base: float, state: TrainState, network: str, length: int) -> Tensor:
    """Base rate times 1 - t / length, t the network's steps so far; 0 beyond `length`."""
    dtype = next(iter(state.networks[network].values())).dtype
    return base * (1.0 - steps_taken(state, network).to(dtype) / length).clamp(min=0.0)


def _norm_of_all(gradients: Sequence[Tensor]) -> Tensor:
    with torch.no_grad():
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))


def _adam_step(params: Params, gradients: Params, optimizer: AdamState, learning_rate: float | Tensor) -> None:
    arrays = (
        list(params.values()),
        # The fused kernel walks memory in order: a gradient that autograd left transposed would be misread.
        [gradient.contiguous() for gradient in gradients.values()],
        list(optimizer.mu.values()),
        list(optimizer.nu.values()),
    )
    with torch.no_grad():
        optimizer.count.add_(1)
        if torch.compiler.is_compiling():
            _plain_adam(*arrays, optimizer.count, learning_rate)
        else:
            # The kernel that torch.optim.Adam(fused=True) calls, with one count for all of a network: its own wrapper
            # sorts the parameters and counts for each of them, on every step.
            steps = [optimizer.count.to(torch.float32)] * len(params)
            options = {"lr": learning_rate, "beta1": BETA_1, "beta2": BETA_2, "weight_decay": 0.0, "eps": EPSILON}
            torch._fused_adam_(*arrays, [], steps, amsgrad=False, maximize=False, **options)


def _plain_adam(
    params: list[Tensor],
    gradients: list[Tensor],
    mu: list[Tensor],
    nu: list[Tensor],
    count: Tensor,
    learning_rate: float | Tensor,
) -> None:
    """The same step in operations that torch.compile fuses. Its own Adam corrects the bias in float32.

    There 1 - 0.999^t, which the first steps divide by, has four digits.
    """
    dtype, steps = params[0].dtype, count.to(torch.float64)
    of_mu, of_nu = ((1.0 - beta**steps) for beta in (BETA_1, BETA_2))
    rate, root = (learning_rate / of_mu).to(dtype), of_nu.sqrt().to(dtype)
    for param, gradient, mean, square in zip(params, gradients, mu, nu, strict=True):
        mean.lerp_(gradient, 1.0 - BETA_1)
        square.mul_(BETA_2).addcmul_(gradient, gradient, value=1.0 - BETA_2)
        param.sub_(rate * mean / (square.sqrt() / root + EPSILON))
