"""One state, the same batches and noise, both backends: how far they drift apart."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pogo.core.algorithms.inputs import batch_arrays, initial_state, update_noise_spec
from pogo.core.problem.noise import draw_with_numpy
from pogo.core.problem.probe_critic import PROBE_PREFIX
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import is_parameter
from pogo.core.problem.streams import generator
from pogo.core.registry import load_backend

# dtype: share of the movement, and floor per square root of entries, that two backends may differ by
TOLERANCES = {"float64": (1e-8, 1e-13), "float32": (5e-3, 1e-7)}
TERMINAL_SHARE = 0.1


@dataclass(frozen=True)
class ParityCase:
    """A training problem with everything random in it fixed, in numpy."""

    spec: TrainSpec
    state: dict[str, np.ndarray]
    batches: list[dict[str, np.ndarray]]
    noises: list[dict[str, np.ndarray]]


@dataclass(frozen=True)
class Drift:
    """After one update: how far the backends are apart, as shares of the tolerance (past 1 is a failure)."""

    update: int
    tensors: dict[str, float]
    metrics: dict[str, float]

    def worst(self) -> tuple[float, str]:
        """The largest share, and of what; a NaN counts as infinite."""
        shares = {name: share if share == share else np.inf for name, share in (self.tensors | self.metrics).items()}
        name = max(shares, key=lambda key: shares[key])
        return shares[name], name


def parity_case(spec: TrainSpec, seed: int, num_updates: int = 20) -> ParityCase:
    """A fresh state with its heads scaled up, and random batches and noise.

    A fresh network is nearly constant and no clip is ever reached; scaled heads and some saturated actions make the
    numbers telling. Every batch has true ends.
    """
    state = initial_state(seed, spec)
    for name, value in state.items():
        if name.endswith("output/kernel") and is_parameter(name):
            state[name] = (value * _gain(name, value)).astype(value.dtype)
    rng = generator(seed, "parity")
    sizes = {"observations": spec.observation_size, "next_observations": spec.observation_size}
    batches = []
    for _ in range(num_updates):
        batch: dict[str, np.ndarray] = {}
        for drawn in batch_arrays(spec):
            name = drawn.removeprefix(PROBE_PREFIX)
            if name == "rewards":
                values = rng.standard_normal(spec.batch_size)
            elif name == "terminals":
                values = (rng.random(spec.batch_size) < TERMINAL_SHARE).astype(np.float64)
                values[0] = 1.0
            elif name in ("actions", "next_actions"):
                values = np.clip(rng.normal(0.0, 0.6, (spec.batch_size, spec.action_size)), -0.999, 0.999)
            else:
                values = rng.standard_normal((spec.batch_size, sizes[name]))
            batch[drawn] = values.astype(spec.dtype)
        batches.append(batch)
    noises = [draw_with_numpy(update_noise_spec(spec), rng, spec.dtype) for _ in range(num_updates)]
    return ParityCase(spec, state, batches, noises)


def run_updates(backend: str, case: ParityCase) -> Iterator[tuple[dict[str, np.ndarray], dict[str, float]]]:
    """The state and the metrics after each update on one backend."""
    updates = load_backend(backend, "single_updates").SingleUpdates(case.spec, case.state)
    for batch, noise in zip(case.batches, case.noises, strict=True):
        metrics = updates.step(batch, noise)
        yield updates.arrays(), metrics


def drift(case: ParityCase, backends: tuple[str, str] = ("torch", "jax")) -> Iterator[Drift]:
    """Run both backends in step and compare after each update."""
    runs = [run_updates(backend, case) for backend in backends]
    for update, ((ours, our_metrics), (theirs, their_metrics)) in enumerate(zip(*runs, strict=True), start=1):
        if ours.keys() != theirs.keys() or our_metrics.keys() != their_metrics.keys():
            odd = {*ours} ^ {*theirs} | {*our_metrics} ^ {*their_metrics}
            raise AssertionError(f"update {update}: only one backend has {', '.join(sorted(odd))}")
        tensors = {name: moved_apart(case.state[name], ours[name], theirs[name], case.spec.dtype) for name in ours}
        rtol, atol = TOLERANCES[case.spec.dtype]
        metrics = {
            f"metric {name}": abs(value - their_metrics[name]) / (rtol * abs(value) + 1e2 * atol)
            for name, value in our_metrics.items()
        }
        yield Drift(update, tensors, metrics)


def moved_apart(start: np.ndarray, ours: np.ndarray, theirs: np.ndarray, dtype: str) -> float:
    """|ours - theirs| as a share of rtol |movement| + atol sqrt(n), 2-norms; counters must be equal.

    Values are no yardstick: in 20 updates a weight changes by well under a percent.
    """
    if start.dtype.kind != "f":
        return 0.0 if np.array_equal(ours, theirs) else np.inf
    if not ours.dtype == theirs.dtype == start.dtype:
        return np.inf  # a silent upcast
    rtol, atol = TOLERANCES[dtype]
    first, second, origin = (np.asarray(value, dtype=np.float64) for value in (ours, theirs, start))
    movement = max(np.linalg.norm(first - origin), np.linalg.norm(second - origin))
    return float(np.linalg.norm(first - second) / (rtol * movement + atol * np.sqrt(start.size)))


def _gain(name: str, value: np.ndarray) -> float:
    """What brings a head's outputs to the order of 1, whatever it was initialised with."""
    return 1.0 / max(1e-12, float(np.abs(value).mean()) * np.sqrt(value.shape[-2]))
