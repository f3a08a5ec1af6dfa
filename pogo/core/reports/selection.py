"""Which evaluations of a run count, and which of its actors."""

import dataclasses
import logging
from collections import defaultdict
from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from pogo.core.errors import BadInput
from pogo.core.reports.evaluations import ActorMode, Evaluation, Result
from pogo.core.reports.results import Run

Kind = Literal["last", "mean", "best"]
LAST_ACTOR = "last"
logger = logging.getLogger("pogo")


class Checkpoint(NamedTuple):
    """The evaluations that stand for a run: its last one, the mean of its last few, or its best."""

    kind: Kind = "last"
    number: int = 1

    @classmethod
    def parse(cls, text: str) -> "Checkpoint":
        """Read `last`, `mean:10` or `best`.

        Raises:
            BadInput: it is none of them.
        """
        kind, separator, number = text.partition(":")
        if kind in ("last", "best") and not separator:
            return cls(kind)  # type: ignore[arg-type] - one of the two
        if kind == "mean" and number.isdecimal() and int(number) >= 1:
            return cls("mean", int(number))
        raise BadInput(f"--checkpoint {text}: use last, best, or mean:10 for the mean of the last 10 evaluations.")

    @property
    def needs_all(self) -> bool:
        """Whether a run's summary, which holds the last evaluation, is not enough."""
        return self.kind != "last"

    def __str__(self) -> str:
        return f"mean of the last {self.number}" if self.kind == "mean" else self.kind


LAST = Checkpoint()


def select(run: Run, checkpoint: Checkpoint) -> Run:
    """The run with one evaluation, as `checkpoint` says, actor by actor and mode by mode.

    A run with fewer evaluations than are asked for is averaged over those that it has, with a warning.
    """
    if not checkpoint.needs_all or not run.evaluations:
        return run
    by_actor: dict[ActorMode, list[Result]] = defaultdict(list)
    for evaluation in run.evaluations:
        for actor_mode, result in evaluation.results.items():
            by_actor[actor_mode].append(result)
    chosen = {actor_mode: _chosen(results, checkpoint) for actor_mode, results in by_actor.items()}
    if checkpoint.kind == "mean" and len(run.evaluations) < checkpoint.number:
        logger.warning(
            "%s has %d evaluations, fewer than %d: its mean is over those.",
            *(run.path, len(run.evaluations), checkpoint.number),
        )
    last = run.evaluations[-1]
    return dataclasses.replace(run, evaluations=[dataclasses.replace(last, results=chosen)])


def _chosen(results: Sequence[Result], checkpoint: Checkpoint) -> Result:
    if checkpoint.kind == "best":
        return max(results, key=lambda result: result.return_mean)
    averaged = results[-checkpoint.number :]
    scores = [result.normalized_score for result in averaged if result.normalized_score is not None]
    return Result(
        fmean(result.return_mean for result in averaged), fmean(scores) if len(scores) == len(averaged) else None
    )


class ActorChoice(NamedTuple):
    """Which actors of a chain are meant: some by number, `last` among them, or all."""

    names: tuple[str, ...] = ()  # none: all

    @classmethod
    def parse(cls, text: str) -> "ActorChoice":
        """Read `all`, or numbers and `last` with commas between them.

        Raises:
            BadInput: it is neither.
        """
        if text == "all":
            return cls()
        names = tuple(text.split(","))
        if not all(name == LAST_ACTOR or name.isdecimal() for name in names):
            raise BadInput(f"--actor {text}: use all, or numbers and last, as in 0,last.")
        return cls(names)

    def includes(self, actor: int, last: int) -> bool:
        """Whether an actor of a chain that ends with actor `last` is meant."""
        return not self.names or str(actor) in self.names or (actor == last and LAST_ACTOR in self.names)


ALL_ACTORS = ActorChoice()


def choose_actors(run: Run, actors: ActorChoice, modes: Sequence[str]) -> Run:
    """The run with the results of these actors in these modes alone, and the measures of these actors."""
    last = max((key.actor for evaluation in run.evaluations for key in evaluation.results), default=0)

    def kept(evaluation: Evaluation) -> Evaluation:
        results = {
            key: result
            for key, result in evaluation.results.items()
            if key.mode in modes and actors.includes(key.actor, last)
        }
        measures = {actor: found for actor, found in evaluation.measures.items() if actors.includes(actor, last)}
        return dataclasses.replace(evaluation, results=results, measures=measures)

    return dataclasses.replace(run, evaluations=[kept(evaluation) for evaluation in run.evaluations])
