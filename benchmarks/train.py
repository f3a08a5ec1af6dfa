"""Updates per second of training, as a share of the machine's own matrix rate.

    python benchmarks/train.py                                    # iql and rebrac, both backends, 1 and 3 actors
    python benchmarks/train.py --algorithms iql --actors 1 --threads 1 2 --json shares.json

Every case is a process of its own, pinned to as many processors as it has threads; the cases take turns, so that a
noisy machine is noisy for all. Data, sampling, noise and logging sums are included, evaluation and compilation are not.
share = updates/s x operations per update (benchmarks/operations.py) / matrix rate; the rate is that of chained float32
[256, 256] x [256, 256] products by the same backend in the same process, in the same rounds.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.operations import update_operations

MATRIX_SIZE, MATRIX_PRODUCTS = 256, 400
ROWS = 100_000


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    backend: str
    algorithm: str
    actors: int
    threads: int
    compile: bool
    batch_size: int | None
    observation_size: int
    action_size: int
    kind: str | None
    device: str


def make_spec(case: Case) -> Any:
    """The algorithm as published, on the given sizes."""
    from pogo.core.actors import resolve_actors
    from pogo.core.chain import DEFAULT_W2_WEIGHT, ChainConfig
    from pogo.core.interface import TrainSpec
    from pogo.core.registry import load_algorithm
    from pogo.core.w2 import W2Config

    shared = load_algorithm(case.algorithm)
    hp = shared.for_run(shared.Hyperparameters(), shared.PUBLISHED_UPDATES)
    entries = [{"kind": case.kind}] if case.kind else []
    return TrainSpec(
        algorithm=case.algorithm,
        observation_size=case.observation_size,
        action_size=case.action_size,
        batch_size=case.batch_size or shared.PUBLISHED_BATCH_SIZE,
        actors=resolve_actors(entries, case.actors, shared.default_actor(hp)),
        chain=ChainConfig(case.actors, (DEFAULT_W2_WEIGHT,) * (case.actors - 1)),
        w2=W2Config(),
        hyperparameters=hp,
    )


def random_transitions(case: Case) -> Any:
    """A dataset of noise: speed does not depend on the values."""
    import numpy as np

    from pogo.core.data.transitions import Transitions

    rng = np.random.default_rng(0)
    floats = lambda size: rng.standard_normal((ROWS, size), dtype=np.float32)  # noqa: E731
    terminals = np.zeros(ROWS, np.float32)
    actions = np.tanh(floats(case.action_size))
    observations = floats(case.observation_size)
    return Transitions(
        observations, actions, floats(1)[:, 0], floats(case.observation_size), terminals, terminals > 0, actions
    )


def matrix_seconds(backend: str) -> Any:
    """A function that times MATRIX_PRODUCTS chained products."""
    if backend == "torch":
        import torch

        a, b = torch.randn(2, MATRIX_SIZE, MATRIX_SIZE) / MATRIX_SIZE**0.5

        def products() -> None:
            out = a
            for _ in range(MATRIX_PRODUCTS):
                out = torch.mm(out, b)

        run = products
    else:
        import jax

        keys = jax.random.split(jax.random.key(0))
        a, b = (jax.random.normal(key, (MATRIX_SIZE, MATRIX_SIZE)) / MATRIX_SIZE**0.5 for key in keys)
        chained = jax.jit(lambda a, b: jax.lax.fori_loop(0, MATRIX_PRODUCTS, lambda _, out: out @ b, a))
        run = lambda: chained(a, b).block_until_ready()  # noqa: E731

    def timed() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    timed()
    return timed


def work(case: Case, pipe: Connection, seconds: float) -> None:
    """One case's process: answers each request with updates/s and the matrix rate of one round."""
    processors = sorted(os.sched_getaffinity(0))[: case.threads]
    os.sched_setaffinity(0, processors)
    os.environ["OMP_NUM_THREADS"] = str(case.threads)
    import resource

    from pogo.core.registry import load_backend

    spec = make_spec(case)
    learner = load_backend(case.backend, "learner").make_learner(
        spec,
        0,
        random_transitions(case),
        device=case.device,
        compile=case.compile or case.backend == "jax",
        threads=case.threads,
    )
    products = matrix_seconds(case.backend)
    for count in (4, 8):  # warm: compiled, allocated, cached
        start = time.perf_counter()
        learner.train(count)
        per_update = (time.perf_counter() - start) / count
    count = max(2, int(seconds / per_update))
    pipe.send({"compile_seconds": learner.compile_seconds, "operations": update_operations(spec)})
    while pipe.recv():
        start = time.perf_counter()
        learner.train(count)
        speed = count / (time.perf_counter() - start)
        rate = 2.0 * MATRIX_SIZE**3 * MATRIX_PRODUCTS / products()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        pipe.send({"updates_per_second": speed, "matrix_rate": rate, "peak_mib": peak})


def measure(cases: list[Case], rounds: int, seconds: float) -> list[dict[str, Any]]:
    """All cases, in turns; medians over the rounds."""
    context = multiprocessing.get_context("spawn")
    workers = []
    for case in cases:
        ours, theirs = context.Pipe()
        process = context.Process(target=work, args=(case, theirs, seconds), daemon=True)
        process.start()
        theirs.close()
        workers.append((case, process, ours, ours.recv()))  # one after another: compiling disturbs no one
    samples: list[list[dict[str, float]]] = [[] for _ in cases]
    for _ in range(rounds):
        for index, (_, _, pipe, _) in enumerate(workers):
            pipe.send(True)
            samples[index].append(pipe.recv())
    results = []
    for (case, process, pipe, about), found in zip(workers, samples, strict=True):
        pipe.send(False)
        process.join()
        speeds = [sample["updates_per_second"] for sample in found]
        shares = [sample["updates_per_second"] * about["operations"] / sample["matrix_rate"] for sample in found]
        results.append(
            asdict(case)
            | {
                "updates_per_second": statistics.median(speeds),
                "updates_per_second_min": min(speeds),
                "updates_per_second_max": max(speeds),
                "share": statistics.median(shares),
                "matrix_gflops": statistics.median(sample["matrix_rate"] for sample in found) / 1e9,
                "gflop_per_update": about["operations"] / 1e9,
                "compile_seconds": about["compile_seconds"],
                "peak_mib": max(sample["peak_mib"] for sample in found),
            }
        )
    return results


def table(results: list[dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| backend | algorithm | actors | threads | updates/s (min - max) | GFLOP/update | matrix GFLOP/s | share | "
        "compile s | peak MiB |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in results:
        name = row["backend"] + (" compiled" if row["compile"] and row["backend"] == "torch" else "")
        algorithm = row["algorithm"] + (f", {row['kind']}" if row["kind"] else "")
        lines.append(
            f"| {name} | {algorithm} | {row['actors']} | {row['threads']} | {row['updates_per_second']:.1f} "
            f"({row['updates_per_second_min']:.1f} - {row['updates_per_second_max']:.1f}) | "
            f"{row['gflop_per_update']:.3f} | {row['matrix_gflops']:.0f} | {row['share']:.0%} | "
            f"{row['compile_seconds']:.1f} | {row['peak_mib']:.0f} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", nargs="+", default=["torch", "jax"])
    parser.add_argument("--algorithms", nargs="+", default=["iql", "rebrac"])
    parser.add_argument("--actors", nargs="+", type=int, default=[1, 3], help="lengths of the chain")
    parser.add_argument("--threads", nargs="+", type=int, default=[1])
    parser.add_argument("--kind", help="kind of every actor; the algorithm's own by default")
    parser.add_argument("--compile", action="store_true", help="torch.compile too")
    parser.add_argument("--batch-size", type=int, help="the algorithm's published one by default")
    parser.add_argument("--sizes", nargs=2, type=int, default=[17, 6], metavar=("OBSERVATION", "ACTION"))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one case in one round")
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    cases = [
        Case(
            backend=backend,
            algorithm=algorithm,
            actors=actors,
            threads=threads,
            compile=compiled,
            batch_size=options.batch_size,
            observation_size=options.sizes[0],
            action_size=options.sizes[1],
            kind=options.kind,
            device=options.device,
        )
        for algorithm in options.algorithms
        for actors in options.actors
        for threads in options.threads
        for backend in options.backends
        for compiled in ([False, True] if options.compile and backend == "torch" else [False])
    ]
    results = measure(cases, options.rounds, options.seconds)
    print(table(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
