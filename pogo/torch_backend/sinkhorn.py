"""pogo's own solver of the Sinkhorn divergence in torch. Twin: pogo/jax_backend/sinkhorn.py.

Inside, the batch is the trailing axis: torch reduces a trailing axis of length K slowly on a CPU. Costs and
potentials are in units of the current temperature, which falls by powers of two, so that changing units is exact.
"""

import functools
import itertools
import math
from collections.abc import Callable

import torch
from torch import Tensor

from pogo.core.problem.w2 import MAX_PERMUTED_SAMPLES, SinkhornSchedule, sinkhorn_schedule

Transport = Callable[[Tensor, SinkhornSchedule], tuple[Tensor, Tensor]]

# Conductance to ground of every node of the Newton system. Modes that are coupled more weakly than this carry no mass
# worth moving, and in float32 their residual is rounding.
_RIDGE = 1e-7
_WEAKEST = 1e-14  # conductance that every two nodes have beside: far below the ridge, and its square a normal float32
_TINY = 1e-20
# In units of epsilon: exp(-40) is nothing beside 1, and products of two are still normal float32. Denormal numbers cost
# a processor a hundred times as much.
_FARTHEST = 40.0
_MUCH_TIGHTER = 64.0  # ratio of squared radii
_MAX_BROADCAST = 8  # of K: above, a product of matrices beats the K^3 terms written out


def fused_divergence(samples: Tensor, ref_samples: Tensor, blur: float) -> tuple[Tensor, Tensor]:
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
    samples: Tensor, ref_samples: Tensor, schedule: SinkhornSchedule, transport: Transport, self_transport: Transport
) -> tuple[Tensor, Tensor]:
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
    points, ref_points = samples.permute(1, 2, 0).contiguous(), ref_samples.permute(1, 2, 0).contiguous()
    cross = points.unsqueeze(1) - ref_points  # [K, K, A, B]
    shift = (points - ref_points).mean(dim=0)
    costs, constants = _centred_costs(points, ref_points, cross - shift)
    both = torch.stack([points, ref_points], dim=2)  # [K, A, 2, B]
    within = both.unsqueeze(1) - both
    self_costs = within.square().sum(dim=2) / epsilon  # [K, K, 2, B]

    cross_shares, plan = transport(costs / epsilon, schedule)
    self_shares, self_plans = self_transport(self_costs, schedule)
    # Subtracted before they are averaged: for near clouds little of them is left, to the last digits of float32.
    shares = cross_shares - self_shares.mean(dim=1)
    values = shift.square().sum(dim=0) + constants + epsilon * shares.mean(dim=0)
    gradient = (plan.unsqueeze(2) * cross).sum(dim=1) - (self_plans[:, :, :1] * within[:, :, :, 0]).sum(dim=1)
    gradient = (2 / num_samples) * gradient.permute(2, 0, 1)
    # Equal clouds are at distance 0, to the last bit: an optimizer that divides by its own moments would make a step
    # of rounding.
    differs = (samples != ref_samples).flatten(1).any(dim=1)
    return values * differs, gradient * differs[:, None, None]


def _centred_costs(points: Tensor, ref_points: Tensor, centred_cross: Tensor) -> tuple[Tensor, Tensor]:
    """Costs [K, K, B] between clouds [K, A, B], and what a plan's cost is beside them, [B], but for the means' shift.

    |x - y|^2 is the shift of the means and the centred clouds: nothing large cancels for tight clouds far apart. Where
    one cloud is much tighter than the other, |x|^2 and |y|^2 of the centred points are left out: constants of rows and
    columns, which no plan depends on, and beside which float32 loses what tells the tight cloud's points apart.
    """
    centred, ref_centred = points - points.mean(dim=0), ref_points - ref_points.mean(dim=0)
    squares, ref_squares = centred.square().sum(dim=1), ref_centred.square().sum(dim=1)
    widest, ref_widest = squares.amax(dim=0), ref_squares.amax(dim=0)
    is_tight = _MUCH_TIGHTER * torch.minimum(widest, ref_widest) < torch.maximum(widest, ref_widest)
    products = (centred.unsqueeze(1) * ref_centred).sum(dim=2)
    costs = torch.where(is_tight, -2.0 * products, centred_cross.square().sum(dim=2))
    return costs, (squares + ref_squares).mean(dim=0) * is_tight


def _transport(costs: Tensor, schedule: SinkhornSchedule) -> tuple[Tensor, Tensor]:
    """The `transport` of `divergence`.

    Newton's method on the semi-dual in the column potentials, from the potentials of the best assignment where
    permutations are few and else down the temperatures. Alternating updates need thousands of iterations where two
    assignments are nearly tied and weakly coupled.
    """
    if costs.shape[0] <= MAX_PERMUTED_SAMPLES:
        return _transport_from_assignment(costs, schedule)
    scaled_costs, potentials = costs * 2.0**-schedule.halvings, torch.zeros_like(costs[0])
    for _ in range(schedule.halvings):
        for _ in range(schedule.following_steps):
            _newton_step(scaled_costs, potentials)
        potentials *= 2
        scaled_costs *= 2
    absorbed, costs, potentials = absorb(costs, potentials, schedule)
    for _ in range(schedule.newton_steps):
        _newton_step(costs, potentials)
    shares, plan = dual_shares_and_plan(costs, potentials)
    return absorbed + shares, plan


def _transport_from_assignment(costs: Tensor, schedule: SinkhornSchedule) -> tuple[Tensor, Tensor]:
    """`_transport` from the zero-temperature optimum: row r(j) is paired with column j.

    detours[j, k] is what it costs the partner of column j, all told, to be served by column k instead. Potentials are
    optimal at zero temperature where g_k - g_j <= detours[j, k]; halfway between the bounds from either side, on
    average over j, is within a few epsilon of the optimum at epsilon wherever the coupling matters.
    """
    num_samples = costs.shape[0]
    partners, rows = best_assignment(costs)
    paired = costs.gather(0, rows.unsqueeze(1).expand_as(costs))  # row j is now the one paired with column j
    pair_costs = paired.diagonal().mT
    direct = paired - pair_costs.unsqueeze(1)
    detours = direct
    for _ in range(math.ceil(math.log2(num_samples - 1))):
        detours = (detours.unsqueeze(2) + detours).amin(dim=1)
    columns = (detours - detours.transpose(0, 1)).mean(dim=0) / 2
    # What is left once these potentials are absorbed is of the size of epsilon where a plan has mass, so that float32
    # resolves the plan and the value however large the costs are.
    reduced = direct + (columns.unsqueeze(1) - columns)
    potentials = torch.zeros_like(columns)
    for _ in range(schedule.newton_steps):
        _newton_step(reduced, potentials)
    shares, plan = dual_shares_and_plan(reduced, potentials)
    return pair_costs.mean(dim=0) + shares, plan.gather(0, partners.unsqueeze(1).expand_as(plan))


def absorb(costs: Tensor, potentials: Tensor, schedule: SinkhornSchedule) -> tuple[Tensor, Tensor, Tensor]:
    """Take potentials out of costs [K, K, B]: their value [B], the costs that are left and the potentials left.

    They are rounded to a grid on which their sums are exact, and what is left is of the size of epsilon, so that
    float32 resolves the plan and the value however large the costs are.
    """
    grid = schedule.grid(-round(math.log2(torch.finfo(costs.dtype).eps)))
    columns = (potentials / grid).round() * grid
    rows = ((costs - columns).amin(dim=1) / grid).round() * grid
    value = (rows + columns).sum(dim=0) / costs.shape[0]
    return value, costs - (rows.unsqueeze(1) + columns), potentials - columns


def dual_shares_and_plan(costs: Tensor, potentials: Tensor) -> tuple[Tensor, Tensor]:
    """The dual value as shares [K, B], and the plan, of column potentials once the rows are updated.

    The row marginals are exact, and the value's error is the square of the potentials'.
    """
    top, weights, totals = _row_weights(costs, potentials)
    return potentials - (top + torch.log(totals)).squeeze(1), weights / totals


def _row_weights(costs: Tensor, potentials: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Softmax over columns in three parts: largest logit [K, 1, B], exp(logits - largest), and their sums [K, 1, B]."""
    logits = potentials - costs
    top = logits.amax(dim=1, keepdim=True)
    weights = logits.sub_(top).clamp_min_(-_FARTHEST).exp_()
    return top, weights, weights.sum(dim=1, keepdim=True)


def _newton_step(costs: Tensor, potentials: Tensor) -> None:
    """Move the column potentials [K, B] one damped Newton step up the semi-dual, in place.

    The Hessian is the Laplacian of a graph on the columns with conductances W = P^T P. Column 0 stays where it is; the
    others are eliminated as Grassmann, Taksar and Heyman do (Operations Research 33, 1985): no subtraction, so that
    weak couplings keep their digits in float32.
    """
    num_samples = costs.shape[0]
    _, weights, totals = _row_weights(costs, potentials)
    plan = weights / totals
    # Row j - 1 belongs to column j: its residual, its conductance to column 0, and those to columns 1, 2, ...
    residuals = 1 - plan[:, 1:].sum(dim=0)
    if num_samples <= _MAX_BROADCAST:
        conductances = (plan[:, 1:].unsqueeze(2) * plan.unsqueeze(1)).sum(dim=0)
    else:
        batched = plan.permute(2, 0, 1).contiguous()
        conductances = (batched.mT @ batched)[:, 1:].permute(1, 2, 0)
    conductances = conductances + _least_conductances(num_samples, costs.dtype, costs.device)
    system = torch.cat([residuals.unsqueeze(1), conductances], dim=1)
    for node in range(num_samples - 2, -1, -1):
        row = system[node, : node + 2]
        solved = row / row[1:].sum(dim=0)
        system[:, : node + 2].addcmul_(system[:, node + 2].unsqueeze(1), solved)
        system[node, : node + 2] = solved
    step = torch.zeros_like(potentials)
    step[1:] = system[:, 0]
    low, high = torch.aminmax(step, dim=0)
    half_range = ((high - low) / 2).clamp_min_(_TINY)
    potentials.addcmul_(step, half_range.asinh() / half_range)  # whole steps near the optimum, logarithmic ones far off


@functools.cache  # as `_permutations`
def _least_conductances(num_samples: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """The least conductance that a row has to column 0, and to each of the others, [K, 1]."""
    return torch.tensor([[_RIDGE], *[[_WEAKEST]] * (num_samples - 1)], dtype=dtype).to(device)


def _self_transport(costs: Tensor, schedule: SinkhornSchedule) -> tuple[Tensor, Tensor]:
    """The `self_transport` of `divergence`.

    Such a kernel is positive definite with ones on its diagonal, so one potential serves both sides and two updates,
    a whole one and a half one, divide every mode's error by at least eight (modes lambda in [0, 1] of the plan are
    multiplied by -lambda and by (1 - lambda)/2). It needs no annealing and no logarithm.
    """
    kernel = torch.exp(-costs.clamp_max(_FARTHEST))
    scalings = torch.ones_like(costs[0])
    for _ in range(schedule.self_updates):
        scalings = (kernel * scalings).sum(dim=1).reciprocal()
        scalings = (scalings / (kernel * scalings).sum(dim=1)).sqrt()
    weighted = kernel * scalings
    totals = weighted.sum(dim=1)
    return torch.log(scalings / totals), weighted / totals.unsqueeze(1)


def best_assignment(costs: Tensor) -> tuple[Tensor, Tensor]:
    """The cheapest pairing for costs [K, K, B] by trying all: each row's column and each column's row, [K, B].

    Of equally good pairings the first permutation counts.
    """
    num_samples, _, batch_size = costs.shape
    entries, columns, rows = _permutations(num_samples, costs.device)
    chosen = costs.reshape(num_samples**2, batch_size).index_select(0, entries.flatten())
    totals = chosen.unflatten(0, entries.shape).sum(dim=1)  # [K!, B]
    best = totals.min(dim=0).indices  # the first, as argmin, which is slow along a leading axis
    return columns.index_select(1, best), rows.index_select(1, best)


@functools.cache  # constants of the device: copying them there anew would stop a CUDA graph's capture
def _permutations(num_samples: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """Entries of the cost matrix that each permutation pairs, [K!, K]; columns by row and rows by column, [K, K!]."""
    columns = torch.tensor(list(itertools.permutations(range(num_samples))))
    entries = columns + num_samples * torch.arange(num_samples)
    return entries.to(device), columns.mT.contiguous().to(device), columns.argsort(dim=1).mT.contiguous().to(device)
