"""One command's runs, one per seed, from a composed config to the exit code."""

import dataclasses
import logging
import traceback
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pogo.core.algorithms.inputs import row_arrays
from pogo.core.data.dataset import Dataset
from pogo.core.data.transitions import Transitions
from pogo.core.data.write_hdf5 import check_new_file
from pogo.core.environments.checks import in_one_line
from pogo.core.errors import EXIT_DONE, BadInput, RunFailed
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.files.lease import LeaseLost
from pogo.core.files.logs import RunLog
from pogo.core.learner.group import LearnerGroup
from pogo.core.learner.interface import Learner
from pogo.core.learner.probe import make_probe
from pogo.core.online.collector import Collector, naming_failures, visited_at_random
from pogo.core.problem.state import COLLECTOR_PREFIX, REPLAY_PREFIX, damaged
from pogo.core.runs.base_run import with_own_chain
from pogo.core.runs.console import RunConsole
from pogo.core.runs.evaluation import Evaluator
from pogo.core.runs.header import header
from pogo.core.runs.learners import make_learner_group
from pogo.core.runs.listener import NOBODY, CallbackRaised, Listener
from pogo.core.runs.lock import RunLock
from pogo.core.runs.loop import TrainingLoop
from pogo.core.runs.online_loop import OnlineLoop
from pogo.core.runs.plan import Plan, make_plans
from pogo.core.runs.record import ResumePoint
from pogo.core.runs.resume import warn_of_other_bits, with_recorded_hyperparameters
from pogo.core.runs.seed_run import SeedRun
from pogo.core.runs.start import begin_again, find_start, go_back
from pogo.core.runs.stopwatch import Stopwatch
from pogo.core.runs.warm_start import warm_started
from pogo.core.setting import Values
from pogo.core.system.signals import StopRequest

PROBED_STEPS = 1000  # of random actions, which a probe of an online run's policies picks states from

logger = logging.getLogger("pogo")


def train(asked: Values, command: Sequence[str] = ()) -> int:
    """Train as configured; the exit code: 0 done, 143 or 130 stopped by a signal with a checkpoint saved.

    Args:
        asked: the composed config.
        command: that asks for it, for the record: the program's name, then what followed it.

    Raises:
        BadInput: something that the user can mend, found before any work.
        RunFailed: the run had started and could not go on.
    """
    with StopRequest() as stop:
        return EXIT_DONE if train_plans(make_plans(asked, command), stop) else stop.exit_code


def train_plans(plans: Sequence[Plan], stop: StopRequest, listener: Listener = NOBODY) -> bool:
    """Train checked plans of one command, to their end or until a stop is asked for, which saves first.

    Returns:
        Whether the runs are finished.

    Raises:
        BadInput: something that the user can mend, found before any work.
        RunFailed: the run had started and could not go on.
        CallbackRaised: a callback of the listener has raised something.
    """
    with ExitStack() as held:
        return _train(plans, held, stop, listener)


def _train(plans: Sequence[Plan], held: ExitStack, stop: StopRequest, listener: Listener) -> bool:
    locks = [held.enter_context(RunLock(plan.run_dir)) for plan in plans]
    if not _hold(locks, plans[0].config.run.wait, stop):
        return False
    group = ",".join(str(seed) for seed in plans[0].seeds) if len(plans) > 1 else ""
    stores = [CheckpointStore(plan.run_dir, plan.config.checkpoint.keep, group) for plan in plans]
    seen = {store.run_dir: set(store.steps()) for store in stores}
    start = find_start(plans, stores)
    if start.finished:
        _refuse_late_replay(plans[0])
        for plan in plans:
            logger.info(
                "%s is finished at %s; nothing to do.", plan.run_dir, plan.config.clock.words(plan.config.length)
            )
        return True
    if start.points:
        plans = with_recorded_hyperparameters(plans, start.points)
    learners = make_learner_group(plans)
    collector = _open_collector(plans[0], held)
    _restore(plans, learners, collector, start.points)
    probes = [make_probe(_probed(plan), plan.spec.action_size, plan.config.seed) for plan in plans]
    for plan, lock, store in zip(plans, locks, stores, strict=True):
        lock.acquire()
        if not seen[store.run_dir].issuperset(store.steps()):
            raise BadInput(f"{plan.run_dir} was begun by another process meanwhile; start again to go on from there.")
    for store, point in zip(stores, start.points, strict=False):
        go_back(store, point)
    if start.begins_again:
        begin_again(plans, stores)
    # The learners hold the data on their device: nothing else keeps its rows.
    without_rows = _without_rows(plans[0].dataset)
    plans = [dataclasses.replace(plan, dataset=without_rows) for plan in plans]
    points = start.points or [None] * len(plans)
    with ExitStack() as opened:
        evaluator = _open_evaluator(plans[0], opened)
        logs = [opened.enter_context(_open_log(*each)) for each in zip(plans, points, strict=True)]
        stopwatch = Stopwatch()
        runs = [
            SeedRun(plan, lock, learner, probe, store, log, point, stop, stopwatch, evaluator, collector, listener)
            for plan, lock, learner, probe, store, log, point in zip(
                plans, locks, learners.learners, probes, stores, logs, points, strict=True
            )
        ]
        return _run(runs, learners, collector, stop, stopwatch, listener.show)


def _hold(locks: Sequence[RunLock], wait: bool, stop: StopRequest) -> bool:
    """Lock the folders that are there, or, by `run.wait`, every one; whether no stop was asked for meanwhile."""
    if wait:
        return all(lock.wait(stop) for lock in locks)
    for lock in locks:
        lock.reserve()  # a folder that is not there yet is made when nothing can be refused any more
    return True


def _refuse_late_replay(plan: Plan) -> None:
    """A finished run changes nothing, and so writes no file that it is asked for now.

    Raises:
        BadInput: the run is asked for a file that is not there.
    """
    if plan.config.train.save_replay is None:
        return
    path = Path(plan.config.train.save_replay).expanduser()
    if not path.exists():
        raise BadInput(
            f"{plan.run_dir} is finished, so train.save_replay={path} is not written by it any more; "
            f"pogo-collect {plan.run_dir} --replay --out {path} writes it."
        )


def _restore(
    plans: Sequence[Plan], learners: LearnerGroup, collector: Collector | None, points: Sequence[ResumePoint]
) -> None:
    """Bring fresh learners to their checkpoints, or to what another run has left them."""
    source, first = plans[0].source, learners.learners[0]
    if source is not None and not points:
        if plans[0].config.is_online:
            first.restore(warm_started(first.snapshot(), plans[0].spec, source))
            logger.info("beginning with the actors and critics of %s.", source.run_dir)
        else:
            first.restore(with_own_chain(first.snapshot(), plans[0], source))
            logger.info("going on from update %d of %s, with a chain of its own.", source.step, source.run_dir)
    for plan, learner, point in zip(plans, learners.learners, points, strict=False):
        learner.restore(point.checkpoint.arrays)
        if collector is not None:
            with naming_failures(collector.spec):
                collector.restore(point.checkpoint.arrays)
            _check_counts(learner, collector, point.step)
        warn_of_other_bits(plan, point.record, learner.machine)


def _check_counts(learner: Learner, collector: Collector, step: int) -> None:
    """Refuse a checkpoint whose buffer, environments and name do not count the same steps."""
    assert learner.replay_buffer is not None
    for name, count in (
        (f"{COLLECTOR_PREFIX}env_steps", collector.env_steps),
        (f"{REPLAY_PREFIX}inserted", learner.replay_buffer.inserted),
    ):
        if count != step:
            raise damaged(name, str(step))


def _open_collector(plan: Plan, held: ExitStack) -> Collector | None:
    """The environments of an online run.

    Raises:
        BadInput: the file that the run would leave cannot be made, or an environment fails.
    """
    config, dataset = plan.config, plan.dataset
    if not config.is_online:
        return None
    if config.train.save_replay is not None:
        check_new_file(Path(config.train.save_replay).expanduser(), "train.save_replay")
    assert dataset.environment is not None
    return held.enter_context(Collector(dataset.environment, config.train.num_envs, dataset.normalisation, config.seed))


def _open_evaluator(plan: Plan, opened: ExitStack) -> Evaluator | None:
    """The simulators of all seeds, which take turns in them."""
    dataset, config = plan.dataset, plan.config.eval
    if dataset.environment is None or config.episodes == 0:
        return None
    return opened.enter_context(
        Evaluator(
            plan.spec.actors,
            dataset.environment,
            dataset.normalisation,
            dataset.reference_returns,
            config.episodes,
            config.processes,
        )
    )


def _probed(plan: Plan) -> dict[str, np.ndarray]:
    """Arrays to describe the policies at; of an online run, observations that random actions lead to."""
    dataset = plan.dataset
    if not plan.config.is_online:
        return {name: getattr(dataset.transitions, name) for name in row_arrays(plan.spec)}
    assert dataset.environment is not None
    with naming_failures(dataset.environment):
        visited = visited_at_random(dataset.environment, dataset.normalisation, PROBED_STEPS, plan.config.seed)
    return {"observations": visited}


def _run(
    runs: Sequence[SeedRun],
    learners: LearnerGroup,
    collector: Collector | None,
    stop: StopRequest,
    stopwatch: Stopwatch,
    show: bool,
) -> bool:
    plan = runs[0].plan
    try:
        for line in header(plan, learners.learners[0].machine):
            logger.info("%s", line)
        for run in runs:
            run.begin()
        with RunConsole(plan.config.length, start=runs[0].position, counts=plan.config.clock, show=show) as console:
            if collector is not None:
                finished = OnlineLoop(runs[0], learners, collector, console, stop, stopwatch).run()
            else:
                finished = TrainingLoop(runs, learners, console, stop, stopwatch).run()
    except LeaseLost:  # what is in the folder is another's
        raise
    except RunFailed as error:
        logger.error("%s", error)
        error.reported = True
        _fail(runs, str(error))
        raise
    except CallbackRaised:  # the program's own affair
        raise
    except Exception as error:
        where = plan.config.clock.words(runs[0].position)
        logger.error("the run failed at %s:\n%s", where, traceback.format_exc())
        _fail(runs, f"{where}: {in_one_line(error)}")
        raise RunFailed(f"{where}: {type(error).__name__}: {error}. {plan.run_dir}/run.log has the trace.") from error
    for run in runs:
        run.end(finished)
    return finished


def _fail(runs: Sequence[SeedRun], reason: str) -> None:
    for run in runs:
        run.fail(reason)


def _open_log(plan: Plan, point: ResumePoint | None) -> RunLog:
    return RunLog(
        plan.run_dir,
        tensorboard=plan.config.logger.tensorboard,
        wandb=_wandb(plan),
        resume_from=None if point is None else point.progress.log_positions,
        # What is owed at the checkpoint is evaluated again.
        keep_to=None if point is None else point.step - point.progress.owes_evaluation,
        unit=plan.config.clock.unit,
    )


def _without_rows(dataset: Dataset) -> Dataset:
    """The dataset with nothing left of its rows but their shapes."""
    transitions = dataset.transitions
    arrays = {entry.name: getattr(transitions, entry.name) for entry in dataclasses.fields(transitions)}
    empty: dict[str, Any] = {name: None if array is None else array[:0].copy() for name, array in arrays.items()}
    return dataclasses.replace(dataset, transitions=Transitions(**empty))


def _wandb(plan: Plan) -> dict[str, Any] | None:
    config = plan.config.logger
    if not config.wandb:
        return None
    return {
        "project": config.wandb_project,
        "entity": config.wandb_entity,
        "mode": config.wandb_mode,
        "name": "/".join(plan.run_dir.parts[-4:]),
        "config": plan.config.to_json(),
    }
