"""Updates per second of training, as a share of the machine's own matrix rate.

    python benchmarks/train.py                       # all algorithms, both backends, 1 and 3 actors: quarter of an hour
    python benchmarks/train.py --algorithms iql --actors 1 --threads 1 2 --json shares.json
    python benchmarks/train.py --algorithms iql td3_bc --actors 3 --kinds default stochastic stochastic,gaussian
    python benchmarks/train.py --algorithms iql --batch 256 1024 --sizes 17x6 11x3
    python benchmarks/train.py --backends jax --seeds 1 2 4 8        # train.num_seeds: several seeds in one program
    python benchmarks/train.py --write-baseline shares.json          # ... and, after a change:
    python benchmarks/train.py --baseline shares.json                # warns of shares that fell

Every case is a process of its own, pinned to as many processors as it has threads; the cases take turns, `--at-once`
of them (all of them need much memory), so that a noisy machine is noisy for all. Data, sampling, noise and logging sums
are included, evaluation and compilation are not. Updates of several seeds are those of all of them together.
share = updates/s x operations per update (benchmarks/operations.py) / matrix rate; the rate is that of chained float32
[256, 256] x [256, 256] products by the same backend in the same process, before and after each round's updates. Memory
is the process's largest so far, on the host.
"""

import argparse
import json
import multiprocessing
import os
import re
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, get_args

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.operations import operations
from pogo.core.algorithms import ALGORITHMS, load_algorithm
from pogo.core.errors import BadInput
from pogo.core.problem.actors import ACTOR_KINDS, resolve_actors
from pogo.core.problem.chain import DEFAULT_W2_WEIGHT, ChainConfig
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import Solver, W2Config
from pogo.core.registry import BACKENDS, SEED_GROUPS, load_backend

MATRIX_SIZE, MATRIX_PRODUCTS = 256, 400
ROWS = 100_000
AT_ONCE = 12  # cases; their processes hold 0.3 to 1 GiB each all the while
# So that every case pays for its own compilation.
NO_CACHES = {"TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1", "JAX_ENABLE_COMPILATION_CACHE": "false"}
FALL = 0.15  # of a share, relative to the baseline's, that is warned of
OWN_KIND = "default"
DEFAULT_SIZES = "17x6"  # halfcheetah's observations and actions
THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

Row = dict[str, Any]  # a case's fields, and what was measured


@dataclass(frozen=True)
class Case:
    """One thing to measure."""

    backend: str
    algorithm: str
    actors: int
    kinds: str  # of the actors, by commas, the last one repeating; or the algorithm's own
    solver: Solver
    threads: int
    compile: bool
    batch_size: int | None  # none: the published one
    observation_size: int
    action_size: int
    num_critics: int | None  # none: the published number
    device: str
    seeds: int = 1  # in one program

    @property
    def backend_label(self) -> str:
        """The backend, and whether it compiles where it need not."""
        return self.backend + (" compiled" if self.compile and self.backend == "torch" else "")

    @property
    def algorithm_label(self) -> str:
        """The algorithm, and what differs from its defaults."""
        kinds = self.kinds if self.kinds != OWN_KIND else None
        solver = self.solver if self.solver != W2Config().solver else None
        critics = f"{self.num_critics} critics" if self.num_critics else None
        batch = f"batch {self.batch_size}" if self.batch_size else None
        seeds = f"{self.seeds} seeds" if self.seeds > 1 else None
        sizes = f"{self.observation_size}x{self.action_size}"
        device = self.device if self.device != "cpu" else None
        parts = self.algorithm, kinds, solver, critics, batch, sizes if sizes != DEFAULT_SIZES else None, seeds, device
        return ", ".join(part for part in parts if part)

    def __str__(self) -> str:
        """In words, for messages."""
        count = lambda number, noun: f"{number} {noun}" + ("s" if number > 1 else "")  # noqa: E731
        parts = self.backend_label, self.algorithm_label, count(self.actors, "actor"), count(self.threads, "thread")
        return ", ".join(parts)


def make_spec(case: Case) -> TrainSpec:
    """The algorithm as published, on the given sizes.

    Raises:
        BadInput: the algorithm cannot be had so.
    """
    shared = load_algorithm(case.algorithm)
    hp = shared.for_run(shared.Hyperparameters(), shared.published_updates)
    if case.num_critics:
        hp = replace(hp, num_critics=case.num_critics)
    kinds = [] if case.kinds == OWN_KIND else case.kinds.split(",")
    return TrainSpec(
        algorithm=case.algorithm,
        observation_size=case.observation_size,
        action_size=case.action_size,
        batch_size=case.batch_size or shared.published_batch_size,
        actors=resolve_actors([{"kind": kind} for kind in kinds[: case.actors]], case.actors, shared.default_actor(hp)),
        chain=ChainConfig(case.actors, (DEFAULT_W2_WEIGHT,) * (case.actors - 1)),
        w2=W2Config(solver=case.solver),
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


def matrix_seconds(backend: str, device: str) -> Callable[[], float]:
    """A function that times MATRIX_PRODUCTS chained products; call it after the learner has set its backend up."""
    import numpy as np

    shape = (2, MATRIX_SIZE, MATRIX_SIZE)
    pair = np.random.default_rng(0).standard_normal(shape, dtype=np.float32) / np.float32(MATRIX_SIZE**0.5)
    if backend == "torch":
        import torch

        a, b = torch.from_numpy(pair).to(device)

        def run() -> None:
            out = a
            for _ in range(MATRIX_PRODUCTS):
                out = torch.mm(out, b)
            out[0, 0].item()  # waits for the device
    else:
        import jax

        kind, _, index = device.partition(":")
        a, b = jax.device_put(pair, jax.devices(kind)[int(index or 0)])
        chained = jax.jit(lambda a, b: jax.lax.fori_loop(0, MATRIX_PRODUCTS, lambda _, out: out @ b, a))

        def run() -> None:
            chained(a, b).block_until_ready()

    def timed() -> float:
        start = time.perf_counter()
        run()
        return time.perf_counter() - start

    timed()
    return timed


def work(case: Case, pipe: Connection, seconds: float) -> None:
    """One case's process: answers each request with updates/s and the matrix rate of one round."""
    if case.device == "cpu":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: case.threads])
    import resource

    spec = make_spec(case)
    options = {"device": case.device, "compile": case.compile or case.backend == "jax", "threads": case.threads}
    if case.seeds == 1:
        learner = load_backend(case.backend, "learner").make_learner(spec, 0, random_transitions(case), **options)
    else:
        make = load_backend(case.backend, "group").make_learner_group
        learner = make(spec, range(case.seeds), random_transitions(case), **options)
    products = matrix_seconds(case.backend, case.device)

    def train(count: int) -> float:
        start = time.perf_counter()
        learner.train(count)
        return time.perf_counter() - start

    train(4)  # warm: compiled, allocated, cached
    count = 8
    while (spent := train(count)) < seconds / 4:  # long enough for what a call costs once to be a small part of it
        count *= 2
    count = 2 * max(1, round(count * seconds / spent / 2))  # even: published delays are of two updates
    pipe.send(
        {
            "operations": operations(spec),
            "needed_operations": operations(spec, needed_only=True),
            "compile_seconds": learner.compile_seconds,
        }
    )
    while pipe.recv():
        before, spent, after = products(), train(count), products()
        speed, rate = case.seeds * count / spent, 2 * 2.0 * MATRIX_SIZE**3 * MATRIX_PRODUCTS / (before + after)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
        pipe.send({"updates_per_second": speed, "matrix_rate": rate, "peak_mib": peak})


class Worker:
    """A case's process, from this side.

    Raises:
        RuntimeError: the process ended early; it has told why on stderr.
    """

    def __init__(self, case: Case, seconds: float) -> None:
        # In its environment from the start: numpy makes its threads when it is imported, before `work` is called.
        os.environ.update(dict.fromkeys(THREAD_VARIABLES, str(case.threads)))
        os.environ.update(NO_CACHES)
        if case.device == "cpu":
            os.environ["JAX_PLATFORMS"] = "cpu"
        context = multiprocessing.get_context("spawn")
        self.case = case
        self._pipe, theirs = context.Pipe()
        self._process: BaseProcess = context.Process(target=work, args=(case, theirs, seconds), daemon=True)
        self._process.start()
        theirs.close()
        self.about = self._receive()
        self.rounds: list[dict[str, float]] = []

    def round(self) -> None:
        """Have it measure one round."""
        self._pipe.send(True)
        self.rounds.append(self._receive())

    def stop(self) -> None:
        """End the process."""
        self._pipe.send(False)
        self._process.join()

    def _receive(self) -> dict[str, float]:
        try:
            return self._pipe.recv()
        except EOFError as error:
            raise RuntimeError(f"{self.case}: its process ended early, see above.") from error

    def row(self) -> Row:
        """The case and the medians over its rounds."""
        speeds = [found["updates_per_second"] for found in self.rounds]
        shares = [
            found["updates_per_second"] * self.about["operations"] / found["matrix_rate"] for found in self.rounds
        ]
        return asdict(self.case) | {
            "updates_per_second": statistics.median(speeds),
            "updates_per_second_min": min(speeds),
            "updates_per_second_max": max(speeds),
            "gflop_per_update": self.about["operations"] / 1e9,
            "needed_gflop_per_update": self.about["needed_operations"] / 1e9,
            "matrix_gflops": statistics.median(found["matrix_rate"] for found in self.rounds) / 1e9,
            "share": statistics.median(shares),
            "compile_seconds": self.about["compile_seconds"],
            "peak_mib": max(found["peak_mib"] for found in self.rounds),
        }


def measure(cases: Sequence[Case], rounds: int, seconds: float) -> list[Row]:
    """So many cases, in turns."""
    workers = []
    for case in cases:  # one after another: compiling disturbs no one
        print(f"start {case}", file=sys.stderr, flush=True)
        workers.append(Worker(case, seconds))
    for number in range(1, rounds + 1):
        print(f"round {number} of {rounds}", file=sys.stderr, flush=True)
        for worker in workers:
            worker.round()
    for worker in workers:
        worker.stop()
    return [worker.row() for worker in workers]


def case_of(row: Mapping[str, Any]) -> Case:
    """What a row is of.

    Raises:
        KeyError: the row lacks a field of a case.
    """
    return Case(
        **{field.name: row[field.name] for field in fields(Case) if field.name != "seeds"}, seeds=row.get("seeds", 1)
    )


def table(rows: Sequence[Row]) -> str:
    """Markdown."""
    lines = [
        "| backend | algorithm | actors | threads | updates/s (min - max) | x one seed | GFLOP/update | "
        "matrix GFLOP/s | share | compile s | peak MiB |",
        "|---" * 11 + "|",
    ]
    speeds = {case_of(row): row["updates_per_second"] for row in rows}
    for row in rows:
        case = case_of(row)
        of_one = speeds.get(replace(case, seeds=1))
        ratio = f"{speeds[case] / of_one:.2f}" if case.seeds > 1 and of_one else "-"
        lines.append(
            f"| {case.backend_label} | {case.algorithm_label} | {case.actors} | {case.threads} | "
            f"{row['updates_per_second']:.1f} "
            f"({row['updates_per_second_min']:.1f} - {row['updates_per_second_max']:.1f}) | {ratio} | "
            f"{row['gflop_per_update']:.3f} | {row['matrix_gflops']:.0f} | {row['share']:.0%} | "
            f"{row['compile_seconds']:.1f} | {row['peak_mib']:.0f} |"
        )
    return "\n".join(lines)


def read_baseline(path: Path) -> dict[Case, float]:
    """Each case's share, from what `--write-baseline` or `--json` wrote.

    Raises:
        BadInput: the file cannot be read as that.
    """
    try:
        return {case_of(row): float(row["share"]) for row in json.loads(path.read_text())}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"--baseline={path} is no list of cases and shares ({error!r}); make one anew.") from error


def write_baseline(path: Path, rows: Sequence[Row]) -> None:
    """Cases and shares alone: what a later run is compared with."""
    slim = [asdict(case_of(row)) | {"share": round(row["share"], 4)} for row in rows]
    path.write_text(json.dumps(slim, indent=1) + "\n")


def falls(rows: Sequence[Row], baseline: Mapping[Case, float]) -> list[str]:
    """A line for each case whose share fell by more than FALL, and one for those without a baseline."""
    lines, unknown = [], 0
    for row in rows:
        case, share = case_of(row), row["share"]
        if case not in baseline:
            unknown += 1
        elif share < (1.0 - FALL) * baseline[case]:
            change = share / baseline[case] - 1.0
            lines.append(f"warning: {case}: share {share:.1%}, {baseline[case]:.1%} in the baseline ({change:+.0%})")
    if unknown:
        lines.append(f"note: {unknown} of {len(rows)} cases are not in the baseline")
    return lines


def parse(arguments: Sequence[str] | None = None) -> tuple[argparse.Namespace, list[Case], dict[Case, float]]:
    """The command line, its cases and the baseline; what cannot be measured is refused here, before any work."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", nargs="+", choices=sorted(BACKENDS), default=["torch", "jax"], metavar="NAME")
    parser.add_argument("--algorithms", nargs="+", choices=ALGORITHMS, default=list(ALGORITHMS), metavar="NAME")
    parser.add_argument("--actors", nargs="+", type=int, default=[1, 3], metavar="N", help="lengths of the chain")
    parser.add_argument(
        "--kinds", nargs="+", default=[OWN_KIND], help=f"{OWN_KIND}, or kinds by commas, the last one repeating"
    )
    parser.add_argument("--solver", nargs="+", choices=get_args(Solver), default=[W2Config().solver], metavar="SOLVER")
    parser.add_argument("--threads", nargs="+", type=int, default=[1], metavar="N")
    parser.add_argument(
        "--seeds",
        nargs="+",
        type=int,
        default=[1],
        metavar="N",
        help=f"trained side by side in one program; more than one with {', '.join(SEED_GROUPS)} only",
    )
    parser.add_argument("--compile", action="store_true", help="torch.compile (CUDA graphs on a GPU) too")
    parser.add_argument("--batch", nargs="+", type=int, metavar="N", help="the algorithm's published one by default")
    parser.add_argument("--sizes", nargs="+", default=[DEFAULT_SIZES], metavar="OBSERVATIONSxACTIONS")
    parser.add_argument("--num-critics", type=int, help="of the algorithms that have an ensemble of any size")
    parser.add_argument("--device", nargs="+", default=["cpu"], help="cpu, cuda or cuda:<n>")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="of one case in one round")
    parser.add_argument(
        "--at-once", type=int, default=AT_ONCE, metavar="N", help=f"cases that take turns; {AT_ONCE} by default"
    )
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--baseline", type=Path, help="warn of each share that fell from the one stored here")
    parser.add_argument("--write-baseline", type=Path, help="store the shares here")
    options = parser.parse_args(arguments)
    try:
        check_options(options)
        cases = list(dict.fromkeys(cases_of(options)))
        check_cases(options, cases)
        baseline = read_baseline(options.baseline) if options.baseline else {}
    except BadInput as error:
        parser.error(str(error))
    return options, cases, baseline


def cases_of(options: argparse.Namespace) -> list[Case]:
    """Every combination of the options; sides that are compared are neighbours."""
    has_ensemble = {name for name in options.algorithms if hasattr(load_algorithm(name).Hyperparameters, "num_critics")}
    return [
        Case(
            backend=backend,
            algorithm=algorithm,
            actors=actors,
            kinds=kinds,
            # One actor is at no distance from another.
            solver=solver if actors > 1 else W2Config().solver,
            threads=threads,
            compile=compiled,
            batch_size=batch_size,
            observation_size=int(sizes.partition("x")[0]),
            action_size=int(sizes.partition("x")[2]),
            num_critics=options.num_critics if algorithm in has_ensemble else None,
            device=device,
            seeds=seeds,
        )
        for algorithm in options.algorithms
        for actors in options.actors
        for kinds in options.kinds
        for solver in options.solver
        for threads in options.threads
        for batch_size in (options.batch or [None])
        for sizes in options.sizes
        for device in options.device
        for backend in options.backends
        for seeds in (options.seeds if backend in SEED_GROUPS else [1])
        for compiled in ([False, True] if options.compile and backend == "torch" else [False])
    ]


def check_options(options: argparse.Namespace) -> None:
    """Refuse values that make no case.

    Raises:
        BadInput: naming the option.
    """
    for sizes in options.sizes:
        if not re.fullmatch(r"[1-9]\d*x[1-9]\d*", sizes):
            raise BadInput(f"--sizes={sizes} is not of the form {DEFAULT_SIZES}: observations x actions.")
    for name in ("threads", "seeds", "rounds", "at_once", "batch", "num_critics", "seconds"):
        value = getattr(options, name)
        if value is not None and min(value if isinstance(value, list) else [value]) <= 0:
            raise BadInput(f"--{name.replace('_', '-')} is positive, not {value}.")
    for device in options.device:
        if not re.fullmatch(r"cpu|cuda(:\d+)?", device):
            raise BadInput(f"--device={device} is unknown; use cpu, cuda or cuda:<n>.")
    processors = len(os.sched_getaffinity(0))
    if max(options.threads) > processors:
        raise BadInput(f"--threads={max(options.threads)}: this process may use {processors} processors.")
    for kind in (kind for kinds in options.kinds if kinds != OWN_KIND for kind in kinds.split(",")):
        if kind not in ACTOR_KINDS:
            raise BadInput(f"--kinds={kind} is unknown. Known: {OWN_KIND}, {', '.join(ACTOR_KINDS)}.")


def check_cases(options: argparse.Namespace, cases: Sequence[Case]) -> None:
    """Refuse what no worker could do.

    Raises:
        BadInput: naming the option.
    """
    if options.num_critics and not any(case.num_critics for case in cases):
        raise BadInput(f"--num-critics={options.num_critics}: none of {', '.join(options.algorithms)} has that option.")
    for case in cases:
        make_spec(case)


def main() -> None:
    """Parse, measure, print."""
    options, cases, baseline = parse()
    rows: list[Row] = []
    for first in range(0, len(cases), options.at_once):
        rows += measure(cases[first : first + options.at_once], options.rounds, options.seconds)
    print(table(rows))
    if options.json:
        options.json.write_text(json.dumps(rows, indent=2) + "\n")
    if options.write_baseline:
        write_baseline(options.write_baseline, rows)
    if options.baseline:
        for line in falls(rows, baseline):
            print(line, file=sys.stderr)


if __name__ == "__main__":
    main()
