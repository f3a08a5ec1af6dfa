"""The Sinkhorn divergence by GeomLoss, set to converge or as published.

Twin: pogo/jax_backend/libraries.py, by OTT.
"""

import importlib.util
import math

import torch
from torch import Tensor

from pogo.core.errors import BadInput
from pogo.core.problem.w2 import LibrarySettings, library_decay


def library_divergence(samples: Tensor, ref_samples: Tensor, blur: float) -> tuple[Tensor, Tensor]:
    """Debiased Sinkhorn divergence between clouds, [B], and its gradient in `samples`, [B, K, A].

    GeomLoss halves the cost at p = 2 and so the divergence; its epsilon is blur^2. It cools by a fixed ratio and takes
    one averaged update per temperature, so it converges only where it cools slowly, and it runs in float64: beside its
    potentials, those of two equal clouds are lost in float32.
    """
    from geomloss import SamplesLoss  # slow to import, and only this solver needs it

    num_samples, action_size = samples.shape[1:]
    loss = SamplesLoss(
        "sinkhorn",
        p=2,
        blur=blur,
        scaling=math.sqrt(library_decay(num_samples)),
        diameter=2 * math.sqrt(action_size),
        cost=_half_squared_distances,
        debias=True,
        backend="tensorized",
    )
    with torch.enable_grad():
        points = samples.detach().double().requires_grad_()
        values = 2 * loss(points, ref_samples.detach().double())
        (gradient,) = torch.autograd.grad(values.sum(), points)
    return values.detach().to(samples.dtype), gradient.to(samples.dtype)


def plain_divergence(
    samples: Tensor, ref_samples: Tensor, blur: float, settings: LibrarySettings
) -> tuple[Tensor, Tensor]:
    """The same as the library gives it by itself, [B], and the gradient of its own graph, [B, K, A]; not converged.

    It is `SamplesLoss("sinkhorn", p=2, blur=blur, scaling=...)`, doubled: its cost is |x - y|^2 / 2.

    Raises:
        BadInput: the backend needs KeOps, and it is not installed.
    """
    from geomloss import SamplesLoss

    check_library(settings)
    loss = SamplesLoss("sinkhorn", p=2, blur=blur, scaling=settings.scaling, backend=settings.backend)
    with torch.enable_grad():
        points = samples.detach().requires_grad_()
        values = 2 * loss(points, ref_samples.detach())
        (gradient,) = torch.autograd.grad(values.sum(), points)
    return values.detach(), gradient


def check_library(settings: LibrarySettings) -> None:
    """Refuse settings that need a package which is not there.

    Raises:
        BadInput: GeomLoss's `online` backend without KeOps.
    """
    if settings.backend == "online" and importlib.util.find_spec("pykeops") is None:
        raise BadInput(
            "w2.backend=online needs KeOps, not installed here: pip install pykeops, or w2.backend=tensorized."
        )


def _half_squared_distances(points: Tensor, ref_points: Tensor) -> Tensor:
    return (points.unsqueeze(2) - ref_points.unsqueeze(1)).square().sum(dim=-1) / 2
