"""Squared W2 distances between actors in JAX, state by state. Twin: pogo/torch_backend/distances.py."""

import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.core.errors import BadInput
from pogo.core.problem.w2 import MAX_PERMUTED_SAMPLES, LibrarySettings, Solver, check_divergence, check_samples
from pogo.jax_backend.libraries import library_divergence, plain_divergence
from pogo.jax_backend.sinkhorn import best_assignment, fused_divergence

NEAR = 0.01  # a divergence D below which the squared distance is a series, right to 2e-10


def gaussian_w2_squared(mean: Array, std: Array, ref_mean: Array, ref_std: Array) -> Array:
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
    ref_mean, ref_std = stop_gradient((ref_mean, ref_std))
    return jnp.square(mean - ref_mean).sum(axis=-1) + jnp.square(std - ref_std).sum(axis=-1)


def gaussian_fisher_rao_squared(mean: Array, std: Array, ref_mean: Array, ref_std: Array) -> Array:
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
    ref_mean, ref_std = stop_gradient((ref_mean, ref_std))
    variance = jnp.square(std) + jnp.square(ref_std)
    terms = jnp.square(mean - ref_mean) / (4.0 * variance) + 0.5 * jnp.log(variance / (2.0 * std * ref_std))
    divergence = terms.sum(axis=-1)
    # Where the two are close the arc cosine's slope is infinite, and 0 times it no number: its square has a series.
    is_near = divergence < NEAR
    far = jnp.where(is_near, 1.0, divergence)
    near = jnp.where(is_near, divergence, 0.0)
    series = near * (8.0 + near * (-8.0 / 3.0 + near * (16.0 / 45.0)))
    return jnp.where(is_near, series, jnp.square(2.0 * jnp.arccos(jnp.exp(-far))))


def l2_squared(actions: Array, ref_actions: Array) -> Array:
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
    return jnp.square(actions - stop_gradient(ref_actions)).sum(axis=-1)


def point_to_gaussian_w2_squared(points: Array, mean: Array, std: Array) -> Array:
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
    return jnp.square(mean - points).sum(axis=-1) + jnp.square(std).sum(axis=-1)


def point_to_samples_w2_squared(points: Array, samples: Array) -> Array:
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
    return jnp.square(samples - points[:, None]).sum(axis=-1).mean(axis=-1)


def sinkhorn_divergence(
    samples: Array,
    ref_samples: Array,
    blur: float = 0.05,
    solver: Solver = "fused",
    name: str = "actor",
    ref_name: str = "reference actor",
    library: LibrarySettings | None = None,
) -> Array:
    """Debiased Sinkhorn divergence between two clouds of samples, state by state.

    S(x, y) = OT_e(x, y) - OT_e(x, x)/2 - OT_e(y, y)/2 with uniform weights, cost |x - y|^2 and
    e = 2 blur^2 (Feydy et al., arXiv:1810.08278, equation 3). The gradient is the envelope theorem's,
    not that of a loop, and cannot be differentiated again.

    Args:
        samples: current actor's samples, [B, K, A], within the action box, [-1, 1].
        ref_samples: reference actor's samples, [B, K, A]; no gradient flows into them.
        blur: a length in an action box that reaches from -1 to 1.
        solver: `fused` (pogo's own), `library` (OTT here, GeomLoss in torch), `exact` (the W2^2 of the samples
            themselves, by assignment: e = 0), or `ott`, as it is published and not converged.
        name: what errors call the current actor.
        ref_name: what errors call the reference actor.
        library: what `ott` is told; none: its defaults.

    Returns:
        [B], in action units squared: no root taken, not averaged over the batch.

    Raises:
        BadInput: shapes, dtypes, K or blur are not what is needed.
    """
    check_samples(
        samples.shape,
        ref_samples.shape,
        samples.dtype.name,
        ref_samples.dtype.name,
        name,
        ref_name,
    )
    check_divergence(blur, solver)
    if solver not in _SOLVERS:
        raise BadInput(f"w2.solver={solver} is not of this backend, which has {', '.join(sorted(_SOLVERS))}.")
    return _divergence(samples, stop_gradient(ref_samples), blur, solver, library or LibrarySettings())


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3, 4))
def _divergence(samples: Array, ref_samples: Array, blur: float, solver: Solver, library: LibrarySettings) -> Array:
    """The gradient is computed beside the value, and only scaled on the way back."""
    return _SOLVERS[solver](samples, ref_samples, blur, library)[0]


def _divergence_forward(
    samples: Array, ref_samples: Array, blur: float, solver: Solver, library: LibrarySettings
) -> tuple[Array, Array]:
    return _SOLVERS[solver](samples, ref_samples, blur, library)


def _divergence_backward(
    blur: float, solver: Solver, library: LibrarySettings, gradient: Array, cotangents: Array
) -> tuple[Array, Array]:
    return cotangents[:, None, None] * gradient, jnp.zeros_like(gradient)


_divergence.defvjp(_divergence_forward, _divergence_backward)  # pyright: ignore[reportFunctionMemberAccess]


@functools.partial(jax.jit, static_argnames=("blur",))
def _assignment(samples: Array, ref_samples: Array, blur: float) -> tuple[Array, Array]:
    """W2^2 between the clouds, [B], and its gradient in `samples`: the cheapest pairing, averaged over its pairs."""
    num_samples = samples.shape[1]
    points, ref_points = samples.transpose(1, 2, 0), ref_samples.transpose(1, 2, 0)
    costs = jnp.square(points[:, None] - ref_points).sum(axis=2)  # [K, K, B]
    partners = best_assignment(costs)[0].T if num_samples <= MAX_PERMUTED_SAMPLES else _solve_assignments(costs)
    offsets = samples - jnp.take_along_axis(ref_samples, partners[:, :, None], axis=1)
    return jnp.square(offsets).sum(axis=(1, 2)) / num_samples, 2 / num_samples * offsets


def _solve_assignments(costs: Array) -> Array:
    """Each state's cheapest pairing, [K, K, B] -> [B, K]."""
    import optax  # slow to import, and only this solver needs it

    def solve(cost: Array) -> Array:
        rows, columns = optax.assignment.hungarian_algorithm(cost)
        return jnp.zeros_like(columns).at[rows].set(columns)  # pairs come in the order of the columns

    return jax.vmap(solve, in_axes=2)(costs)


def _check_one_shape(function: str, axes: str, ndim: int, **arrays: Array) -> None:
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    first = next(iter(shapes.values()))
    if len(first) != ndim or any(shape != first for shape in shapes.values()):  # broadcasting would hide a wrong batch
        raise BadInput(f"{function} needs arrays of one shape {axes}, got {shapes}.")


def _without_settings(solver: Callable[..., tuple[Array, Array]]) -> Callable[..., tuple[Array, Array]]:
    """A solver of pogo's own, which a library's settings say nothing to."""
    return lambda samples, ref_samples, blur, _: solver(samples, ref_samples, blur)


_SOLVERS = {
    "fused": _without_settings(fused_divergence),
    "library": _without_settings(library_divergence),
    "exact": _without_settings(_assignment),
    "ott": plain_divergence,
}
