"""Trials in the journal: each is one worker's at a time, and none is lost."""

import re

import pytest

from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.lease import LeaseLost
from pogo.core.tuning.plan import SamplerPlan
from tests.core.tuning.conftest import Studies

optuna = pytest.importorskip("optuna")

from pogo.core.tuning.store import JOURNAL, Claim, Store, make_sampler  # noqa: E402 - needs Optuna


def claimed(store: Store) -> Claim:
    claim = store.claim()
    assert claim is not None
    return claim


def test_a_trial_is_one_workers_at_a_time(studies: Studies) -> None:
    plan = studies.make(("trials: 6", "trials: 2"))
    first, second = Store(plan), Store(plan)
    claims = [claimed(first), claimed(second)]
    assert [claim.trial.number for claim in claims] == [0, 1]
    assert first.claim() is second.claim() is None
    for store, claim, value in zip((first, second), claims, (5.0, 7.0), strict=True):
        store.complete(claim, value, {0: value - 1, 1: value + 1})
        claim.lease.release()
    assert first.claim() is None
    assert [trial.value for trial in second.trials()] == [5.0, 7.0]
    assert second.trials()[1].user_attrs == {"by_seed": {"0": 6.0, "1": 8.0}}


def test_who_comes_next_goes_on_with_a_trial_that_was_left(studies: Studies) -> None:
    plan = studies.make()
    left = claimed(Store(plan))
    Store(plan).report(left, {100: 3.0})
    left.lease.release()
    store = Store(plan)
    again = claimed(store)
    assert (again.trial.number, again.options) == (0, left.options)
    assert claimed(store).trial.number == 1
    store.report(again, {100: 3.0, 200: 4.0})
    assert store.trials()[0].intermediate_values == {100: 3.0, 200: 4.0}


def test_a_trial_that_was_left_before_its_options_were_chosen_gets_them(studies: Studies) -> None:
    plan = studies.make()
    Store(plan).study.ask()
    claim = claimed(Store(plan))
    assert claim.trial.number == 0
    assert claim.options[0].startswith("algorithm.beta=")


def test_who_has_lost_a_trial_says_nothing_of_it(studies: Studies) -> None:
    plan = studies.make()
    store = Store(plan)
    claim = claimed(store)
    next(plan.trial_folder(0).glob("lease.*.json")).unlink()
    with pytest.raises(LeaseLost):
        store.complete(claim, 1.0, {})
    assert store.trials()[0].value is None


@pytest.mark.parametrize(
    ("change", "key"),
    [(("[0.1, 80]", "[0.1, 70]"), "space"), (("eval.every=100", "eval.every=50"), "options"),
     (("seeds: [0, 1]", "seeds: [0]"), "seeds"), (("pruner", "objective: {actor: 0}\npruner"), "objective")],
    ids=str,
)  # fmt: skip
def test_a_study_stays_what_it_began_as(studies: Studies, change: tuple[str, str], key: str) -> None:
    Store(studies.make())
    with pytest.raises(BadInput, match=re.escape(f"study.yaml: {key} differs from what the study in ")):
        Store(studies.make(change))


def test_more_trials_and_another_pruner_are_the_same_study(studies: Studies) -> None:
    Store(studies.make())
    Store(
        studies.make(("trials: 6", "trials: 9"), ("pruner: none", "pruner: median"), ("seeds", "sampler: tpe\nseeds"))
    )


def test_a_report_begins_no_study(studies: Studies) -> None:
    plan = studies.make()
    with pytest.raises(BadInput, match=r"holds no study yet; pogo-tune .* begins it"):
        Store.existing(plan)
    assert not plan.folder.exists()


def test_a_damaged_journal_is_named(studies: Studies) -> None:
    plan = studies.make()
    Store(plan)
    with (plan.folder / JOURNAL).open("a") as file:
        file.write("{torn\n{}\n")
    with pytest.raises(RunFailed, match=r"journal\.log is no journal of Optuna's"):
        Store(plan)


def test_a_journal_that_was_deleted_beside_its_trials_is_said(studies: Studies) -> None:
    plan = studies.make()
    held = claimed(Store(plan))
    (plan.folder / JOURNAL).unlink()
    with pytest.raises(RunFailed, match="the study's journal was deleted"):
        Store(plan).claim()
    held.lease.release()


@pytest.mark.parametrize("name", ["tpe", "random"])
def test_draws_are_those_of_the_trial(name: str) -> None:
    """Two workers with one seed do not choose the same options, and a study is repeated by its seed."""

    def first(number: int, seed: int = 0) -> float:
        study = optuna.create_study(sampler=make_sampler(SamplerPlan(name, seed, startup=5), number))
        return study.ask().suggest_float("x", 0, 1)

    assert first(3) == first(3)
    assert len({first(3), first(4), first(3, seed=1)}) == 3
