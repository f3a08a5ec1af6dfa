"""pogo's own solver of the Sinkhorn divergence in torch. Twin: pogo/jax_backend/sinkhorn.py.

Inside, the batch is the trailing axis: torch reduces a trailing axis of length K slowly on a CPU. Costs and
potentials are in units of the current temperature, which falls by powers of two, so that changing units is exact.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from pogo.core.w2 import SinkhornSchedule, sinkhorn_schedule

Transport = Callable[[Tensor, SinkhornSchedule], tuple[Tensor, Tensor]]

# Conductance to ground of every node of the Newton system. Modes that are coupled more weakly than this carry no mass
# worth moving, and in float32 their residual is rounding.
_RIDGE = 1e-7
_TINY = 1e-20


def fused_divergence(samples: Tensor, ref_samples: Tensor, blur: float, max_action: float) -> tuple[Tensor, Tensor]:
    """Debiased Sinkhorn divergence between clouds, [B], and its gradient in `samples`, [B, K, A].

    S = OT_e(x, y) - OT_e(x, x)/2 - OT_e(y, y)/2, OT_e(x, y) = min_P <P, C> + e KL(P | uniform) with uniform
    marginals, C_ij = |x_i - y_j|^2, e = 2 (blur * max_action)^2 (Feydy et al., arXiv:1810.08278, equation 3). By the
    envelope theorem grad_i = 2 sum_j P_ij (x_i - y_j) - Q_ij (x_i - x_j), P and Q the optimal plans of (x, y), (x, x).

    Args:
        samples: x, [B, K, A], in action units.
        ref_samples: y, [B, K, A].
        blur: in units of max_action.
        max_action: bound of the action box.
    """
    schedule = sinkhorn_schedule(samples.shape[1], samples.shape[2], blur, max_action)
    return divergence(samples, ref_samples, schedule, _transport, _self_transport)


def divergence(
    samples: Tensor, ref_samples: Tensor, schedule: SinkhornSchedule, transport: Transport, self_transport: Transport
) -> tuple[Tensor, Tensor]:
    """What `fused_divergence` returns, from solvers of its problems.

    Args:
        samples: x, [B, K, A], in action units.
        ref_samples: y, [B, K, A].
        schedule: holds epsilon.
        transport: (costs in units of epsilon [K, K, B], schedule) -> entropic cost without its constant log K, [B],
            and K times the optimal plan, [K, K, B].
        self_transport: the same for clouds against themselves, [K, K, 2, B].
    """
    epsilon, num_samples = schedule.epsilon, samples.shape[1]
    points, ref_points = samples.permute(1, 2, 0).contiguous(), ref_samples.permute(1, 2, 0).contiguous()
    cross = points.unsqueeze(1) - ref_points  # [K, K, A, B]
    shift = (points - ref_points).mean(dim=0)
    # |x - y|^2 is the shift of the means and the centred clouds: nothing large cancels for tight clouds far apart.
    costs = (cross - shift).square().sum(dim=2) / epsilon
    both = torch.stack([points, ref_points], dim=2)  # [K, A, 2, B]
    within = both.unsqueeze(1) - both
    self_costs = within.square().sum(dim=2) / epsilon  # [K, K, 2, B]

    cross_cost, plan = transport(costs, schedule)
    self_cost, self_plans = self_transport(self_costs, schedule)
    values = shift.square().sum(dim=0) + epsilon * (cross_cost - self_cost.mean(dim=0))
    gradient = (plan.unsqueeze(2) * cross).sum(dim=1) - (self_plans[:, :, :1] * within[:, :, :, 0]).sum(dim=1)
    gradient = (2 / num_samples) * gradient.permute(2, 0, 1)
    # Equal clouds are at distance 0, to the last bit: an optimizer that divides by its own moments would make a step
    # of rounding.
    differs = (samples != ref_samples).flatten(1).any(dim=1)
    return values * differs, gradient * differs[:, None, None]


def _transport(costs: Tensor, schedule: SinkhornSchedule) -> tuple[Tensor, Tensor]:
    """The `transport` of `divergence`.

    Newton's method on the semi-dual in the column potentials g, warm-started down the temperatures. Alternating
    updates alone need thousands of iterations where two assignments are nearly tied and weakly coupled.
    """
    scale = 2.0**-schedule.halvings
    scaled_costs, potentials = costs * scale, torch.zeros_like(costs[0])
    for _ in range(schedule.halvings):
        for _ in range(schedule.following_steps):
            _newton_step(scaled_costs, potentials)
        potentials *= 2
        scaled_costs *= 2
    absorbed, costs, potentials = absorb(costs, potentials, schedule)
    for _ in range(schedule.newton_steps):
        _newton_step(costs, potentials)
    value, plan = dual_value_and_plan(costs, potentials)
    return absorbed + value, plan


def absorb(costs: Tensor, potentials: Tensor, schedule: SinkhornSchedule) -> tuple[Tensor, Tensor, Tensor]:
    """Take potentials out of costs [K, K, B]: their value [B], the reduced costs and what is left of the potentials.

    They are rounded to a grid on which their sums are exact, and what is left is of the size of epsilon, so that
    float32 resolves the plan and the value however large the costs are.
    """
    grid = schedule.grid(-round(math.log2(torch.finfo(costs.dtype).eps)))
    columns = (potentials / grid).round() * grid
    rows = ((costs - columns).amin(dim=1) / grid).round() * grid
    value = (rows + columns).sum(dim=0) / costs.shape[0]
    return value, costs - (rows.unsqueeze(1) + columns), potentials - columns


def dual_value_and_plan(costs: Tensor, potentials: Tensor) -> tuple[Tensor, Tensor]:
    """Dual value and plan of column potentials once the rows are updated: exact row marginals, errors squared."""
    logits = potentials - costs
    return (potentials - torch.logsumexp(logits, dim=1)).mean(dim=0), torch.softmax(logits, dim=1)


def _newton_step(costs: Tensor, potentials: Tensor) -> None:
    """Move the column potentials [K, B] one damped Newton step up the semi-dual, in place.

    The Hessian is the Laplacian of a graph on the columns with conductances W = P^T P; it is solved by eliminating
    nodes as Grassmann, Taksar and Heyman do (Operations Research 33, 1985): no subtraction, so that weak couplings keep
    their digits in float32. Node 0 stays where it is.
    """
    num_samples = costs.shape[0]
    plan = torch.softmax(potentials - costs, dim=1)
    system = costs.new_empty(num_samples, num_samples + 2, costs.shape[2])  # columns: residual, ground, W
    torch.sub(1, plan.sum(dim=0), out=system[:, 0])
    system[:, 1] = _RIDGE
    torch.sum(plan.unsqueeze(2) * plan.unsqueeze(1), dim=0, out=system[:, 2:])
    eliminated = []
    for node in range(num_samples - 1, 0, -1):
        row = system[node, : node + 2]
        conductance = row[1:].sum(dim=0)
        shares = row[2:] / conductance
        eliminated.append((shares, row[0] / conductance))
        system[:node, : node + 2].addcmul_(shares.unsqueeze(1), row)
    step = torch.zeros_like(potentials)
    for node, (shares, source) in enumerate(reversed(eliminated), start=1):
        torch.add(source, (shares * step[:node]).sum(dim=0), out=step[node])
    low, high = torch.aminmax(step, dim=0)
    half_range = ((high - low) / 2).clamp_min_(_TINY)
    potentials.addcmul_(step, half_range.log1p() / half_range)


def _self_transport(costs: Tensor, schedule: SinkhornSchedule) -> tuple[Tensor, Tensor]:
    """The `self_transport` of `divergence`.

    Such a kernel is positive definite with ones on its diagonal, so one potential serves both sides and two updates,
    a whole one and a half one, divide every mode's error by at least eight (modes lambda in [0, 1] of the plan are
    multiplied by -lambda and by (1 - lambda)/2). It needs no annealing and no logarithm.
    """
    kernel = torch.exp(-costs)
    scalings = torch.ones_like(costs[0])
    for _ in range(schedule.self_updates):
        scalings = (kernel * scalings).sum(dim=1).reciprocal()
        scalings = (scalings / (kernel * scalings).sum(dim=1)).sqrt()
    weighted = kernel * scalings
    totals = weighted.sum(dim=1)
    return torch.log(scalings / totals).mean(dim=0), weighted / totals.unsqueeze(1)
