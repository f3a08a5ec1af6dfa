"""One run from a composed config to its exit code."""

import dataclasses
import logging
import traceback
from collections.abc import Mapping
from typing import Any

from pogo.core.checkpoint import CheckpointStore
from pogo.core.config.plan import Plan, make_plan, spec_of_run
from pogo.core.console import RunConsole
from pogo.core.data.sources import Dataset
from pogo.core.data.transitions import Transitions
from pogo.core.documents import as_text
from pogo.core.errors import EXIT_DONE, BadInput, RunFailed
from pogo.core.interface import Learner
from pogo.core.logs import RunLog
from pogo.core.loop import TrainingLoop
from pogo.core.probe import Probe, make_probe
from pogo.core.run import CONFIG, RunLock, adopt_schedule, find_start, warn_of_other_bits
from pogo.core.signals import StopRequest
from pogo.core.summary import write_json_atomically

logger = logging.getLogger("pogo")


def train(asked: Mapping[str, Any]) -> int:
    """Train as configured; the exit code: 0 done, 143 or 130 stopped by a signal with a checkpoint saved.

    Raises:
        BadInput: something that the user can mend, found before any work.
        RunFailed: the run had started and could not go on.
    """
    with StopRequest() as stop:
        plan = make_plan(asked)
        with RunLock(plan.run_dir) as lock:
            return _train(plan, lock, stop)


def _train(plan: Plan, lock: RunLock, stop: StopRequest) -> int:
    lock.acquire(make=False)  # a folder that is not there yet is made when nothing can be refused any more
    store = CheckpointStore(plan.run_dir, plan.resolved["checkpoint"]["keep"])
    start = find_start(plan, store)
    if start.finished:
        logger.info("%s is finished at update %d; nothing to do.", plan.run_dir, plan.updates)
        return EXIT_DONE
    if start.checkpoint is not None:
        plan = _with_schedule(plan, adopt_schedule(plan, start.checkpoint))
    learner = plan.make_learner()
    if start.checkpoint is not None:
        learner.restore(start.checkpoint.arrays)
        warn_of_other_bits(plan, start.checkpoint)
    if lock.acquire(make=True) and store.steps():
        raise BadInput(f"{plan.run_dir} was begun by another process meanwhile; start again to go on from there.")
    probe = make_probe(plan.dataset.transitions.observations, plan.spec.action_size, plan.resolved["seed"])
    # The learner holds its own copy of the data.
    plan = dataclasses.replace(plan, dataset=_without_rows(plan.dataset))
    return _run(plan, store, start.checkpoint, learner, probe, stop)


def _run(plan: Plan, store: CheckpointStore, checkpoint: Any, learner: Learner, probe: Probe, stop: StopRequest) -> int:
    positions = checkpoint.records["progress"]["log_positions"] if checkpoint is not None else None
    logger_config = plan.resolved["logger"]
    with RunLog(
        plan.run_dir, tensorboard=logger_config["tensorboard"], wandb=_wandb(plan), resume_from=positions
    ) as log:
        try:
            write_json_atomically(plan.run_dir / CONFIG, plan.resolved, as_text)
            if checkpoint is None:
                logger.info("no checkpoint in %s: starting from update 0.", plan.run_dir)
            else:
                logger.info("resuming %s from update %d.", plan.run_dir, checkpoint.step)
            with RunConsole(plan.updates, start=learner.updates) as console:
                finished = TrainingLoop(plan, learner, probe, store, log, console, stop, checkpoint).run()
        except RunFailed as error:
            logger.error("%s", error)
            error.reported = True
            raise
        except Exception as error:
            logger.error("the run failed at update %d:\n%s", learner.updates, traceback.format_exc())
            raise RunFailed(
                f"update {learner.updates}: {type(error).__name__}: {error}. {plan.run_dir}/run.log has the trace."
            ) from error
        if finished:
            logger.info("done: %s", plan.run_dir)
            return EXIT_DONE
        logger.info("stopped by a signal at update %d; saved. The same command goes on.", learner.updates)
        return stop.exit_code


def _without_rows(dataset: Dataset) -> Dataset:
    """The dataset with nothing left of its rows but their shapes."""
    transitions = dataset.transitions
    arrays = {entry.name: getattr(transitions, entry.name) for entry in dataclasses.fields(transitions)}
    empty: dict[str, Any] = {name: None if array is None else array[:0].copy() for name, array in arrays.items()}
    return dataclasses.replace(dataset, transitions=Transitions(**empty))


def _with_schedule(plan: Plan, section: dict[str, Any]) -> Plan:
    resolved = plan.resolved | {"algorithm": section}
    spec = spec_of_run(resolved, plan.spec.observation_size, plan.spec.action_size)
    return dataclasses.replace(plan, resolved=resolved, spec=spec)


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
