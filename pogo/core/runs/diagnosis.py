"""Which actors are far below actor 0, with the likely cause by what they are measured by, or below their data."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pogo.core.data.views import BehaviourStatistics
from pogo.core.learner.interface import MODES, Mode
from pogo.core.problem.chain import ChainConfig
from pogo.core.runs.evaluation import ActorEvaluation, ModeResult

# What counts as far below actor 0: more than this share of its own height above a random policy, and more than this
# many standard errors of the differences, episode by episode from the same start states.
FAR_BELOW, STANDARD_ERRORS = 0.1, 2.0
# What counts as a cause, beside actor 0.
FARTHER_FROM_DATA = 1.25
MORE_SATURATED = 0.2
SMALLEST_SPREAD = 0.1
LONGER_THAN_ASKED = 1.25
CONFIRMED_GAIN = 0.5  # of a gain in Q that the independent critic sees too


@dataclass(frozen=True)
class Setback:
    """A later actor far below actor 0 in one mode."""

    actor: int
    mode: Mode
    difference: float  # of mean returns, below 0
    causes: tuple[str, ...]  # the likely ones, each with its mend

    def __str__(self) -> str:
        causes = "; ".join(self.causes) or (
            "no measure tells why: the critic is wrong where it went. Let it learn first (chain.begin_at), or take "
            "shorter steps"
        )
        return f"actor {self.actor} is {-self.difference:.1f} below actor 0 ({self.mode}): {causes}."


def setbacks(rows: Sequence[ActorEvaluation], chain: ChainConfig, random_return: float | None = None) -> list[Setback]:
    """The later actors that are far below actor 0, with the likely causes by the actors' measures.

    Args:
        rows: an evaluation, actor 0 first.
        chain: which steps were asked for.
        random_return: what scores 0; none: actor 0's height is the size of its own return.
    """
    found = []
    for row in rows[1:]:
        for mode in MODES:
            difference = _far_below(row, rows[0], mode, random_return)
            if difference is not None:
                causes = _causes(row.index, row.measures, rows[0].measures, chain, mode)
                found.append(Setback(row.index, mode, difference, causes))
    return found


def below_data(rows: Sequence[ActorEvaluation], behaviour: BehaviourStatistics) -> str | None:
    """One line on the actors that are below the policies that recorded the data; none: no actor is.

    An actor is where its mean return, in the deterministic mode, is below the data's by more than STANDARD_ERRORS of
    their difference. Whoever asks decides when: an actor that has just begun to learn is below almost any data.

    Args:
        rows: an evaluation.
        behaviour: the returns of the data's complete episodes.
    """
    mean, std = behaviour.return_mean, behaviour.return_std
    if mean is None or std is None:
        return None
    below = {
        row.index: f"actor {row.index} by {mean - row.deterministic.return_mean:.1f}"
        for row in rows
        if row.deterministic is not None
        and row.deterministic.return_mean < mean - STANDARD_ERRORS * _error(row.deterministic, std, behaviour.episodes)
    }
    if not below:
        return None
    # What a later actor alone lacks is that of `setbacks`.
    mend = "; train longer, or see 'A run that does not learn' in docs/guide.md" if 0 in below else ""
    return f"below the data's mean return of {mean:.1f} (deterministic): {', '.join(below.values())}{mend}."


def _error(result: ModeResult, std: float, episodes: int) -> float:
    """The standard error of the difference between a result's mean and the data's, whose spread and number these are.

    Of one episode no spread is known: it is taken for the data's.
    """
    number = len(result.returns)
    own = float(np.std(result.returns, ddof=1)) if number > 1 else std
    return math.sqrt(own**2 / number + std**2 / episodes)


def _far_below(row: ActorEvaluation, first: ActorEvaluation, mode: Mode, random_return: float | None) -> float | None:
    """The difference of the mean returns, if it is far below 0; an actor with no such mode acts as it does."""
    ours, theirs = _returns(row, mode), _returns(first, mode) or first.deterministic
    if ours is None or theirs is None or len(ours.returns) != len(theirs.returns):
        return None
    differences = np.subtract(ours.returns, theirs.returns)
    mean = float(differences.mean())
    error = float(differences.std(ddof=1)) / math.sqrt(len(differences)) if len(differences) > 1 else 0.0
    height = abs(theirs.return_mean - (random_return or 0.0))
    return mean if mean < -max(FAR_BELOW * height, STANDARD_ERRORS * error) else None


def _returns(row: ActorEvaluation, mode: Mode) -> ModeResult | None:
    return row.deterministic if mode == "deterministic" else row.stochastic


def _causes(
    index: int, ours: Mapping[str, float], first: Mapping[str, float], chain: ChainConfig, mode: Mode
) -> tuple[str, ...]:
    causes = []
    step = ours.get("from_reference")
    if chain.steps and step is not None and step > LONGER_THAN_ASKED * chain.steps[index - 1]:
        causes.append(
            f"its step is {step:.2g} where {chain.steps[index - 1]:g} was asked for: its weight had no time to follow, "
            "train longer"
        )
    if _ratio(ours, first, "data_distance") > FARTHER_FROM_DATA:
        mend = "shorter chain.steps" if chain.steps else "larger chain.w2_weights, or chain.steps"
        causes.append(
            f"its actions are {_ratio(ours, first, 'data_distance'):.1f} times as far from the data as actor 0's, "
            f"and Q is a guess there: {mend}"
        )
    gain, confirmed = _gain(ours, first, "q"), _gain(ours, first, "q_independent")
    if gain is not None and confirmed is not None and confirmed < CONFIRMED_GAIN * gain:
        causes.append(
            f"its Q is {gain:+.3g} to actor 0's, an independent critic's {confirmed:+.3g}: the critic over-estimates "
            "there, make it more conservative or take shorter steps"
        )
    if gain is not None and gain <= 0:
        causes.append(f"its Q is {gain:+.3g} to actor 0's: it has not climbed, train longer or begin later")
    if ours.get("saturated", 0.0) > first.get("saturated", 0.0) + MORE_SATURATED:
        causes.append(
            f"{ours['saturated']:.0%} of its action dimensions are at the side of the box, {first['saturated']:.0%} of "
            "actor 0's: shorter steps"
        )
    if mode == "stochastic" and _ratio(ours, first, "std") < SMALLEST_SPREAD:
        causes.append("its spread has collapsed: use w2.noise=common, or shorter steps")
    return tuple(causes)


def _ratio(ours: Mapping[str, float], first: Mapping[str, float], name: str) -> float:
    """Ours as a multiple of actor 0's; 1 where there is nothing to compare."""
    return ours[name] / first[name] if name in ours and first.get(name, 0.0) > 0 else 1.0


def _gain(ours: Mapping[str, float], first: Mapping[str, float], name: str) -> float | None:
    return ours[name] - first[name] if name in ours and name in first else None


def measures_by_actor(described: Mapping[str, Any]) -> dict[int, dict[str, float]]:
    """Metrics that are called `actor_<i>/<measure>`, by actor and measure."""
    found: dict[int, dict[str, float]] = {}
    for name, value in described.items():
        actor, separator, measure = name.partition("/")
        if separator and actor.startswith("actor_"):
            found.setdefault(int(actor.removeprefix("actor_")), {})[measure] = value
    return found
