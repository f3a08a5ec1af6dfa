"""Time and accuracy of every solver of the Sinkhorn divergence, beside both libraries at their defaults, as Markdown.

    python benchmarks/sinkhorn.py                                             # the whole table: about an hour
    python benchmarks/sinkhorn.py --num-samples 4 --action-sizes 6 --blurs 0.05   # the default distance: a minute
    python benchmarks/sinkhorn.py --num-samples 2 4 8 --sides torch-fused jax-fused --json sinkhorn.json

Measured is value and gradient together, in float32, on `--states` states of K samples of each actor. The sides take
turns, so that a noisy machine is noisy for all; medians are quoted, and how many times faster each is than the slower
library at its default. Errors are of the worst state: of the value relative to max(value, 1e-3 e), of the gradient
relative to max(|gradient|, 1e-3 sqrt(e)), e = 2 blur^2, against the converged float64 reference of the tests. `generic`
clouds are those that are timed, tanh of standard normal samples; `hard` ones are the tests' adversarial families.
`exact` solves another problem, the distance at e = 0: its columns say how far that is, not how wrong it is.
"""

import argparse
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

Arrays = tuple[Any, Any]  # values [B] and gradient [B, K, A], in the side's own framework
Solver = Callable[[], Arrays]

LIBRARY_DEFAULTS = ("geomloss-default", "ott-default")
# The libraries need tens of thousands of updates to converge for more samples than this.
MOST_SAMPLES = {"torch-library": 8, "jax-library": 8}


@dataclass(frozen=True)
class Case:
    """One row group of the table."""

    num_samples: int
    action_size: int
    blur: float
    states: int

    @property
    def hard_states(self) -> int:
        """Per family: the reference is slow for many samples."""
        return max(1, min(10, 80 // self.num_samples))


@dataclass(frozen=True)
class Result:
    """One row."""

    num_samples: int
    action_size: int
    blur: float
    side: str
    milliseconds: float
    speedup: float | None  # over the slower library default of the same case
    value_error: float
    gradient_error: float
    hard_value_error: float
    hard_gradient_error: float


def torch_pogo(solver: Any) -> Callable[[Any, Any, float], Solver]:
    """The divergence of pogo in torch."""

    def prepare(x: Any, y: Any, blur: float) -> Solver:
        from pogo.torch_backend.distances import sinkhorn_divergence

        return _torch_side(x, y, lambda x, y: sinkhorn_divergence(x, y, blur, solver))

    return prepare


def geomloss_default(x: Any, y: Any, blur: float) -> Solver:
    """GeomLoss with its default scaling, 0.5."""
    from geomloss import SamplesLoss

    loss = SamplesLoss("sinkhorn", p=2, blur=blur, backend="tensorized")
    return _torch_side(x, y, lambda x, y: 2 * loss(x, y))


def _torch_side(x: Any, y: Any, divergence: Callable[[Any, Any], Any]) -> Solver:
    import torch

    samples, ref_samples = torch.tensor(x, requires_grad=True), torch.tensor(y)

    def solve() -> Arrays:
        values = divergence(samples, ref_samples)
        return values.detach(), torch.autograd.grad(values.sum(), samples)[0]

    return solve


def jax_pogo(solver: Any) -> Callable[[Any, Any, float], Solver]:
    """The divergence of pogo in JAX."""

    def prepare(x: Any, y: Any, blur: float) -> Solver:
        from pogo.jax_backend.distances import sinkhorn_divergence

        return _jax_side(x, y, lambda x, y: sinkhorn_divergence(x, y, blur, solver))

    return prepare


def ott_default(x: Any, y: Any, blur: float) -> Solver:
    """OTT with its default threshold and iterations, the same epsilon."""
    import jax
    from ott.geometry.pointcloud import PointCloud
    from ott.tools.sinkhorn_divergence import sinkhorn_divergence

    def one(x: Any, y: Any) -> Any:
        return sinkhorn_divergence(PointCloud, x, y, epsilon=2 * blur**2)[0]

    return _jax_side(x, y, jax.vmap(one))


def _jax_side(x: Any, y: Any, divergence: Callable[[Any, Any], Any]) -> Solver:
    import jax

    @jax.jit
    def both(x: Any, y: Any) -> Arrays:
        values, pull_back = jax.vjp(lambda x: divergence(x, y), x)
        return values, pull_back(jax.numpy.ones_like(values))[0]

    samples, ref_samples = jax.numpy.asarray(x), jax.numpy.asarray(y)
    return lambda: jax.block_until_ready(both(samples, ref_samples))


SIDES: dict[str, Callable[[Any, Any, float], Solver]] = {
    "torch-fused": torch_pogo("fused"),
    "jax-fused": jax_pogo("fused"),
    "torch-library": torch_pogo("library"),
    "jax-library": jax_pogo("library"),
    "torch-exact": torch_pogo("exact"),
    "jax-exact": jax_pogo("exact"),
    "geomloss-default": geomloss_default,
    "ott-default": ott_default,
}


def measure(case: Case, sides: Sequence[str], seconds: float) -> list[Result]:
    """Every side on one case: warmed up, then timed in turns for about so many seconds per side."""
    sides = [side for side in sides if case.num_samples <= MOST_SAMPLES.get(side, case.num_samples)]
    generic, hard = generic_clouds(case), hard_clouds_of(case)
    solvers, errors = {}, {}
    for side in sides:
        solvers[side] = SIDES[side](*generic[:2], case.blur)
        errors[side] = (*worst_errors(solvers[side], generic[2], case), *worst_errors_on(side, hard, case))
    times: dict[str, list[float]] = {side: [] for side in sides}
    while pending := [side for side in sides if len(times[side]) < 3 or sum(times[side]) < seconds]:
        for side in pending:
            start = time.perf_counter()
            solvers[side]()
            times[side].append(time.perf_counter() - start)
    medians = {side: statistics.median(times[side]) for side in sides}
    slower = max((medians[side] for side in LIBRARY_DEFAULTS if side in medians), default=None)
    return [
        Result(
            case.num_samples,
            case.action_size,
            case.blur,
            side,
            1e3 * medians[side],
            slower / medians[side] if slower else None,
            *errors[side],
        )
        for side in sides
    ]


def generic_clouds(case: Case) -> tuple[Any, Any, Any]:
    """The clouds that are timed, and the reference for them (for the first of them where it is slow)."""
    import numpy as np

    from tests.helpers.sinkhorn_reference import reference_divergence

    rng = np.random.default_rng(0)
    shape = (case.states, case.num_samples, case.action_size)
    x, y = (np.tanh(rng.standard_normal(shape)).astype(np.float32) for _ in range(2))
    checked = case.states if case.num_samples <= 16 else min(case.states, 32)
    return x, y, reference_divergence(x[:checked], y[:checked], case.blur)


def hard_clouds_of(case: Case) -> tuple[Any, Any, Any]:
    """All of the tests' families in one batch, with the reference."""
    import numpy as np

    from tests.helpers.sinkhorn_reference import hard_clouds, reference_divergence

    rng = np.random.default_rng(0)
    families = hard_clouds(rng, case.hard_states, case.num_samples, case.action_size, case.blur)
    x, y = (np.concatenate([clouds[side] for clouds in families.values()]).astype(np.float32) for side in range(2))
    return x, y, reference_divergence(x, y, case.blur)


def worst_errors_on(side: str, clouds: tuple[Any, Any, Any], case: Case) -> tuple[float, float]:
    """Worst value and gradient error of a side on clouds other than those timed."""
    return worst_errors(SIDES[side](*clouds[:2], case.blur), clouds[2], case)


def worst_errors(solver: Solver, reference: Any, case: Case) -> tuple[float, float]:
    """Worst value and gradient error over the states that the reference covers."""
    import numpy as np

    from tests.helpers.sinkhorn_reference import epsilon_of, gradient_errors, value_errors

    values, gradient = (np.asarray(array, np.float64)[: len(reference.values)] for array in solver())
    epsilon = epsilon_of(case.blur)
    return (
        float(value_errors(values, reference, epsilon).max()),
        float(gradient_errors(gradient, reference, epsilon).max()),
    )


def row(result: Result) -> str:
    """One line of the table."""
    speedup = "" if result.speedup is None else f"{result.speedup:.3g} x"
    errors = (result.value_error, result.gradient_error, result.hard_value_error, result.hard_gradient_error)
    note = " (another definition)" if result.side.endswith("exact") else ""
    cells = [
        str(result.num_samples),
        str(result.action_size),
        str(result.blur),
        result.side + note,
        f"{result.milliseconds:.3g} ms",
        speedup,
        *(f"{error:.1e}" for error in errors),
    ]
    return "| " + " | ".join(cells) + " |"


HEADER = (
    "| K | A | blur | side | value + gradient | faster than the slower default "
    "| value error, generic | gradient error | value error, hard | gradient error |\n" + "|---" * 10 + "|"
)


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num-samples", type=int, nargs="+", default=[2, 4, 8, 16, 64], metavar="K")
    parser.add_argument("--action-sizes", type=int, nargs="+", default=[1, 3, 6, 17], metavar="A")
    parser.add_argument("--blurs", type=float, nargs="+", default=[0.05, 0.01])
    parser.add_argument("--states", type=int, default=256)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--sides", nargs="+", choices=sorted(SIDES), default=list(SIDES), metavar="SIDE")
    parser.add_argument("--seconds", type=float, default=2.0, help="measured per side and case; at least three runs")
    parser.add_argument("--json", type=Path, help="also write the rows there")
    return parser.parse_args(arguments)


def use_threads(threads: int) -> None:
    """Hold both frameworks to so many threads; before either is imported."""
    os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ.setdefault("JAX_PLATFORMS", "cpu")
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])


def main() -> None:
    """Print the table, a case at a time."""
    options = parse()
    use_threads(options.threads)
    results: list[Result] = []
    print(HEADER)
    for num_samples in options.num_samples:
        for action_size in options.action_sizes:
            for blur in options.blurs:
                case = Case(num_samples, action_size, blur, options.states)
                for result in measure(case, options.sides, options.seconds):
                    results.append(result)
                    print(row(result), flush=True)
                if options.json:
                    options.json.write_text(json.dumps([asdict(result) for result in results], indent=1) + "\n")


if __name__ == "__main__":
    main()
