"""pogo-plot: draw figures of many runs."""

import argparse
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pogo.cli.common import CommandParser, run_command, watched
from pogo.core.errors import BadInput

if TYPE_CHECKING:
    from pogo.core.reports.drawing import Drawing
    from pogo.core.reports.request import Request


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _plot, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-plot",
        "FOLDER... [options]",
        """\
Draw a figure of the runs in folders, wherever they lie in them: learning curves by default, the mean over seeds with
its 95 % interval, a panel per dataset and algorithm, a line per actor.

  pogo-plot runs
  pogo-plot runs --x updates --y normalized_score --by algorithm --facet dataset --out curves.pdf
  pogo-plot runs --y actor/w2_squared --log-y --out distances.svg --data distances.csv
  pogo-plot runs --kind ablation --over chain.last_w2_weight --log-x""",
        _EPILOG,
    )
    add = parser.add_argument
    add("folders", type=Path, nargs="+", metavar="FOLDER", help="where to look for runs; several may be given")
    add(
        "--kind", default="curves", metavar="KIND",
        help="curves (the default) | bars | dots | chain | profile | returns | ablation",
    )  # fmt: skip
    add(
        "--y", metavar="NAME",
        help="normalized_score (the default where every run has one), return, any key of train.jsonl such as "
        "critic/loss, or actor/NAME for actor_<i>/NAME of each actor; --kind chain takes several, with commas between",
    )  # fmt: skip
    add("--x", choices=("updates", "env_steps", "hours"), help="of curves: updates (env_steps of online runs) or hours")
    add("--over", metavar="SETTING", help="of --kind ablation: the setting along the x axis, such as algorithm.beta")
    add("--by", metavar="NAMES", help="what tells lines apart, such as algorithm,actor")
    add("--facet", metavar="NAMES", help="what tells panels apart, such as dataset; none: one panel")
    add("--actor", metavar="LIST", default="all", help="by number, and last: 0,last; all by default")
    add("--mode", choices=("deterministic", "stochastic", "both"), help="the actors' mode; deterministic by default")
    add("--statistic", choices=("mean", "iqm"), help="over seeds; mean by default")
    add("--interval", metavar="PERCENT", default="95", help="of the intervals over seeds, 95 by default; none: without")
    add("--per-seed", action="store_true", help="each seed too, thin")
    add("--log-x", action="store_true", help="a logarithmic x axis")
    add("--log-y", action="store_true", help="a logarithmic y axis")
    add("--style", type=Path, metavar="FILE", help="a matplotlib style file in place of pogo's own")
    add("--out", type=Path, metavar="FILE", help="a .pdf, .svg or .png; by default KIND.pdf, in this folder")
    add("--data", type=Path, metavar="FILE", help="a CSV file for the numbers that are drawn")
    return parser


_EPILOG = """\
Kinds:
  curves    against updates, environment steps or hours, of unfinished runs too; the rest is of finished runs' ends
  bars      a statistic and its interval, side by side; dots: the same without bars
  chain     score, energy and W2 against the actor's number
  profile   the share of runs above each score; of several datasets together unless --facet dataset
  returns   every episode of the last evaluation, with its quartiles
  ablation  against the values of a setting that was swept

NAMES are dataset, algorithm, backend, actor, mode, seed, chain (steps or weights), w2_weights, steps, or the full name
of any setting, such as train.batch_size. What else differs between runs is added to --by: no number is of runs that
differ in more than their seed, but for scores over datasets (bars, dots, profile, ablation with --facet none).
Intervals are those of pogo's stratified bootstrap; with one seed there are none. Of a data set whose own return is
known a thin grey line shows it.

Exit codes: 0 done, 2 bad input."""


def _plot(options: argparse.Namespace) -> int:
    from pogo.core.reports import plots  # late: --help answers without these
    from pogo.core.reports.series import make_drawing

    request = _request(options)
    request.checked()
    out = options.out or Path(f"{request.kind}.pdf")
    plots.check_out(out)
    if options.data is not None:
        _check_data(options.data, out)
    style = plots.read_style(options.style or plots.STYLE)
    drawing = make_drawing(options.folders, request, watched)
    plots.save(drawing, out, style, log_x=options.log_x, log_y=options.log_y)
    if options.data is not None:
        _write_table(drawing, options.data)
    print(f"{out}: {_in_words(drawing)}.")
    return 0


def _request(options: argparse.Namespace) -> "Request":
    from pogo.core.learner.interface import MODES
    from pogo.core.reports.request import Request
    from pogo.core.reports.selection import ActorChoice

    return Request(
        kind=options.kind,
        y=_names("--y", options.y),
        x=options.x,
        by=_names("--by", options.by),
        facet=_names("--facet", options.facet),
        over=options.over,
        actors=ActorChoice.parse(options.actor),
        modes=() if options.mode is None else MODES if options.mode == "both" else (options.mode,),
        statistic=options.statistic,
        level=_level(options.interval),
        per_seed=options.per_seed,
    )


def _names(option: str, given: str | None) -> tuple[str, ...]:
    if given is None:
        return ()
    names = tuple(name.strip() for name in given.split(","))
    if "" in names or len(set(names)) < len(names):
        raise BadInput(f"{option}={given}: names are to be written once each, with a comma between, such as a,b.")
    return names


def _level(given: str) -> float | None:
    if given == "none":
        return None
    try:
        return float(given)
    except ValueError:
        raise BadInput(f"--interval={given} is no percentage; use a number such as 95, or none.") from None


def _check_data(path: Path, out: Path) -> None:
    if path.resolve() == out.resolve():
        raise BadInput(f"--data={path} is the figure's own file; give it another name, such as {path.stem}.csv.")
    if path.is_dir() or not path.parent.is_dir():
        why = "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise BadInput(f"--data={path} cannot be written: {why}.")


def _write_table(drawing: "Drawing", path: Path) -> None:
    try:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, drawing.columns_of_rows(), lineterminator="\n")
            writer.writeheader()
            writer.writerows(drawing.rows())
    except OSError as error:
        raise BadInput(f"--data={path} cannot be written: {error.strerror}.") from error


def _in_words(drawing: "Drawing") -> str:
    """What there is to see, for the last line."""
    sizes = sorted({len(point.seeds) for line in drawing.lines for point in line.points})
    runs = f"{sizes[0]} to {sizes[-1]}" if len(sizes) > 1 else str(sizes[0])
    kind, request = drawing.request.kind, drawing.request
    numbers = f"{_counted(len(drawing.panels), 'panel')}, {_counted(len(drawing.lines), 'line')}"
    if kind == "returns":
        return f"{numbers}; median and quartiles of the episodes of {runs} {'run' if runs == '1' else 'runs'}"
    what = "share" if kind == "profile" else request.statistic or "mean"
    with_interval = any(point.estimate.low is not None for line in drawing.lines for point in line.points)
    interval = f" with {request.level:g} % intervals" if with_interval else ""
    return f"{numbers}; {what} over {runs} {'run' if runs == '1' else 'runs'}{interval}"


def _counted(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


if __name__ == "__main__":
    sys.exit(main())
