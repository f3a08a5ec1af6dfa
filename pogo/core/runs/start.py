"""Where runs begin: anew, from the newest checkpoint that all of them have, or nowhere, being finished."""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from pogo.core.errors import BadInput, reading
from pogo.core.files.checkpoint import CheckpointStore, load_newest_common, lost
from pogo.core.files.logs import TRAIN
from pogo.core.files.summary import CONFIG, FAILED, SUMMARY, read_summary
from pogo.core.runs.plan import Plan
from pogo.core.runs.record import ResumePoint
from pogo.core.runs.resume import check_schedule, check_unchanged

logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class Start:
    """Where the runs of one program begin, which are trained together."""

    points: tuple[ResumePoint, ...]  # one per run, all of one update; none: update 0
    finished: bool = False  # nothing is left to do in any of them
    begins_again: bool = False  # some hold a first checkpoint, and some were killed before theirs


def find_start(plans: Sequence[Plan], stores: Sequence[CheckpointStore]) -> Start:
    """Decide by `resume` and by what the run folders hold: the newest update that all of them have.

    Raises:
        BadInput: `resume` contradicts a folder, no checkpoint is good, the config has changed, or the folders have no
            update in common.
    """
    for plan, store in zip(plans, stores, strict=True):
        _check_resume_mode(plan, store.steps())
        _check_not_lost(plan, store)
    begun = [plan for plan, store in zip(plans, stores, strict=True) if store.steps()]
    fresh = [plan for plan, store in zip(plans, stores, strict=True) if not store.steps()]
    if begun and fresh:
        # Nothing is lost by that: what was computed up to a first checkpoint is computed once more, to the same bits.
        if all(store.holds_first_alone() for store in stores if store.steps()):
            return Start((), begins_again=True)
        raise BadInput(
            f"{_folders(begun)} hold a run, {_folders(fresh)} none: seeds are trained together from one update. "
            f"Train the others by themselves ({_alone(fresh)}), or name another run.root."
        )
    checkpoints = load_newest_common(stores)
    if checkpoints is None:
        if begun:
            have = "; ".join(f"{store.run_dir} has {', '.join(map(str, store.steps())) or 'none'}" for store in stores)
            raise BadInput(
                f"the runs have no update in common to go on from ({have}): go on with each by itself "
                f"({_alone(plans)})."
            )
        return Start(())
    points = []
    for plan, checkpoint in zip(plans, checkpoints, strict=True):
        with reading(f"{plan.run_dir}: the record of checkpoint {checkpoint.step}", name_refusals=False):
            point = ResumePoint.of(checkpoint)
            check_unchanged(plan, point.record)
            check_schedule(plan, point.record)
        points.append(point)
    finished = all(
        point.step >= plan.config.length and _is_summed_up(plan, point)
        for plan, point in zip(plans, points, strict=True)
    )
    return Start(tuple(points), finished)


def _check_not_lost(plan: Plan, store: CheckpointStore) -> None:
    """Refuse a folder whose checkpoints have been deleted, also where a pogo that left no mark of them has run.

    Raises:
        BadInput: the run had come further than its first checkpoint, and holds none.
    """
    if store.steps() or store.damaged_folder.exists():
        return
    store.check_not_lost()
    if (plan.run_dir / SUMMARY).exists() and FAILED not in read_summary(plan.run_dir):
        raise BadInput(lost(plan.run_dir))
    try:
        every = json.loads((plan.run_dir / CONFIG).read_bytes())["checkpoint"]["every"]
        *_, last = (plan.run_dir / TRAIN).read_bytes().splitlines()
        logged = json.loads(last)[plan.config.clock.unit]
        is_beyond = 0 < every < logged  # the line at its update is written before a checkpoint
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # not begun, or killed as it wrote
        return
    if is_beyond:
        raise BadInput(lost(plan.run_dir))


def begin_again(plans: Sequence[Plan], stores: Sequence[CheckpointStore]) -> None:
    """Let seeds that are trained together start from their beginning, some having saved once and some not."""
    for plan, store in zip(plans, stores, strict=True):
        if store.steps():
            logger.warning(
                "%s begins again: a seed that is trained with it was killed before its first checkpoint.", plan.run_dir
            )
            store.begin_again()


def go_back(store: CheckpointStore, point: ResumePoint) -> None:
    """Make a run that had come further than others go on from the update that all of them have."""
    newer = [step for step in store.steps() if step > point.step]
    if newer:
        logger.warning(
            "%s goes back from update %d to %d, the newest that every seed has.",
            store.run_dir, newer[-1], point.step,
        )  # fmt: skip
        store.drop_newer(point.step)


def _check_resume_mode(plan: Plan, committed: Sequence[int]) -> None:
    mode = plan.config.resume
    if mode == "never" and committed:
        raise BadInput(
            f"resume=never, but {plan.run_dir} holds checkpoints up to {plan.config.clock.words(committed[-1])}; "
            "use another run.dir, or resume=auto to go on."
        )
    if mode == "must" and not committed:
        raise BadInput(f"resume=must, but {plan.run_dir} holds no checkpoint; check run.dir, or use resume=auto.")


def _folders(plans: Sequence[Plan]) -> str:
    return ", ".join(str(plan.run_dir) for plan in plans)


def _alone(plans: Sequence[Plan]) -> str:
    return f"pogo-train -m seed={','.join(str(plan.config.seed) for plan in plans)} without train.num_seeds"


def _is_summed_up(plan: Plan, point: ResumePoint) -> bool:
    """Whether the summary is of this checkpoint's state: a shorter run may have left one, before it was extended.

    One that is missing or torn, or that says why the run failed, is written anew.
    """
    found = read_summary(plan.run_dir)
    is_of_the_end = FAILED not in found and found.get(plan.config.clock.units) == point.step
    return is_of_the_end and not point.progress.owes_evaluation
