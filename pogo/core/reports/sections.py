"""The tables of a report, as far as they are asked for, as Markdown, LaTeX, JSON and tidy lines."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property
from typing import Any, Literal, NamedTuple

from pogo.core.reports import views
from pogo.core.reports.averages import averages, corl_layout, missing_in_words
from pogo.core.reports.bandit import Bandit, BanditCurve, choose_actors_online
from pogo.core.reports.comparison import Compared, improvements, paired_gains, profiles
from pogo.core.reports.groups import settings_in_words
from pogo.core.reports.rows import MeasuredActor, Report, RunRow, plain, rows_of_runs
from pogo.core.reports.selection import ALL_ACTORS, LAST, ActorChoice, Checkpoint
from pogo.core.reports.statistics import DEFAULT, FEW_SEEDS, Resampling, Statistic
from pogo.core.reports.tables import Column, latex, markdown


class Asked(NamedTuple):
    """What a report is to show."""

    statistics: Sequence[Statistic] = ()
    resampling: Resampling = DEFAULT
    checkpoint: Checkpoint = LAST
    actors: ActorChoice = ALL_ACTORS
    per_seed: bool = False
    average: bool = False
    layout: Literal["rows", "corl"] = "rows"
    paired: bool = False
    compare: Compared | None = None
    profile: bool = False
    bandit: int | None = None  # rollouts
    chain: bool = False  # what actors are measured by, in the place of their results
    curve: bool = False  # every evaluation


class Sections:
    """Every table of a report, made once."""

    def __init__(self, report: Report, asked: Asked) -> None:
        self.report, self.asked = report, asked
        statistics, resampling = asked.statistics, asked.resampling
        self.averages = averages(report.rows, statistics, resampling) if asked.average else []
        self.layout = corl_layout(report.rows, statistics[0], resampling) if asked.layout == "corl" else None
        self.gains, unpaired = paired_gains(report.groups, resampling) if asked.paired else ([], [])
        self.gains = [gain for gain in self.gains if asked.actors.includes(gain.actor, len(gain.w2_weights))]
        self.improvements = [] if asked.compare is None else improvements(report.rows, asked.compare, resampling)
        self.profiles = profiles(report.rows, resampling) if asked.profile else []
        self.bandit: list[BanditCurve] = []
        if asked.bandit is not None:
            self.bandit = choose_actors_online(report.groups, Bandit(rollouts=asked.bandit), resampling)
        of_averages = [*self.averages, *([] if self.layout is None else self.layout.averages)]
        self.notes = [*_not_there(report), *missing_in_words(of_averages), *self._remarks(unpaired)]

    @cached_property
    def of_runs(self) -> list[RunRow]:
        """Every run by itself."""
        return rows_of_runs(self.report.chosen, self.asked.checkpoint)

    def main_table(self) -> list[Column]:
        """The first table."""
        if self.asked.chain:
            return views.of_measures(self.report.measured)
        if self.layout is not None:
            return views.of_layout(self.layout)
        return views.of_groups(self.report.rows, self.asked.resampling.level, self.asked.curve)

    def markdown(self) -> list[str]:
        """Every table, with a title from the second on."""
        tables = [markdown(self.main_table()) if self._has_rows() else self._nothing()]
        level = self.asked.resampling.level
        more: list[tuple[str, list[Column]]] = []
        if self.asked.per_seed and not self.asked.chain:
            more.append(("Run by run", views.of_runs(self.of_runs)))
        if self.averages:
            more.append(("Scores over datasets", views.of_averages(self.averages, level)))
        if self.gains:
            more.append(("Gain over actor 0 of the same run", views.of_gains(self.gains, per_seed=False)))
            if self.asked.per_seed:
                more.append(("Gain over actor 0, run by run", views.of_gains(self.gains, per_seed=True)))
        if self.improvements:
            more.append(("How often a run beats a run", views.of_improvements(self.improvements)))
        if self.profiles:
            more.append(("Share of runs above a score", views.of_profiles(self.profiles)))
        if self.bandit:
            more.append(("Deployed after n rollouts", views.of_bandit(self.bandit)))
        for title, columns in more:
            tables += [f"**{title}**", markdown(columns)]
        return tables

    def latex(self) -> str:
        """The first table."""
        columns = self.main_table()
        if self.asked.chain:
            comparisons = []
        elif self.layout is not None:
            comparisons = views.comparisons_of_layout(columns, self.asked.statistics[0] != "optimality_gap")
        else:
            comparisons = views.comparisons_of_groups(columns, self.report.rows)
        return latex(columns, comparisons, self.notes)

    def document(self) -> dict[str, Any]:
        """Everything, as JSON."""
        report = self.report
        document: dict[str, Any] = {
            "rows": [row.to_json() for row in report.rows],
            "measured": [actor.to_json() for actor in report.measured],
            "unfinished": [str(run.path) for run in report.unfinished],
            "failed_runs": [{"run": str(run.path), "error": run.failed} for run in report.unfinished if run.failed],
            "failed_evaluations": [
                {"run": str(failure.run), failure.clock.unit: failure.count, "error": failure.error}
                for failure in report.failures
            ],
            "not_evaluated": [str(path) for path in report.unevaluated],
        }
        more = {
            "runs": [row.to_json() for row in self.of_runs] if self.asked.per_seed else None,
            "averages": [plain(average) for average in self.averages] or None,
            "layout": None if self.layout is None else plain(self.layout),
            "gains": [plain(gain) for gain in self.gains] or None,
            "improvements": [plain(each) for each in self.improvements] or None,
            "profiles": [plain(profile) for profile in self.profiles] or None,
            "bandit": [plain(curve) for curve in self.bandit] or None,
        }  # fmt: skip
        return document | {key: value for key, value in more.items() if value is not None}

    def tidy(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Columns, and a line per run, actor, mode and evaluation; of measures, one per group and actor."""
        rows = self.report.measured if self.asked.chain else self.of_runs
        columns = [entry.name for entry in dataclasses.fields(MeasuredActor if self.asked.chain else RunRow)]
        measures = list(dict.fromkeys(name for row in rows for name in getattr(row, "measures", ())))
        lines = []
        for row in rows:
            texts = {"w2_weights": _numbers(row.w2_weights), "steps": _numbers(row.steps)}
            line: dict[str, Any] = row.to_json() | texts | {"settings": settings_in_words(row.settings)}
            measured: dict[str, Any] = line.pop("measures", {})
            lines.append(line | measured)
        return [name for name in columns if name != "measures"] + measures, lines

    def _empty(self) -> dict[str, str]:
        """Tables that were asked for and have no row, and why."""
        asked, compared = self.asked, self.asked.compare
        found = {
            "No averages": (asked.average and not self.averages, "no run has normalised scores"),
            "No gains": (asked.paired and not self.gains, "no run has a later actor whose episodes can be paired"),
            "No comparison": (
                compared is not None and not self.improvements,
                f"no two values of {compared} have scores of one dataset with all else the same",
            ),
            "No profile": (asked.profile and not self.profiles, "no run has normalised scores"),
            "No bandit": (asked.bandit and not self.bandit, "no run has two actors whose evaluation kept its episodes"),
        }
        return {what: why for what, (is_empty, why) in found.items() if is_empty}

    def _has_rows(self) -> bool:
        return bool(self.report.measured if self.asked.chain else self.report.rows)

    def _nothing(self) -> str:
        return "No measures to show." if self.asked.chain else "No results to show."

    def _remarks(self, unpaired: Sequence[str]) -> list[str]:
        remarks = []
        if self.asked.checkpoint.needs_all:
            remarks.append(f"Each run counts by the {self.asked.checkpoint} of its evaluations.")
        if self.asked.checkpoint.kind == "best":
            remarks.append("The best of n noisy evaluations is biased: it is higher than what its policy is worth.")
        if unpaired:
            runs = f"{len(unpaired)} run{'s' if len(unpaired) > 1 else ''}"
            remarks.append(f"{runs} whose evaluations kept no episodes to pair: {', '.join(unpaired)}.")
        remarks += [f"{what}: {why}." for what, why in self._empty().items()]
        if lacking := {name for each in self.improvements for name in each.missing}:
            remarks.append(
                f"Comparisons leave out {', '.join(sorted(lacking))}, which one of the two has no scores of."
            )
        few = sorted({row.num_seeds for row in self.report.rows if 1 < row.num_seeds < FEW_SEEDS})
        asked = self.asked
        if few and (asked.statistics or asked.paired or asked.compare or asked.bandit):
            seeds = " or ".join(map(str, few))
            remarks.append(
                f"Intervals over {seeds} seeds cover less than they say; docs/statistics.md has by how much."
            )
        return remarks


def _not_there(report: Report) -> list[str]:
    """A line for each kind of run that the tables lack, naming them."""
    failures = [
        f"{failure.run} at {failure.clock.words(failure.count)} ({failure.error})" for failure in report.failures
    ]
    kinds = {
        "failed run": [f"{run.path} ({run.failed})" for run in report.unfinished if run.failed is not None],
        "unfinished run": [str(run.path) for run in report.unfinished if run.failed is None],
        "failed evaluation": failures,
        "unevaluated run": [str(path) for path in report.unevaluated],
    }
    return [
        f"{len(named)} {kind}{'s' if len(named) > 1 else ''}: {', '.join(named)}."
        for kind, named in kinds.items()
        if named
    ]


def _numbers(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"
