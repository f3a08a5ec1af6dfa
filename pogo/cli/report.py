"""pogo-report: table the results of many runs."""

import argparse
import csv
import dataclasses
import json
import logging
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pogo.cli.common import CommandParser, run_command

if TYPE_CHECKING:
    from pogo.core.runs.report import Report, Row

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
  pogo-report runs/pendulum-medium-replay --mode deterministic --curve --csv > curve.csv""",
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
    from pogo.core.runs.report import make_report  # late: --help answers without these
    from pogo.core.runs.results import MODES

    report = make_report(options.folder, MODES if options.mode == "both" else [options.mode], curve=options.curve)
    if options.json:
        print(json.dumps(_document(report), indent=2))
    elif options.csv:
        _write_csv(report)
        for note in _notes(report):
            logger.info("%s", note)
    else:
        table = _markdown(report.rows, options.curve) if report.rows else "No results to show."
        print("\n\n".join([table, *_notes(report)]))  # a blank line each: Markdown would join them
    return 0


def _document(report: "Report") -> dict[str, Any]:
    return {
        "rows": [row.to_json() for row in report.rows],
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


def _write_csv(report: "Report") -> None:
    from pogo.core.runs.report import Row

    writer = csv.DictWriter(sys.stdout, [field.name for field in dataclasses.fields(Row)], lineterminator="\n")
    writer.writeheader()
    for row in report.rows:
        lists = {"w2_weights": _weights(row), "settings": _settings(row), "seeds": " ".join(map(str, row.seeds))}
        writer.writerow(row.to_json() | lists)


def _markdown(rows: "Sequence[Row]", curve: bool) -> str:
    """A table that reads as it is and that GitHub renders."""
    columns = {
        "dataset": [_escaped(row.dataset) for row in rows],
        "algorithm": [_escaped(row.algorithm) for row in rows],
        "backend": [_escaped(row.backend) for row in rows],
        "w2 weights": [_weights(row) for row in rows],
        "settings": [_escaped(_settings(row)) for row in rows],
        "actor": [str(row.actor) for row in rows],
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
    numbers = {"actor", "updates", "env steps", "seeds", "return", "std", "score", "score std", "behaviour"}
    cells = []
    for header, column in columns.items():
        width = max(map(len, (header, *column)))
        if header in numbers:
            cells.append([text.rjust(width) for text in (header, "-" * (width - 1) + ":", *column)])
        else:
            cells.append([text.ljust(width) for text in (header, "-" * width, *column)])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*cells, strict=True))


def _weights(row: "Row") -> str:
    return f"[{', '.join(f'{weight:g}' for weight in row.w2_weights)}]"


def _settings(row: "Row") -> str:
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
