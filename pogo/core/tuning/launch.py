"""A study's workers given to a launcher, and followed until all trials are done."""

import logging
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pogo.core.config.launcher import Launcher, LocalLauncher
from pogo.core.errors import EXIT_DONE, EXIT_FAILED
from pogo.core.files.durable import make_folder
from pogo.core.sweeps.launchers import make_engine
from pogo.core.sweeps.launchers.engine import Engine, Handle
from pogo.core.sweeps.records import last_line
from pogo.core.sweeps.runner import was_stopped
from pogo.core.sweeps.task import Task
from pogo.core.system.signals import StopRequest
from pogo.core.tuning.plan import StudyPlan
from pogo.core.tuning.store import JOURNAL, Store
from pogo.core.tuning.words import complete, counts_in_words, trial_in_words

POLL_SECONDS = 0.05
LOOK_SECONDS = 2.0  # between two looks at the trials
WORKER = "pogo.cli.tune"

logger = logging.getLogger("pogo")


def tune(plan: StudyPlan, launcher: Launcher, workers: int, module: str = WORKER) -> int:
    """Have workers do the trials that are left, and wait for them unless the launcher leaves them to a cluster.

    Args:
        plan: the study.
        launcher: who starts the workers.
        workers: how many, at most one for each trial that is left.
        module: whose `main` a worker is.

    Returns:
        The exit code: 0 all trials done, or the workers given to a cluster; 1 trials are left, or all have failed; 130
        or 143 stopped by a signal, which workers pass on to the runs.

    Raises:
        BadInput: the launcher does not take them, or the study is another one than the file's.
        RunFailed: the study's folder cannot be written.
    """
    left = plan.trials
    if (plan.folder / JOURNAL).exists():
        begun = Store(plan)
        left -= sum(trial.state.is_finished() for trial in begun.trials())
        if left <= 0:
            return _report(begun)
    workers = min(workers, left)
    if isinstance(launcher, LocalLauncher):
        launcher = replace(launcher, jobs=workers)
    with make_engine(launcher, str(plan.folder)) as engine, StopRequest() as stop:
        store = Store(plan)  # a launcher that cannot be is refused before there is anything of the study
        said = counts_in_words(store.trials())
        logger.info("%s: %s, %d asked for; %d at a time.", plan.folder, said, plan.trials, workers)
        handles = engine.submit([_task(plan, folder, module) for folder in _worker_folders(plan, workers)])
        if engine.detaches:
            jobs = ", ".join(sorted({handle.job for handle in handles}))
            logger.info("workers given to %s, jobs %s; pogo-tune %s --report.", engine.name, jobs, plan.file)
            return EXIT_DONE
        _follow(store, engine, handles, stop)
        code = _report(store)
        return stop.exit_code if stop.requested else code


def _task(plan: StudyPlan, folder: Path, module: str) -> Task:
    return Task((str(plan.file.absolute()), "--worker"), folder, f"worker {folder.name}", module, os.getcwd())


def _worker_folders(plan: StudyPlan, count: int) -> list[Path]:
    """New folders, which no other command has: several may work on one study."""
    above = (plan.folder / "workers").absolute()
    make_folder(above)
    folders: list[Path] = []
    number = 0
    while len(folders) < count:
        folder = above / str(number)
        try:
            folder.mkdir()
            folders.append(folder)
        except FileExistsError:
            number += 1
    return folders


def _follow(store: Store, engine: Engine, handles: Sequence[Handle], stop: StopRequest) -> None:
    """Wait until all workers have ended, and say how trials end where the workers' own output does not."""
    said = {trial.number for trial in store.trials() if trial.state.is_finished()}
    pending, told, looked = list(handles), False, time.monotonic()
    while pending and not (told and engine.is_idle):
        if stop.requested and not told:
            told = True
            engine.stop(stop.signal_number or signal.SIGTERM)
        engine.look()
        for handle in list(pending):
            code = handle.code()
            if code is not None:
                pending.remove(handle)
                _say_end(engine, handle, code)
        if time.monotonic() - looked >= LOOK_SECONDS or not pending:
            looked = time.monotonic()
            said |= _say_trials(store, said, quiet=engine.shows_output)
        time.sleep(POLL_SECONDS)


def _say_end(engine: Engine, handle: Handle, code: int) -> None:
    if code != EXIT_DONE and not was_stopped(code) and not engine.shows_output:
        logger.error("%s failed, exit code %d: %s", handle.task, code, last_line(handle.task.folder))


def _say_trials(store: Store, said: set[int], quiet: bool) -> set[int]:
    """Say how trials have ended that are not among those; returns them."""
    trials = store.trials()
    news = [trial for trial in trials if trial.state.is_finished() and trial.number not in said]
    for trial in news:
        if not quiet:
            logger.info("%s", trial_in_words(trial, trials))
    return {trial.number for trial in news}


def _report(store: Store) -> int:
    """Say how far the study is; returns the exit code of one that is not stopped."""
    plan, trials = store.plan, store.trials()
    logger.info("%s, %d asked for; pogo-tune %s --report.", counts_in_words(trials), plan.trials, plan.file)
    ended = sum(trial.state.is_finished() for trial in trials)
    return EXIT_DONE if ended >= plan.trials and complete(trials) else EXIT_FAILED
