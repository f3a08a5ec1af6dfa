"""One command's runs, one per seed, from a composed config to the exit code."""

import dataclasses
import logging
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from pogo.core.config.plan import Plan, make_learner_group, make_plans, spec_of_run
from pogo.core.data.sources import Dataset
from pogo.core.data.transitions import Transitions
from pogo.core.errors import EXIT_DONE, BadInput, RunFailed
from pogo.core.files.checkpoint import Checkpoint, CheckpointStore
from pogo.core.files.logs import RunLog
from pogo.core.group import LearnerGroup
from pogo.core.interface import Learner
from pogo.core.online.collector import Collector, naming_failures, visited_at_random
from pogo.core.online.recording import check_new_file
from pogo.core.online.warm_start import SourceRun, warm_started
from pogo.core.probe import make_probe
from pogo.core.runs.console import RunConsole
from pogo.core.runs.evaluation import Evaluator
from pogo.core.runs.folder import (
    RunLock,
    adopt_schedule,
    begin_again,
    find_start,
    go_back,
    warn_of_other_bits,
)
from pogo.core.runs.loop import TrainingLoop
from pogo.core.runs.online_loop import OnlineLoop
from pogo.core.runs.seed_run import SeedRun
from pogo.core.signals import StopRequest
from pogo.core.snapshots import COLLECTOR_PREFIX, REPLAY_PREFIX, damaged

PROBED_STEPS = 1000  # of random actions, which a probe of an online run's policies picks states from

logger = logging.getLogger("pogo")


def train(asked: Mapping[str, Any]) -> int:
    """Train as configured; the exit code: 0 done, 143 or 130 stopped by a signal with a checkpoint saved.

    Raises:
        BadInput: something that the user can mend, found before any work.
        RunFailed: the run had started and could not go on.
    """
    with StopRequest() as stop, ExitStack() as held:
        return _train(make_plans(asked), held, stop)


def _train(plans: Sequence[Plan], held: ExitStack, stop: StopRequest) -> int:
    locks = [held.enter_context(RunLock(plan.run_dir)) for plan in plans]
    for lock in locks:
        lock.acquire(make=False)  # a folder that is not there yet is made when nothing can be refused any more
    group = ",".join(str(seed) for seed in plans[0].seeds) if len(plans) > 1 else ""
    stores = [CheckpointStore(plan.run_dir, plan.resolved["checkpoint"]["keep"], group) for plan in plans]
    start = find_start(plans, stores)
    if start.finished:
        _refuse_late_replay(plans[0])
        for plan in plans:
            logger.info("%s is finished at %s; nothing to do.", plan.run_dir, plan.clock.words(plan.length))
        return EXIT_DONE
    if start.checkpoints:
        plans = _with_schedule(plans, start.checkpoints)
    learners = make_learner_group(plans)
    collector = _open_collector(plans[0], held)
    _restore(plans, learners, collector, start.checkpoints)
    probes = [make_probe(_probed(plan), plan.spec.action_size, plan.resolved["seed"]) for plan in plans]
    for plan, lock, store in zip(plans, locks, stores, strict=True):
        if lock.acquire(make=True) and store.steps():
            raise BadInput(f"{plan.run_dir} was begun by another process meanwhile; start again to go on from there.")
    for store, checkpoint in zip(stores, start.checkpoints, strict=False):
        go_back(store, checkpoint)
    if start.begins_again:
        begin_again(plans, stores)
    # The learners hold the data on their device: nothing else keeps its rows.
    without_rows = _without_rows(plans[0].dataset)
    plans = [dataclasses.replace(plan, dataset=without_rows) for plan in plans]
    checkpoints = start.checkpoints or [None] * len(plans)
    with ExitStack() as opened:
        evaluator = _open_evaluator(plans[0], opened)
        logs = [opened.enter_context(_open_log(*each)) for each in zip(plans, checkpoints, strict=True)]
        runs = [
            SeedRun(plan, learner, probe, store, log, checkpoint, stop, evaluator, collector)
            for plan, learner, probe, store, log, checkpoint in zip(
                plans, learners.learners, probes, stores, logs, checkpoints, strict=True
            )
        ]
        return _run(runs, learners, collector, stop)


def _refuse_late_replay(plan: Plan) -> None:
    """A finished run changes nothing, and so writes no file that it is asked for now.

    Raises:
        BadInput: it is asked for one that is not there.
    """
    if plan.online is None or plan.online.save_replay is None:
        return
    path = Path(plan.online.save_replay).expanduser()
    if not path.exists():
        raise BadInput(
            f"{plan.run_dir} is finished, so train.save_replay={path} is not written by it any more; "
            f"pogo-collect {plan.run_dir} --replay --out {path} writes it."
        )


def _restore(
    plans: Sequence[Plan], learners: LearnerGroup, collector: Collector | None, checkpoints: Sequence[Checkpoint]
) -> None:
    """Bring fresh learners to their checkpoints, or to what another run has left them."""
    source = plans[0].source
    if source is not None and not checkpoints:
        _begin_with(source, plans[0], learners.learners[0])
    for plan, learner, checkpoint in zip(plans, learners.learners, checkpoints, strict=False):
        learner.restore(checkpoint.arrays)
        if collector is not None:
            with naming_failures(collector.spec):
                collector.restore(checkpoint.arrays)
            _check_counts(learner, collector, checkpoint)
        warn_of_other_bits(plan, checkpoint, learner.machine)


def _check_counts(learner: Learner, collector: Collector, checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint whose buffer, environments and name do not count the same steps."""
    assert learner.replay is not None
    for name, count in (
        (f"{COLLECTOR_PREFIX}env_steps", collector.env_steps),
        (f"{REPLAY_PREFIX}inserted", learner.replay.inserted),
    ):
        if count != checkpoint.step:
            raise damaged(name, str(checkpoint.step))


def _open_collector(plan: Plan, held: ExitStack) -> Collector | None:
    """The environments of an online run.

    Raises:
        BadInput: the file that the run would leave cannot be made, or an environment fails.
    """
    if plan.online is None:
        return None
    if plan.online.save_replay is not None:
        check_new_file(Path(plan.online.save_replay).expanduser(), "train.save_replay")
    assert plan.dataset.environment is not None
    dataset, seed = plan.dataset, plan.resolved["seed"]
    return held.enter_context(Collector(plan.dataset.environment, plan.online.num_envs, dataset.normalisation, seed))


def _open_evaluator(plan: Plan, opened: ExitStack) -> Evaluator | None:
    """The simulators of all seeds, which take turns in them."""
    dataset, config = plan.dataset, plan.resolved["eval"]
    if dataset.environment is None or config["episodes"] == 0:
        return None
    return opened.enter_context(
        Evaluator(
            plan.spec.actors,
            dataset.environment,
            dataset.normalisation,
            dataset.reference_returns,
            config["episodes"],
            config["processes"],
        )
    )


def _begin_with(source: SourceRun, plan: Plan, learner: Learner) -> None:
    record = source.record
    theirs = spec_of_run(record["resolved"], record["observation_size"], record["action_size"])
    learner.restore(warm_started(learner.snapshot(), plan.spec, source, theirs))
    logger.info("beginning with the actors and critics of %s.", source.run_dir)


def _probed(plan: Plan) -> np.ndarray:
    """Observations to describe the policies at; of an online run, those that random actions lead to."""
    if plan.online is None:
        return plan.dataset.transitions.observations
    assert plan.dataset.environment is not None
    with naming_failures(plan.dataset.environment):
        return visited_at_random(
            plan.dataset.environment, plan.dataset.normalisation, PROBED_STEPS, plan.resolved["seed"]
        )


def _run(runs: Sequence[SeedRun], learners: LearnerGroup, collector: Collector | None, stop: StopRequest) -> int:
    plan = runs[0].plan
    try:
        for run in runs:
            run.begin()
        with RunConsole(plan.length, start=runs[0].position, counts=plan.clock) as console:
            if plan.online is not None and collector is not None:
                finished = OnlineLoop(runs[0], learners, collector, plan.online, console, stop).run()
            else:
                finished = TrainingLoop(runs, learners, console, stop).run()
    except RunFailed as error:
        logger.error("%s", error)
        error.reported = True
        raise
    except Exception as error:
        where = plan.clock.words(runs[0].position)
        logger.error("the run failed at %s:\n%s", where, traceback.format_exc())
        raise RunFailed(f"{where}: {type(error).__name__}: {error}. {plan.run_dir}/run.log has the trace.") from error
    for run in runs:
        run.end(finished)
    return EXIT_DONE if finished else stop.exit_code


def _open_log(plan: Plan, checkpoint: Checkpoint | None) -> RunLog:
    positions = checkpoint.records["progress"]["log_positions"] if checkpoint is not None else None
    tensorboard = plan.resolved["logger"]["tensorboard"]
    return RunLog(
        plan.run_dir, tensorboard=tensorboard, wandb=_wandb(plan), resume_from=positions, unit=plan.clock.unit
    )


def _without_rows(dataset: Dataset) -> Dataset:
    """The dataset with nothing left of its rows but their shapes."""
    transitions = dataset.transitions
    arrays = {entry.name: getattr(transitions, entry.name) for entry in dataclasses.fields(transitions)}
    empty: dict[str, Any] = {name: None if array is None else array[:0].copy() for name, array in arrays.items()}
    return dataclasses.replace(dataset, transitions=Transitions(**empty))


def _with_schedule(plans: Sequence[Plan], checkpoints: Sequence[Checkpoint]) -> list[Plan]:
    """The plans with the schedules that their runs began with.

    Raises:
        BadInput: they began with different ones.
    """
    section = adopt_schedule(plans[0], checkpoints[0])
    for plan, checkpoint in zip(plans, checkpoints, strict=True):
        if (other := adopt_schedule(plan, checkpoint)) != section:
            changes = [
                f"algorithm.{key}: {section[key]!r}, {other[key]!r}" for key in section if section[key] != other[key]
            ]
            raise BadInput(
                f"{plans[0].run_dir} and {plan.run_dir} were begun with different schedules ({'; '.join(changes)}): "
                "go on with each by itself, without train.num_seeds."
            )
    resolved = plans[0].resolved | {"algorithm": section}
    spec = spec_of_run(resolved, plans[0].spec.observation_size, plans[0].spec.action_size)
    return [dataclasses.replace(plan, resolved=plan.resolved | {"algorithm": section}, spec=spec) for plan in plans]


def _wandb(plan: Plan) -> dict[str, Any] | None:
    config = plan.resolved["logger"]
    if not config["wandb"]:
        return None
    name = "/".join(plan.run_dir.parts[-4:])
    return {
        "project": config["wandb_project"],
        "entity": config["wandb_entity"],
        "mode": config["wandb_mode"],
        "name": name,
        "config": plan.resolved,
    }
