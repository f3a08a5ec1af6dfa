"""A hundred short runs through Slurm and through Ray, of whose attempts three in ten are killed: is anything lost?

    python -m benchmarks.chaos                        # both engines, on a Slurm of this machine that it starts
    python -m benchmarks.chaos --runs 20 --engines ray

A signal (USR2, TERM, KILL), drawn for three attempts in ten, comes at a random moment of the attempt: to the process of
the run, or, of the KILLs every second one, to the process that started it, a job of Slurm's or a worker of Ray's. The
command is given again until all runs are done, as a user would. The same runs were made by the pool, undisturbed.

Said of each engine: attempts and kills, commands, runs lost, moments at which two processes had the log of one run
open, and runs whose last checkpoint or logs differ from the pool's.
"""

import argparse
import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pogo.core.sweeps.cell import Cell
from pogo.core.sweeps.planning import plan_sweep
from pogo.core.sweeps.records import read_attempts
from pogo.core.sweeps.status import is_complete
from tests.helpers.slurm import slurm, why_no_slurm

KILLED_SHARE = 0.3
SIGNALS = (signal.SIGUSR2, signal.SIGTERM, signal.SIGKILL)
LONGEST_LIFE = 12.0  # seconds into an attempt at which it may be killed; one that has ended by then is not
MOST_COMMANDS = 20
POLL_SECONDS = 0.1
SMALL = (
    "backend=torch", "algorithm=iql", "train.updates=200", "train.batch_size=16", "algorithm.hidden_sizes=[16,16]",
    "log.every=20", "checkpoint.every=20", "eval.every=100", "eval.episodes=1", "threads=1",
)  # fmt: skip
ENGINES = {
    "slurm": ("launcher=slurm", "launcher.partition=low", "launcher.cpus=1"),
    "ray": ("launcher=ray", "launcher.cpus=1", "launcher.max_retries=3"),
}


class Killer(threading.Thread):
    """Follows the attempts at all runs, kills some, and sees whether two processes ever write one run's log."""

    def __init__(self, cells: Sequence[Cell], seed: int) -> None:
        super().__init__(daemon=True)
        self._cells = cells
        self._draw = random.Random(seed)
        self._due: dict[tuple[Path, int], tuple[float, signal.Signals, bool]] = {}
        self._seen: set[tuple[Path, int]] = set()
        self._ended = threading.Event()
        self.kills: Counter[str] = Counter()
        self.twice = 0

    def run(self) -> None:
        """Until `end`."""
        while not self._ended.wait(POLL_SECONDS):
            for cell in self._cells:
                self._look(cell.run_dir)

    def end(self) -> None:
        """Kill no more."""
        self._ended.set()
        self.join()

    def _look(self, folder: Path) -> None:
        attempts = [attempt for attempt in read_attempts(folder) if attempt.ended is None]
        alive = [attempt.pid for attempt in attempts if Path(f"/proc/{attempt.pid}").exists()]
        self.twice += sum(_has_open(pid, folder / "train.jsonl") for pid in alive) > 1
        for pid in alive:
            if (folder, pid) not in self._seen:
                self._seen.add((folder, pid))
                if self._draw.random() < KILLED_SHARE:
                    at = time.monotonic() + self._draw.uniform(0.0, LONGEST_LIFE)
                    number = self._draw.choice(SIGNALS)
                    self._due[folder, pid] = at, number, number == signal.SIGKILL and self._draw.random() < 0.5
            at, number, at_starter = self._due.get((folder, pid), (float("inf"), signal.SIGTERM, False))
            if time.monotonic() >= at:
                del self._due[folder, pid]
                with contextlib.suppress(ProcessLookupError):
                    os.kill(_parent(pid) if at_starter else pid, number)
                    self.kills[f"{number.name}{' to what had started it' if at_starter else ''}"] += 1


def _has_open(pid: int, path: Path) -> bool:
    try:
        return any(os.readlink(link) == str(path) for link in Path(f"/proc/{pid}/fd").iterdir())
    except OSError:
        return False


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError as error:
        raise ProcessLookupError from error


def _train(root: Path, *given: str, **environment: str) -> None:
    with (root.parent / f"{root.name}.log").open("ab") as log:
        subprocess.run(
            [sys.executable, "-c", "import sys; from pogo.cli.train import main; sys.exit(main())", "-m", *given],
            check=False, stdout=log, stderr=log, env=os.environ | environment,
        )  # fmt: skip


def _outcome(folder: Path) -> tuple[bytes, list[Any]]:
    """The last checkpoint's arrays, and the logs without what the clock decides."""
    newest = max((folder / "checkpoints").iterdir())
    logs = []
    for name in ("train.jsonl", "eval.jsonl"):
        for line in map(json.loads, (folder / name).read_text().splitlines()):
            logs.append({key: value for key, value in line.items() if "second" not in key})
    return (newest / "arrays.safetensors").read_bytes(), logs


@contextlib.contextmanager
def _ready(engine: str, folder: Path) -> Iterator[dict[str, str]]:
    if engine == "slurm" and "SLURM_CONF" not in os.environ:
        with slurm(folder / "slurm") as environment:
            yield environment
    else:
        yield {}


def measure(engine: str, folder: Path, pool: Sequence[Cell], given: Sequence[str], seed: int) -> None:
    """Run all through an engine while some are killed, and print what has come of it."""
    root = folder / engine
    cells = plan_sweep([*given, f"run.root={root}"])
    began, commands = time.monotonic(), 0
    with _ready(engine, folder) as environment:
        killer = Killer(cells, seed)
        killer.start()
        while commands < MOST_COMMANDS and not all(map(is_complete, cells)):
            commands += 1
            _train(root, *given, f"run.root={root}", *ENGINES[engine], **environment)
        killer.end()
    lost = sum(not is_complete(cell) for cell in cells)
    differing = sum(
        is_complete(cell) and _outcome(cell.run_dir) != _outcome(reference.run_dir)
        for cell, reference in zip(cells, pool, strict=True)
    )
    attempts = sum(len(read_attempts(cell.run_dir)) for cell in cells)
    kills = ", ".join(f"{number} {name}" for name, number in sorted(killer.kills.items()))
    print(
        f"{engine}: {len(cells)} runs, {attempts} attempts, {sum(killer.kills.values())} killed ({kills}), {commands} "
        f"commands: {lost} lost, {killer.twice} run twice at once, {differing} differ from the pool's; "
        f"{time.monotonic() - began:.0f} s"
    )


def main() -> None:
    """Run the pool, then each engine."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--engines", nargs="+", choices=tuple(ENGINES), default=list(ENGINES))
    parser.add_argument("--seed", type=int, default=0, help="of what is killed, and when")
    options = parser.parse_args()
    if "slurm" in options.engines and "SLURM_CONF" not in os.environ and (why_not := why_no_slurm()) is not None:
        parser.error(f"no Slurm here: {why_not}")
    given = [*SMALL, f"seed=range(0,{options.runs})"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        root, began = folder / "pool", time.monotonic()
        _train(root, *given, f"run.root={root}", "--jobs", "2")
        pool = plan_sweep([*given, f"run.root={root}"])
        print(f"pool: {sum(map(is_complete, pool))} of {len(pool)} done; {time.monotonic() - began:.0f} s", flush=True)
        for engine in options.engines:
            measure(engine, folder, pool, given, options.seed)


if __name__ == "__main__":
    main()
