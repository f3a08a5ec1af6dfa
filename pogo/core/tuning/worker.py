"""A worker: it takes one trial after the other, has a run made for each seed, and ends the trials that lag behind."""

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from optuna.trial import TrialState

from pogo.core.errors import EXIT_DONE, RunFailed
from pogo.core.files.logs import EVALUATION
from pogo.core.sweeps.records import read_attempts
from pogo.core.sweeps.runner import Runner, Share, shares, was_stopped
from pogo.core.sweeps.task import TRAIN, Task
from pogo.core.system.machine import visible_gpus
from pogo.core.system.signals import StopRequest
from pogo.core.tuning.objective import Course, course_of, over_seeds
from pogo.core.tuning.plan import StudyPlan
from pogo.core.tuning.store import FAILURE, Claim, Store
from pogo.core.tuning.words import trial_in_words

POLL_SECONDS = 0.05
LOOK_SECONDS = 0.5  # between two looks at the evaluations of what runs
RETRIES = 1  # of a run that is killed, as by a system short of memory
MOST_FAILED = 3  # trials of a study in which nothing else has happened, after which workers give up
_MEMORY_SHARE = "XLA_PYTHON_CLIENT_MEM_FRACTION"

logger = logging.getLogger("pogo")


def work(plan: StudyPlan, threads: int, module: str = TRAIN) -> int:
    """Work on trials until there is none left, or a signal comes.

    Args:
        plan: the study.
        threads: of this machine, for the runs of a trial together.
        module: whose `main` a run is.

    Returns:
        The exit code: 0, or that of the signal. The trial that a signal interrupts stays open, for who comes next.

    Raises:
        RunFailed: the study's folder cannot be written, or all of its trials fail.
    """
    store, places = Store(plan), _places(threads, len(plan.seeds))
    with StopRequest() as stop:
        while not stop.requested and (claim := store.claim()) is not None:
            try:
                _TrialRuns(store, claim, places, module).follow(stop)
            finally:
                claim.lease.release()
            _give_up_if_all_fail(store)
        return stop.exit_code


class _TrialRuns:
    """The runs of a trial, one for each seed, all side by side: a trial is judged by what all of them have reached."""

    def __init__(self, store: Store, claim: Claim, places: Sequence[Share], module: str) -> None:
        self._store, self._claim, plan = store, claim, store.plan
        self._seeds = dict.fromkeys(plan.seeds, Path())
        tasks = []
        for seed in plan.seeds:
            folder = self._seeds[seed] = plan.run_folder(claim.trial.number, seed).absolute()
            own = (f"seed={seed}", f"run.dir={folder}", "run.wait=true")
            arguments = ("--in-sweep", *plan.options, *claim.options, *own)
            tasks.append(Task(arguments, folder, f"seed={seed}", module, os.getcwd()))
        self._runner = Runner(tasks, places, RETRIES)
        self._courses: dict[int, Course] = {seed: {} for seed in plan.seeds}
        self._read: dict[int, tuple[int, int]] = {}  # size and time of the evaluations that the courses are of

    def follow(self, stop: StopRequest) -> None:
        """See the trial to its end, which is noted in the study; none of a trial that a signal interrupts."""
        number = self._claim.trial.number
        logger.info("trial %d: %s", number, " ".join(self._claim.options))
        try:
            ended = self._run(stop)
        except RunFailed as error:
            self._end_runs()
            self._store.fail(self._claim, str(error))
            ended = True
        except BaseException:
            self._end_runs()
            raise
        if ended:
            trials = self._store.trials()
            logger.info("%s", trial_in_words(trials[number], trials))

    def _run(self, stop: StopRequest) -> bool:
        """Run them; whether the trial has ended.

        Raises:
            RunFailed: a run has failed, or cannot be judged.
        """
        looked, pruned = time.monotonic(), False
        while not self._runner.is_done:
            if stop.requested:
                self._runner.stop(stop.signal_number or signal.SIGTERM)
            self._runner.look()
            self._check_ends(stop.requested or pruned)
            if not pruned and not stop.requested and time.monotonic() - looked >= LOOK_SECONDS:
                looked = time.monotonic()
                if pruned := self._lags():
                    self._runner.stop()
            time.sleep(POLL_SECONDS)
        codes = self._runner.results.values()
        if len(codes) == len(self._seeds) and all(code == EXIT_DONE for code in codes):
            self._complete()
        elif pruned:
            self._store.prune(self._claim)
        else:
            return False
        return True

    def _lags(self) -> bool:
        """Whether the trial shall end early, by what its runs have reached."""
        if not self._look():
            return False
        return self._store.report(self._claim, over_seeds(list(self._courses.values()), self._store.plan.objective))

    def _look(self) -> bool:
        """Read the evaluations that are new; whether any is."""
        news = False
        for seed, folder in self._seeds.items():
            try:
                found = (folder / EVALUATION).stat()
            except FileNotFoundError:
                continue
            if self._read.get(seed) != (found.st_size, found.st_mtime_ns):
                self._read[seed] = (found.st_size, found.st_mtime_ns)
                self._courses[seed] = course_of(folder, self._store.plan.objective)
                news = True
        return news

    def _complete(self) -> None:
        objective = self._store.plan.objective
        courses = {seed: course_of(folder, objective) for seed, folder in self._seeds.items()}
        for seed, course in courses.items():
            if not course:
                raise RunFailed(f"{self._seeds[seed]} has no evaluation.")
        whole = over_seeds(list(courses.values()), objective)
        ends = {max(course) for course in courses.values()}
        if len(ends) > 1:
            raise RunFailed(
                f"{self._store.plan.trial_folder(self._claim.trial.number)}: its runs end apart, at {ends}."
            )
        self._store.report(self._claim, whole)
        end = ends.pop()
        self._store.complete(self._claim, whole[end], {seed: course[end] for seed, course in courses.items()})

    def _check_ends(self, told: bool) -> None:
        """Make sure that no run has ended badly.

        Raises:
            RunFailed: one has; with the last line that it printed.
        """
        for task, code in self._runner.results.items():
            if code == EXIT_DONE or (told and (code < 0 or was_stopped(code))):
                continue
            attempts = read_attempts(task.folder)
            line = (attempts[-1].line if attempts else "") or f"exit code {code}"
            raise RunFailed(f"{task.label}: {line}")

    def _end_runs(self) -> None:
        """Have those that still run save and end."""
        self._runner.stop()
        self._runner.run(lambda: True)


def _give_up_if_all_fail(store: Store) -> None:
    """Leave a study alone in which only failures happen: what is wrong with it is wrong with the next trial too.

    Raises:
        RunFailed: with the last failure.
    """
    ended = [trial for trial in store.trials() if trial.state.is_finished()]
    if len(ended) >= MOST_FAILED and all(trial.state == TrialState.FAIL for trial in ended):
        line = ended[-1].user_attrs.get(FAILURE)
        raise RunFailed(f"all {len(ended)} trials have failed; mend it, and the same command goes on. The last: {line}")


def _places(threads: int, side_by_side: int) -> list[Share]:
    """What each of a trial's runs gets of what this worker has."""
    places = shares(side_by_side, visible_gpus())
    of_gpu = places[0].of_gpu
    if of_gpu > 1 and _MEMORY_SHARE in os.environ:  # this worker's part of a GPU that it shares
        os.environ[_MEMORY_SHARE] = f"{float(os.environ[_MEMORY_SHARE]) / of_gpu:.3f}"
    return [replace(place, threads=max(1, threads // side_by_side)) for place in places]
