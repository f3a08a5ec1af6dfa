"""Multilayer perceptrons over canonical parameters. Twin: pogo/torch_backend/networks.py."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
from jax import Array

Params = dict[str, Array]

LAYER_NORM_EPSILON = 1e-6  # flax's default, as in ReBRAC and FQL; torch's own is 1e-5
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


def state_values(value: Mapping[str, Array], observations: Array) -> Array:
    """V(s), [B]."""
    return mlp(value, observations)[..., 0]


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
    hidden = inputs
    index = 0
    while f"hidden_{index}/kernel" in params:
        hidden = activate(hidden @ params[f"hidden_{index}/kernel"] + params[f"hidden_{index}/bias"])
        if f"norm_{index}/scale" in params:
            hidden = _layer_norm(hidden) * params[f"norm_{index}/scale"] + params[f"norm_{index}/bias"]
        if dropout_masks:
            hidden = hidden * dropout_masks[index] / keep_probability
        index += 1
    return hidden @ params["output/kernel"] + params["output/bias"]


def _batched(params: Mapping[str, Array], inputs: Array, activation: str) -> Array:
    """Ensembles of more than two: one batched product per layer."""
    run = lambda member, rows: _single(member, rows, activation, (), 1.0)  # noqa: E731 - vmapped on the next line
    return jax.vmap(run, in_axes=(0, 0 if inputs.ndim == 3 else None))(dict(params), inputs)


def _layer_norm(values: Array) -> Array:
    centred = values - values.mean(axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=-1, keepdims=True) + LAYER_NORM_EPSILON)
