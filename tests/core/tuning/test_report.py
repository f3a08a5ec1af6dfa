"""A study's report: its best options as a command that can be run, what matters, and figures."""

import json
import shlex
from pathlib import Path

import pytest

from pogo.core.config.compose import compose_config
from pogo.core.config.resolution import resolve
from pogo.core.errors import BadInput
from pogo.core.tuning.plan import StudyPlan
from tests.core.tuning.conftest import Studies

pytest.importorskip("optuna")

from optuna.trial import TrialState

from pogo.core.tuning.report import LEAST_TRIALS, Report, best_so_far, make_report, report_text
from pogo.core.tuning.store import Store

SPACE = (
    "{float: [0.1, 80], log: true}",
    "{float: [0.1, 80], log: true}\n  algorithm.hidden_sizes: {choice: [[64, 64], [32]]}\n"
    "  train.batch_size: {int: [32, 64]}",
)  # fmt: skip


def filled(plan: StudyPlan, complete: int, pruned: int = 0, failed: int = 0) -> Report:
    """The report of a study whose value is the less the larger beta is, whatever the other options are."""
    store = Store(plan)
    for number in range(complete + pruned + failed):
        claim = store.claim()
        assert claim is not None
        value = 100.0 - float(claim.trial.params["algorithm.beta"])
        if number < complete:
            store.report(claim, {500: value - 10, 1000: value})
            store.complete(claim, value, {0: value - 1, 1: value + 1})
        elif number < complete + pruned:
            store.report(claim, {500: 1.0})
            store.prune(claim)
        else:
            store.fail(claim, "seed=1: it diverged.")
        claim.lease.release()
    return make_report(plan)


def test_the_command_has_the_best_trials_options(studies: Studies) -> None:
    plan = studies.make(SPACE)
    report = filled(plan, complete=4, pruned=1, failed=1)
    best = max((trial for trial in report.trials if trial.value is not None), key=lambda trial: trial.value or 0.0)
    program, *given = shlex.split(report.command)
    assert program == "pogo-train"
    config = resolve(compose_config(given))
    assert config.algorithm.hyperparameters.beta == best.params["algorithm.beta"], "to the last digit"
    assert config.train.batch_size == best.params["train.batch_size"]
    sizes = json.loads(best.params["algorithm.hidden_sizes"])
    assert list(config.algorithm.hyperparameters.hidden_sizes) == sizes
    assert config.train.updates == 1000


def test_fresh_seeds_are_none_of_the_studys(studies: Studies) -> None:
    plan = studies.make(("seeds: [0, 1]", "seeds: [4, 1]\nobjective: {actor: 0, mode: stochastic, evaluations: 3}"))
    store = Store(plan)
    claim = store.claim()
    assert claim is not None
    store.complete(claim, 1.0, {4: 1.0, 1: 1.0})
    train, report = make_report(plan).fresh_commands
    assert "seed=5,6,7,8,9" in train
    assert f"run.root={plan.folder}/best" in train
    assert report == f"pogo-report {plan.folder}/best --actor 0 --mode stochastic --checkpoint mean:3"


def test_the_text_says_what_there_is(studies: Studies) -> None:
    plan = studies.make()
    text = report_text(filled(plan, complete=4, pruned=1, failed=1))
    assert "6 trials: 4 complete, 1 pruned, 1 failed, 6 asked for" in text
    assert "normalised score of the last actor, deterministic, last evaluation, mean over seeds 0, 1" in text
    assert "trial 5 failed: seed=1: it diverged." in text
    assert "is the best of 4 trials, and so flatters these options" in text
    assert f"not said of 4 complete trials; it takes {LEAST_TRIALS}." in text


def test_a_study_without_a_complete_trial(studies: Studies) -> None:
    report = filled(studies.make(), complete=0, pruned=1, failed=1)
    assert "No trial is complete, and so none is the best." in report_text(report)
    assert report.to_json()["best"] is None


def test_what_matters_comes_first(studies: Studies) -> None:
    plan = studies.make(SPACE, ("trials: 6", "trials: 30"), ("pruner", "sampler: random\npruner"))
    report = filled(plan, complete=30)
    assert report.importances is not None
    assert next(iter(report.importances)) == "algorithm.beta"
    assert sum(report.importances.values()) == pytest.approx(1.0)
    assert "| algorithm.beta " in report_text(report)


def test_the_document_holds_every_trial(studies: Studies) -> None:
    report = filled(studies.make(), complete=2, pruned=1, failed=1)
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["counts"] == {"complete": 2, "pruned": 1, "failed": 1, "open": 0, "waiting": 0}
    assert document["best"]["command"] == report.command
    assert [trial["state"] for trial in document["trials"]] == ["complete", "complete", "pruned", "failed"]
    assert document["trials"][2]["course"] == {"500": 1.0}
    assert document["trials"][3]["failed"] == "seed=1: it diverged."


def test_the_best_so_far_never_falls(studies: Studies) -> None:
    report = filled(studies.make(), complete=5, pruned=1)
    values = [value for _, value in best_so_far(report.trials)]
    assert values == sorted(values)
    assert len(values) == sum(trial.state == TrialState.COMPLETE for trial in report.trials)


def test_figures_are_drawn_of_what_there_is(studies: Studies, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from pogo.core.tuning.figures import draw_report

    plan = studies.make(SPACE, ("trials: 6", "trials: 14"))
    few = draw_report(filled(plan, complete=2, pruned=1), tmp_path / "few")
    assert [path.name for path in few] == ["history.png", "history.svg"]
    all_of_it = draw_report(filled(plan, complete=11), tmp_path / "all")
    names = ["history.png", "history.svg", "importances.png", "importances.svg"]
    assert [path.name for path in all_of_it] == names
    assert all(path.stat().st_size > 1000 for path in all_of_it)
    again = draw_report(make_report(plan), tmp_path / "again")
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in all_of_it]


def test_another_studys_file_has_no_report(studies: Studies) -> None:
    filled(studies.make(), complete=1)
    with pytest.raises(BadInput, match="seeds differs from what the study in"):
        make_report(studies.make(("seeds: [0, 1]", "seeds: [0]")))
