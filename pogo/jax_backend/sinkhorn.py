"""pogo's own solver of the Sinkhorn divergence in JAX. Twin: pogo/torch_backend/sinkhorn.py.

Inside, the batch is the trailing axis, so that every loop runs along it. Costs and potentials are in units of the
current temperature, which falls by powers of two, so that changing units is exact.
"""

import functools
import itertools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pogo.core.problem.w2 import MAX_PERMUTED_SAMPLES, SinkhornSchedule, sinkhorn_schedule

Transport = Callable[[Array, SinkhornSchedule], tuple[Array, Array]]

# Conductance to ground of every node of the Newton system. Modes that are coupled more weakly than this carry no mass
# worth moving, and in float32 their residual is rounding.
_RIDGE = 1e-7
_WEAKEST = 1e-14  # conductance that every two nodes have beside: far below the ridge
_TINY = 1e-20
_FARTHEST = 40.0  # in units of epsilon: exp(-40) is nothing beside 1
_MUCH_TIGHTER = 64.0  # ratio of squared radii
_MAX_WRITTEN_OUT = 32  # of terms
_MAX_BROADCAST = 8  # of K: above, a product of matrices beats the K^3 terms written out


# Compiled here so that calls outside a compiled function do not trace the loops anew.
@functools.partial(jax.jit, static_argnames=("blur",))
def fused_divergence(samples: Array, ref_samples: Array, blur: float) -> tuple[Array, Array]:
    """Debiased Sinkhorn divergence between clouds, [B], and its gradient in `samples`, [B, K, A].

    S = OT_e(x, y) - OT_e(x, x)/2 - OT_e(y, y)/2, OT_e(x, y) = min_P <P, C> + e KL(P | uniform) with uniform
    marginals, C_ij = |x_i - y_j|^2, e = 2 blur^2 (Feydy et al., arXiv:1810.08278, equation 3). By the
    envelope theorem grad_i = 2 sum_j P_ij (x_i - y_j) - Q_ij (x_i - x_j), P and Q the optimal plans of (x, y), (x, x).

    Args:
        samples: x, [B, K, A], in action units.
        ref_samples: y, [B, K, A].
        blur: a length in an action box that reaches from -1 to 1.
    """
    schedule = sinkhorn_schedule(samples.shape[1], samples.shape[2], blur)
    return divergence(samples, ref_samples, schedule, _transport, _self_transport)


def divergence(
    samples: Array, ref_samples: Array, schedule: SinkhornSchedule, transport: Transport, self_transport: Transport
) -> tuple[Array, Array]:
    """What `fused_divergence` returns, from solvers of its problems.

    Args:
        samples: x, [B, K, A], in action units.
        ref_samples: y, [B, K, A].
        schedule: holds epsilon.
        transport: (costs in units of epsilon [K, K, B], schedule) -> shares [K, B] whose mean is the entropic cost but
            for its constant log K, and K times the optimal plan, [K, K, B].
        self_transport: the same for clouds against themselves, [K, K, 2, B].
    """
    epsilon, num_samples = schedule.epsilon, samples.shape[1]
    points, ref_points = samples.transpose(1, 2, 0), ref_samples.transpose(1, 2, 0)
    cross = points[:, None] - ref_points  # [K, K, A, B]
    shift = (points - ref_points).mean(axis=0)
    costs, constants = _centred_costs(points, ref_points, cross - shift)
    both = jnp.stack([points, ref_points], axis=2)  # [K, A, 2, B]
    within = both[:, None] - both
    self_costs = _total(jnp.square(within), 2) / epsilon  # [K, K, 2, B]

    cross_shares, plan = transport(costs / epsilon, schedule)
    self_shares, self_plans = self_transport(self_costs, schedule)
    # Subtracted before they are averaged: for near clouds little of them is left, to the last digits of float32.
    shares = cross_shares - self_shares.mean(axis=1)
    values = jnp.square(shift).sum(axis=0) + constants + epsilon * shares.mean(axis=0)
    gradient = _total(plan[:, :, None] * cross - self_plans[:, :, :1] * within[:, :, :, 0], 1)
    gradient = (2 / num_samples) * gradient.transpose(2, 0, 1)
    # Equal clouds are at distance 0, to the last bit: an optimizer that divides by its own moments would make a step
    # of rounding.
    differs = (samples != ref_samples).any(axis=(1, 2))
    return values * differs, gradient * differs[:, None, None]


def _centred_costs(points: Array, ref_points: Array, centred_cross: Array) -> tuple[Array, Array]:
    """Costs [K, K, B] between clouds [K, A, B], and what a plan's cost is beside them, [B], but for the means' shift.

    |x - y|^2 is the shift of the means and the centred clouds: nothing large cancels for tight clouds far apart. Where
    one cloud is much tighter than the other, |x|^2 and |y|^2 of the centred points are left out: constants of rows and
    columns, which no plan depends on, and beside which float32 loses what tells the tight cloud's points apart.
    """
    centred, ref_centred = points - points.mean(axis=0), ref_points - ref_points.mean(axis=0)
    squares, ref_squares = _total(jnp.square(centred), 1), _total(jnp.square(ref_centred), 1)
    widest, ref_widest = squares.max(axis=0), ref_squares.max(axis=0)
    is_tight = _MUCH_TIGHTER * jnp.minimum(widest, ref_widest) < jnp.maximum(widest, ref_widest)
    products = _total(centred[:, None] * ref_centred, 2)
    costs = jnp.where(is_tight, -2.0 * products, _total(jnp.square(centred_cross), 2))
    return costs, (squares + ref_squares).mean(axis=0) * is_tight


def _transport(costs: Array, schedule: SinkhornSchedule) -> tuple[Array, Array]:
    """The `transport` of `divergence`.

    Newton's method on the semi-dual in the column potentials, from the potentials of the best assignment where
    permutations are few and else down the temperatures. Alternating updates need thousands of iterations where two
    assignments are nearly tied and weakly coupled.
    """
    if costs.shape[0] <= MAX_PERMUTED_SAMPLES:
        return _transport_from_assignment(costs, schedule)

    def anneal(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        scaled_costs, potentials = carry
        return 2 * scaled_costs, 2 * _newton_steps(scaled_costs, potentials, schedule.following_steps)

    start = (costs * 2.0**-schedule.halvings, jnp.zeros_like(costs[0]))
    _, potentials = jax.lax.fori_loop(0, schedule.halvings, anneal, start)
    absorbed, costs, potentials = absorb(costs, potentials, schedule)
    shares, plan = dual_shares_and_plan(costs, _newton_steps(costs, potentials, schedule.newton_steps))
    return absorbed + shares, plan


def _transport_from_assignment(costs: Array, schedule: SinkhornSchedule) -> tuple[Array, Array]:
    """`_transport` from the zero-temperature optimum: row r(j) is paired with column j.

    detours[j, k] is what it costs the partner of column j, all told, to be served by column k instead. Potentials are
    optimal at zero temperature where g_k - g_j <= detours[j, k]; halfway between the bounds from either side, on
    average over j, is within a few epsilon of the optimum at epsilon wherever the coupling matters.
    """
    num_samples = costs.shape[0]
    partners, rows = best_assignment(costs)
    paired = jnp.take_along_axis(costs, rows[:, None], axis=0)  # row j is now the one paired with column j
    pair_costs = jnp.diagonal(paired).T
    direct = paired - pair_costs[:, None]
    detours = direct
    for _ in range(math.ceil(math.log2(num_samples - 1))):
        detours = -_largest(-(detours[:, :, None] + detours), 1)
    columns = (detours - detours.transpose(1, 0, 2)).mean(axis=0) / 2
    # What is left once these potentials are absorbed is of the size of epsilon where a plan has mass, so that float32
    # resolves the plan and the value however large the costs are.
    reduced = direct + (columns[:, None] - columns)
    potentials = _newton_steps(reduced, jnp.zeros_like(columns), schedule.newton_steps)
    shares, plan = dual_shares_and_plan(reduced, potentials)
    return pair_costs.mean(axis=0) + shares, jnp.take_along_axis(plan, partners[:, None], axis=0)


def absorb(costs: Array, potentials: Array, schedule: SinkhornSchedule) -> tuple[Array, Array, Array]:
    """Take potentials out of costs [K, K, B]: their value [B], the costs that are left and the potentials left.

    They are rounded to a grid on which their sums are exact, and what is left is of the size of epsilon, so that
    float32 resolves the plan and the value however large the costs are.
    """
    grid = schedule.grid(jnp.finfo(costs.dtype).nmant)
    columns = jnp.round(potentials / grid) * grid
    rows = jnp.round((costs - columns).min(axis=1) / grid) * grid
    value = (rows + columns).sum(axis=0) / costs.shape[0]
    return value, costs - (rows[:, None] + columns), potentials - columns


def dual_shares_and_plan(costs: Array, potentials: Array) -> tuple[Array, Array]:
    """The dual value as shares [K, B], and the plan, of column potentials once the rows are updated.

    The row marginals are exact, and the value's error is the square of the potentials'.
    """
    logits = potentials - costs
    top = _largest(logits, 1)
    weights = jnp.exp(jnp.maximum(logits - top[:, None], -_FARTHEST))
    totals = _total(weights, 1)
    return potentials - (top + jnp.log(totals)), weights / totals[:, None]


def _newton_steps(costs: Array, potentials: Array, count: int) -> Array:
    return jax.lax.fori_loop(0, count, lambda _, potentials: _newton_step(costs, potentials), potentials)


def _newton_step(costs: Array, potentials: Array) -> Array:
    """Move the column potentials [K, B] one damped Newton step up the semi-dual.

    The Hessian is the Laplacian of a graph on the columns with conductances W = P^T P. Column 0 stays where it is; the
    others are eliminated as Grassmann, Taksar and Heyman do (Operations Research 33, 1985): no subtraction, so that
    weak couplings keep their digits in float32.
    """
    num_samples = costs.shape[0]
    _, plan = dual_shares_and_plan(costs, potentials)
    # Row j - 1 belongs to column j: its residual, its conductance to column 0, and those to columns 1, 2, ...
    residuals = 1 - _total(plan[:, 1:], 0)
    if num_samples <= _MAX_BROADCAST:
        conductances = _total(plan[:, 1:, None] * plan[:, None], 0)
    else:
        conductances = jnp.einsum("ijb,ikb->jkb", plan[:, 1:], plan, precision="highest")
    conductances = conductances + _least_conductances(num_samples, costs.dtype)
    system = jnp.concatenate([residuals[:, None], conductances], axis=1)
    if num_samples <= _MAX_BROADCAST:
        for node in range(num_samples - 2, -1, -1):
            row = system[node, : node + 2]
            solved = row / _total(row[1:], 0)
            system = (system[:, : node + 2] + system[:, node + 2][:, None] * solved).at[node].set(solved)
    else:
        system = jax.lax.fori_loop(0, num_samples - 1, _eliminate, system)
    step = jnp.concatenate([jnp.zeros_like(potentials[:1]), system[:, 0]])
    half_range = jnp.maximum((_largest(step, 0) + _largest(-step, 0)) / 2, _TINY)
    return potentials + step * (jnp.arcsinh(half_range) / half_range)  # whole near the optimum, logarithmic far off


def _eliminate(index: int, system: Array) -> Array:
    """One pass of the loop above, at full size: compiled once, where unrolled passes would take long to compile."""
    node = system.shape[0] - 1 - index
    row = jnp.where(jnp.arange(system.shape[1])[:, None] < node + 2, system[node], 0)
    solved = row / row[1:].sum(axis=0)
    return (system + system[:, node + 2][:, None] * solved).at[node].set(solved)


def _least_conductances(num_samples: int, dtype: jnp.dtype) -> Array:
    """The least conductance that a row has to column 0, and to each of the others, [K, 1]."""
    return jnp.asarray([[_RIDGE], *[[_WEAKEST]] * (num_samples - 1)], dtype=dtype)


def _self_transport(costs: Array, schedule: SinkhornSchedule) -> tuple[Array, Array]:
    """The `self_transport` of `divergence`.

    Such a kernel is positive definite with ones on its diagonal, so one potential serves both sides and two updates,
    a whole one and a half one, divide every mode's error by at least eight (modes lambda in [0, 1] of the plan are
    multiplied by -lambda and by (1 - lambda)/2). It needs no annealing and no logarithm.
    """
    kernel = jnp.exp(-jnp.minimum(costs, _FARTHEST))

    def update(_: int, scalings: Array) -> Array:
        scalings = 1 / _total(kernel * scalings, 1)
        return jnp.sqrt(scalings / _total(kernel * scalings, 1))

    scalings = jax.lax.fori_loop(0, schedule.self_updates, update, jnp.ones_like(costs[0]))
    weighted = kernel * scalings
    totals = _total(weighted, 1)
    return jnp.log(scalings / totals), weighted / totals[:, None]


def best_assignment(costs: Array) -> tuple[Array, Array]:
    """The cheapest pairing for costs [K, K, B] by trying all: each row's column and each column's row, [K, B].

    Of equally good pairings the first permutation counts.
    """
    num_samples, _, batch_size = costs.shape
    entries, columns, rows = _permutations(num_samples)
    totals = costs.reshape(num_samples**2, batch_size)[entries].sum(axis=1)  # [K!, B]
    best = totals.argmin(axis=0)
    return columns[:, best], rows[:, best]


def _permutations(num_samples: int) -> tuple[np.ndarray, Array, Array]:
    """Entries of the cost matrix that each permutation pairs, [K!, K]; columns by row and rows by column, [K, K!]."""
    columns = np.array(list(itertools.permutations(range(num_samples))))
    entries = columns + num_samples * np.arange(num_samples)
    return entries, jnp.asarray(columns.T), jnp.asarray(columns.argsort(axis=1).T)


def _total(array: Array, axis: int) -> Array:
    """Sum over a short leading axis, written out: XLA reduces such an axis ten times more slowly on a CPU."""
    if array.shape[axis] > _MAX_WRITTEN_OUT:
        return array.sum(axis=axis)
    return functools.reduce(
        jnp.add, (jax.lax.index_in_dim(array, index, axis, keepdims=False) for index in range(array.shape[axis]))
    )


def _largest(array: Array, axis: int) -> Array:
    if array.shape[axis] > _MAX_WRITTEN_OUT:
        return array.max(axis=axis)
    return functools.reduce(
        jnp.maximum, (jax.lax.index_in_dim(array, index, axis, keepdims=False) for index in range(array.shape[axis]))
    )
