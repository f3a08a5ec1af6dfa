"""What a study has found: its best options as a command, and how much each option matters."""

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances
from optuna.trial import FrozenTrial, TrialState

from pogo.core.tuning.plan import StudyPlan
from pogo.core.tuning.space import literal
from pogo.core.tuning.store import BY_SEED, FAILURE, Store
from pogo.core.tuning.words import STATES, complete, counts_in_words, value_of

SHOWN = 10  # trials of the table, and failures
FRESH_SEEDS = 5  # that the best options are tried on
LEAST_TRIALS = 10  # complete ones, without which nothing is said of what matters
# Complete trials that count as good ones: so many, or so large a share where that is more. PED-ANOVA is steady from
# five on, as Optuna's documentation of it says.
_GOOD, _GOOD_SHARE = 5, 0.1


@dataclass(frozen=True)
class Report:
    """A study, as far as it is."""

    plan: StudyPlan
    trials: Sequence[FrozenTrial]
    importances: Mapping[str, float] | None  # by option, the largest first, 1 in all; none: of too few trials

    @property
    def best(self) -> FrozenTrial | None:
        """The best of those that are complete."""
        return next(iter(complete(self.trials)), None)

    @property
    def options(self) -> list[str]:
        """Of pogo-train, as the best trial had them; none where no trial is complete."""
        return [] if self.best is None else [*self.plan.options, *options_of(self.best)]

    @property
    def command(self) -> str:
        """What trains with the best options."""
        return shlex.join(["pogo-train", *self.options])

    @property
    def fresh_commands(self) -> list[str]:
        """What says how good the best options are on seeds that they were not chosen by."""
        objective, folder = self.plan.objective, str(self.plan.folder / "best")
        first = max(self.plan.seeds) + 1
        seeds = ",".join(str(first + number) for number in range(FRESH_SEEDS))
        checkpoint = [] if objective.evaluations == 1 else ["--checkpoint", f"mean:{objective.evaluations}"]
        actor = "last" if objective.actor is None else str(objective.actor)
        return [
            shlex.join(["pogo-train", "-m", *self.options, f"seed={seeds}", f"run.root={folder}"]),
            shlex.join(["pogo-report", folder, "--actor", actor, "--mode", objective.mode, *checkpoint]),
        ]

    def to_json(self) -> dict[str, Any]:
        """The report as one document."""
        found = self.best
        best = None if found is None else _trial_to_json(found) | {
            "command": self.command,
            "fresh_commands": self.fresh_commands,
        }  # fmt: skip
        numbers = Counter(trial.state for trial in self.trials)
        return {
            "study": self.plan.name,
            "folder": str(self.plan.folder),
            "objective": {"what": str(self.plan.objective), "over_seeds": self.plan.objective.over_seeds},
            "seeds": list(self.plan.seeds),
            "asked_for": self.plan.trials,
            "counts": {word: numbers[state] for state, word in STATES.items()},
            "best": best,
            "importances": None if self.importances is None else dict(self.importances),
            "trials": [_trial_to_json(trial) for trial in self.trials],
        }


def make_report(plan: StudyPlan) -> Report:
    """How far a study is.

    Raises:
        BadInput: it has not begun, or it is another one than the file's.
        RunFailed: its journal cannot be read.
    """
    store = Store.existing(plan)
    trials = store.trials()
    count = len(complete(trials))
    if count < LEAST_TRIALS:
        return Report(plan, trials, None)
    evaluator = PedAnovaImportanceEvaluator(target_quantile=max(_GOOD_SHARE, _GOOD / count))
    return Report(plan, trials, get_param_importances(store.study, evaluator=evaluator))


def options_of(trial: FrozenTrial) -> list[str]:
    """Of pogo-train, those that a trial was given by the space."""
    return [f"{name}={literal(value)}" for name, value in trial.params.items()]


def report_text(report: Report) -> str:
    """The report in Markdown."""
    plan, best = report.plan, report.best
    seeds = f"seed {plan.seeds[0]}" if len(plan.seeds) == 1 else f"{plan.objective.over_seeds} over seeds " + ", ".join(
        map(str, plan.seeds)
    )  # fmt: skip
    parts = [
        f"study {plan.name}, {counts_in_words(report.trials)}, {plan.trials} asked for\n"
        f"objective: {plan.objective}, {seeds}"
    ]
    if best is None:
        parts.append("No trial is complete, and so none is the best.")
    else:
        parts += [_best_table(report), _commands(report, best), _importances(report)]
    failed = [trial for trial in report.trials if trial.state == TrialState.FAIL]
    parts += ["\n".join(f"trial {each.number} failed: {each.user_attrs.get(FAILURE)}" for each in failed[-SHOWN:])]
    return "\n\n".join(filter(None, parts))


def _commands(report: Report, best: FrozenTrial) -> str:
    count = len(complete(report.trials))
    bias = (
        f"{value_of(best):.1f} is the best of {count} trials, and so flatters these options: luck was chosen with "
        "them. What they are worth, on seeds that had no say in the choice:"
    )
    fresh = "\n".join(f"    {command}" for command in report.fresh_commands)
    return f"best options, of trial {best.number}:\n\n    {report.command}\n\n{bias}\n\n{fresh}"


def _best_table(report: Report) -> str:
    names = list(report.plan.space)
    seeds = report.plan.seeds if len(report.plan.seeds) > 1 else ()
    rows = [["trial", "value", *(f"seed {seed}" for seed in seeds), *names]]
    for trial in complete(report.trials)[:SHOWN]:
        by_seed = trial.user_attrs[BY_SEED]
        values = [f"{by_seed[str(seed)]:.1f}" for seed in seeds]
        rows.append(
            [str(trial.number), f"{value_of(trial):.1f}", *values, *(_short(trial.params[name]) for name in names)]
        )
    return _markdown(rows)


def _importances(report: Report) -> str:
    if report.importances is None:
        count = len(complete(report.trials))
        return f"Which option matters is not said of {count} complete trials; it takes {LEAST_TRIALS}."
    rows = [["option", "importance"], *([name, f"{share:.2f}"] for name, share in report.importances.items())]
    note = "Importances are PED-ANOVA's: how far the values of good trials are from those of all complete ones."
    return f"{_markdown(rows)}\n\n{note}"


def _markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table, its first row the header; numbers stand to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    is_left = [not all(_is_number(row[column]) for row in rows[1:]) for column in range(len(widths))]

    def line(cells: Sequence[str]) -> str:
        placed = (
            cell.ljust(width) if left else cell.rjust(width)
            for cell, width, left in zip(cells, widths, is_left, strict=True)
        )
        return f"| {' | '.join(placed)} |"

    rule = ["-" * width if left else "-" * (width - 1) + ":" for width, left in zip(widths, is_left, strict=True)]
    return "\n".join([line(rows[0]), line(rule), *map(line, rows[1:])])


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _short(value: Any) -> str:
    """A value as a table has it; a command has all of its digits."""
    return f"{value:.4g}" if isinstance(value, float) else literal(value)


def _trial_to_json(trial: FrozenTrial) -> dict[str, Any]:
    by_seed = trial.user_attrs.get(BY_SEED)
    return {
        "number": trial.number,
        "state": STATES[trial.state],
        "value": trial.value,
        "by_seed": by_seed,
        "failed": trial.user_attrs.get(FAILURE),
        "options": options_of(trial),
        "course": {str(step): value for step, value in sorted(trial.intermediate_values.items())},
    }


def best_so_far(trials: Sequence[FrozenTrial]) -> list[tuple[int, float]]:
    """By number of a trial, the best that was known once it was complete."""
    best: list[tuple[int, float]] = []
    for trial in sorted(trials, key=lambda each: each.number):
        if trial.state == TrialState.COMPLETE:
            value = value_of(trial)
            best.append((trial.number, max(value, best[-1][1]) if best else value))
    return best
