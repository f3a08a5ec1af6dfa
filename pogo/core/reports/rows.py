"""Results of many runs, a row per actor and mode of each group of seeds, or of each run. pogo-report prints them."""

import dataclasses
import logging
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any

from pogo.core.config.clock import ENV_STEPS, UPDATES, Clock
from pogo.core.errors import BadInput
from pogo.core.learner.interface import MODES, Mode
from pogo.core.reports.evaluations import ActorMode, Result
from pogo.core.reports.groups import Group, group_runs
from pogo.core.reports.results import Run, read_runs
from pogo.core.reports.selection import ALL_ACTORS, LAST, ActorChoice, Checkpoint, choose_actors, select
from pogo.core.reports.statistics import DEFAULT, Estimate, Resampling, Statistic, estimates
from pogo.core.setting import Values

logger = logging.getLogger("pogo")

MEASURES = {  # of an actor: header by measure, in the order of the columns
    "from_reference": "step",
    "from_actor_0": "from actor 0",
    "q": "Q",
    "q_independent": "independent Q",
    "probe_energy": "energy",
    "data_distance": "from the data",
    "saturated": "at the side",
    "std": "std",
}
_SAME_DATA = 1e-6  # relative: the last bits of a mean depend on the machine


@dataclass(frozen=True)
class ActorOfGroup:
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
        return plain(self)


@dataclass(frozen=True)
class Row(ActorOfGroup):
    """One actor in one mode after so many updates, or environment steps of online runs, over seeds.

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
    checkpoint: str = "last"  # which evaluations of each run count
    returns: tuple[float, ...] = ()  # the mean return of each seed, in the order of `seeds`
    scores: tuple[float, ...] = ()  # their normalised scores; () where one of them has none
    estimates: Mapping[str, Estimate] = field(default_factory=dict)  # of the scores, or of the returns where none are
    told: Values = field(default_factory=dict)  # what tells its group apart from those of other datasets and algorithms


@dataclass(frozen=True)
class RunRow(ActorOfGroup):
    """One actor in one mode of one run."""

    kind: str
    mode: Mode
    seed: int
    updates: int | None
    env_steps: int | None
    checkpoint: str
    return_mean: float
    return_std: float | None  # over episodes; None where they are not kept
    normalized_score: float | None
    episodes: int | None
    behaviour_return_mean: float | None
    wall_seconds: float | None
    run: str


@dataclass(frozen=True)
class MeasuredActor(ActorOfGroup):
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
    unfinished: Sequence[Run]  # no summary.json, or one from before the run was extended
    failures: Sequence[Failure]
    unevaluated: Sequence[Path]  # finished, and never evaluated
    groups: Sequence[Group]  # the runs behind the rows, with all of their actors
    chosen: Sequence[Group]  # the same with the actors that were asked for


def make_report(
    folders: Path | Sequence[Path],
    modes: Iterable[Mode] = MODES,
    *,
    curve: bool = False,
    checkpoint: Checkpoint = LAST,
    actors: ActorChoice = ALL_ACTORS,
    statistics: Sequence[Statistic] = (),
    resampling: Resampling = DEFAULT,
    watched: Callable[[list[Path]], Iterable[Path]] = iter,
) -> Report:
    """Read and table every run in some folders.

    Args:
        folders: a run's own folder, or any above; or several.
        modes: those to table.
        curve: every evaluation, of unfinished runs too, rather than one of each finished run.
        checkpoint: which evaluations stand for a finished run.
        actors: those to table.
        statistics: of the scores over seeds, with intervals, in every row.
        resampling: how the intervals are made.
        watched: as in `read_runs`.

    Raises:
        BadInput: no such folder, no run in it, or none that can be read.
    """
    runs = read_runs(folders, curve=curve or checkpoint.needs_all, watched=watched)
    counted = runs if curve else [select(run, checkpoint) for run in runs if run.is_finished]
    whole = group_runs([choose_actors(run, ALL_ACTORS, tuple(modes)) for run in counted])
    _check_actors(actors, whole)
    groups = [
        dataclasses.replace(group, runs=[choose_actors(run, actors, tuple(modes)) for run in group.runs])
        for group in whole
    ]
    kept = [run for group in groups for run in group.runs]
    return Report(
        rows=[row for group in groups for row in _rows(group, checkpoint, statistics, resampling)],
        measured=[actor for group in groups for actor in measured_actors(group)],
        unfinished=[run for run in runs if not run.is_finished],
        failures=[
            Failure(run.path, run.clock, evaluation.count, evaluation.error)
            for run in kept
            for evaluation in run.evaluations
            if evaluation.error is not None
        ],
        unevaluated=[
            run.path
            for run in counted
            if run.is_finished and not any(entry.results or entry.error is not None for entry in run.evaluations)
        ],
        groups=whole,
        chosen=groups,
    )


def _check_actors(actors: ActorChoice, groups: Sequence[Group]) -> None:
    """Refuse numbers that no chain has.

    Raises:
        BadInput: naming the actors that there are.
    """
    there = {key.actor for group in groups for run in group.runs for each in run.evaluations for key in each.results}
    missing = [name for name in actors.names if name.isdecimal() and int(name) not in there]
    if missing and there:
        known = ",".join(map(str, sorted(there)))
        raise BadInput(f"--actor {missing[0]}: these runs have no such actor; use some of {known}, last, or all.")


def _rows(group: Group, checkpoint: Checkpoint, statistics: Sequence[Statistic], resampling: Resampling) -> list[Row]:
    """One row per actor, mode and point in the run, over the seeds that have it."""
    found: dict[tuple[ActorMode, int], list[tuple[int, Result]]] = defaultdict(list)
    for run in group.runs:
        for evaluation in run.evaluations:
            for actor_mode, result in evaluation.results.items():
                found[actor_mode, evaluation.count].append((run.seed, result))
    behaviour = _behaviour(group)
    rows = []
    for (actor_mode, count), results in sorted(found.items()):
        returns = [result.return_mean for _, result in results]
        scores = [result.normalized_score for _, result in results if result.normalized_score is not None]
        if len(scores) < len(returns):  # a mean over fewer seeds than the row says would mislead
            scores = []
        # The gap is one of scores.
        of_these: list[Statistic] = [name for name in statistics if scores or name != "optimality_gap"]
        is_chosen = checkpoint.kind == "best"  # each actor of each run at an update of its own
        rows.append(
            Row(
                *group.labels,
                group.settings,
                *actor_mode,
                **_counted(group.runs[0].clock, None if is_chosen else count),
                num_seeds=len(results),
                seeds=tuple(seed for seed, _ in results),
                return_mean=fmean(returns),
                return_std_over_seeds=_std(returns),
                normalized_score_mean=fmean(scores) if scores else None,
                normalized_score_std_over_seeds=_std(scores),
                behaviour_return_mean=behaviour,
                checkpoint=str(checkpoint),
                returns=tuple(returns),
                scores=tuple(scores),
                estimates=estimates([scores or returns], of_these, resampling),
                told=group.told,
            )
        )
    return rows


def rows_of_runs(groups: Sequence[Group], checkpoint: Checkpoint = LAST) -> list[RunRow]:
    """One row per run, actor, mode and evaluation that counts, in the order of the groups.

    Args:
        groups: of runs with the evaluations that count, as `Report.groups` has them.
        checkpoint: which these are.
    """
    return [
        RunRow(
            *group.labels,
            group.settings,
            *actor_mode,
            seed=run.seed,
            **_counted(run.clock, None if checkpoint.kind == "best" else evaluation.count),
            checkpoint=str(checkpoint),
            return_mean=result.return_mean,
            return_std=_spread(result.returns, 0) if result.returns else None,
            normalized_score=result.normalized_score,
            episodes=len(result.returns) or None,
            behaviour_return_mean=run.behaviour,
            wall_seconds=evaluation.wall_seconds if checkpoint.kind == "last" else None,
            run=str(run.path),
        )
        for group in groups
        for run in group.runs
        for evaluation in run.evaluations
        for actor_mode, result in sorted(evaluation.results.items())
    ]


def _counted(clock: Clock, count: int | None) -> dict[str, int | None]:
    return {"updates": count if clock is UPDATES else None, "env_steps": count if clock is ENV_STEPS else None}


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
    return _spread(values, 1) if len(values) > 1 else None


def _spread(values: Sequence[float], degrees: int) -> float:
    """Standard deviation; `statistics` has one that is exact in fractions, and takes a minute for a thousand runs."""
    mean = fmean(values)
    return math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - degrees))


def _behaviour(group: Group) -> float | None:
    """The dataset's own mean return; unknown, with a warning, where equal settings hide different data."""
    found = [run.behaviour for run in group.runs if run.behaviour is not None]
    if any(not math.isclose(value, found[0], rel_tol=_SAME_DATA) for value in found):
        logger.warning(
            "the runs of %s had different data: behaviour returns from %g to %g.", group.labels, min(found), max(found)
        )
        return None
    return found[0] if found else None


def plain(value: object) -> Any:
    """Plain JSON values of a report's own."""
    if dataclasses.is_dataclass(value):
        return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, tuple) and (names := getattr(value, "_fields", ())):
        return {name: plain(entry) for name, entry in zip(names, value, strict=True)}
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, tuple | list) else value
