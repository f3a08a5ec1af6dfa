"""How long `pogo-train -m` takes to plan many runs, composed from what they have in common and one by one.

python benchmarks/planning.py
python benchmarks/planning.py --cells 10 100 --one-by-one 100
"""

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pogo.core.config.compose import compose_config
from pogo.core.sweeps.planning import plan_sweep

ALGORITHMS, WEIGHTS = ("iql", "td3_bc"), ("[1,1]", "[10,10]", "[100,100]", "[10,1]", "[1,10]")


def options(cells: int) -> list[str]:
    """A comparison of two algorithms with five pairs of weights, over as many seeds as make that many runs."""
    seeds = cells // (len(ALGORITHMS) * len(WEIGHTS))
    return [f"algorithm={','.join(ALGORITHMS)}", f"chain.w2_weights={','.join(WEIGHTS)}", f"seed=range(0,{seeds})"]


def one_by_one() -> AbstractContextManager[Any]:
    """Every config composed by Hydra as a whole, sharing nothing."""

    def composed(arguments: Sequence[str], in_sweep: bool, **_: Any) -> dict[str, Any]:
        return compose_config(arguments, in_sweep)

    return mock.patch("pogo.core.sweeps.planning.compose_config", composed)


def seconds(cells: int, way: AbstractContextManager[Any]) -> float:
    """Seconds of processor time, which other programs change little, that it takes to plan so many cells in a way."""
    with way:
        start = time.process_time()
        found = len(plan_sweep(options(cells)))
    assert found == cells
    return time.process_time() - start


def main() -> None:
    """Print a Markdown table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[10, 100, 1000], help="multiples of 10")
    parser.add_argument("--one-by-one", type=int, default=100, help="the most cells planned so; beyond: extrapolated")
    asked = parser.parse_args()
    plan_sweep(["seed=0"])  # what is imported and registered once is nobody's
    print("| cells | shared, s | one by one, s | ratio |\n|---:|---:|---:|---:|")
    for cells in asked.cells:
        measured = min(cells, asked.one_by_one)
        alone = seconds(measured, one_by_one()) * cells / measured
        shared = seconds(cells, nullcontext())
        note = "" if measured == cells else f" (extrapolated from {measured})"
        print(f"| {cells} | {shared:.2f} | {alone:.1f}{note} | {alone / shared:.0f} |", flush=True)


if __name__ == "__main__":
    main()
