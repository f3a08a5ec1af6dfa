"""What a run's logs hold: evaluations by actor and mode, and the metrics of training."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from pogo.core.config.clock import Clock
from pogo.core.files.logs import last_line
from pogo.core.learner.interface import MODES, Mode
from pogo.core.reports.documents import Document, Unreadable, in_one_line
from pogo.core.setting import Values

logger = logging.getLogger("pogo")


class ActorMode(NamedTuple):
    """Whose returns these are."""

    actor: int
    kind: str
    mode: Mode


@dataclass(frozen=True)
class Result:
    """What the episodes of one evaluation gave for one actor in one mode."""

    return_mean: float
    normalized_score: float | None
    returns: tuple[float, ...] = ()  # of the episodes, undiscounted; () of a pogo that kept none
    lengths: tuple[int, ...] = ()  # of the episodes, in steps


@dataclass(frozen=True)
class Evaluation:
    """One evaluation of a chain. What failed has no result, and neither has one that was not asked for."""

    count: int  # of updates or environment steps, as the run's clock says
    results: Mapping[ActorMode, Result]
    error: str | None = None
    wall_seconds: float | None = None  # since the run began, pauses between its processes left out
    measures: Mapping[int, Mapping[str, float]] = field(default_factory=dict)  # by actor; see `Learner.describe`


@dataclass(frozen=True)
class Logged:
    """One line of train.jsonl."""

    count: int  # of updates or environment steps, as the run's clock says
    metrics: Mapping[str, float]  # without those that were not finite, which stand as null in the file

    @property
    def wall_seconds(self) -> float | None:
        """Seconds since the run began, pauses between its processes left out; None: of a pogo that wrote none."""
        return self.metrics.get("wall_seconds")


def evaluation_of(document: Document, count: int, failure: str) -> Evaluation:
    """The evaluation that a line of evaluation.jsonl or a summary holds; the two name a failure differently."""
    error = document.get_or_none(str, failure) if failure in document.content else None
    if error is not None:
        return Evaluation(count, {}, in_one_line(error))
    results, errors = {}, []
    for position, content in enumerate(document.items(dict, "actors")):
        actor = Document(f"{document.name}: actors[{position}]", content)
        index, kind = actor.get(int, "index"), actor.get(str, "kind")
        failed = actor.get(dict, "failed") if "failed" in content else {}
        for mode in MODES:
            if mode in failed:
                errors.append(in_one_line(actor.get(str, "failed", mode)))
            if actor.get_or_none(dict, mode) is None:
                continue
            if _is_not_finite(actor.get(dict, mode)):
                errors.append(f"actor {index} ({kind}), {mode}: its return is not finite")
            else:
                results[ActorMode(index, kind, mode)] = Result(
                    actor.get(float, mode, "return_mean"),
                    actor.get_or_none(float, mode, "normalized_score"),
                    actor.optional_items(float, mode, "returns"),
                    actor.optional_items(int, mode, "lengths"),
                )
    wall_seconds = document.optional(float, "wall_seconds")
    return Evaluation(count, results, "; ".join(errors) or None, wall_seconds, _measures(document))


def _measures(document: Document) -> dict[int, dict[str, float]]:
    """What the actors were measured by; nothing, of a pogo that did not."""
    if "measures" not in document.content:
        return {}
    found = {}
    for actor in document.get(dict, "measures"):
        if not actor.isdecimal():
            raise Unreadable(f"{document.name}: measures has {actor!r:.60}, which is no actor's number")
        names = document.get(dict, "measures", actor)
        found[int(actor)] = {name: document.get(float, "measures", actor, name) for name in names}
    return found


def _is_not_finite(result: Values) -> bool:
    """Whether a mean is null for a return that is: NaN and infinity, which JSON has not, once passed for returns."""
    returns = result.get("returns")
    return result.get("return_mean", 0.0) is None and isinstance(returns, list) and None in returns


def read_curve(path: Path, clock: Clock, is_finished: bool) -> list[Evaluation]:
    """Every evaluation in a log, in order; where the run is finished the log must be there."""
    found = {document.get(int, clock.unit): document for document in _documents(path, is_finished)}
    return [evaluation_of(found[count], count, "failed") for count in sorted(found)]


def read_training(path: Path, clock: Clock, is_finished: bool) -> list[Logged]:
    """Every line of a log of training, in order; where the run is finished the log must be there.

    Raises:
        Unreadable: a line is not what pogo writes; names it.
        OSError: the file cannot be read.
    """
    found = {document.get(int, clock.unit): document for document in _documents(path, is_finished)}
    return [Logged(count, _metrics(found[count], clock)) for count in sorted(found)]


def _metrics(document: Document, clock: Clock) -> dict[str, float]:
    return {
        name: document.get(float, name)
        for name, value in document.content.items()
        if name != clock.unit and value is not None
    }


def _documents(path: Path, is_finished: bool) -> list[Document]:
    """The lines of a log; a last one that is cut short is left out, with a warning."""
    if not is_finished and not path.exists():  # it has just begun
        return []
    *lines, rest = path.read_bytes().split(b"\n")
    if rest:  # a process was killed as it wrote, or is writing
        logger.warning("%s: its last line is cut short and left out.", path)
    return [Document.parse(f"{path}:{number}", line) for number, line in enumerate(lines, 1)]


def read_last_evaluation(path: Path, clock: Clock) -> Evaluation | None:
    """The evaluation that a log ends with, from the end of the file alone; None of an empty or missing log.

    Raises:
        Unreadable, OSError: its last line is not what pogo writes, or the file cannot be read.
    """
    if (line := last_line(path)) is None:
        return None
    document = Document.parse(f"{path}: its last line", line)
    return evaluation_of(document, document.get(int, clock.unit), "failed")


def read_last_metrics(path: Path, clock: Clock) -> tuple[int, Values] | None:
    """How far the run was at the last line of a log of training, and that line; None of an empty or missing log.

    Raises:
        Unreadable, OSError: its last line is not what pogo writes, or the file cannot be read.
    """
    if (line := last_line(path)) is None:
        return None
    document = Document.parse(f"{path}: its last line", line)
    return document.get(int, clock.unit), document.content
