"""Later actors beside actor 0 of the same run, episode by episode, and policies beside each other over runs."""

import itertools
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from pogo.core.learner.interface import Mode
from pogo.core.reports.averages import Policy
from pogo.core.reports.evaluations import ActorMode, Evaluation
from pogo.core.reports.groups import Group, settings_in_words
from pogo.core.reports.results import Run
from pogo.core.reports.rows import ActorOfGroup, Row
from pogo.core.reports.statistics import (
    Estimate,
    Resampling,
    estimate,
    performance_profile,
    probability_of_improvement,
)

Compared = Literal["algorithm", "backend", "actor"]
COMPARED: tuple[Compared, ...] = get_args(Compared)
THRESHOLDS = tuple(float(score) for score in range(0, 101, 10))


class RunGain(NamedTuple):
    """What an actor of one run has gained over actor 0."""

    seed: int
    run: str
    gain: Estimate  # the interval is over this run's episodes: of these policies, not of the method
    episodes: int


@dataclass(frozen=True)
class Gain(ActorOfGroup):
    """What a later actor has gained over actor 0, each of the same run and from the same start states."""

    kind: str
    mode: Mode
    count: int  # updates or environment steps
    unit: Literal["score", "return"]
    gain: Estimate  # the interval is over seeds
    of_runs: tuple[RunGain, ...]


def paired_gains(groups: Sequence[Group], resampling: Resampling) -> tuple[list[Gain], list[str]]:
    """Gains of later actors over actor 0, and the runs that have no episodes to pair.

    An evaluation starts all actors and modes of a run from the same states, with the same noise: the differences of
    their returns have less noise than the returns. An actor without a stochastic mode has none to pair there.
    """
    gains, unpaired = [], []
    for group in groups:
        found: dict[tuple[ActorMode, int], list[tuple[Run, np.ndarray]]] = defaultdict(list)
        for run in group.runs:
            for evaluation in run.evaluations:
                pairs, left_out = _differences(evaluation)
                for actor_mode, differences in pairs.items():
                    found[actor_mode, evaluation.count].append((run, differences))
                if left_out:
                    unpaired.append(str(run.path))
        for (actor_mode, count), of_runs in sorted(found.items(), key=lambda item: item[0]):
            per_score = [_points_per_return(run) for run, _ in of_runs]
            in_scores = None not in per_score
            factors = [factor if in_scores and factor is not None else 1.0 for factor in per_score]
            runs = tuple(
                RunGain(run.seed, str(run.path), estimate([factor * each], "mean", resampling), len(each))
                for (run, each), factor in zip(of_runs, factors, strict=True)
            )
            gains.append(
                Gain(
                    *group.labels,
                    group.settings,
                    *actor_mode,
                    count=count,
                    unit="score" if in_scores else "return",
                    gain=estimate([[run.gain.value for run in runs]], "mean", resampling),
                    of_runs=runs,
                )
            )
    return gains, list(dict.fromkeys(unpaired))


def _differences(evaluation: Evaluation) -> tuple[dict[ActorMode, np.ndarray], bool]:
    """Returns less those of actor 0 in the same mode, and whether an actor could not be paired for want of episodes."""
    first = {key.mode: result for key, result in evaluation.results.items() if key.actor == 0}
    found, left_out = {}, False
    for key, result in evaluation.results.items():
        if key.actor == 0 or key.mode not in first:
            continue
        if not result.returns or len(result.returns) != len(first[key.mode].returns):
            left_out = True
        else:
            found[key] = np.subtract(result.returns, first[key.mode].returns)
    return found, left_out


def _points_per_return(run: Run) -> float | None:
    if run.reference_returns is None:
        return None
    low, high = run.reference_returns
    return 100.0 / (high - low)


@dataclass(frozen=True)
class Improvement:
    """How often a run of `ours` scores above a run of `theirs`, all else in `context` being the same."""

    context: str
    ours: str
    theirs: str
    datasets: tuple[str, ...]  # those that both have
    missing: tuple[str, ...]  # those that one of them has
    probability: Estimate


def improvements(rows: Sequence[Row], compared: Compared, resampling: Resampling) -> list[Improvement]:
    """Every two values of `compared`, over the datasets that both have scores of."""
    contexts: dict[Policy, dict[str, dict[str, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if row.scores:
            context, value = _apart(row, compared)
            contexts[context][value][row.dataset] = row
    found = []
    for context, values in sorted(contexts.items()):
        for theirs, ours in itertools.combinations(sorted(values, key=_in_order), 2):
            both = sorted(values[ours].keys() & values[theirs].keys())
            if not both:
                continue
            either = values[ours].keys() | values[theirs].keys()
            first, second = ([values[name][dataset].scores for dataset in both] for name in (ours, theirs))
            found.append(
                Improvement(
                    context=str(context),
                    ours=ours,
                    theirs=theirs,
                    datasets=tuple(both),
                    missing=tuple(sorted(either.difference(both))),
                    probability=probability_of_improvement(first, second, resampling),
                )
            )
    return found


def _apart(row: Row, compared: Compared) -> tuple[Policy, str]:
    """What has to be the same of two policies, and what is compared; an algorithm goes with its own settings."""
    policy = Policy.of(row)
    if compared == "actor":
        return policy._replace(actor=-1), str(policy.actor)
    if compared == "backend":
        return policy._replace(backend=""), policy.backend
    own = {key: value for key, value in row.told.items() if key.startswith("algorithm.")}
    shared = {key: value for key, value in row.told.items() if key not in own}
    named = " ".join(filter(None, (policy.algorithm, settings_in_words(own))))
    return policy._replace(algorithm="", settings=settings_in_words(shared)), named


def _in_order(value: str) -> tuple[int, str]:
    """Actors by their number, words by their letters."""
    return (int(value), "") if value.isdecimal() else (0, value)


class Profile(NamedTuple):
    """A policy's share of runs above each of THRESHOLDS."""

    policy: Policy
    datasets: tuple[str, ...]
    num_runs: int
    above: tuple[Estimate, ...]


def profiles(rows: Sequence[Row], resampling: Resampling) -> list[Profile]:
    """Every policy's, over the datasets that it has scores of."""
    by_policy: dict[Policy, dict[str, tuple[float, ...]]] = defaultdict(dict)
    for row in rows:
        if row.scores:
            by_policy[Policy.of(row)][row.dataset] = row.scores
    return [
        Profile(
            policy,
            tuple(sorted(strata)),
            sum(map(len, strata.values())),
            tuple(performance_profile(list(strata.values()), THRESHOLDS, resampling)),
        )
        for policy, strata in sorted(by_policy.items())
    ]
