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
from pogo.core.errors import BadInput, RunFailed

if TYPE_CHECKING:
    from pogo.core.reports.sections import Sections
    from pogo.core.reports.statistics import Statistic

_STDOUT = "-"
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
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="where to look for runs")
    what = parser.add_argument_group("which results")
    what.add_argument(
        "--mode", choices=("deterministic", "stochastic", "both"), default="both",
        help="the actors' mode; both by default",
    )  # fmt: skip
    what.add_argument(
        "--actor", default="all", metavar="LIST", help="actors by number, and last: 0,last; all by default"
    )
    what.add_argument(
        "--checkpoint", default="last", metavar="WHICH",
        help="evaluations that stand for a run: last (default), mean:10 (of the last 10), or best (too high: it is the "
        "largest of many noisy ones)",
    )  # fmt: skip
    what.add_argument(
        "--curve", action="store_true",
        help="every evaluation by update (or environment step), of unfinished runs too; by default the last one of "
        "finished runs",
    )  # fmt: skip
    how = parser.add_argument_group("statistics over seeds")
    how.add_argument(
        "--statistics", metavar="LIST",
        help="instead of mean and std, with intervals: some of mean,std,median,iqm,optimality_gap, or all",
    )  # fmt: skip
    how.add_argument("--interval", type=float, metavar="PERCENT", help="of those intervals; 95 by default")
    how.add_argument(
        "--method", choices=("expanded", "percentile"), default="expanded",
        help="expanded (default): covers what it says from 5 seeds on; percentile: rliable's, too narrow for few seeds",
    )  # fmt: skip
    tables = parser.add_argument_group("tables")
    tables.add_argument("--per-seed", action="store_true", help="every run's own numbers too")
    tables.add_argument("--average", action="store_true", help="scores over all datasets too; what is missing is named")
    tables.add_argument(
        "--layout", choices=("rows", "corl"), default="rows",
        help="corl: datasets down, algorithms across, an average per domain",
    )  # fmt: skip
    tables.add_argument(
        "--paired", action="store_true",
        help="what later actors gained over actor 0 of the same run, episode by episode, too",
    )  # fmt: skip
    tables.add_argument(
        "--compare", choices=("algorithm", "backend", "actor"), help="probability of improvement between these, too"
    )
    tables.add_argument("--profile", action="store_true", help="share of runs above each score, too")
    tables.add_argument(
        "--bandit", nargs="?", type=int, const=200, metavar="N",
        help="what is deployed after up to N rollouts (200) of the actors, chosen by UCB, too",
    )  # fmt: skip
    tables.add_argument(
        "--chain", action="store_true",
        help="instead: what each actor is measured by: its step, Q, distances to actor 0 and to the data, spread",
    )  # fmt: skip
    form = parser.add_argument_group("files; without FILE on stdout, instead of Markdown")
    for name, help_text in (
        ("--json", "everything that is asked for, as JSON"),
        ("--csv", "a line per run, actor, mode and evaluation, as CSV"),
        ("--latex", "the first table, for the package booktabs; bold is all that the best one's interval meets"),
    ):
        form.add_argument(name, nargs="?", const=_STDOUT, metavar="FILE", help=help_text)
    form.add_argument("--parquet", metavar="FILE", help="what --csv has, as Parquet (needs pyarrow)")
    page = parser.add_argument_group("instead: a page, or watching")
    page.add_argument(
        "--html", type=Path, metavar="DIR",
        help="write a page, DIR/index.html: tables, figures, every run's settings, and its videos beside it",
    )  # fmt: skip
    page.add_argument(
        "--live", action="store_true",
        help="watch the runs until all have ended, or until Ctrl-C; one table where the output is no terminal. With "
        "--html: rewrite the page, which loads itself anew in a browser",
    )  # fmt: skip
    page.add_argument(
        "--every", type=float, metavar="SECONDS",
        help="between two looks of --live; 5 by default, 30 with --html",
    )  # fmt: skip
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
    # Late: --help answers without these.
    if options.html is not None or options.live or options.every is not None:
        from pogo.cli.live import show  # late: the table needs none of it

        return show(options)
    from pogo.core.reports.results import MODES
    from pogo.core.reports.rows import make_report
    from pogo.core.reports.sections import Asked, Sections
    from pogo.core.reports.selection import ActorChoice, Checkpoint
    from pogo.core.reports.statistics import Resampling

    statistics = _statistics(options)
    resampling = Resampling(95.0 if options.interval is None else options.interval, options.method).checked()
    checkpoint = Checkpoint.parse(options.checkpoint)
    if options.curve and checkpoint.needs_all:
        raise BadInput(
            f"--curve shows every evaluation, and --checkpoint {options.checkpoint} chooses; use one of them."
        )
    modes = MODES if options.mode == "both" else (options.mode,)
    actors = ActorChoice.parse(options.actor)
    _check_together(options)
    _check_files(options)
    report = make_report(
        options.folders, modes,
        curve=options.curve, checkpoint=checkpoint, actors=actors,
        statistics=statistics, resampling=resampling, watched=watched,
    )  # fmt: skip
    asked = Asked(
        statistics=statistics,
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


def _statistics(options: argparse.Namespace) -> "Sequence[Statistic]":
    from pogo.core.reports.statistics import STATISTICS

    if options.statistics is None:
        # An interval is of something, and so is what LaTeX's bold goes by.
        needed = (
            options.interval is not None or options.average or options.layout == "corl" or options.latex is not None
        )
        return ("mean",) if needed else ()
    asked = options.statistics.replace(" ", "")
    names = STATISTICS if asked == "all" else tuple(asked.split(","))
    for name in names:
        if name not in STATISTICS:
            raise BadInput(
                f"--statistics {name}: there is no such statistic; use all, or some of {','.join(STATISTICS)}."
            )
    return names


def _check_together(options: argparse.Namespace) -> None:
    """Refuse options one of which would have no effect beside the other."""
    of_tables = ("average", "paired", "compare", "profile", "bandit")
    asked = [name for name in (*of_tables, "per_seed", "statistics", "interval") if getattr(options, name) is not None]
    asked = [name for name in asked if getattr(options, name) is not False]
    is_corl = options.layout == "corl"
    clashes: list[tuple[bool, str, str]] = [
        (
            options.chain and bool(asked or is_corl),
            "--chain",
            "is a table of its own: drop " + _named(asked or ["layout"]),
        ),
        (options.curve and is_corl, "--layout corl", "has one evaluation of each run: drop --curve"),
        (options.curve and options.average, "--average", "is of one evaluation of each run: drop --curve"),
        (options.curve and options.bandit is not None, "--bandit", "is of one evaluation of each run: drop --curve"),
        (is_corl and "," in (options.statistics or ""), "--layout corl", "shows one statistic: name one"),
        (options.checkpoint != "last" and options.paired, "--paired", "is of one evaluation: use --checkpoint last"),
        (
            options.checkpoint != "last" and options.bandit is not None,
            "--bandit",
            "draws from one evaluation: use --checkpoint last",
        ),
        (options.bandit is not None and options.actor != "all", "--bandit", "chooses among all actors: drop --actor"),
        (options.bandit is not None and options.bandit < 1, f"--bandit {options.bandit}", "is no number of rollouts"),
    ]
    for name in ("csv", "latex"):
        shown = [each for each in asked if each in of_tables]
        to_stdout = getattr(options, name) == _STDOUT
        clashes.append((to_stdout and bool(shown), f"--{name}", f"has no {_named(shown)}; use --json, or name a FILE"))
    for is_so, option, why in clashes:
        if is_so:
            raise BadInput(f"{option} {why}.")


def _named(options: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in options)


def _check_files(options: argparse.Namespace) -> None:
    """Refuse files that cannot be made before a thousand runs are read."""
    files: dict[Path, str] = {}
    for name in ("json", "csv", "latex", "parquet"):
        file = getattr(options, name)
        if file is None or file == _STDOUT:
            continue
        if (other := files.setdefault(Path(file).absolute(), name)) != name:
            raise BadInput(f"--{name} {file} is the file of --{other} too; name another.")
        if Path(file).is_dir():
            raise BadInput(f"--{name} {file} is a folder; name a file, and the folders of runs before it.")
        if not Path(file).absolute().parent.is_dir():
            raise BadInput(f"--{name} {file}: there is no folder {Path(file).parent}; make it first.")
    if [options.json, options.csv, options.latex].count(_STDOUT) > 1:
        raise BadInput("only one of --json, --csv and --latex can go to stdout; name files for the others.")
    if options.parquet is not None:
        _import_pyarrow()


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
        if file == _STDOUT:
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
    pyarrow, parquet = _import_pyarrow()
    try:
        parquet.write_table(pyarrow.table({name: [line.get(name) for line in lines] for name in columns}), path)
    except OSError as error:
        raise RunFailed(f"{path} could not be written: {error}.") from error
    logger.info("wrote %s.", path)


def _import_pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BadInput(
            "--parquet needs pyarrow, not installed here: pip install pyarrow. --csv needs nothing."
        ) from error
    return pyarrow, pyarrow.parquet


if __name__ == "__main__":
    sys.exit(main())
