"""pogo-report's options, and what of them goes together."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pogo.core.errors import BadInput

if TYPE_CHECKING:
    from pogo.core.reports.statistics import Statistic

STDOUT = "-"  # the file of a format that is asked for without one


def add_options(parser: argparse.ArgumentParser) -> None:
    """Every option, group by group."""
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help="where to look for runs")
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
        form.add_argument(name, nargs="?", const=STDOUT, metavar="FILE", help=help_text)
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


def statistics(options: argparse.Namespace) -> "Sequence[Statistic]":
    """Those that --statistics names, or that another option needs.

    Raises:
        BadInput: there is no such statistic.
    """
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


def check_together(options: argparse.Namespace) -> None:
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
        to_stdout = getattr(options, name) == STDOUT
        clashes.append((to_stdout and bool(shown), f"--{name}", f"has no {_named(shown)}; use --json, or name a FILE"))
    for is_so, option, why in clashes:
        if is_so:
            raise BadInput(f"{option} {why}.")


def _named(options: Sequence[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in options)


def check_files(options: argparse.Namespace) -> None:
    """Refuse files that cannot be made before a thousand runs are read."""
    files: dict[Path, str] = {}
    for name in ("json", "csv", "latex", "parquet"):
        file = getattr(options, name)
        if file is None or file == STDOUT:
            continue
        if (other := files.setdefault(Path(file).absolute(), name)) != name:
            raise BadInput(f"--{name} {file} is the file of --{other} too; name another.")
        if Path(file).is_dir():
            raise BadInput(f"--{name} {file} is a folder; name a file, and the folders of runs before it.")
        if not Path(file).absolute().parent.is_dir():
            raise BadInput(f"--{name} {file}: there is no folder {Path(file).parent}; make it first.")
    if [options.json, options.csv, options.latex].count(STDOUT) > 1:
        raise BadInput("only one of --json, --csv and --latex can go to stdout; name files for the others.")
    if options.parquet is not None:
        import_pyarrow()


def import_pyarrow() -> tuple[Any, Any]:
    """Pyarrow and its parquet module.

    Raises:
        BadInput: it is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise BadInput(
            "--parquet needs pyarrow, not installed here: pip install pyarrow. --csv needs nothing."
        ) from error
    return pyarrow, pyarrow.parquet
