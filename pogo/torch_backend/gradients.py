"""Operations whose gradients at ties and bounds are fixed by convention. Twin: pogo/jax_backend/gradients.py.

One convention on both backends: a minimum over members passes its gradient to the first of the smallest; a clip
passes 1 inside and at its bounds, 0 outside; a norm has slope 0 at 0; a softplus is the identity above 20.
"""

import torch
from torch import Tensor


def min_over_members(q: Tensor) -> Tensor:
    """Minimum over the leading axis, [E, B] -> [B]; the gradient goes to the first of the smallest."""
    if q.shape[0] == 2:  # the common case, in one elementwise pass
        return torch.where(q[0] <= q[1], q[0], q[1])
    return q.gather(0, q.argmin(dim=0, keepdim=True))[0]


def clip(values: Tensor, low: float, high: float) -> Tensor:
    """Clip to [low, high]; the gradient is 1 inside and at the bounds, 0 outside."""
    return values.clamp(low, high)


def norm(vectors: Tensor) -> Tensor:
    """2-norm over the last axis; its gradient at 0 is 0."""
    return torch.linalg.vector_norm(vectors, dim=-1)


def softplus(values: Tensor) -> Tensor:
    """log(1 + e^x), and x itself above 20, as torch's own, which the originals take."""
    return torch.nn.functional.softplus(values)
