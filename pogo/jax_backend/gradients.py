"""Operations whose gradients at ties and bounds are fixed by convention. Twin: pogo/torch_backend/gradients.py.

One convention on both backends: a minimum over members passes its gradient to the first of the smallest; a clip
passes 1 inside and at its bounds, 0 outside; a norm has slope 0 at 0; a softplus is the identity above 20.
"""

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient


def min_over_members(q: Array) -> Array:
    """Minimum over the leading axis, [E, B] -> [B]; the gradient goes to the first of the smallest."""
    if q.shape[0] == 2:  # the common case, in one elementwise pass
        return jnp.where(q[0] <= q[1], q[0], q[1])
    # A mask instead of a gather: its gradient is a product, not a scatter.
    smallest = jnp.arange(q.shape[0])[:, None] == jnp.argmin(q, axis=0)
    return jnp.where(smallest, q, 0).sum(axis=0)


def clip(values: Array, low: float, high: float) -> Array:
    """Clip to [low, high]; the gradient is 1 inside and at the bounds, 0 outside."""
    # jnp.clip passes half of the gradient exactly at a bound.
    return jnp.where((values >= low) & (values <= high), values, stop_gradient(jnp.clip(values, low, high)))


def norm(vectors: Array) -> Array:
    """2-norm over the last axis; its gradient at 0 is 0."""
    squared = jnp.square(vectors).sum(axis=-1)
    is_zero = squared == 0
    # Twice where: the branch that is not taken would make the gradient NaN.
    return jnp.where(is_zero, 0.0, jnp.sqrt(jnp.where(is_zero, 1.0, squared)))


def softplus(values: Array) -> Array:
    """log(1 + e^x), and x itself above 20, as torch's own, which the originals take."""
    return jnp.where(values > 20.0, values, jnp.logaddexp(values, 0.0))
