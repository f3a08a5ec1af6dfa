"""Results of many runs: mean and spread over seeds, per group of runs, actor and mode. pogo-report prints them."""

import dataclasses
import json
import logging
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from pogo.core.config.clock import ENV_STEPS, UPDATES, Clock
from pogo.core.learner.interface import Mode
from pogo.core.reports.results import MODES, ActorMode, Labels, Result, Run, read_runs
from pogo.core.setting import Values

logger = logging.getLogger("pogo")

_SAME_DATA = 1e-6  # relative: the last bits of a mean depend on the machine


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed, one of each."""

    labels: Labels
    settings: Values  # those that tell the groups of the same labels apart
    runs: Sequence[Run]


@dataclass(frozen=True)
class _ActorOfGroup:
    """An actor of a group of runs, by what tells the group from others."""

    dataset: str
    algorithm: str
    backend: str
    w2_weights: tuple[float, ...]
    steps: tuple[float, ...]
    settings: Values
    actor: int

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        values = dataclasses.asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


@dataclass(frozen=True)
class Row(_ActorOfGroup):
    """One actor in one mode after so many updates, or environment steps of online runs.

    None: of the other kind of run, unknown, or no spread, as of a single seed.
    """

    kind: str
    mode: Mode
    updates: int | None
    env_steps: int | None
    num_seeds: int
    seeds: tuple[int, ...]
    return_mean: float
    return_std_over_seeds: float | None  # sample standard deviation, with n - 1; return_std elsewhere is over episodes
    normalized_score_mean: float | None
    normalized_score_std_over_seeds: float | None
    behaviour_return_mean: float | None


@dataclass(frozen=True)
class MeasuredActor(_ActorOfGroup):
    """What one actor is measured by after so many updates, or environment steps: means over seeds."""

    count: int
    num_seeds: int
    measures: Mapping[str, float]  # those that every seed has


@dataclass(frozen=True)
class Failure:
    """An evaluation that broke: no score."""

    run: Path
    clock: Clock
    count: int  # by that clock
    error: str


@dataclass(frozen=True)
class Report:
    """The rows, and the runs that are not in them or not whole."""

    rows: Sequence[Row]
    measured: Sequence[MeasuredActor]
    unfinished: Sequence[Path]  # no summary.json, or one from before the run was extended
    failures: Sequence[Failure]
    unevaluated: Sequence[Path]  # finished, and never evaluated


def make_report(folder: Path, modes: Iterable[Mode] = MODES, *, curve: bool = False) -> Report:
    """Read and table every run in `folder`.

    Args:
        folder: a run's own folder, or any above.
        modes: those to table.
        curve: every evaluation, of unfinished runs too, rather than the last one of finished runs.

    Raises:
        BadInput: no such folder, no run in it, or none that can be read.
    """
    runs = read_runs(folder, curve=curve)
    groups = group_runs([run for run in runs if run.is_finished or curve])
    kept = [run for group in groups for run in group.runs]
    return Report(
        rows=[row for group in groups for row in _rows(group, set(modes))],
        measured=[actor for group in groups for actor in measured_actors(group)],
        unfinished=[run.path for run in runs if not run.is_finished],
        failures=[
            Failure(run.path, run.clock, evaluation.count, evaluation.error)
            for run in kept
            for evaluation in run.evaluations
            if evaluation.error is not None
        ],
        unevaluated=[
            run.path
            for run in kept
            if run.is_finished and not any(entry.results or entry.error is not None for entry in run.evaluations)
        ],
    )


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Put together what differs only in its seed; of two runs with one seed the newest is kept, with a warning."""
    alike: dict[Labels, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        alike[run.labels][json.dumps(run.settings, sort_keys=True)].append(run)
    groups = []
    for labels, members in sorted(alike.items()):
        settings = _differences([runs[0].settings for runs in members.values()])
        siblings = [
            Group(labels, differing, _newest_of_each_seed(runs))
            for differing, runs in zip(settings, members.values(), strict=True)
        ]
        groups += sorted(siblings, key=lambda group: [_order(value) for value in group.settings.values()])
    return groups


def _differences(settings: Sequence[Values]) -> list[dict[str, Any]]:
    """What is not the same in all; every result has the same keys, in the same order, None for what is not set."""
    keys = sorted({key for each in settings for key in each})
    # As text, for which true is not 1.
    differing = [key for key in keys if len({json.dumps(each.get(key), sort_keys=True) for each in settings}) > 1]
    return [{key: each.get(key) for key in differing} for each in settings]


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by value, before all else."""
    return (0, value, "") if isinstance(value, int | float) else (1, 0.0, json.dumps(value))


def _newest_of_each_seed(runs: Sequence[Run]) -> list[Run]:
    by_seed: dict[int, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.written, run.path)):
        by_seed[run.seed].append(run)
    for seed, (*older, newest) in by_seed.items():
        if older:
            others = ", ".join(str(run.path) for run in older)
            logger.warning(
                "seed %d of %s is there %d times: %s is the newest and kept, %s left out.",
                *(seed, newest.labels, len(older) + 1, newest.path, others),
            )
    return [by_seed[seed][-1] for seed in sorted(by_seed)]


def _rows(group: Group, modes: set[Mode]) -> list[Row]:
    """One row per actor, mode and point in the run, over the seeds that have it."""
    found: dict[tuple[ActorMode, int], list[tuple[int, Result]]] = defaultdict(list)
    for run in group.runs:
        for evaluation in run.evaluations:
            for actor_mode, result in evaluation.results.items():
                if actor_mode.mode in modes:
                    found[actor_mode, evaluation.count].append((run.seed, result))
    behaviour = _behaviour(group)
    clock = group.runs[0].clock
    rows = []
    for (actor_mode, count), results in sorted(found.items()):
        returns = [result.return_mean for _, result in results]
        scores = [result.normalized_score for _, result in results if result.normalized_score is not None]
        if len(scores) < len(returns):  # a mean over fewer seeds than the row says would mislead
            scores = []
        rows.append(
            Row(
                *group.labels,
                group.settings,
                *actor_mode,
                updates=count if clock is UPDATES else None,
                env_steps=count if clock is ENV_STEPS else None,
                num_seeds=len(results),
                seeds=tuple(seed for seed, _ in results),
                return_mean=fmean(returns),
                return_std_over_seeds=_std(returns),
                normalized_score_mean=fmean(scores) if scores else None,
                normalized_score_std_over_seeds=_std(scores),
                behaviour_return_mean=behaviour,
            )
        )
    return rows


def measured_actors(group: Group) -> list[MeasuredActor]:
    """What the actors of a group are measured by: means over its seeds, at every evaluation that was read."""
    found: dict[tuple[int, int], list[Mapping[str, float]]] = defaultdict(list)
    for run in group.runs:
        for evaluation in run.evaluations:
            for actor, measures in evaluation.measures.items():
                found[actor, evaluation.count].append(measures)
    actors = []
    for (actor, count), of_seeds in sorted(found.items()):
        names = [name for name in of_seeds[0] if all(name in each for each in of_seeds)]
        means = {name: fmean(each[name] for each in of_seeds) for name in names}
        actors.append(MeasuredActor(*group.labels, group.settings, actor, count, len(of_seeds), means))
    return actors


def _std(values: Sequence[float]) -> float | None:
    return stdev(values) if len(values) > 1 else None


def _behaviour(group: Group) -> float | None:
    """The dataset's own mean return; unknown, with a warning, where equal settings hide different data."""
    found = [run.behaviour for run in group.runs if run.behaviour is not None]
    if any(not math.isclose(value, found[0], rel_tol=_SAME_DATA) for value in found):
        logger.warning(
            "the runs of %s had different data: behaviour returns from %g to %g.", group.labels, min(found), max(found)
        )
        return None
    return found[0] if found else None
