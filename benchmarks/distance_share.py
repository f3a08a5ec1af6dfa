"""Share of a chain's step that the Sinkhorn divergence takes, as Markdown.

    python benchmarks/distance_share.py                       # POGO's chain and IQL's of tanh Gaussians, both backends
    python benchmarks/distance_share.py --backends torch --compile --algorithms pogo --num-samples 2 4 8 16

A step is timed beside the same step with clouds paired as they come, which costs next to nothing, turn by turn in one
process on one core; what is between the two is the solver: share = 1 - paired / fused. Both draw the samples and move
them.
"""

import argparse
import importlib
import os
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

if __name__ == "__main__":
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.train import OWN_KIND, Case, make_spec, random_transitions
from pogo.core.learner.interface import Learner
from pogo.core.problem.spec import TrainSpec
from pogo.core.registry import BACKENDS, load_backend

KINDS = {"pogo": OWN_KIND, "iql": "tanh_gaussian"}  # chains whose distances are of samples


@contextmanager
def paired_clouds(backend: str) -> Iterator[None]:
    """The fused solver replaced by the distance of the k-th sample to the k-th, and its gradient."""
    solvers: dict[str, Any] = importlib.import_module(f"pogo.{backend}_backend.distances")._SOLVERS
    original = solvers["fused"]
    solvers["fused"] = _paired
    try:
        yield
    finally:
        solvers["fused"] = original


def _paired(samples: Any, ref_samples: Any, *_: float) -> tuple[Any, Any]:
    offsets = samples - ref_samples
    return (offsets * offsets).sum((1, 2)) / samples.shape[1], 2 / samples.shape[1] * offsets


def measure(case: Case, num_samples: int, rounds: int, updates: int) -> tuple[float, float]:
    """Median seconds of an update, with the solver and without."""
    spec = make_spec(case)
    spec = replace(spec, w2=replace(spec.w2, num_samples=num_samples))
    solved, paired = (_learner(case, spec) for _ in range(2))
    seconds: list[list[float]] = [[], []]
    for _ in range(rounds + 1):
        seconds[0].append(_seconds(solved, updates))
        with paired_clouds(case.backend):
            seconds[1].append(_seconds(paired, updates))
    fused, without = (statistics.median(found[1:]) for found in seconds)  # the first round compiles
    return fused, without


def _learner(case: Case, spec: TrainSpec) -> Learner:
    return load_backend(case.backend, "learner").make_learner(
        spec, 0, random_transitions(case), device="cpu", compile=case.compile or case.backend == "jax", threads=1
    )


def _seconds(learner: Learner, updates: int) -> float:
    start = time.perf_counter()
    learner.train(updates)
    learner.window_means()  # waits for the device
    return (time.perf_counter() - start) / updates


def main() -> None:
    """Print a row per backend, algorithm and K."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", nargs="+", choices=sorted(BACKENDS), default=sorted(BACKENDS), metavar="NAME")
    parser.add_argument("--algorithms", nargs="+", choices=sorted(KINDS), default=sorted(KINDS), metavar="NAME")
    parser.add_argument("--num-samples", nargs="+", type=int, default=[4], metavar="K")
    parser.add_argument("--actors", type=int, default=3)
    parser.add_argument("--compile", action="store_true", help="torch.compile")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--updates", type=int, default=60, help="of a round")
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    print("| backend | algorithm | K | ms of a step | with paired clouds | share of the solver |")
    print("|---|---|---|---|---|---|")
    for backend in options.backends:
        for algorithm in options.algorithms:
            case = Case(
                backend, algorithm, options.actors, KINDS[algorithm], "fused", 1, compile=options.compile,
                batch_size=None, observation_size=17, action_size=6, num_critics=None, device="cpu",
            )  # fmt: skip
            for num_samples in options.num_samples:
                fused, paired = measure(case, num_samples, options.rounds, options.updates)
                print(
                    f"| {case.backend_label} | {algorithm} | {num_samples} | {1e3 * fused:.2f} | {1e3 * paired:.2f} "
                    f"| {1 - paired / fused:.1%} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
