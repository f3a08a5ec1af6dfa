"""pogo's own solver of the Sinkhorn divergence in JAX. Twin: pogo/torch_backend/sinkhorn.py.

Inside, the batch is the trailing axis, so that every loop runs along it. Costs and potentials are in units of the
current temperature, which falls by powers of two, so that changing units is exact.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import Array

from pogo.core.w2 import SinkhornSchedule, sinkhorn_schedule

Transport = Callable[[Array, SinkhornSchedule], tuple[Array, Array]]

# Conductance to ground of every node of the Newton system. Modes that are coupled more weakly than this carry no mass
# worth moving, and in float32 their residual is rounding.
_RIDGE = 1e-7
_TINY = 1e-20
_MAX_UNROLLED = 8  # larger systems are eliminated in a loop: an unrolled one would take long to compile


def fused_divergence(samples: Array, ref_samples: Array, blur: float, max_action: float) -> tuple[Array, Array]:
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
    samples: Array, ref_samples: Array, schedule: SinkhornSchedule, transport: Transport, self_transport: Transport
) -> tuple[Array, Array]:
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
    points, ref_points = samples.transpose(1, 2, 0), ref_samples.transpose(1, 2, 0)
    cross = points[:, None] - ref_points  # [K, K, A, B]
    shift = (points - ref_points).mean(axis=0)
    # |x - y|^2 is the shift of the means and the centred clouds: nothing large cancels for tight clouds far apart.
    costs = jnp.square(cross - shift).sum(axis=2) / epsilon
    both = jnp.stack([points, ref_points], axis=2)  # [K, A, 2, B]
    within = both[:, None] - both
    self_costs = jnp.square(within).sum(axis=2) / epsilon  # [K, K, 2, B]

    cross_cost, plan = transport(costs, schedule)
    self_cost, self_plans = self_transport(self_costs, schedule)
    values = jnp.square(shift).sum(axis=0) + epsilon * (cross_cost - self_cost.mean(axis=0))
    gradient = (plan[:, :, None] * cross).sum(axis=1) - (self_plans[:, :, :1] * within[:, :, :, 0]).sum(axis=1)
    gradient = (2 / num_samples) * gradient.transpose(2, 0, 1)
    # Equal clouds are at distance 0, to the last bit: an optimizer that divides by its own moments would make a step
    # of rounding.
    differs = (samples != ref_samples).any(axis=(1, 2))
    return values * differs, gradient * differs[:, None, None]


def _transport(costs: Array, schedule: SinkhornSchedule) -> tuple[Array, Array]:
    """The `transport` of `divergence`.

    Newton's method on the semi-dual in the column potentials g, warm-started down the temperatures. Alternating
    updates alone need thousands of iterations where two assignments are nearly tied and weakly coupled.
    """
    scale = 2.0**-schedule.halvings

    def anneal(_: int, carry: tuple[Array, Array]) -> tuple[Array, Array]:
        scaled_costs, potentials = carry
        for _ in range(schedule.following_steps):
            potentials = _newton_step(scaled_costs, potentials)
        return 2 * scaled_costs, 2 * potentials

    _, potentials = jax.lax.fori_loop(0, schedule.halvings, anneal, (costs * scale, jnp.zeros_like(costs[0])))
    absorbed, costs, potentials = absorb(costs, potentials, schedule)
    potentials = jax.lax.fori_loop(
        0, schedule.newton_steps, lambda _, potentials: _newton_step(costs, potentials), potentials
    )
    value, plan = dual_value_and_plan(costs, potentials)
    return absorbed + value, plan


def absorb(costs: Array, potentials: Array, schedule: SinkhornSchedule) -> tuple[Array, Array, Array]:
    """Take potentials out of costs [K, K, B]: their value [B], the reduced costs and what is left of the potentials.

    They are rounded to a grid on which their sums are exact, and what is left is of the size of epsilon, so that
    float32 resolves the plan and the value however large the costs are.
    """
    grid = schedule.grid(jnp.finfo(costs.dtype).nmant)
    columns = jnp.round(potentials / grid) * grid
    rows = jnp.round((costs - columns).min(axis=1) / grid) * grid
    value = (rows + columns).sum(axis=0) / costs.shape[0]
    return value, costs - (rows[:, None] + columns), potentials - columns


def dual_value_and_plan(costs: Array, potentials: Array) -> tuple[Array, Array]:
    """Dual value and plan of column potentials once the rows are updated: exact row marginals, errors squared."""
    logits = potentials - costs
    return (potentials - jax.nn.logsumexp(logits, axis=1)).mean(axis=0), jax.nn.softmax(logits, axis=1)


def _newton_step(costs: Array, potentials: Array) -> Array:
    """Move the column potentials [K, B] one damped Newton step up the semi-dual.

    The Hessian is the Laplacian of a graph on the columns with conductances W = P^T P; it is solved by eliminating
    nodes as Grassmann, Taksar and Heyman do (Operations Research 33, 1985): no subtraction, so that weak couplings keep
    their digits in float32. Node 0 stays where it is.
    """
    plan = jax.nn.softmax(potentials - costs, axis=1)
    residual = 1 - plan.sum(axis=0)
    ground = jnp.full_like(residual, _RIDGE)
    if costs.shape[0] <= _MAX_UNROLLED:
        conductances = (plan[:, :, None] * plan[:, None]).sum(axis=0)
        step = _eliminate(jnp.concatenate([residual[:, None], ground[:, None], conductances], axis=1))
    else:
        conductances = jnp.einsum("ijb,ikb->jkb", plan, plan, precision="highest")
        step = _eliminate_in_loop(jnp.concatenate([residual[:, None], ground[:, None], conductances], axis=1))
    half_range = jnp.maximum((step.max(axis=0) - step.min(axis=0)) / 2, _TINY)
    return potentials + step * (jnp.log1p(half_range) / half_range)


def _eliminate(system: Array) -> Array:
    num_samples = system.shape[0]
    eliminated = []
    for node in range(num_samples - 1, 0, -1):
        row = system[node, : node + 2]
        conductance = row[1:].sum(axis=0)
        shares = row[2:] / conductance
        eliminated.append((shares, row[0] / conductance))
        system = system[:node, : node + 2] + shares[:, None] * row
    step = [jnp.zeros_like(system[0, 0])]
    for shares, source in reversed(eliminated):
        step.append(source + sum(share * before for share, before in zip(shares, step, strict=True)))
    return jnp.stack(step)


def _eliminate_in_loop(system: Array) -> Array:
    """`_eliminate` with every node's arrays at full size, masked to the nodes that are left."""
    num_samples = system.shape[0]
    nodes = jnp.arange(num_samples)[:, None]

    def forward(index: int, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        system, all_shares, sources = carry
        node = num_samples - 1 - index
        row = system[node]
        conductances = jnp.where(nodes < node, row[2:], 0)
        conductance = row[1] + conductances.sum(axis=0)
        shares = conductances / conductance
        system = system + shares[:, None] * row
        return system, all_shares.at[node].set(shares), sources.at[node].set(row[0] / conductance)

    zeros = jnp.zeros_like(system[:, 0])
    _, all_shares, sources = jax.lax.fori_loop(
        0, num_samples - 1, forward, (system, jnp.zeros_like(system[:, 2:]), zeros)
    )
    return jax.lax.fori_loop(
        1,
        num_samples,
        lambda node, step: step.at[node].set(sources[node] + (all_shares[node] * step).sum(axis=0)),
        zeros,
    )


def _self_transport(costs: Array, schedule: SinkhornSchedule) -> tuple[Array, Array]:
    """The `self_transport` of `divergence`.

    Such a kernel is positive definite with ones on its diagonal, so one potential serves both sides and two updates,
    a whole one and a half one, divide every mode's error by at least eight (modes lambda in [0, 1] of the plan are
    multiplied by -lambda and by (1 - lambda)/2). It needs no annealing and no logarithm.
    """
    kernel = jnp.exp(-costs)

    def update(_: int, scalings: Array) -> Array:
        scalings = 1 / (kernel * scalings).sum(axis=1)
        return jnp.sqrt(scalings / (kernel * scalings).sum(axis=1))

    scalings = jax.lax.fori_loop(0, schedule.self_updates, update, jnp.ones_like(costs[0]))
    weighted = kernel * scalings
    totals = weighted.sum(axis=1)
    return jnp.log(scalings / totals).mean(axis=0), weighted / totals[:, None]
