"""A study's trials in Optuna's journal, a file that any number of processes append to, and who works on which."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from pogo.core.errors import BadInput, RunFailed

try:
    import optuna
except ImportError as missing:
    raise BadInput("pogo-tune needs optuna, not installed here: pip install 'pogo[tune]'.") from missing

import numpy as np
from optuna.pruners import BasePruner, MedianPruner, NopPruner, PercentilePruner, SuccessiveHalvingPruner
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from pogo.core.files.durable import make_folder
from pogo.core.files.lease import InUse, Lease
from pogo.core.tuning.plan import PrunerPlan, SamplerPlan, StudyPlan

JOURNAL = "journal.log"
# What Optuna keeps beside a study and a trial.
DEFINITION = "pogo"
FAILURE, BY_SEED = "failed", "by_seed"

optuna.logging.set_verbosity(optuna.logging.WARNING)


@dataclass(frozen=True)
class Claim:
    """A trial that this process works on, and nobody else."""

    trial: optuna.Trial
    options: tuple[str, ...]  # of the space, as they are written on the command line
    lease: Lease


class Store:
    """A study's trials. Each method looks at the journal anew."""

    def __init__(self, plan: StudyPlan) -> None:
        """Open the journal, which is begun if need be.

        Raises:
            BadInput: the study in it is another one than the file's.
            RunFailed: it cannot be read or written.
        """
        self.plan = plan
        with _naming(plan):
            make_folder(plan.folder)
            # Of one process at a time, for as long as it takes to choose a trial and to hold its folder.
            self._turn = JournalFileOpenLock(str(plan.folder / "turn"))
            path = str(plan.folder / JOURNAL)
            self._storage = JournalStorage(JournalFileBackend(path, lock_obj=JournalFileOpenLock(path)))
            self._study = self._load() or self._begin()
        self._check_definition()

    @classmethod
    def existing(cls, plan: StudyPlan) -> "Store":
        """The store of a study that has begun.

        Raises:
            BadInput: it has not, or it is another one than the file's.
        """
        if not (plan.folder / JOURNAL).exists():
            raise BadInput(f"{plan.folder} holds no study yet; pogo-tune {plan.file} begins it.")
        return cls(plan)

    @property
    def study(self) -> optuna.Study:
        """As Optuna has it."""
        return self._study

    def trials(self) -> list[FrozenTrial]:
        """All trials, by number."""
        with _naming(self.plan):
            return self._study.get_trials(deepcopy=False)

    def claim(self) -> Claim | None:
        """A trial to work on: one that its process has left, however it ended, else a new one; None: there is none.

        Raises:
            RunFailed: the study's folder cannot be written.
        """
        with _naming(self.plan), self._alone():
            trials = self._study.get_trials(deepcopy=False)
            for left in trials:
                if left.state == TrialState.RUNNING and (lease := self._hold(left.number)) is not None:
                    # Optuna has no public name for the number by which a storage knows a trial.
                    return self._claim(optuna.Trial(self._study, left._trial_id), lease)
            if len(trials) >= self.plan.trials:
                return None
            self._study.sampler = make_sampler(self.plan.sampler, len(trials))
            trial = self._study.ask()
            lease = self._hold(trial.number)
            if lease is None:
                raise RunFailed(
                    f"{self.plan.trial_folder(trial.number)} is held by another process, and its trial is new: the "
                    "study's journal was deleted; delete the whole folder, or give the study another name."
                )
            return self._claim(trial, lease)

    def complete(self, claim: Claim, value: float, by_seed: Mapping[int, float]) -> None:
        """Note what a trial is worth."""
        with self._ending(claim):
            claim.trial.set_user_attr(BY_SEED, {str(seed): each for seed, each in by_seed.items()})
            self._study.tell(claim.trial, value)

    def prune(self, claim: Claim) -> None:
        """Note that a trial was ended early."""
        with self._ending(claim):
            self._study.tell(claim.trial, state=TrialState.PRUNED)

    def fail(self, claim: Claim, line: str) -> None:
        """Note why a trial has failed."""
        with self._ending(claim):
            claim.trial.set_user_attr(FAILURE, line)
            self._study.tell(claim.trial, state=TrialState.FAIL)

    def report(self, claim: Claim, course: Mapping[int, float]) -> bool:
        """Note what a trial has been worth so far; whether it shall end early."""
        with _naming(self.plan):
            claim.lease.check()
            known = self.trials()[claim.trial.number].intermediate_values
            news = {step: value for step, value in course.items() if step not in known}
            for step, value in news.items():
                claim.trial.report(value, step)
            return bool(news) and claim.trial.should_prune()

    @contextmanager
    def _ending(self, claim: Claim) -> Iterator[None]:
        with _naming(self.plan):
            claim.lease.check()
            yield

    def _claim(self, trial: optuna.Trial, lease: Lease) -> Claim:
        options = tuple(f"{name}={each.suggest(trial, name)}" for name, each in self.plan.space.items())
        return Claim(trial, options, lease)

    def _hold(self, number: int) -> Lease | None:
        """The lease of a trial's folder; None: somebody alive has it."""
        folder = self.plan.trial_folder(number)
        make_folder(folder)
        try:
            return Lease.take(folder)[0]
        except InUse:
            return None

    @contextmanager
    def _alone(self) -> Iterator[None]:
        self._turn.acquire()
        try:
            yield
        finally:
            with suppress(RuntimeError):  # another has taken it from a process that slept
                self._turn.release()

    def _load(self) -> optuna.Study | None:
        """The study, of which nothing is written; None: it has not begun, or is just about to."""
        try:
            study = optuna.load_study(
                storage=self._storage, study_name=self.plan.name, pruner=make_pruner(self.plan.pruner)
            )
        except KeyError:
            return None
        return study if DEFINITION in study.user_attrs else None

    def _begin(self) -> optuna.Study:
        """The study, begun here unless another process was faster."""
        with self._alone():
            study = optuna.create_study(
                storage=self._storage,
                study_name=self.plan.name,
                direction="maximize",
                load_if_exists=True,
                pruner=make_pruner(self.plan.pruner),
            )
            if DEFINITION not in study.user_attrs:
                study.set_user_attr(DEFINITION, self.plan.definition)
            return study

    def _check_definition(self) -> None:
        """Hold the study to what it began with.

        Raises:
            BadInput: the file asks for something else.
        """
        ours: dict[str, Any] = json.loads(json.dumps(self.plan.definition))
        theirs = self._study.user_attrs[DEFINITION]
        changed = [key for key in ours if ours[key] != theirs.get(key)]
        if changed:
            raise BadInput(
                f"{self.plan.file}: {changed[0]} differs from what the study in {self.plan.folder} began with; put it "
                "back, or give the study another name."
            )


def make_sampler(plan: SamplerPlan, number: int) -> BaseSampler:
    """Who chooses the trial of this number.

    Each trial has draws of its own: workers that all began with the study's seed would choose the same options.
    """
    seed = int(np.random.SeedSequence([plan.seed, number]).generate_state(1)[0])
    if plan.name == "random":
        return RandomSampler(seed=seed)
    # Options that others are trying out count as bad ones, so that workers do not all try the same.
    return TPESampler(seed=seed, n_startup_trials=plan.startup, multivariate=True, constant_liar=True)


def make_pruner(plan: PrunerPlan) -> BasePruner:
    """Who ends trials early."""
    if plan.name == "median":
        return MedianPruner(n_startup_trials=plan.startup, n_warmup_steps=plan.warmup)
    if plan.name == "percentile":
        return PercentilePruner(plan.percent, n_startup_trials=plan.startup, n_warmup_steps=plan.warmup)
    if plan.name == "successive_halving":
        return SuccessiveHalvingPruner(min_resource=plan.warmup, reduction_factor=plan.reduction)
    return NopPruner()


@contextmanager
def _naming(plan: StudyPlan) -> Iterator[None]:
    """Say which journal it is that cannot be read or written."""
    path = plan.folder / JOURNAL
    try:
        yield
    except OSError as error:
        raise RunFailed(f"{path} cannot be read or written: {error.strerror}.") from error
    except json.JSONDecodeError as error:
        raise RunFailed(f"{path} is no journal of Optuna's ({error}); drop its damaged line.") from error
