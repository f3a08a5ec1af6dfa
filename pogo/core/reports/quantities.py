"""What a figure shows upwards: a quantity by its name, and the course that it takes in each run.

A quantity is `normalized_score` or `return`, of evaluations; or a metric of train.jsonl by its key, such as
`critic/loss` or `actor_1/w2_squared`; or `actor/NAME`, which is `actor_<i>/NAME` of each actor `i`.
"""

import logging
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from pogo.core.errors import BadInput, check_name
from pogo.core.files.logs import TRAIN
from pogo.core.learner.interface import Mode
from pogo.core.reports.documents import Unreadable
from pogo.core.reports.evaluations import Logged, Result, read_training
from pogo.core.reports.groups import Group
from pogo.core.reports.results import Run
from pogo.core.reports.selection import LAST_ACTOR, ActorChoice

SCORE = "normalized_score"
RETURN = "return"
OF_EACH_ACTOR = "actor/"
ACTORS_KEY = re.compile(r"actor_(\d+)/(.+)")
SHOWN_RUNS = 3  # named in a message that is about several
logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class Course:
    """A quantity in one run, from its first point to its last: of one actor in one mode, or of the whole run."""

    run: Run
    group: int  # of runs that differ only in their seed
    actor: int | Literal["last"] | None  # None: of the whole run
    mode: Mode | None  # None: not of evaluations
    counts: tuple[int, ...]  # updates or environment steps, growing
    values: tuple[float, ...]
    seconds: tuple[float | None, ...]  # of wall time, None: not recorded
    episodes: tuple[float, ...] = ()  # what each episode of the last evaluation gave, in the unit of `values`


def is_of_evaluations(quantity: str) -> bool:
    """Whether evaluations give it, rather than train.jsonl."""
    return quantity in (SCORE, RETURN)


def is_of_actors(quantity: str) -> bool:
    """Whether each actor has its own."""
    return is_of_evaluations(quantity) or quantity.startswith(OF_EACH_ACTOR)


def has_scores(groups: Sequence[Group]) -> bool:
    """Whether every result of every run has a normalised score, and there is one."""
    scores = [
        _score(run, result)
        for group in groups
        for run in group.runs
        for evaluation in run.evaluations
        for result in evaluation.results.values()
    ]
    return bool(scores) and None not in scores


class Courses:
    """The courses of quantities in groups of runs; a train.jsonl is read once, and only if it is asked for."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = groups
        self._logs: list[tuple[int, Run, list[Logged]]] | None = None

    def of(self, quantity: str, actors: ActorChoice, modes: Collection[Mode]) -> list[Course]:
        """The courses of a quantity, none of them empty.

        Raises:
            BadInput: no run has it, or not of these actors, or in these modes.
        """
        if is_of_evaluations(quantity):
            found = list(self._of_evaluations(quantity, modes))
            if not found:
                raise BadInput(_nothing(quantity, modes, self._groups))
        else:
            found = self._of_training(quantity)
        chosen = [kept for course in _by_run(found) for kept in _chosen(course, actors)]
        if not chosen:
            there = sorted({course.actor for course in found if isinstance(course.actor, int)})
            raise BadInput(
                f"--actor={','.join(actors.names)}: no run has {quantity} of such an actor; use some of "
                f"{','.join(map(str, there))}, or all, or last."
            )
        return chosen

    def _of_evaluations(self, quantity: str, modes: Collection[Mode]) -> Iterator[Course]:
        unscored = []
        for index, run in self._runs():
            points: dict[tuple[int, Mode], list[tuple[int, float, float | None, Result]]] = {}
            for evaluation in run.evaluations:
                for (actor, _, mode), result in evaluation.results.items():
                    if mode not in modes:
                        continue
                    value = result.return_mean if quantity == RETURN else _score(run, result)
                    if value is None:
                        unscored.append(run)
                    else:
                        point = (evaluation.count, value, evaluation.wall_seconds, result)
                        points.setdefault((actor, mode), []).append(point)
            for (actor, mode), course in points.items():
                counts, values, seconds, results = zip(*course, strict=True)
                episodes = results[-1].returns
                if quantity == SCORE:
                    scores = [run.score(each) for each in episodes]
                    episodes = tuple(score for score in scores if score is not None)
                yield Course(run, index, actor, mode, counts, values, seconds, episodes)
        if unscored:
            logger.warning(
                "%s: no reference returns are known, so no normalised score; left out. --y return shows it.",
                named(unscored),
            )

    def _of_training(self, quantity: str) -> list[Course]:
        wanted = quantity.removeprefix(OF_EACH_ACTOR) if quantity.startswith(OF_EACH_ACTOR) else None
        found, known = [], set()
        for index, run, log in self._training():
            keys = sorted({name for line in log for name in line.metrics})
            known |= set(keys)
            for key in keys:
                of_actor = ACTORS_KEY.fullmatch(key)
                if key == quantity or (of_actor is not None and of_actor[2] == wanted):
                    points = [(line.count, line.metrics[key], line.wall_seconds) for line in log if key in line.metrics]
                    actor = int(of_actor[1]) if of_actor is not None and wanted is not None else None
                    counts, values, seconds = zip(*points, strict=True)
                    found.append(Course(run, index, actor, None, counts, values, seconds))
        if not found:
            per_actor = {f"{OF_EACH_ACTOR}{match[2]}" for match in map(ACTORS_KEY.fullmatch, known) if match}
            check_name("--y", quantity, {SCORE, RETURN, *known, *per_actor})
        return found

    def _runs(self) -> Iterator[tuple[int, Run]]:
        return ((index, run) for index, group in enumerate(self._groups) for run in group.runs)

    def _training(self) -> list[tuple[int, Run, list[Logged]]]:
        if self._logs is None:
            self._logs = []
            for index, run in self._runs():
                try:
                    self._logs.append((index, run, read_training(run.path / TRAIN, run.clock, run.is_finished)))
                except Unreadable as error:
                    logger.warning("%s; the run is left out.", error)
                except OSError as error:
                    logger.warning("%s cannot be read: %s; the run is left out.", error.filename, error.strerror)
        return self._logs


def named(runs: Sequence[Run]) -> str:
    """The folders of runs, in a message: the first few, and how many more."""
    paths = [str(path) for path in dict.fromkeys(run.path for run in runs)]
    more = len(paths) - SHOWN_RUNS
    return ", ".join(paths[:SHOWN_RUNS]) + (f" and {more} more" if more > 0 else "")


def _score(run: Run, result: Result) -> float | None:
    return result.normalized_score if result.normalized_score is not None else run.score(result.return_mean)


def _by_run(courses: Sequence[Course]) -> list[list[Course]]:
    found: dict[object, list[Course]] = {}
    for course in courses:
        found.setdefault(course.run.path, []).append(course)
    return list(found.values())


def _chosen(of_run: Sequence[Course], actors: ActorChoice) -> Iterator[Course]:
    """Those of one run that are of the chosen actors; one chosen as the last goes by that, however long the chain."""
    last = max((course.actor for course in of_run if isinstance(course.actor, int)), default=None)
    for course in of_run:
        if not isinstance(course.actor, int) or last is None:
            yield course
        elif actors.includes(course.actor, last):
            by_number = not actors.names or str(course.actor) in actors.names
            yield course if by_number else replace(course, actor=LAST_ACTOR)


def _nothing(quantity: str, modes: Collection[Mode], groups: Sequence[Group]) -> str:
    found = {mode for group in groups for run in group.runs for each in run.evaluations for _, _, mode in each.results}
    if not found:
        return "no run has been evaluated, so there are no returns to draw; --y takes a metric of train.jsonl instead."
    if not found & set(modes):
        return f"no run has {' or '.join(modes)} results; use --mode {' or '.join(sorted(found))}."
    return f"no run has a {quantity}: no reference returns are known; use --y return."
