"""Search IQL's expectile and beta by Optuna: unpromising trials are stopped at their first evaluations.

    pip install 'pogo[jax,tune]'
    python examples/search.py --trials 20 --updates 5000

A trial is a run in runs/search, which the same trial number finds again. The score is that of the last actor of the
chain, deterministic. Scores on the environment that a policy is for are what this tunes by: offline, one has them only
where the simulator is at hand.
"""

import argparse

import optuna

import pogo


def score(actors) -> float:
    """The normalised score of the last actor of the chain."""
    return actors[-1].deterministic.normalized_score


def main() -> None:
    """Run the search, and print its best trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--updates", type=int, default=5000, help="of a trial that is not stopped")
    parser.add_argument(
        "--evaluations", type=int, default=5, help="of such a trial, at each of which it may be stopped"
    )
    parser.add_argument("--folder", default="runs/search")
    options = parser.parse_args()

    def objective(trial: optuna.Trial) -> float:
        def report(event) -> None:
            trial.report(score(event.actors), event.step)
            if trial.should_prune():
                raise optuna.TrialPruned

        run = pogo.train(
            "iql",
            backend="jax",
            overrides={
                "algorithm.expectile": trial.suggest_float("expectile", 0.5, 0.95),
                "algorithm.beta": trial.suggest_float("beta", 0.3, 10.0, log=True),
                "train.updates": options.updates,
                "eval.every": options.updates // options.evaluations,
                "eval.episodes": 5,
                "run.dir": f"{options.folder}/trial_{trial.number}",
            },
            on_evaluation=report,
            progress=False,
        )
        evaluations = run.evaluations
        is_last = (evaluations["actor"] == len(run.actors) - 1) & (evaluations["mode"] == "deterministic")
        return float(evaluations["normalized_score"][is_last][-1])

    pruner = optuna.pruners.MedianPruner(n_startup_trials=3)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0), pruner=pruner)
    study.optimize(objective, n_trials=options.trials)
    pruned = sum(trial.state == optuna.trial.TrialState.PRUNED for trial in study.trials)
    print(f"{len(study.trials)} trials, {pruned} stopped early. Best: {study.best_value:.1f} with {study.best_params}")


if __name__ == "__main__":
    main()
