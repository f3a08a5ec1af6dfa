"""What a trial's runs are worth, by the evaluations in their folders."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from pogo.core.errors import RunFailed
from pogo.core.files.summary import CONFIG
from pogo.core.reports.documents import Document, Unreadable
from pogo.core.reports.evaluations import Evaluation, Result
from pogo.core.reports.results import read_run
from pogo.core.tuning.plan import Objective

Course = Mapping[int, float]
"""By step of a run's clock: what the run would be worth if it ended there."""


def course_of(run: Path, objective: Objective) -> Course:
    """What a run has been worth from evaluation to evaluation; nothing before its first.

    Raises:
        RunFailed: its files are not what pogo writes, or an evaluation has nothing for the objective.
    """
    try:
        evaluations = read_run(run, curve=True).evaluations
        last = Document.read(run / CONFIG).get(int, "chain", "num_actors") - 1
    except FileNotFoundError:  # it has not begun
        return {}
    except (Unreadable, OSError) as error:
        raise RunFailed(f"{error}.") from error
    course: dict[int, float] = {}
    values: list[float] = []
    for evaluation in evaluations:
        if evaluation.error is None:
            values.append(_value(run, evaluation, objective, last))
            course[evaluation.count] = fmean(values[-objective.evaluations :])
    return course


def over_seeds(courses: Sequence[Course], objective: Objective) -> Course:
    """What a trial has been worth at the steps at which every seed's run has been evaluated."""
    common = set(courses[0]).intersection(*courses[1:])
    combine = min if objective.over_seeds == "min" else fmean
    return {step: combine([course[step] for course in courses]) for step in sorted(common)}


def _value(run: Path, evaluation: Evaluation, objective: Objective, last: int) -> float:
    actor = last if objective.actor is None else objective.actor
    found = (result for key, result in evaluation.results.items() if (key.actor, key.mode) == (actor, objective.mode))
    result: Result | None = next(found, None)
    if result is None:
        raise RunFailed(f"{run}: its evaluation at {evaluation.count} has no actor {actor}, {objective.mode}.")
    if objective.metric == "return":
        return result.return_mean
    if result.normalized_score is None:
        raise RunFailed(f"{run}: its returns have no normalised scores; write objective: metric: return.")
    return result.normalized_score
