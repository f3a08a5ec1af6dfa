"""Where one update's time goes, operation by operation: a Markdown table.

    python benchmarks/step_profile.py --backend torch --algorithm iql
    python benchmarks/step_profile.py --backend jax --algorithm rebrac --actors 3 --kinds stochastic

One core, the algorithm as published at halfcheetah's sizes. torch's operations come from its profiler (self time),
JAX's from the trace of XLA's own executor; both slow small operations down a little. What is under a percent is summed
up.
"""

import argparse
import glob
import gzip
import json
import os
import sys
import tempfile
from collections import Counter

if __name__ == "__main__":
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.train import OWN_KIND, Case, make_spec, random_transitions
from pogo.core.interface import Learner
from pogo.core.registry import ALGORITHMS, BACKENDS, load_backend

WARM, COUNTED = 20, 40  # updates
SMALL = 0.01  # share of the whole under which operations are summed up
Seconds = Counter[str]


def torch_operations(learner: Learner) -> tuple[Seconds, Counter[str]]:
    """Self time and calls of every operation, over COUNTED updates."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as found:
        learner.train(COUNTED)
    seconds, calls = Counter[str](), Counter[str]()
    for entry in found.key_averages():
        seconds[entry.key] += entry.self_cpu_time_total * 1e-6
        calls[entry.key] += entry.count
    return seconds, calls


def jax_operations(learner: Learner) -> tuple[Seconds, Counter[str]]:
    """Time and calls of every kind of thunk that XLA's executor ran, over COUNTED updates."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            learner.train(COUNTED)
        (path,) = glob.glob(f"{folder}/**/*.trace.json.gz", recursive=True)
        with gzip.open(path) as file:
            events = json.load(file)["traceEvents"]
    threads = {(event["pid"], event["tid"]): event["args"]["name"] for event in events
               if event.get("ph") == "M" and event["name"] == "thread_name"}  # fmt: skip
    seconds, calls = Counter[str](), Counter[str]()
    for event in events:
        of_executor = threads.get((event.get("pid"), event.get("tid")), "").startswith("tf_XLAEigen")
        name = str(event.get("name")).split(".")[0]
        if event.get("ph") == "X" and of_executor and "::" not in name and name not in ("while", "conditional", "call"):
            seconds[name] += event["dur"] * 1e-6
            calls[name] += 1
    return seconds, calls


def table(seconds: Seconds, calls: Counter[str]) -> str:
    """The largest first, per update; the small ones in one row."""
    whole = sum(seconds.values())
    lines = ["| operation | calls | ms | share |", "|---|---|---|---|"]
    small = [name for name, spent in seconds.items() if spent < SMALL * whole]
    for name, spent in seconds.most_common():
        if name not in small:
            lines.append(
                f"| `{name}` | {calls[name] / COUNTED:.0f} | {1e3 * spent / COUNTED:.3f} | {spent / whole:.0%} |"
            )
    lines.append(
        _row(f"{len(small)} others", sum(calls[name] for name in small), sum(seconds[name] for name in small), whole)
    )
    return "\n".join(lines)


def _row(name: str, calls: int, spent: float, whole: float) -> str:
    return f"| {name} | {calls / COUNTED:.0f} | {1e3 * spent / COUNTED:.3f} | {spent / whole:.0%} |"


def main() -> None:
    """Print the table of one case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backend", choices=sorted(BACKENDS), default="torch")
    parser.add_argument("--algorithm", choices=ALGORITHMS, default="iql")
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--kinds", default=OWN_KIND)
    options = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    case = Case(
        options.backend, options.algorithm, options.actors, options.kinds, "fused", 1,
        compile=False, batch_size=None, observation_size=17, action_size=6, num_critics=None, device="cpu",
    )  # fmt: skip
    learner = load_backend(case.backend, "learner").make_learner(
        make_spec(case), 0, random_transitions(case), device="cpu", compile=case.backend == "jax", threads=1
    )
    learner.train(WARM)
    learner.train(COUNTED)
    print(table(*(torch_operations if case.backend == "torch" else jax_operations)(learner)))


if __name__ == "__main__":
    main()
