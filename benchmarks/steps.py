"""Whether a chain makes the steps that it is asked for: algorithms, kinds of actors and datasets.

python benchmarks/steps.py
python benchmarks/steps.py --algorithms iql td3_bc --kinds stochastic --datasets hopper.hdf5 --environment Hopper-v5
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pogo
from pogo.core.algorithms import ALGORITHMS, load_algorithm
from pogo.core.problem.actors import ACTOR_KINDS

STEPS = (0.05, 0.1)


def made(
    algorithm: str, kind: str | None, dataset: str | None, options: argparse.Namespace
) -> list[tuple[float, float]]:
    """Each actor's step in the last window of the log, as a multiple of the one asked for, and its weight."""
    overrides: dict[str, Any] = {
        "train.updates": options.updates,
        "chain.steps": list(STEPS),
        "eval.episodes": 0,
        "log.every": options.updates // 6,
        "checkpoint.every": 0,
        "logger.tensorboard": False,
        "threads": 1,
    }
    if kind is not None:
        overrides["chain.actors"] = [{"kind": kind}]
    with tempfile.TemporaryDirectory() as folder:
        run = pogo.train(
            algorithm,
            backend=options.backend,
            dataset=dataset,
            env=options.environment if dataset else None,
            overrides=overrides | dict(options.options) | {"run.dir": f"{folder}/run"},
            progress=False,
        )
        last = json.loads((run.path / "train.jsonl").read_text().splitlines()[-1])
    return [
        (last[f"actor_{index}/step"] / step, last[f"actor_{index}/w2_weight"])
        for index, step in enumerate(STEPS, start=1)
    ]


def _option(text: str) -> tuple[str, Any]:
    key, _, value = text.partition("=")
    return key, json.loads(value)


def main() -> None:
    """Print a Markdown table, a row as it is found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--algorithms", nargs="+", choices=ALGORITHMS, default=ALGORITHMS)
    add(
        "--kinds", nargs="+", choices=ACTOR_KINDS, default=[None], help="of every actor; the algorithm's own by default"
    )
    add("--datasets", nargs="+", default=[None], help="files; the one that is shipped by default")
    add("--environment", help="of the files")
    add("--backend", choices=("jax", "torch"), default="jax")
    add("--updates", type=int, default=6000)
    add(
        "--options", nargs="+", type=_option, default=[], metavar="KEY=VALUE",
        help="further options of the runs, their values as in JSON: smaller networks, say",
    )  # fmt: skip
    options = parser.parse_args()
    print("| algorithm | kind | dataset | made / 0.05 | weight | made / 0.1 | weight |")
    print("|---|---|---|---|---|---|---|")
    for dataset in options.datasets:
        for algorithm in options.algorithms:
            definition = load_algorithm(algorithm)
            for kind in options.kinds:
                shown = kind or definition.default_actor(definition.Hyperparameters()).kind
                cells = [f"{ratio:.3f} | {weight:.3g}" for ratio, weight in made(algorithm, kind, dataset, options)]
                data = Path(dataset).stem if dataset else "shipped"
                print(f"| {algorithm} | {shown} | {data} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
