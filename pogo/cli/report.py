"""pogo-report: table the results of many runs."""

import argparse
import csv
import io
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pogo.cli.common import CommandParser, run_command, watched
from pogo.cli.report_options import STDOUT, add_options, check_files, check_together, import_pyarrow, statistics
from pogo.core.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from pogo.core.reports.sections import Sections

logger = logging.getLogger("pogo")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _report, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-report",
        "FOLDER ... [options]",
        """\
Table the runs in some folders, wherever they lie in them: mean and std over seeds, per actor and mode.

  pogo-report runs
  pogo-report runs --statistics iqm --per-seed --csv results.csv --latex table.tex
  pogo-report runs --paired --bandit --mode deterministic
  pogo-report runs --layout corl --actor last --mode deterministic --checkpoint mean:10
  pogo-report runs --html report    # a page with tables and figures; opens without a network
  pogo-report runs --live           # progress, time left and last scores, again and again""",
        _epilog,
    )
    add_options(parser)
    return parser


def _epilog() -> str:
    from pogo.core.config.settings_help import settings_that_tell_no_runs_apart  # late: only --help shows them

    return f"""\
Runs are one group if they differ only in these settings:
{settings_that_tell_no_runs_apart()}.
What else tells groups with the same labels apart is in the column settings. A std is the sample standard deviation over
seeds (n - 1) of each seed's mean return or normalised score; - for one seed. behaviour is the mean return of the data.
Intervals are stratified bootstraps over seeds, never over episodes: - for one seed. iqm is the mean of the middle half
of the scores; optimality_gap what they lack of 100. Of several datasets, each is a stratum (docs/statistics.md).
Unfinished runs and failed evaluations are named below the tables, and on stderr where these go elsewhere.

Exit codes: 0 done, 1 a file could not be written, 2 bad input."""


def _report(options: argparse.Namespace) -> int:
    if options.html is not None or options.live or options.every is not None:
        from pogo.cli.live import show  # late: the table needs none of it

        return show(options)
    from pogo.core.learner.interface import MODES  # late: --help answers without these
    from pogo.core.reports.rows import make_report
    from pogo.core.reports.sections import Asked, Sections
    from pogo.core.reports.selection import ActorChoice, Checkpoint
    from pogo.core.reports.statistics import Resampling

    chosen = statistics(options)
    resampling = Resampling(95.0 if options.interval is None else options.interval, options.method).checked()
    checkpoint = Checkpoint.parse(options.checkpoint)
    if options.curve and checkpoint.needs_all:
        raise BadInput(
            f"--curve shows every evaluation, and --checkpoint {options.checkpoint} chooses; use one of them."
        )
    modes = MODES if options.mode == "both" else (options.mode,)
    actors = ActorChoice.parse(options.actor)
    check_together(options)
    check_files(options)
    report = make_report(
        options.folders, modes,
        curve=options.curve, checkpoint=checkpoint, actors=actors,
        statistics=chosen, resampling=resampling, watched=watched,
    )  # fmt: skip
    asked = Asked(
        statistics=chosen,
        resampling=resampling,
        checkpoint=checkpoint,
        actors=actors,
        per_seed=options.per_seed,
        average=options.average,
        layout=options.layout,
        paired=options.paired,
        compare=options.compare,
        profile=options.profile,
        bandit=options.bandit,
        chain=options.chain,
        curve=options.curve,
    )
    sections = Sections(report, asked)
    if _write(sections, options):
        for note in sections.notes:
            logger.info("%s", note)
    else:
        print("\n\n".join([*sections.markdown(), *sections.notes]))  # a blank line each: Markdown would join them
    return 0


def _write(sections: "Sections", options: argparse.Namespace) -> bool:
    """Write the files that were asked for; returns whether one of them went to stdout."""
    makers: Mapping[str, Callable[[], str]] = {
        "json": lambda: json.dumps(sections.document(), indent=2, allow_nan=False) + "\n",
        "csv": lambda: _csv(*sections.tidy()),
        "latex": lambda: sections.latex() + "\n",
    }
    printed = False
    for name, make in makers.items():
        file = getattr(options, name)
        if file == STDOUT:
            print(make(), end="")
            printed = True
        elif file is not None:
            _write_text(Path(file), make())
    if options.parquet is not None:
        _write_parquet(Path(options.parquet), *sections.tidy())
    return printed


def _write_text(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error.strerror}.") from error
    logger.info("wrote %s.", path)


def _csv(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue()


def _write_parquet(path: Path, columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> None:
    pyarrow, parquet = import_pyarrow()
    try:
        parquet.write_table(pyarrow.table({name: [line.get(name) for line in lines] for name in columns}), path)
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error}.") from error
    logger.info("wrote %s.", path)


if __name__ == "__main__":
    sys.exit(main())
