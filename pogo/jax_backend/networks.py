"""Multilayer perceptrons over canonical parameters. Twin: pogo/torch_backend/networks.py."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

Params = dict[str, Array]

LAYER_NORM_EPSILON = 1e-6  # flax's default, as in ReBRAC and FQL; torch's own is 1e-5
_BLOCKS = 8  # that a batch would fill, all its rows being one member's
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "relu": jax.nn.relu,
    "tanh": jnp.tanh,
    "gelu_tanh": lambda values: jax.nn.gelu(values, approximate=True),
}


def mlp(
    params: Mapping[str, Array],
    inputs: Array,
    activation: str = "relu",
    dropout_masks: Sequence[Array] = (),
    keep_probability: float = 1.0,
) -> Array:
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
    return jnp.stack(outputs)


def q_values(critic: Mapping[str, Array], observations: Array, actions: Array, activation: str = "relu") -> Array:
    """Every member's value of (observations, actions), [E, B]."""
    return mlp(critic, jnp.concatenate([observations, actions], axis=-1), activation)[..., 0]


def first_q_value(critic: Mapping[str, Array], observations: Array, actions: Array) -> Array:
    """The first member's value of (observations, actions), [B]; the others are not run."""
    first = {name: value[0] for name, value in critic.items()}
    return mlp(first, jnp.concatenate([observations, actions], axis=-1))[..., 0]


def q_values_and_action_gradients(
    critic: Mapping[str, Array], observations: Array, actions: Array
) -> tuple[Array, Array]:
    """Every member's values [E, B] of an ensemble of ReLU networks, and their gradients in the actions, [E, B, A].

    The gradient is written out, layer by layer: to differentiate it once more takes one pass back over these products,
    where a gradient of a gradient runs back through the forward pass too. A ReLU's slope is constant between its kinks.
    """
    q, hidden, kernels = _relu_ensemble(critic, observations, actions)
    gradients = jnp.swapaxes(kernels[-1], 1, 2) * jnp.ones((len(actions), 1), q.dtype)
    for kernel, values in zip(reversed(kernels[:-1]), reversed(hidden), strict=True):
        slopes = (stop_gradient(values) > 0).astype(values.dtype)
        gradients = (gradients * slopes) @ jnp.swapaxes(kernel, 1, 2)
    return q, gradients


def smallest_q_value(critic: Mapping[str, Array], observations: Array, actions: Array) -> Array:
    """The smallest member's value in each row, [B], of an ensemble of ReLU networks; it moves the actions alone.

    Backwards a row goes through its smallest member only (the first of equals), where a minimum's derived gradient
    takes every row through every member, most of them with zeros. Rows are sorted into blocks of one member each, as
    many as can be needed at worst, so that no shape depends on the values.
    """
    at = stop_gradient(actions)
    q, hidden, kernels = stop_gradient(_relu_ensemble(critic, observations, at))
    slots, owners, rows_of_slots = _blocks_of_members(jnp.argmin(q, axis=0), len(q))
    places = jnp.repeat(owners, len(rows_of_slots) // len(owners)) * len(actions) + rows_of_slots
    gradients = _take(kernels[-1], owners)  # columns, so that XLA takes the kernels as they lie
    for kernel, values in zip(reversed(kernels[:-1]), reversed(hidden), strict=True):
        of_slots = _take(values.reshape(-1, values.shape[-1]), places).reshape(len(owners), -1, values.shape[-1])
        gradients = _take(kernel, owners) @ jnp.where(jnp.swapaxes(of_slots, 1, 2) > 0, gradients, 0)
    slopes = _take(jnp.swapaxes(gradients, 1, 2).reshape(-1, actions.shape[-1]), slots)
    # The value, with the slopes that were found: what is added is zero.
    return q.min(axis=0) + (stop_gradient(slopes) * (actions - at)).sum(axis=-1)


def state_values(value: Mapping[str, Array], observations: Array) -> Array:
    """V(s), [B]."""
    return mlp(value, observations)[..., 0]


def _relu_ensemble(
    critic: Mapping[str, Array], observations: Array, actions: Array
) -> tuple[Array, list[Array], list[Array]]:
    """Values [E, B], every hidden layer's [E, B, hidden], and the kernels, of the first one the actions' rows alone."""
    inputs = jnp.concatenate([observations, actions], axis=-1)
    hidden = [jnp.broadcast_to(inputs, (len(critic["output/bias"]), *inputs.shape))]
    kernels: list[Array] = []
    while f"hidden_{len(kernels)}/kernel" in critic:
        name = f"hidden_{len(kernels)}"
        kernels.append(critic[f"{name}/kernel"])
        hidden.append(jax.nn.relu(hidden[-1] @ kernels[-1] + critic[f"{name}/bias"][:, None, :]))
    kernels.append(critic["output/kernel"])
    q = (hidden[-1] @ kernels[-1] + critic["output/bias"][:, None, :])[..., 0]
    kernels[0] = kernels[0][:, observations.shape[-1] :, :]
    return q, hidden[1:], kernels


def _blocks_of_members(members_of_rows: Array, num_members: int) -> tuple[Array, Array, Array]:
    """Sort rows into blocks of an eighth of the batch, each of one member's rows.

    Args:
        members_of_rows: each row's member, [B].
        num_members: E.

    Returns:
        Each row's slot, [B]; each block's member, [N]; and the row in each slot, [N * block], any where there is none.
    """
    batch_size = len(members_of_rows)
    block = max(1, batch_size // _BLOCKS)
    row = jnp.arange(batch_size)
    earlier = ((members_of_rows[:, None] == members_of_rows) & (row[:, None] > row)).sum(axis=1)
    counts = (members_of_rows == jnp.arange(num_members)[:, None]).sum(axis=1)
    blocks = (counts + block - 1) // block
    ends = jnp.cumsum(blocks)
    slots = (ends - blocks)[members_of_rows] * block + earlier
    most = batch_size // block + min(num_members, batch_size)  # members that have rows each leave one block unfilled
    owners = (ends <= jnp.arange(most)[:, None]).sum(axis=1).clip(max=num_members - 1)
    return slots, owners, jnp.zeros(most * block, row.dtype).at[slots].set(row)


def _take(values: Array, indices: Array) -> Array:
    return jnp.take(values, indices, axis=0, mode="clip")  # they are within; other modes check that


def _members(params: Mapping[str, Array]) -> list[Params]:
    """An ensemble's members as networks of their own (slices: gradients flow back into the stacked arrays)."""
    return [{name: value[index] for name, value in params.items()} for index in range(len(params["output/bias"]))]


def _single(
    params: Mapping[str, Array],
    inputs: Array,
    activation: str,
    dropout_masks: Sequence[Array],
    keep_probability: float,
) -> Array:
    activate = ACTIVATIONS[activation]
    # As rows: the gradient of a kernel over two leading axes at once copies every layer's values into another layout.
    hidden = inputs.reshape(-1, inputs.shape[-1])
    index = 0
    while f"hidden_{index}/kernel" in params:
        hidden = activate(hidden @ params[f"hidden_{index}/kernel"] + params[f"hidden_{index}/bias"])
        if f"norm_{index}/scale" in params:
            hidden = _layer_norm(hidden) * params[f"norm_{index}/scale"] + params[f"norm_{index}/bias"]
        if dropout_masks:
            hidden = hidden * dropout_masks[index] / keep_probability
        index += 1
    outputs = _head(hidden, params["output/kernel"]) + params["output/bias"]
    return outputs.reshape(*inputs.shape[:-1], outputs.shape[-1])


def _batched(params: Mapping[str, Array], inputs: Array, activation: str) -> Array:
    """Ensembles of more than two: one batched product per layer."""
    run = lambda member, rows: _single(member, rows, activation, (), 1.0)  # noqa: E731 - vmapped on the next line
    return jax.vmap(run, in_axes=(0, 0 if inputs.ndim == 3 else None))(dict(params), inputs)


def _kernel_gradient(inputs: Array, gradient: Array) -> Array:
    return jnp.swapaxes(inputs, -1, -2) @ gradient


def _narrow_kernel_gradient(inputs: Array, gradient: Array) -> Array:
    # The same product the other way round: a CPU's product of few columns, summed over the rows of both its factors,
    # takes up to ten times as long. The barriers keep XLA from turning it back.
    columns = jax.lax.optimization_barrier(jnp.swapaxes(gradient, -1, -2))
    return jnp.swapaxes(jax.lax.optimization_barrier(columns @ inputs), -1, -2)


def _head_backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array, Array]:
    inputs, kernel = kept
    of_kernel = jax.lax.platform_dependent(inputs, gradient, cpu=_narrow_kernel_gradient, default=_kernel_gradient)
    return gradient @ jnp.swapaxes(kernel, -1, -2), of_kernel


_head = jax.custom_vjp(lambda inputs, kernel: inputs @ kernel)
_head.defvjp(lambda inputs, kernel: (inputs @ kernel, (inputs, kernel)), _head_backward)


def _layer_norm_forward(values: Array) -> tuple[Array, tuple[Array, Array]]:
    centred = values - values.mean(axis=-1, keepdims=True)
    scale = jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
    normed = centred * scale
    return normed, (normed, scale)


def _layer_norm_backward(kept: tuple[Array, Array], gradient: Array) -> tuple[Array]:
    # Written out: two reductions, where the derived one makes three and costs a twentieth of a ReBRAC step more.
    normed, scale = kept
    along = normed * (gradient * normed).mean(axis=-1, keepdims=True)
    return (scale * (gradient - gradient.mean(axis=-1, keepdims=True) - along),)


_layer_norm = jax.custom_vjp(lambda values: _layer_norm_forward(values)[0])
_layer_norm.defvjp(_layer_norm_forward, _layer_norm_backward)
