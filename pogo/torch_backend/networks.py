"""Multilayer perceptrons over canonical parameters. Twin: pogo/jax_backend/networks.py."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

Params = dict[str, Tensor]

LAYER_NORM_EPSILON = 1e-6  # flax's default, as in ReBRAC and FQL; torch's own is 1e-5
_BLOCKS = 8  # that a batch would fill, all its rows being one member's
_GELU_SLOPE, _GELU_CUBE = 2 * math.sqrt(2 / math.pi), 0.044715


class _GeluTanh(torch.autograd.Function):
    """GELU's tanh form, as x sigmoid(c (x + 0.044715 x^3)), c = 2 sqrt(2 / pi): (1 + tanh(u / 2)) / 2 = sigmoid(u).

    torch's own kernel takes a sixth of a layer of FQL's, twice as long as these passes. The derivative is built beside
    the value, while its parts are in the cache.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor) -> Tensor:
        squares = values * values
        gates = squares.mul(_GELU_SLOPE * _GELU_CUBE).add_(_GELU_SLOPE).mul_(values).sigmoid_()
        outputs = values * gates
        if ctx.needs_input_grad[0]:
            # d/dx (x g) = g + x g (1 - g) c (1 + 3 0.044715 x^2)
            slopes = squares.mul_(3 * _GELU_SLOPE * _GELU_CUBE).add_(_GELU_SLOPE)
            slopes.mul_(torch.addcmul(outputs, outputs, gates, value=-1)).add_(gates)
            ctx.save_for_backward(values, slopes)
        return outputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        values, slopes = ctx.saved_tensors
        if torch.is_grad_enabled():  # a gradient that is differentiated once more
            return torch.autograd.grad(_gelu_formula(values), values, gradient, create_graph=True)[0]
        return gradient * slopes


def _gelu_formula(values: Tensor) -> Tensor:
    return values * torch.sigmoid(_GELU_SLOPE * values * (1 + _GELU_CUBE * values * values))


def _gelu_tanh(values: Tensor) -> Tensor:
    # A compiler fuses the formula and its derivative by itself.
    return _gelu_formula(values) if torch.compiler.is_compiling() else _GeluTanh.apply(values)


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu_,  # in place, of a product's own output: a ReLU's gradient needs its result only
    "tanh": torch.tanh,
    "gelu_tanh": _gelu_tanh,
}


def mlp(
    params: Mapping[str, Tensor],
    inputs: Tensor,
    activation: str = "relu",
    dropout_masks: Sequence[Tensor] = (),
    keep_probability: float = 1.0,
) -> Tensor:
    """Blocks of (linear, activation, layer norm where `norm_i` exists, dropout where masks are given), then a head.

    Args:
        params: one network, kernels as [in, out]; or an ensemble, every array with a leading member axis.
        inputs: [..., in]; for an ensemble [B, in] for all members alike, or [E, B, in].
        activation: a key of ACTIVATIONS.
        dropout_masks: 0/1 keep-masks [B, hidden], one per block; what is kept is divided by `keep_probability`.
        keep_probability: the chance of a 1 in those masks.

    Returns:
        [..., out], for an ensemble [E, B, out].
    """
    if params["output/kernel"].ndim == 2:
        return _single(params, inputs, activation, dropout_masks, keep_probability)
    if params["output/kernel"].shape[0] > 2:
        return _batched(params, inputs, activation)
    # Two members as separate products: faster than one batched product of two.
    outputs = [_single(member, inputs if inputs.ndim == 2 else inputs[index], activation, (), 1.0)
               for index, member in enumerate(_members(params))]  # fmt: skip
    return torch.stack(outputs)


def q_values(critic: Mapping[str, Tensor], observations: Tensor, actions: Tensor, activation: str = "relu") -> Tensor:
    """Every member's value of (observations, actions), [E, B]."""
    return mlp(critic, torch.cat([observations, actions], dim=-1), activation)[..., 0]


def first_q_value(critic: Mapping[str, Tensor], observations: Tensor, actions: Tensor) -> Tensor:
    """The first member's value of (observations, actions), [B]; the others are not run."""
    first = {name: value[0] for name, value in critic.items()}
    return mlp(first, torch.cat([observations, actions], dim=-1))[..., 0]


def q_values_and_action_gradients(
    critic: Mapping[str, Tensor], observations: Tensor, actions: Tensor
) -> tuple[Tensor, Tensor]:
    """Every member's values [E, B] of an ensemble of ReLU networks, and their gradients in the actions, [E, B, A].

    The gradient is written out, layer by layer: to differentiate it once more takes one pass back over these products,
    where a gradient of a gradient runs back through the forward pass too. A ReLU's slope is constant between its kinks.
    """
    q, hidden, kernels = _relu_ensemble(critic, observations, actions)
    gradients = kernels[-1].transpose(1, 2).expand(-1, len(actions), -1)
    for kernel, values in zip(reversed(kernels[:-1]), reversed(hidden), strict=True):
        slopes = (values.detach() > 0).to(values.dtype)
        gradients = torch.bmm(gradients * slopes, kernel.transpose(1, 2))
    return q, gradients


def smallest_q_value(critic: Mapping[str, Tensor], observations: Tensor, actions: Tensor) -> Tensor:
    """The smallest member's value in each row, [B], of an ensemble of ReLU networks; it moves the actions alone.

    Backwards a row goes through its smallest member only (the first of equals), where a minimum's derived gradient
    takes every row through every member, most of them with zeros. Rows are sorted into blocks of one member each, as
    many as can be needed at worst, so that no shape depends on the values.
    """
    with torch.no_grad():
        q, hidden, kernels = _relu_ensemble(critic, observations, actions)
        slots, owners, rows_of_slots = _blocks_of_members(q.argmin(dim=0), len(q))
        places = owners.repeat_interleave(len(rows_of_slots) // len(owners)) * len(actions) + rows_of_slots
        gradients = kernels[-1].transpose(1, 2).index_select(0, owners)
        for kernel, values in zip(reversed(kernels[:-1]), reversed(hidden), strict=True):
            slopes = values.flatten(0, 1).index_select(0, places).unflatten(0, (len(owners), -1)) > 0
            gradients = torch.bmm(gradients * slopes, kernel.index_select(0, owners).transpose(1, 2))
        slopes = gradients.flatten(0, 1).index_select(0, slots)
    # The value, with the slopes that were found: what is added is zero.
    return q.amin(dim=0) + (slopes * (actions - actions.detach())).sum(dim=-1)


def state_values(value: Mapping[str, Tensor], observations: Tensor) -> Tensor:
    """V(s), [B]."""
    return mlp(value, observations)[..., 0]


def _relu_ensemble(
    critic: Mapping[str, Tensor], observations: Tensor, actions: Tensor
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Values [E, B], every hidden layer's [E, B, hidden], and the kernels, of the first one the actions' rows alone."""
    hidden = [torch.cat([observations, actions], dim=-1).expand(len(critic["output/bias"]), -1, -1)]
    kernels: list[Tensor] = []
    while f"hidden_{len(kernels)}/kernel" in critic:
        name = f"hidden_{len(kernels)}"
        kernels.append(critic[f"{name}/kernel"])
        hidden.append(torch.relu_(torch.baddbmm(critic[f"{name}/bias"][:, None, :], hidden[-1], kernels[-1])))
    kernels.append(critic["output/kernel"])
    q = torch.baddbmm(critic["output/bias"][:, None, :], hidden[-1], kernels[-1])[..., 0]
    kernels[0] = kernels[0][:, observations.shape[-1] :, :]
    return q, hidden[1:], kernels


def _blocks_of_members(members_of_rows: Tensor, num_members: int) -> tuple[Tensor, Tensor, Tensor]:
    """Sort rows into blocks of an eighth of the batch, each of one member's rows.

    Args:
        members_of_rows: each row's member, [B].
        num_members: E.

    Returns:
        Each row's slot, [B]; each block's member, [N]; and the row in each slot, [N * block], any where there is none.
    """
    batch_size, device = len(members_of_rows), members_of_rows.device
    block = max(1, batch_size // _BLOCKS)
    row = torch.arange(batch_size, device=device)
    earlier = ((members_of_rows[:, None] == members_of_rows) & (row[:, None] > row)).sum(dim=1)
    counts = (members_of_rows == torch.arange(num_members, device=device)[:, None]).sum(dim=1)
    blocks = (counts + block - 1) // block
    ends = blocks.cumsum(dim=0)
    slots = (ends - blocks)[members_of_rows] * block + earlier
    most = batch_size // block + min(num_members, batch_size)  # members that have rows each leave one block unfilled
    owners = (ends <= torch.arange(most, device=device)[:, None]).sum(dim=1).clamp(max=num_members - 1)
    return slots, owners, row.new_zeros(most * block).scatter(0, slots, row)


def _members(params: Mapping[str, Tensor]) -> list[Params]:
    """An ensemble's members as networks of their own (views: gradients flow back into the stacked arrays)."""
    split = {name: value.unbind(0) for name, value in params.items()}
    return [{name: values[index] for name, values in split.items()} for index in range(len(split["output/bias"]))]


def _single(
    params: Mapping[str, Tensor],
    inputs: Tensor,
    activation: str,
    dropout_masks: Sequence[Tensor],
    keep_probability: float,
) -> Tensor:
    activate = ACTIVATIONS[activation]
    shape = inputs.shape
    hidden = inputs.reshape(-1, shape[-1])
    index = 0
    while f"hidden_{index}/kernel" in params:
        hidden = activate(torch.addmm(params[f"hidden_{index}/bias"], hidden, params[f"hidden_{index}/kernel"]))
        if f"norm_{index}/scale" in params:
            scale, bias = params[f"norm_{index}/scale"], params[f"norm_{index}/bias"]
            hidden = torch.nn.functional.layer_norm(hidden, hidden.shape[-1:], scale, bias, LAYER_NORM_EPSILON)
        if dropout_masks:
            hidden = hidden * dropout_masks[index] / keep_probability
        index += 1
    outputs = torch.addmm(params["output/bias"], hidden, params["output/kernel"])
    return outputs.reshape(*shape[:-1], outputs.shape[-1])


def _batched(params: Mapping[str, Tensor], inputs: Tensor, activation: str) -> Tensor:
    """Ensembles of more than two: one batched product per layer."""
    activate = ACTIVATIONS[activation]
    members = params["output/kernel"].shape[0]
    hidden = inputs if inputs.ndim == 3 else inputs.expand(members, *inputs.shape)
    index = 0
    while f"hidden_{index}/kernel" in params:
        bias = params[f"hidden_{index}/bias"][:, None, :]
        hidden = activate(torch.baddbmm(bias, hidden, params[f"hidden_{index}/kernel"]))
        if f"norm_{index}/scale" in params:
            normed = torch.nn.functional.layer_norm(hidden, hidden.shape[-1:], eps=LAYER_NORM_EPSILON)
            hidden = normed * params[f"norm_{index}/scale"][:, None, :] + params[f"norm_{index}/bias"][:, None, :]
        index += 1
    return torch.baddbmm(params["output/bias"][:, None, :], hidden, params["output/kernel"])
