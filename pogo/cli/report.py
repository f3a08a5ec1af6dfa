"""pogo-report: table the results of many runs."""

import argparse
import csv
import dataclasses
import json
import logging
import re
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pogo.cli.common import CommandParser, run_command

if TYPE_CHECKING:
    from pogo.core.reports.groups import MeasuredActor, Report, Row

_WORDS = ("dataset", "algorithm", "backend", "w2 weights", "settings")  # columns of every table
_MEASURES = {  # header by measure, in the order of the columns
    "from_reference": "step",
    "from_actor_0": "from actor 0",
    "q": "Q",
    "q_independent": "independent Q",
    "probe_energy": "energy",
    "data_distance": "from the data",
    "saturated": "at the side",
    "std": "std",
}
logger = logging.getLogger("pogo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _report, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-report",
        "FOLDER [options]",
        """\
Table the runs in a folder, wherever they lie in it: mean and std over seeds, per actor and mode.

  pogo-report runs
  pogo-report runs/pendulum-medium-replay --mode deterministic --curve --csv > curve.csv
  pogo-report runs --html report    # a page with tables and figures; opens without a network
  pogo-report runs --live           # progress, time left and last scores, again and again""",
        _groups,
    )
    add = parser.add_argument
    add("folder", type=Path, metavar="FOLDER", help="where to look for runs")
    add(
        "--mode", choices=("deterministic", "stochastic", "both"), default="both",
        help="the actors' mode; both by default",
    )  # fmt: skip
    add(
        "--curve", action="store_true",
        help="every evaluation by update (or environment step), of unfinished runs too; by default the last one of "
        "finished runs",
    )  # fmt: skip
    add(
        "--chain", action="store_true",
        help="what each actor is measured by: its step, Q, distances to actor 0 and to the data, spread",
    )  # fmt: skip
    add(
        "--html", type=Path, metavar="DIR",
        help="write a page, DIR/index.html: tables, figures, every run's settings, and its videos beside it",
    )  # fmt: skip
    add(
        "--live", action="store_true",
        help="watch the runs until all have ended, or until Ctrl-C; one table where the output is no terminal. With "
        "--html: rewrite the page, which loads itself anew in a browser",
    )  # fmt: skip
    add(
        "--every", type=float, metavar="SECONDS",
        help="between two looks of --live; 5 by default, 30 with --html",
    )  # fmt: skip
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="JSON instead of a Markdown table")
    form.add_argument("--csv", action="store_true", help="CSV")
    return parser


def _groups() -> str:
    from pogo.core.config.settings_help import settings_that_tell_no_runs_apart  # late: only --help shows them

    return f"""\
Runs are one group if they differ only in these settings:
{settings_that_tell_no_runs_apart()}.
What else tells groups with the same labels apart is in the column settings. A std is the sample standard deviation over
seeds (n - 1) of each seed's mean return or normalised score; - for one seed. behaviour is the mean return of the data.
Unfinished runs and failed evaluations are named below the table, and on stderr with --csv.

Exit codes: 0 done, 2 bad input."""


def _report(options: argparse.Namespace) -> int:
    if options.html is not None or options.live or options.every is not None:
        from pogo.cli.live import show  # late: the table needs none of it

        return show(options)
    from pogo.core.reports.groups import make_report  # late: --help answers without these
    from pogo.core.reports.results import MODES

    report = make_report(options.folder, MODES if options.mode == "both" else [options.mode], curve=options.curve)
    if options.json:
        print(json.dumps(_document(report), indent=2))
    elif options.csv:
        _write_csv(report.measured if options.chain else report.rows, options.chain)
        for note in _notes(report):
            logger.info("%s", note)
    else:
        if options.chain:
            table = _markdown_of_measures(report.measured) if report.measured else "No measures to show."
        else:
            table = _markdown(report.rows, options.curve) if report.rows else "No results to show."
        print("\n\n".join([table, *_notes(report)]))  # a blank line each: Markdown would join them
    return 0


def _document(report: "Report") -> dict[str, Any]:
    return {
        "rows": [row.to_json() for row in report.rows],
        "measured": [actor.to_json() for actor in report.measured],
        "unfinished": [str(path) for path in report.unfinished],
        "failed_evaluations": [
            {"run": str(failure.run), failure.clock.unit: failure.count, "error": failure.error}
            for failure in report.failures
        ],
        "not_evaluated": [str(path) for path in report.unevaluated],
    }


def _notes(report: "Report") -> list[str]:
    """A line for each kind of run that the table lacks, naming them."""
    failures = [
        f"{failure.run} at {failure.clock.words(failure.count)} ({failure.error})" for failure in report.failures
    ]
    kinds = {
        "unfinished run": [str(path) for path in report.unfinished],
        "failed evaluation": failures,
        "unevaluated run": [str(path) for path in report.unevaluated],
    }
    return [
        f"{len(named)} {kind}{'s' if len(named) > 1 else ''}: {', '.join(named)}."
        for kind, named in kinds.items()
        if named
    ]


def _write_csv(rows: "Sequence[Row] | Sequence[MeasuredActor]", of_measures: bool) -> None:
    from pogo.core.reports.groups import MeasuredActor, Row

    names = [field.name for field in dataclasses.fields(MeasuredActor if of_measures else Row)]
    measures = list(dict.fromkeys(name for row in rows for name in getattr(row, "measures", {})))
    columns = [name for name in names if name != "measures"] + measures
    writer = csv.DictWriter(sys.stdout, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    for row in rows:
        texts = {"w2_weights": _numbers(row.w2_weights), "steps": _numbers(row.steps), "settings": _settings(row)}
        seeds = {"seeds": " ".join(map(str, getattr(row, "seeds", ())))}
        writer.writerow(row.to_json() | texts | seeds | dict(getattr(row, "measures", {})))


def _markdown(rows: "Sequence[Row]", curve: bool) -> str:
    columns = _labels(rows) | {
        "kind": [_escaped(row.kind) for row in rows],
        "mode": [row.mode for row in rows],
        "updates": [_count(row.updates) for row in rows],
        "env steps": [_count(row.env_steps) for row in rows],
        "seeds": [str(row.num_seeds) for row in rows],
        "return": [_number(row.return_mean) for row in rows],
        "std": [_number(row.return_std_over_seeds) for row in rows],
        "score": [_number(row.normalized_score_mean) for row in rows],
        "score std": [_number(row.normalized_score_std_over_seeds) for row in rows],
        "behaviour": [_number(row.behaviour_return_mean) for row in rows],
    }
    for header in ("settings", "updates", "env steps"):
        if not any(columns[header]):
            del columns[header]
    if curve:
        del columns["behaviour"]
    return _table(columns, words={"kind", "mode"})


def _markdown_of_measures(actors: "Sequence[MeasuredActor]") -> str:
    columns = _labels(actors) | {
        "at": [str(actor.count) for actor in actors],
        "seeds": [str(actor.num_seeds) for actor in actors],
    }
    for name, header in _MEASURES.items():
        if any(name in actor.measures for actor in actors):
            columns[header] = [f"{actor.measures[name]:.4g}" if name in actor.measures else "-" for actor in actors]
    if not any(columns["settings"]):
        del columns["settings"]
    return _table(columns)


def _labels(rows: "Sequence[Row] | Sequence[MeasuredActor]") -> dict[str, list[str]]:
    return {
        "dataset": [_escaped(row.dataset) for row in rows],
        "algorithm": [_escaped(row.algorithm) for row in rows],
        "backend": [_escaped(row.backend) for row in rows],
        "w2 weights": [f"steps {_numbers(row.steps)}" if row.steps else _numbers(row.w2_weights) for row in rows],
        "settings": [_escaped(_settings(row)) for row in rows],
        "actor": [str(row.actor) for row in rows],
    }


def _table(columns: Mapping[str, Sequence[str]], words: Collection[str] = ()) -> str:
    """A Markdown table that reads as it is and that GitHub renders; columns of words are flush left."""
    cells = []
    for header, column in columns.items():
        width = max(map(len, (header, *column)))
        if header not in _WORDS and header not in words:
            cells.append([text.rjust(width) for text in (header, "-" * (width - 1) + ":", *column)])
        else:
            cells.append([text.ljust(width) for text in (header, "-" * width, *column)])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*cells, strict=True))


def _numbers(values: Sequence[float]) -> str:
    return f"[{', '.join(f'{value:g}' for value in values)}]"


def _settings(row: "Row | MeasuredActor") -> str:
    """As on the command line."""
    return " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in row.settings.items()
    )


def _count(value: int | None) -> str:
    return "" if value is None else str(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _escaped(text: str) -> str:
    """The text with a backslash before each character that means something in a Markdown table."""
    printable = "".join(character if character.isprintable() else " " for character in text)
    return re.sub(r"([\\|*<`])", r"\\\1", printable)


if __name__ == "__main__":
    sys.exit(main())
