"""Exported policies: formats x actor kinds x backends, with the largest difference and the file's size.

    python benchmarks/exports.py                       # IQL's chain of four kinds, FQL's flow; shipped Pendulum data

A difference is from the actions of the backend that wrote the run, at 1 000 observations of the data, in units of the
action box; the file acts in a process of its own without pogo.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pogo
from pogo.core.policies.export import FORMATS, export
from pogo.core.policies.stored import StoredNetworks
from pogo.core.problem.actors import ACTOR_KINDS

BACKENDS = ("torch", "jax")


def policies(backend: str, folder: Path, updates: int) -> Iterator[tuple[str, StoredNetworks, int | Literal["flow"]]]:
    """A policy of every kind, and the flow, trained on one backend for a while."""
    options = {"train.updates": updates, "eval.episodes": 0}
    chain = {**options, "chain.actors": [{"kind": kind} for kind in ACTOR_KINDS], "run.dir": folder / "iql"}
    pogo.train("iql", backend=backend, overrides=chain, progress=False)
    for index, kind in enumerate(ACTOR_KINDS):
        yield kind, StoredNetworks.read(folder / "iql"), index
    sizes = {f"algorithm.{name}_hidden_sizes": [256, 256] for name in ("actor", "critic")}
    pogo.train("fql", backend=backend, overrides={**options, **sizes, "run.dir": folder / "fql"}, progress=False)
    yield "flow", StoredNetworks.read(folder / "fql"), "flow"


def main() -> None:
    """Train, export, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--updates", type=int, default=500, help="of each run")
    options = parser.parse_args()
    print("| kind | backend | " + " | ".join(f"{name}: difference, KiB" for name in FORMATS) + " |")
    print("|---|---|" + "---|" * len(FORMATS))
    for backend in BACKENDS:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            for kind, networks, actor in policies(backend, folder, options.updates):
                done = [export(networks.policy(actor), folder / f"{kind}.{format}", format) for format in FORMATS]
                cells = [f"{each.largest_difference:.0e}, {each.size / 1024:.0f}" for each in done]
                print(f"| {kind} | {backend} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
