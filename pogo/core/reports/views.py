"""What each table of a report shows: its columns, from the rows of a report."""

from collections.abc import Sequence

from pogo.core.reports.averages import Average, Layout, Policy, chain_in_words
from pogo.core.reports.bandit import BanditCurve
from pogo.core.reports.comparison import THRESHOLDS, Gain, Improvement, Profile
from pogo.core.reports.groups import settings_in_words
from pogo.core.reports.rows import MEASURES, ActorOfGroup, MeasuredActor, Row, RunRow
from pogo.core.reports.statistics import Estimate
from pogo.core.reports.tables import Cell, Column, Comparison


def of_groups(rows: Sequence[Row], level: float, curve: bool = False) -> list[Column]:
    """Mean and spread over seeds, and the statistics that were asked for."""
    statistics = list(dict.fromkeys(name for row in rows for name in row.estimates))
    spread = [
        Column("return", [row.return_mean for row in rows]),
        Column("std", [row.return_std_over_seeds for row in rows]),
        Column("score", [row.normalized_score_mean for row in rows]),
        Column("score std", [row.normalized_score_std_over_seeds for row in rows]),
    ]
    of_returns = "" if any(row.scores for row in rows) else " of returns"
    headers = {name: _header(name + of_returns, level) for name in statistics}
    asked = [Column(header, [row.estimates.get(name) for row in rows]) for name, header in headers.items()]
    return [
        *_labels(rows),
        Column("kind", [row.kind for row in rows], "left"),
        Column("mode", [row.mode for row in rows], "left"),
        *_counts(rows),
        Column("seeds", [row.num_seeds for row in rows]),
        *(asked or spread),
        *([] if curve else [Column("behaviour", [row.behaviour_return_mean for row in rows])]),
    ]


def of_runs(rows: Sequence[RunRow]) -> list[Column]:
    """Every run by itself; its std is over episodes."""
    return [
        *_labels(rows),
        Column("mode", [row.mode for row in rows], "left"),
        Column("seed", [row.seed for row in rows]),
        *_counts(rows),
        Column("return", [row.return_mean for row in rows]),
        Column("std over episodes", [row.return_std for row in rows]),
        Column("score", [row.normalized_score for row in rows]),
    ]


def of_measures(actors: Sequence[MeasuredActor]) -> list[Column]:
    """What each actor is measured by."""
    measured = [
        Column(header, [actor.measures.get(name) for actor in actors], form=".4g")
        for name, header in MEASURES.items()
        if any(name in actor.measures for actor in actors)
    ]
    counts = [
        Column("at", [actor.count for actor in actors]),
        Column("seeds", [actor.num_seeds for actor in actors]),
    ]
    return [*_labels(actors), *counts, *measured]


def of_averages(averages: Sequence[Average], level: float) -> list[Column]:
    """Policies over datasets; the first column says how many of these an average is over."""
    statistics = list(dict.fromkeys(name for average in averages for name in average.estimates))
    estimates = [
        Column(_header(name, level), [average.estimates.get(name) for average in averages]) for name in statistics
    ]
    policies = _policies([average.policy for average in averages])
    return [Column("datasets", [average.name for average in averages], "left"), *policies, *estimates]


def of_layout(layout: Layout) -> list[Column]:
    """Datasets down, policies across."""
    names = Column("dataset", [name for name, _ in layout.rows], "left")
    headers = _telling_apart(layout.policies)
    return [
        names,
        *(Column(header, [cells[index] for _, cells in layout.rows]) for index, header in enumerate(headers)),
    ]


def of_gains(gains: Sequence[Gain], per_seed: bool) -> list[Column]:
    """What later actors gained over actor 0; by itself, what each run's did."""
    if per_seed:
        pairs = [(gain, run) for gain in gains for run in gain.of_runs]
        return [
            *_labels([gain for gain, _ in pairs]),
            Column("mode", [gain.mode for gain, _ in pairs], "left"),
            Column("seed", [run.seed for _, run in pairs]),
            Column("episodes", [run.episodes for _, run in pairs]),
            Column("unit", [gain.unit for gain, _ in pairs], "left"),
            Column("gain, over episodes", [run.gain for _, run in pairs]),
        ]
    return [
        *_labels(gains),
        Column("mode", [gain.mode for gain in gains], "left"),
        Column("at", [gain.count for gain in gains]),
        Column("seeds", [len(gain.of_runs) for gain in gains]),
        Column("unit", [gain.unit for gain in gains], "left"),
        Column("gain, over seeds", [gain.gain for gain in gains]),
    ]


def of_improvements(found: Sequence[Improvement]) -> list[Column]:
    """How often a run of one beats a run of the other."""
    return [
        Column("of", [each.context for each in found], "left"),
        Column("compared", [each.ours for each in found], "left"),
        Column("with", [each.theirs for each in found], "left"),
        Column("datasets", [len(each.datasets) for each in found]),
        Column("probability of improvement", [each.probability for each in found], form=".2f"),
    ]


def of_profiles(found: Sequence[Profile]) -> list[Column]:
    """Share of runs above each score."""
    shares = [
        Column(f"> {threshold:g}", [profile.above[index].value for profile in found], form=".2f")
        for index, threshold in enumerate(THRESHOLDS)
    ]
    counts = [
        Column("datasets", [len(profile.datasets) for profile in found]),
        Column("runs", [profile.num_runs for profile in found]),
    ]
    return [*_policies([profile.policy for profile in found]), *counts, *shares]


def of_bandit(curves: Sequence[BanditCurve]) -> list[Column]:
    """What is deployed after so many rollouts, beside what needs none."""
    counts = list(dict.fromkeys(count for curve in curves for count in curve.deployed))
    return [
        *(column for column in _labels(curves) if column.header != "actor"),
        Column("mode", [curve.mode for curve in curves], "left"),
        Column("actors", [curve.num_policies for curve in curves]),
        Column("seeds", [curve.num_seeds for curve in curves]),
        Column("unit", [curve.unit for curve in curves], "left"),
        Column("actor 0", [curve.first.value for curve in curves]),
        Column("last", [curve.last.value for curve in curves]),
        *(Column(f"n = {count}", [curve.deployed.get(count) for curve in curves]) for count in counts),
        Column("best", [curve.best.value for curve in curves]),
    ]


def comparisons_of_groups(columns: Sequence[Column], rows: Sequence[Row]) -> list[Comparison]:
    """Rows of one dataset, mode and point in the run stand beside each other, in every column of estimates."""
    shown = [column for column in columns if column.is_shown]
    together: dict[tuple[str, str, int | None, int | None], list[int]] = {}
    for index, row in enumerate(rows):
        together.setdefault((row.dataset, row.mode, row.updates, row.env_steps), []).append(index)
    return [
        Comparison([(row, number) for row in members], not column.header.startswith("optimality gap"))
        for number, column in enumerate(shown)
        if any(isinstance(cell, Estimate) for cell in column.cells) and not column.header.startswith("std")
        for members in together.values()
    ]


def comparisons_of_layout(columns: Sequence[Column], larger_is_better: bool) -> list[Comparison]:
    """A row's cells stand beside each other."""
    return [
        Comparison([(row, number) for number in range(1, len(columns))], larger_is_better)
        for row in range(len(columns[0].cells))
    ]


def _header(statistic: str, level: float) -> str:
    return f"{statistic.replace('_', ' ')} [{level:g} %]"


def _labels(rows: Sequence[ActorOfGroup]) -> list[Column]:
    return [
        Column("dataset", [row.dataset for row in rows], "left"),
        Column("algorithm", [row.algorithm for row in rows], "left"),
        Column("backend", [row.backend for row in rows], "left"),
        Column("chain", [chain_in_words(row) for row in rows], "left"),
        Column("settings", [settings_in_words(row.settings) for row in rows], "left", required=False),
        Column("actor", [row.actor for row in rows]),
    ]


def _counts(rows: Sequence[Row] | Sequence[RunRow]) -> list[Column]:
    return [
        Column("updates", [_count(row.updates) for row in rows], required=False),
        Column("env steps", [_count(row.env_steps) for row in rows], required=False),
    ]


def _count(value: int | None) -> Cell:
    return "" if value is None else value


def _policies(policies: Sequence[Policy]) -> list[Column]:
    return [
        Column("algorithm", [policy.algorithm for policy in policies], "left"),
        Column("backend", [policy.backend for policy in policies], "left"),
        Column("chain", [policy.chain for policy in policies], "left"),
        Column("settings", [policy.settings for policy in policies], "left", required=False),
        Column("actor", [policy.actor for policy in policies]),
        Column("mode", [policy.mode for policy in policies], "left"),
    ]


def _telling_apart(policies: Sequence[Policy]) -> list[str]:
    """A name for each policy: its algorithm, and of the rest what is not the same in all."""
    named = [policy._asdict() | {"actor": f"actor {policy.actor}"} for policy in policies]
    differing = [key for key in Policy._fields if key != "algorithm" and len({each[key] for each in named}) > 1]
    return [" ".join(filter(None, (each["algorithm"], *(each[key] for key in differing)))) for each in named]
