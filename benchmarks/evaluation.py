"""Seconds of an evaluation, and its share of a run, by how many processes hold the simulators.

    python benchmarks/evaluation.py                                   # a default run of both backends
    python benchmarks/evaluation.py --processes 0 2 4 8 --options algorithm=td3_bc env=Hopper-v5 dataset.path=FILE

The median of an evaluation, the first left out (it compiles, and waits for the workers), and of the seconds of an
update between evaluations; share = evaluation / (evaluation + eval.every updates).
"""

import argparse
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pogo.core.config.compose import compose_config
from pogo.core.registry import BACKENDS
from pogo.core.runs.evaluation import Evaluator
from pogo.core.runs.learners import make_learner_group
from pogo.core.runs.plan import Plan, make_plans


def seconds(plan: Plan, processes: Sequence[int], rounds: int, updates: int) -> tuple[list[float], float]:
    """Of an evaluation, for each number of processes, and of an update; they take turns."""
    dataset, group = plan.dataset, make_learner_group([plan])
    assert dataset.environment is not None
    episodes, seed = plan.config.eval.episodes, plan.config.seed
    settings = plan.spec.actors, dataset.environment, dataset.normalisation, dataset.reference_returns, episodes
    evaluators = [Evaluator(*settings, count) for count in processes]
    evaluations: list[list[float]] = [[] for _ in processes]
    trained = []
    try:
        for number in range(rounds + 1):
            start = time.perf_counter()
            group.train(updates)
            trained.append((time.perf_counter() - start) / updates)
            for evaluator, found in zip(evaluators, evaluations, strict=True):
                start = time.perf_counter()
                evaluator.evaluate(group.learners[0].act_pairs, seed, number)
                found.append(time.perf_counter() - start)
    finally:
        for evaluator in evaluators:
            evaluator.close()
    return [statistics.median(found[1:]) for found in evaluations], statistics.median(trained[1:])


def main() -> None:
    """Print a row for each backend and number of processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--backends", nargs="+", default=list(BACKENDS), choices=BACKENDS)
    parser.add_argument("--processes", nargs="+", type=int, default=[0, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--updates", type=int, default=100, help="between two rounds")
    parser.add_argument("--options", nargs="*", default=[], help="of pogo-train")
    options = parser.parse_args()
    print("| backend | processes | evaluation, s | updates/s | share |\n|---|---|---|---|---|")
    for backend in options.backends:
        plan = make_plans(compose_config([f"backend={backend}", *options.options]))[0]
        evaluations, update = seconds(plan, options.processes, options.rounds, options.updates)
        for count, evaluation in zip(options.processes, evaluations, strict=True):
            share = evaluation / (evaluation + plan.config.eval.every * update)
            print(f"| {backend} | {count} | {evaluation:.3f} | {1 / update:.0f} | {share:.1%} |", flush=True)


if __name__ == "__main__":
    main()
