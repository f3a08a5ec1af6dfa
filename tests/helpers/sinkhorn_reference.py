"""What the Sinkhorn divergence is, in float64 numpy, and the clouds that are hard for solvers of it.

A plan of the form exp((f_i + g_j - C_ij)/e)/K^2 whose marginals are uniform is *the* optimum, however it was found: the
residual of the marginals certifies each answer here, so nothing is owed to the way it is found.
"""

from dataclasses import dataclass

import numpy as np

Clouds = tuple[np.ndarray, np.ndarray]

VALUE_BOUND = 1e-3  # relative to max(value, 1e-3 e), on every state
GRADIENT_BOUND = 2e-2  # relative to max(|gradient|, 1e-3 sqrt(e)), on every state
_RIDGE = 1e-13
_RESIDUAL = 1e-10


@dataclass(frozen=True)
class Reference:
    """Values [B] and gradients [B, K, A] of the converged divergence, and the largest marginal residual, K times."""

    values: np.ndarray
    gradient: np.ndarray
    residual: float


def epsilon_of(blur: float) -> float:
    return 2 * blur**2


def reference_divergence(x: np.ndarray, y: np.ndarray, blur: float) -> Reference:
    """S(x, y) and its gradient in x, for clouds [B, K, A]."""
    x, y, epsilon = x.astype(np.float64), y.astype(np.float64), epsilon_of(blur)
    cross, plan, residual = entropic_transport(squared_distances(x, y), epsilon)
    own, own_plan, own_residual = entropic_transport(squared_distances(x, x), epsilon)
    other, _, other_residual = entropic_transport(squared_distances(y, y), epsilon)
    gradient = 2 * (plan.sum(axis=2) - own_plan.sum(axis=2))[:, :, None] * x + 2 * (own_plan @ x - plan @ y)
    return Reference(cross - own / 2 - other / 2, gradient, max(residual, own_residual, other_residual))


def entropic_transport(costs: np.ndarray, epsilon: float) -> tuple[np.ndarray, np.ndarray, float]:
    """min_P <P, C> + e KL(P | uniform), the plan and the residual, by Newton's method down the temperatures."""
    temperature = max(float(costs.max()), epsilon)
    potentials = np.zeros_like(costs[:, 0])
    while temperature > epsilon:
        for _ in range(5):
            potentials = _newton_step(costs, potentials, temperature)
        temperature = max(temperature / 1.5, epsilon)
    plan, rows, residual = _plan(costs, potentials, epsilon)
    for _ in range(200):
        if residual < _RESIDUAL:
            break
        potentials = _newton_step(costs, potentials, epsilon)
        plan, rows, residual = _plan(costs, potentials, epsilon)
    return rows.mean(axis=1) + potentials.mean(axis=1), plan, residual


def squared_distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.square(x[:, :, None] - y[:, None]).sum(axis=-1)


def value_errors(values: np.ndarray, reference: Reference, epsilon: float) -> np.ndarray:
    """|difference| / max(value, 1e-3 e), [B]."""
    return np.abs(values - reference.values) / np.maximum(reference.values, 1e-3 * epsilon)


def gradient_errors(gradient: np.ndarray, reference: Reference, epsilon: float) -> np.ndarray:
    """|difference| / max(|gradient|, 1e-3 sqrt(e)) with each state's norm over [K, A], [B]."""
    size = np.sqrt(np.square(reference.gradient).sum(axis=(1, 2)))
    difference = np.sqrt(np.square(gradient - reference.gradient).sum(axis=(1, 2)))
    return difference / np.maximum(size, 1e-3 * np.sqrt(epsilon))


def _plan(costs: np.ndarray, potentials: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray, float]:
    """The plan with exact rows [B, K, K], the row potentials [B, K], and K times the columns' largest residual."""
    num_samples = costs.shape[1]
    logits = (potentials[:, None] - costs) / temperature
    top = logits.max(axis=2, keepdims=True)
    weights = np.exp(logits - top)
    totals = weights.sum(axis=2, keepdims=True)
    rows = -temperature * (top + np.log(totals / num_samples))[:, :, 0]
    plan = weights / totals / num_samples
    return plan, rows, float(np.abs(num_samples * plan.sum(axis=1) - 1).max())


def _newton_step(costs: np.ndarray, potentials: np.ndarray, temperature: float) -> np.ndarray:
    num_samples = costs.shape[1]
    plan, _, _ = _plan(costs, potentials, temperature)
    residual = 1 - num_samples * plan.sum(axis=1)
    conductances = num_samples**2 * plan.swapaxes(1, 2) @ plan
    shares, sources = [], []
    for node in range(num_samples - 1, 0, -1):
        row = conductances[:, node, :node]
        total = row.sum(axis=1) + _RIDGE
        shares.append(row / total[:, None])
        sources.append(residual[:, node] / total)
        residual = residual[:, :node] + shares[-1] * residual[:, node, None]
        conductances = conductances[:, :node, :node] + shares[-1][:, :, None] * row[:, None]
    step = np.zeros((len(costs), 1))
    for share, source in zip(reversed(shares), reversed(sources), strict=True):
        step = np.concatenate([step, ((share * step).sum(axis=1) + source)[:, None]], axis=1)
    half_range = np.maximum(np.ptp(step, axis=1, keepdims=True) / 2, 1e-300)
    moved = potentials + temperature * step * np.arcsinh(half_range) / half_range
    return moved - moved.mean(axis=1, keepdims=True)


def hard_clouds(
    rng: np.random.Generator, states: int, num_samples: int, action_size: int, blur: float
) -> dict[str, Clouds]:
    """Families of pairs of clouds [states, K, A] in [-1, 1], representable in float32."""
    draws = _Draws(rng, states, num_samples, action_size)
    families = _spread_clouds(draws) | _near_clouds(draws, blur) | _tied_clouds(draws) | _clustered_clouds(draws, blur)
    return {name: (_boxed(x), _boxed(y)) for name, (x, y) in families.items()}


@dataclass(frozen=True)
class _Draws:
    rng: np.random.Generator
    states: int
    num_samples: int
    action_size: int

    def cloud(self) -> np.ndarray:
        return self.rng.standard_normal((self.states, self.num_samples, self.action_size))

    def point(self) -> np.ndarray:
        return self.rng.standard_normal((self.states, 1, self.action_size))

    def scale(self, low: float, high: float) -> np.ndarray:
        return np.exp(self.rng.uniform(np.log(low), np.log(high), (self.states, 1, 1)))

    def line(self, low: float = -1.0, high: float = 1.0) -> np.ndarray:
        return self.rng.uniform(low, high, (self.states, self.num_samples, 1))

    def shuffled(self, cloud: np.ndarray) -> np.ndarray:
        order = np.argsort(self.rng.random(cloud.shape[:2]), axis=1)
        return np.take_along_axis(cloud, order[:, :, None], axis=1)

    def drawn_from(self, points: np.ndarray) -> np.ndarray:
        index = self.rng.integers(0, points.shape[1], (self.states, self.num_samples, 1))
        return np.take_along_axis(points, index, axis=1)

    def corners(self) -> np.ndarray:
        """Corners of the box, each dimension's side with a probability of the state's own."""
        return np.where(self.rng.random(self.cloud().shape) < self.rng.random(self.point().shape), 1.0, -1.0)


def _boxed(cloud: np.ndarray) -> np.ndarray:
    return np.clip(cloud, -1, 1).astype(np.float32).astype(np.float64)


def _spread_clouds(draws: _Draws) -> dict[str, Clouds]:
    z, direction = draws.cloud(), draws.point()
    direction /= np.abs(direction).max(axis=-1, keepdims=True)
    mean, wide = 0.3 * draws.point(), draws.rng.uniform(-1, 1, z.shape)
    return {
        "gaussian": (
            0.4 * draws.point() + draws.scale(1e-3, 1) * z,
            0.4 * draws.point() + draws.scale(1e-3, 1) * draws.cloud(),
        ),
        "uniform": (draws.rng.uniform(-1, 1, z.shape), draws.rng.uniform(-1, 1, z.shape)),
        "common_noise": (
            mean + draws.scale(0.01, 1) * z,
            mean + draws.scale(1e-3, 0.5) * draws.point() + draws.scale(0.01, 1) * z,
        ),
        "tight_and_wide": (0.5 * draws.point() + draws.scale(1e-4, 1e-2) * z, 0.7 * draws.cloud()),
        "wide_and_tight": (0.7 * draws.cloud(), 0.5 * draws.point() + draws.scale(1e-4, 1e-2) * z),
        "tight_at_the_mean": (wide.mean(axis=1, keepdims=True) + draws.scale(1e-7, 1e-3) * draws.cloud(), wide),
        "wide_around_tight": (wide, wide.mean(axis=1, keepdims=True) + draws.scale(1e-7, 1e-3) * draws.cloud()),
        "point_and_wide": (0.5 * draws.point() + 0 * z, 0.7 * draws.cloud()),
        "collinear": (direction * draws.line(), direction * draws.line()),
        "collinear_shifted": (
            direction * draws.line() * draws.scale(0.01, 1),
            draws.scale(1e-3, 0.5) * draws.point() + direction * draws.line() * draws.scale(0.01, 1),
        ),
        "crossed": (
            direction * np.linspace(-1, 1, draws.num_samples)[None, :, None],
            -direction * np.linspace(-1, 1, draws.num_samples)[None, :, None] + draws.scale(1e-6, 0.1) * draws.cloud(),
        ),
    }


def _near_clouds(draws: _Draws, blur: float) -> dict[str, Clouds]:
    base = _boxed(draws.scale(0.01, 1) * draws.cloud())
    return {
        "equal": (base, base),
        "permuted": (base, draws.shuffled(base)),
        "near": (base, base + draws.scale(1e-6, 1e-2) * draws.cloud()),
        "nearer_than_blur": (base, base + draws.scale(1e-2, 1) * blur * draws.cloud()),
        "near_permuted": (base, draws.shuffled(base) + draws.scale(1e-6, 0.1) * draws.cloud()),
    }


def _tied_clouds(draws: _Draws) -> dict[str, Clouds]:
    z = draws.cloud()
    half = draws.rng.random(draws.point().shape) < 0.5
    few, many = (draws.scale(0.02, 1) * draws.cloud() for _ in range(2))
    few = few[:, : min(3, draws.num_samples)]
    jitter = draws.scale(1e-5, 0.1)
    return {
        "corners": (np.sign(draws.cloud()), np.sign(draws.cloud())),
        "biased_corners": (draws.corners(), draws.corners()),
        "half_saturated": (3 * z, 3 * draws.cloud()),
        "saturated_common_noise": (3 * z + draws.point(), (3 + 0.3 * draws.point()) * z + draws.point()),
        "some_dimensions_saturated": (
            np.where(half, np.sign(z), draws.scale(0.01, 1) * z),
            np.where(half, np.sign(draws.cloud()), draws.scale(0.01, 1) * draws.cloud()),
        ),
        "few_points": (draws.drawn_from(few), draws.drawn_from(few)),
        "many_points": (draws.drawn_from(many), draws.drawn_from(many)),
        "few_points_jittered": (
            draws.drawn_from(few) + jitter * draws.cloud(),
            draws.drawn_from(few) + jitter * draws.cloud(),
        ),
    }


def _clustered_clouds(draws: _Draws, blur: float) -> dict[str, Clouds]:
    """Clusters whose distances are a few blurs, so that mass leaks between them: slow modes of alternating updates."""
    spacing, jitter = draws.scale(0.3, 8) * blur, draws.scale(1e-3, 0.3)
    grid, ref_grid = (np.round(draws.rng.uniform(-2, 2, draws.cloud().shape)) for _ in range(2))
    apart = draws.point()
    apart *= draws.scale(1, 12) * blur / np.linalg.norm(apart, axis=-1, keepdims=True)
    width = draws.scale(0.5, 10) * blur
    return {
        "grid": (spacing * grid, spacing * ref_grid),
        "jittered_grid": (
            spacing * (grid + jitter * draws.cloud()),
            spacing * (ref_grid + jitter * draws.cloud()),
        ),
        "two_clusters": tuple(
            apart * (draws.line(0, 1) < 0.5) + draws.scale(1e-3, 1) * blur * draws.cloud() for _ in range(2)
        ),
        "blur_sized": (
            width * draws.cloud(),
            width * draws.cloud() + draws.scale(0.1, 5) * blur * draws.point(),
        ),
    }
