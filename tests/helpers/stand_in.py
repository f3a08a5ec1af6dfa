"""A run of a study in the place of pogo-train: it takes a moment, and its score is known.

A run evaluates 10 times. At evaluation k of seed s its score is `score(beta) * k / 10 + s`; it notes each of its
starts, goes on where it was, and ends by a signal as a run does. `algorithm.beta` above 90 fails.
"""

import json
import math
import os
import sys
import time
from pathlib import Path

from pogo.core.files.lease import InUse, Lease
from pogo.core.system.signals import PARENT_PIPE, StopRequest, end_with_parent
from tests.helpers.run_folders import actors, config, one_actor

EVALUATIONS = 10
STARTS = "starts"
SECONDS = "POGO_TEST_SECONDS"  # between two evaluations
FAILS_ABOVE = 90.0
STUDY = """\
name: study
root: {root}
options: [backend=jax, algorithm=iql, train.updates=1000, eval.every=100]
space:
  algorithm.beta: {{float: [0.1, 80], log: true}}
seeds: [0, 1]
trials: 6
pruner: none
"""


def score(beta: float) -> float:
    """The best is 100, at a beta of 3."""
    return 100.0 - 20.0 * abs(math.log(beta / 3.0))


def main() -> int:
    """A run."""
    if PARENT_PIPE in sys.argv:
        end_with_parent()
    options = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    folder, beta, seed = Path(options["run.dir"]), float(options["algorithm.beta"]), int(options["seed"])
    folder.mkdir(parents=True, exist_ok=True)
    with StopRequest() as stop:
        lease = _wait_for(folder, stop)
        if lease is None:
            return stop.exit_code
        try:
            with (folder / STARTS).open("a") as file:
                file.write(f"{os.getpid()}\n")
            if beta > FAILS_ABOVE:
                sys.stderr.write("stand_in: it diverged.\n")
                return 1
            return _train(folder, beta, seed, stop)
        finally:
            lease.release()


def _wait_for(folder: Path, stop: StopRequest) -> Lease | None:
    while not stop.requested:
        try:
            return Lease.take(folder)[0]
        except InUse:
            time.sleep(0.05)
    return None


def _train(folder: Path, beta: float, seed: int, stop: StopRequest) -> int:
    resolved = config(seed, train__updates=1000, chain__num_actors=1)
    (folder / "config.json").write_text(json.dumps(resolved))
    log = folder / "eval.jsonl"
    done = len(log.read_text().splitlines()) if log.exists() else 0
    result = actors()
    for number in range(done + 1, EVALUATIONS + 1):
        time.sleep(float(os.environ.get(SECONDS, "0.01")))
        if stop.requested:
            return stop.exit_code
        value = score(beta) * number / EVALUATIONS + seed
        result = actors(one_actor(value - 1000, value))
        with log.open("a") as file:
            file.write(json.dumps({"update": 100 * number, "actors": result}) + "\n")
    summary = {"dataset": "pendulum", "algorithm": "iql", "backend": "torch", "seed": seed, "updates": 1000}
    if done < EVALUATIONS:
        text = json.dumps(summary | {"actors": result, "behaviour": {"return_mean": -800.0}})
        (folder / "summary.json").write_text(text)
    return 0
