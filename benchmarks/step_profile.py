"""Where one update's time goes, operation by operation: a Markdown table.

    python benchmarks/step_profile.py --backend torch --algorithm iql
    python benchmarks/step_profile.py --backend jax --algorithm rebrac --actors 3 --kinds stochastic
    python benchmarks/step_profile.py --backend torch --device cuda      # kernels, of recorded updates (CUDA graphs)

The algorithm as published at halfcheetah's sizes. On a CPU, one core: torch's operations come from its profiler (self
time), JAX's from the trace of XLA's own executor; both slow small operations down a little. On a GPU they are the
kernels that were traced on the device; what they leave of the wall time is what the device waited. What is under a
percent is summed up.
"""

import argparse
import glob
import gzip
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

if __name__ == "__main__":
    os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from benchmarks.train import OWN_KIND, Case, make_spec, random_transitions
from pogo.core.algorithms import ALGORITHMS
from pogo.core.learner.interface import Learner
from pogo.core.registry import BACKENDS, load_backend

WARM, COUNTED = 20, 40  # updates
SMALL = 0.01  # share of the whole under which operations are summed up
Seconds = Counter[str]
_AROUND = ("while", "conditional", "cond", "call")  # thunks that hold others


def torch_operations(learner: Learner, on_gpu: bool) -> tuple[Seconds, Counter[str], float]:
    """Self time and calls of every operation or kernel, over COUNTED updates, and the seconds that went by."""
    from torch.autograd import DeviceType
    from torch.profiler import ProfilerActivity, profile

    kinds = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=kinds) as found:
        wall = _train(learner)
    seconds, calls = Counter[str](), Counter[str]()
    for entry in found.key_averages():
        if on_gpu == (entry.device_type == DeviceType.CUDA):
            seconds[entry.key] += 1e-6 * (entry.self_device_time_total if on_gpu else entry.self_cpu_time_total)
            calls[entry.key] += entry.count
    return seconds, calls, wall


def jax_operations(learner: Learner, on_gpu: bool) -> tuple[Seconds, Counter[str], float]:
    """Time and calls of every kind of thunk or kernel, over COUNTED updates, and the seconds that went by."""
    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            wall = _train(learner)
        (path,) = glob.glob(f"{folder}/**/*.trace.json.gz", recursive=True)
        with gzip.open(path) as file:
            events = json.load(file)["traceEvents"]
    return *xla_operations(events, on_gpu), wall


def xla_operations(events: Sequence[Mapping[str, Any]], on_gpu: bool) -> tuple[Seconds, Counter[str]]:
    """Time and calls in a trace: of thunks on the threads of XLA's executor, or of kernels on a GPU's streams."""
    names: dict[tuple[Any, Any], str] = {}
    for event in events:
        if event.get("ph") == "M" and event["name"] in ("process_name", "thread_name"):
            names[event["pid"], event.get("tid") if event["name"] == "thread_name" else None] = event["args"]["name"]
    seconds, calls = Counter[str](), Counter[str]()
    for event in events:
        if event.get("ph") != "X":
            continue
        process, thread = names.get((event["pid"], None), ""), names.get((event["pid"], event["tid"]), "")
        name = re.sub(r"[._]\d+$", "", str(event["name"]).split(".")[0])
        if on_gpu:
            counts = process.startswith("/device:GPU") and thread.startswith("Stream")
        else:
            counts = thread.startswith("tf_XLAEigen") and "::" not in name and name not in _AROUND
        if counts:
            seconds[name] += event["dur"] * 1e-6
            calls[name] += 1
    return seconds, calls


def _train(learner: Learner) -> float:
    start = time.perf_counter()
    learner.train(COUNTED)
    learner.window_means()  # waits for the device
    return time.perf_counter() - start


def table(seconds: Seconds, calls: Counter[str], wall: float) -> str:
    """The largest first, per update; the small ones in one row, and below what they are of the time that went by."""
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
    lines.append(
        f"\n{1e3 * whole / COUNTED:.2f} of {1e3 * wall / COUNTED:.2f} ms per update, traced: {whole / wall:.0%}."
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
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:<n>")
    options = parser.parse_args()
    on_gpu = options.device != "cpu"
    if not on_gpu:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:1])
    case = Case(
        options.backend, options.algorithm, options.actors, options.kinds, "fused", 1,
        compile=on_gpu or options.backend == "jax", batch_size=None, observation_size=17, action_size=6,
        num_critics=None, device=options.device,
    )  # fmt: skip
    learner = load_backend(case.backend, "learner").make_learner(
        make_spec(case), 0, random_transitions(case), device=case.device, compile=case.compile, threads=1
    )
    learner.train(WARM)
    _train(learner)
    print(table(*(torch_operations if case.backend == "torch" else jax_operations)(learner, on_gpu)))


if __name__ == "__main__":
    main()
