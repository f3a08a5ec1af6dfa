"""The Sinkhorn divergence by OTT, set to converge or as published.

Twin: pogo/torch_backend/libraries.py, by GeomLoss.
"""

import functools
import math

import jax
import jax.numpy as jnp
from jax import Array

from pogo.core.problem.w2 import LibrarySettings, SinkhornSchedule, library_decay, sinkhorn_schedule
from pogo.jax_backend.sinkhorn import absorb, divergence, dual_shares_and_plan

_UPDATES_AT_EPSILON = 2000
_OVER_RELAXED = 1.8  # speeds the slowest modes up nine times
_SELF_UPDATES = 40  # each halves the error


@functools.partial(jax.jit, static_argnames=("blur",))
def library_divergence(samples: Array, ref_samples: Array, blur: float) -> tuple[Array, Array]:
    """Debiased Sinkhorn divergence between clouds, [B], and its gradient in `samples`, [B, K, A].

    OTT takes the full cost and epsilon itself. It cools by a fixed ratio with one update per temperature, so it
    converges only where it cools slowly. What float32 potentials of the size of the costs leave unsolved, a second call
    solves on costs that have absorbed them; the cost is taken there too.
    """
    schedule = sinkhorn_schedule(samples.shape[1], samples.shape[2], blur)
    return divergence(samples, ref_samples, schedule, _transport, _self_transport)


@functools.partial(jax.jit, static_argnames=("blur", "settings"))
def plain_divergence(samples: Array, ref_samples: Array, blur: float, settings: LibrarySettings) -> tuple[Array, Array]:
    """The same as the library gives it by itself, [B], and its own gradient, [B, K, A]; not converged.

    It is `sinkhorn_divergence(PointCloud, x, y, epsilon=...)` at OTT's default threshold and iterations.
    """
    from ott.geometry.epsilon_scheduler import Epsilon
    from ott.geometry.pointcloud import PointCloud
    from ott.tools.sinkhorn_divergence import sinkhorn_divergence

    epsilon = Epsilon(2 * blur**2, init=settings.epsilon_init, decay=settings.epsilon_decay)

    def of_state(points: Array, ref_points: Array) -> Array:
        return sinkhorn_divergence(PointCloud, points, ref_points, epsilon=epsilon)[0]

    return jax.vmap(jax.value_and_grad(of_state))(samples, ref_samples)


def _transport(costs: Array, schedule: SinkhornSchedule) -> tuple[Array, Array]:
    decay = math.sqrt(library_decay(costs.shape[0]))  # half as fast as GeomLoss, whose updates are averages
    start = 4 * 2.0**schedule.halvings  # the cost's diameter
    cooling = math.ceil(math.log(start) / -math.log(decay))
    potentials = _column_potentials(costs, jnp.zeros_like(costs[0]), start, decay, cooling)
    absorbed, costs, potentials = absorb(costs, potentials, schedule)
    potentials = _column_potentials(costs, potentials, 1.0, 1.0, _UPDATES_AT_EPSILON, _OVER_RELAXED)
    shares, plan = dual_shares_and_plan(costs, potentials)
    return absorbed + shares, plan


def _self_transport(costs: Array, schedule: SinkhornSchedule) -> tuple[Array, Array]:
    def solve(costs: Array) -> Array:
        return _column_potentials(costs, jnp.zeros_like(costs[0]), 1.0, 1.0, _SELF_UPDATES, 0.5, symmetric=True)

    return dual_shares_and_plan(costs, jax.vmap(solve, in_axes=2, out_axes=1)(costs))


def _column_potentials(
    costs: Array,
    potentials: Array,
    start: float,
    decay: float,
    iterations: int,
    weight: float = 1.0,
    symmetric: bool = False,
) -> Array:
    """OTT's g, [K, B], for costs [K, K, B] in units of epsilon, from the g given; `weight` is of each new potential."""
    # Slow to import, and only this solver needs them.
    from ott.geometry.epsilon_scheduler import Epsilon
    from ott.geometry.geometry import Geometry
    from ott.problems.linear.linear_problem import LinearProblem
    from ott.solvers.linear.acceleration import Momentum
    from ott.solvers.linear.sinkhorn import Sinkhorn

    solver = Sinkhorn(
        threshold=0.0,
        inner_iterations=iterations,  # looks at no error before the last, and so always takes all of them
        min_iterations=iterations,
        max_iterations=iterations,
        lse_mode=True,
        momentum=Momentum(value=weight),
        parallel_dual_updates=symmetric,
        use_danskin=True,
    )

    def solve(cost: Array, potential: Array) -> Array:
        geometry = Geometry(cost_matrix=cost, epsilon=Epsilon(target=1.0, init=start, decay=decay))
        return solver(LinearProblem(geometry), init=(jnp.zeros_like(potential), potential)).g

    return jax.vmap(solve, in_axes=(2, 1), out_axes=1)(costs, potentials)
