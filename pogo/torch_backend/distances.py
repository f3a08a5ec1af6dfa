"""Squared W2 distances between actors in torch, state by state. Twin: pogo/jax_backend/distances.py."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pogo.core.errors import BadInput
from pogo.core.problem.w2 import MAX_PERMUTED_SAMPLES, LibrarySettings, Solver, check_divergence, check_samples
from pogo.torch_backend.libraries import library_divergence, plain_divergence
from pogo.torch_backend.sinkhorn import best_assignment, fused_divergence

NEAR = 0.01  # a divergence D below which the squared distance is a series, right to 2e-10


def gaussian_w2_squared(mean: Tensor, std: Tensor, ref_mean: Tensor, ref_std: Tensor) -> Tensor:
    """Closed-form squared W2 distance between Gaussians with diagonal covariances, state by state.

    W2^2 = |mean - ref_mean|^2 + |std - ref_std|^2 (Peyre & Cuturi, arXiv:1803.00567, remark 2.31).

    Args:
        mean: current actor's means, [B, A], in action units.
        std: its standard deviations (not variances), [B, A], > 0.
        ref_mean: reference actor's means, [B, A]; no gradient flows into it.
        ref_std: its standard deviations, [B, A]; no gradient flows into it.

    Returns:
        [B], in action units squared: no root taken, not averaged over the batch.

    Raises:
        BadInput: the four shapes are not one [B, A].
    """
    _check_one_shape("gaussian_w2_squared", "[B, A]", 2, mean=mean, std=std, ref_mean=ref_mean, ref_std=ref_std)
    ref_mean, ref_std = ref_mean.detach(), ref_std.detach()
    return (mean - ref_mean).square().sum(dim=-1) + (std - ref_std).square().sum(dim=-1)


def gaussian_fisher_rao_squared(mean: Tensor, std: Tensor, ref_mean: Tensor, ref_std: Tensor) -> Tensor:
    """Squared Fisher-Rao distance between Gaussians with diagonal covariances, among all densities, state by state.

    d = 2 arccos exp(-D), D = sum of (mean - ref_mean)^2 / (4 v) + log(v / (2 std ref_std)) / 2, v = std^2 + ref_std^2:
    twice the angle between the roots of the densities, at most pi. POGO, supplement, equations 11 to 13.

    Args:
        mean: current actor's means, [B, A], in action units.
        std: its standard deviations (not variances), [B, A], > 0.
        ref_mean: reference actor's means, [B, A]; no gradient flows into it.
        ref_std: its standard deviations, [B, A]; no gradient flows into it.

    Returns:
        [B], in radians squared: no root taken, not averaged over the batch.

    Raises:
        BadInput: the four shapes are not one [B, A].
    """
    _check_one_shape("gaussian_fisher_rao_squared", "[B, A]", 2, mean=mean, std=std, ref_mean=ref_mean, ref_std=ref_std)
    ref_mean, ref_std = ref_mean.detach(), ref_std.detach()
    variance = torch.square(std) + torch.square(ref_std)
    terms = torch.square(mean - ref_mean) / (4.0 * variance) + 0.5 * torch.log(variance / (2.0 * std * ref_std))
    divergence = terms.sum(dim=-1)
    # Where the two are close the arc cosine's slope is infinite, and 0 times it no number: its square has a series.
    is_near = divergence < NEAR
    far = torch.where(is_near, 1.0, divergence)
    near = torch.where(is_near, divergence, 0.0)
    series = near * (8.0 + near * (-8.0 / 3.0 + near * (16.0 / 45.0)))
    return torch.where(is_near, series, torch.square(2.0 * torch.arccos(torch.exp(-far))))


def l2_squared(actions: Tensor, ref_actions: Tensor) -> Tensor:
    """Squared Euclidean distance between one action of each actor: W2^2 between two points.

    Args:
        actions: current actor's actions, [B, A].
        ref_actions: reference actor's actions, [B, A]; no gradient flows into them.

    Returns:
        [B], in action units squared: no root taken, not averaged over the batch.

    Raises:
        BadInput: the two shapes are not one [B, A].
    """
    _check_one_shape("l2_squared", "[B, A]", 2, actions=actions, ref_actions=ref_actions)
    return (actions - ref_actions.detach()).square().sum(dim=-1)


def point_to_gaussian_w2_squared(points: Tensor, mean: Tensor, std: Tensor) -> Tensor:
    """Exact squared W2 distance between a point and a Gaussian: |mean - point|^2 + |std|^2.

    Gradient flows into every argument; detach the side that is the reference.

    Args:
        points: the deterministic actor's actions, [B, A].
        mean: the Gaussian actor's means, [B, A].
        std: its standard deviations, [B, A].

    Returns:
        [B], in action units squared: no root taken, not averaged over the batch.

    Raises:
        BadInput: the three shapes are not one [B, A].
    """
    _check_one_shape("point_to_gaussian_w2_squared", "[B, A]", 2, points=points, mean=mean, std=std)
    return (mean - points).square().sum(dim=-1) + std.square().sum(dim=-1)


def point_to_samples_w2_squared(points: Tensor, samples: Tensor) -> Tensor:
    """Exact squared W2 distance between a point and K samples: the average of |x_k - point|^2.

    Gradient flows into both arguments; detach the side that is the reference.

    Args:
        points: the deterministic actor's actions, [B, A].
        samples: the other actor's samples, [B, K, A].

    Returns:
        [B], in action units squared: no root taken, not averaged over the batch.

    Raises:
        BadInput: the shapes are not [B, A] and [B, K, A].
    """
    if samples.ndim != 3 or points.shape != samples[:, 0].shape:
        raise BadInput(
            "point_to_samples_w2_squared needs points [B, A] and samples [B, K, A], "
            f"got {list(points.shape)} and {list(samples.shape)}."
        )
    return (samples - points.unsqueeze(1)).square().sum(dim=-1).mean(dim=-1)


def sinkhorn_divergence(
    samples: Tensor,
    ref_samples: Tensor,
    blur: float = 0.05,
    solver: Solver = "fused",
    name: str = "actor",
    ref_name: str = "reference actor",
    library: LibrarySettings | None = None,
) -> Tensor:
    """Debiased Sinkhorn divergence between two clouds of samples, state by state.

    S(x, y) = OT_e(x, y) - OT_e(x, x)/2 - OT_e(y, y)/2 with uniform weights, cost |x - y|^2 and
    e = 2 blur^2 (Feydy et al., arXiv:1810.08278, equation 3). The gradient is the envelope theorem's,
    not that of a loop, and cannot be differentiated again.

    Args:
        samples: current actor's samples, [B, K, A], within the action box, [-1, 1].
        ref_samples: reference actor's samples, [B, K, A]; no gradient flows into them.
        blur: a length in an action box that reaches from -1 to 1.
        solver: `fused` (pogo's own), `library` (GeomLoss here, OTT in JAX), `exact` (the W2^2 of the samples
            themselves, by assignment: e = 0), or `geomloss`, as it is published and not converged.
        name: what errors call the current actor.
        ref_name: what errors call the reference actor.
        library: what `geomloss` is told; none: its defaults.

    Returns:
        [B], in action units squared: no root taken, not averaged over the batch.

    Raises:
        BadInput: shapes, dtypes, K or blur are not what is needed, or `exact` has more than 5 samples on
            a device other than the CPU.
    """
    check_samples(
        samples.shape,
        ref_samples.shape,
        str(samples.dtype).removeprefix("torch."),
        str(ref_samples.dtype).removeprefix("torch."),
        name,
        ref_name,
    )
    check_divergence(blur, solver)
    if solver not in _SOLVERS:
        raise BadInput(f"w2.solver={solver} is not of this backend, which has {', '.join(sorted(_SOLVERS))}.")
    check_exact(solver, samples.shape[1], samples.device.type, name, ref_name)
    return _Divergence.apply(samples, ref_samples.detach(), blur, solver, library or LibrarySettings())


def check_exact(solver: Solver, num_samples: int, device_type: str, name: str, ref_name: str) -> None:
    """Refuse assignments of more samples than can be enumerated, which SciPy solves on the CPU alone.

    Raises:
        BadInput: naming the two actors.
    """
    if solver == "exact" and num_samples > MAX_PERMUTED_SAMPLES and device_type != "cpu":
        raise BadInput(
            f"w2.solver=exact takes at most w2.num_samples={MAX_PERMUTED_SAMPLES} on {device_type} in torch, "
            f"got {num_samples} for {name} and {ref_name}; use w2.solver=fused, the CPU, or backend=jax."
        )


class _Divergence(torch.autograd.Function):
    """The gradient is computed beside the value, and only scaled on the way back."""

    @staticmethod
    def forward(
        ctx: Any,
        samples: Tensor,
        ref_samples: Tensor,
        blur: float,
        solver: Solver,
        library: LibrarySettings,
    ) -> Tensor:
        values, gradient = _SOLVERS[solver](samples, ref_samples, blur, library)
        ctx.save_for_backward(gradient)
        return values

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(  # pyright: ignore[reportIncompatibleMethodOverride] - the decorator hides parameter names
        ctx: Any, *cotangents: Tensor
    ) -> tuple[Tensor, None, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return cotangents[0][:, None, None] * gradient, None, None, None, None


def _assignment(samples: Tensor, ref_samples: Tensor, blur: float) -> tuple[Tensor, Tensor]:
    """W2^2 between the clouds, [B], and its gradient in `samples`: the cheapest pairing, averaged over its pairs."""
    num_samples = samples.shape[1]
    points, ref_points = samples.permute(1, 2, 0), ref_samples.permute(1, 2, 0)
    costs = (points.unsqueeze(1) - ref_points).square().sum(dim=2)  # [K, K, B]
    partners = best_assignment(costs)[0].mT if num_samples <= MAX_PERMUTED_SAMPLES else _solve_assignments(costs)
    offsets = samples - ref_samples.gather(1, partners.unsqueeze(-1).expand_as(ref_samples))
    return offsets.square().sum(dim=(1, 2)) / num_samples, 2 / num_samples * offsets


def _solve_assignments(costs: Tensor) -> Tensor:
    """Each state's cheapest pairing, [K, K, B] -> [B, K], one after the other on the CPU."""
    from scipy.optimize import linear_sum_assignment  # slow to import, and only this solver needs it

    pairings = [linear_sum_assignment(cost)[1] for cost in costs.permute(2, 0, 1).numpy()]
    return torch.from_numpy(np.stack(pairings))


def _check_one_shape(function: str, axes: str, ndim: int, **arrays: Tensor) -> None:
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    first = next(iter(shapes.values()))
    if len(first) != ndim or any(shape != first for shape in shapes.values()):  # broadcasting would hide a wrong batch
        raise BadInput(f"{function} needs arrays of one shape {axes}, got {shapes}.")


def _without_settings(solver: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    """A solver of pogo's own, which a library's settings say nothing to."""
    return lambda samples, ref_samples, blur, _: solver(samples, ref_samples, blur)


_SOLVERS = {
    "fused": _without_settings(fused_divergence),
    "library": _without_settings(library_divergence),
    "exact": _without_settings(_assignment),
    "geomloss": plain_divergence,
}
