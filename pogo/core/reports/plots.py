"""Draws the numbers of a figure with matplotlib, in a style that is a file.

Lines are told apart by colour and by line style, markers or hatches too, for those who see no colours and for print.
"""

import io
import itertools
import logging
import math
import textwrap
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pogo.core.errors import BadInput

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure
    from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MaxNLocator, NullLocator
except ImportError as missing:
    raise BadInput("figures need matplotlib, not installed here: pip install 'pogo[plot]'.") from missing

from pogo.core.reports.dimensions import in_order
from pogo.core.reports.drawing import Drawing, Line, Mark, Panel
from pogo.core.reports.quantities import OF_EACH_ACTOR, RETURN, SCORE

FORMATS = (".pdf", ".svg", ".png")
STYLE = Path(__file__).with_name("pogo.mplstyle")
DATA = "the data"
_GREY = "#707070"
logger = logging.getLogger("pogo")
_LINE_STYLES = ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (6, 1.5, 1.2, 1.5)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_HATCHES = ("", "////", "xxxx", "----", "\\\\\\\\", "++++", "||||")  # dots would make a large SVG
_ONE_OF_SEVERAL = 0.68  # the size of a panel among others, as a share of that of an only one
_MOST_COLUMNS = 3
_MARKED = 8  # points of a curve, about
_TICKED = 8  # values of an ablation, at most, that have a tick each
_SLOT = 0.14  # inches for a bar, where there are many
_GROUP = 0.8  # the share of a category's place that is taken up
_CHARACTER = 0.008  # inches that one takes in a line, per point of its size
_NAMES = {
    SCORE: "normalised score",
    RETURN: "return",
    "w2_squared": "W2² to the actor before",
    "probe_energy": "energy",
    "q": "Q",
    "from_actor_0": "distance to actor 0",
    "from_reference": "distance to the actor before",
    "data_distance": "distance to the data",
    "updates": "updates",
    "env_steps": "environment steps",
    "hours": "hours",
    "actor": "actor",
}


@dataclass(frozen=True)
class Look:
    """How a line is told from others."""

    colour: str
    line_style: Any
    marker: str
    hatch: str


def check_out(path: Path) -> None:
    """Refuse a name that no figure can be written to.

    Raises:
        BadInput: it has no known ending, or its folder is not there.
    """
    if path.suffix.lower() not in FORMATS:
        raise BadInput(f"--out={path}: its name says no format; end it in {', '.join(FORMATS)}.")
    if not path.parent.is_dir() or path.is_dir():
        raise BadInput(f"--out={path} cannot be written: {_why_not(path)}.")


def _why_not(path: Path) -> str:
    return "it is a folder" if path.is_dir() else f"there is no folder {path.parent}"


def read_style(path: Path) -> Any:
    """The settings of a style file, in matplotlib's form.

    Raises:
        BadInput: it cannot be read, or holds what matplotlib does not know.
    """
    try:
        keys = [line.partition(":")[0].strip() for line in path.read_text().splitlines()]
        unknown = [key for key in keys if key and not key.startswith("#") and key not in mpl.rcParams]
        if unknown:  # of which matplotlib only warns
            raise ValueError(f"there is no setting {unknown[0]!r:.60}")
        return mpl.rc_params_from_file(path, fail_on_error=True)
    except (OSError, ValueError) as error:
        raise BadInput(f"--style={path} is no style of matplotlib: {error}; start from a copy of {STYLE}.") from error


def save(drawing: Drawing, out: Path, style: Any, *, log_x: bool = False, log_y: bool = False) -> None:
    """Draw, and write in the format that the name ends in.

    Raises:
        BadInput: a logarithmic axis would have to show what is not above 0; the file cannot be written.
    """
    with mpl.rc_context(style):
        figure = draw(drawing, log_x=log_x, log_y=log_y)
        write_figure(figure, out)


def write_figure(figure: Figure, out: Path) -> None:
    """Write a figure in the style that is set, in the format that the name ends in: the same numbers, the same file.

    Raises:
        BadInput: the file cannot be written.
    """
    picture, form = io.BytesIO(), out.suffix.lower().removeprefix(".")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.savefig(picture, format=form, metadata=undated.get(form), bbox_inches="tight", pad_inches=0.06)
    try:
        out.write_bytes(picture.getvalue())
    except OSError as error:
        raise BadInput(f"--out={out} cannot be written: {error.strerror}.") from error


def draw(drawing: Drawing, *, log_x: bool = False, log_y: bool = False) -> Figure:
    """A figure in the style that is set.

    Raises:
        BadInput: a logarithmic axis would have to show what is not above 0.
    """
    _check_logarithms(drawing, log_x, log_y)
    number = len(drawing.panels)
    columns = drawing.columns or (number if number <= _MOST_COLUMNS else 2 if number == 4 else _MOST_COLUMNS)
    rows = math.ceil(number / columns)
    size = 1.0 if number == 1 else _ONE_OF_SEVERAL
    width, height = (size * each for each in mpl.rcParams["figure.figsize"])
    bars = len(drawing.categories) * max(len(panel.lines) for panel in drawing.panels)
    width = max(width, min(_SLOT * bars, 2 * width))
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    looks = _looks(drawing)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    _share_heights(drawing, grid)
    for index, (panel, axes) in enumerate(zip(drawing.panels, grid, strict=False)):
        _draw_panel(axes, panel, drawing, looks)
        axes.set_title(textwrap.fill(panel.title, _letters(width, "axes.titlesize")))
        if index % columns == 0 or len(drawing.quantities) > 1:
            upward = "share of runs above" if drawing.request.kind == "profile" else _named(panel.quantity)
            axes.set_ylabel(textwrap.fill(upward, _letters(height, "axes.labelsize")))
        if index + columns >= number:
            axes.set_xlabel(_x_label(drawing, panel))
        if log_x:
            axes.set_xscale("log")
        if log_y:
            axes.set_yscale("log", nonpositive="clip")
            _set_logarithmic_ticks(axes.yaxis)
        _set_ticks(axes, drawing, width, is_logarithmic=log_x)
    for axes in grid[number:]:
        axes.set_axis_off()
    _add_legend(figure, width * columns)
    return figure


def _share_heights(drawing: Drawing, grid: Sequence[Axes]) -> None:
    """Give panels one scale that have a common one: scores, and returns of one dataset; no losses of two algorithms."""
    datasets = {dataset for panel in drawing.panels for dataset in panel.datasets}
    first: dict[str, Axes] = {}
    for panel, axes in zip(drawing.panels, grid, strict=False):  # empty still: limits follow what is drawn in any
        if panel.quantity == SCORE or (panel.quantity == RETURN and len(datasets) == 1):
            if panel.quantity in first:
                axes.sharey(first[panel.quantity])
            first.setdefault(panel.quantity, axes)


def _check_logarithms(drawing: Drawing, log_x: bool, log_y: bool) -> None:
    if log_x and drawing.categories:
        raise BadInput(f"--log-x: along the x axis are {', '.join(drawing.categories)}, no numbers; leave it out.")
    for panel in drawing.panels:
        for line in panel.lines:
            along = [point.x for point in line.points if not isinstance(point.x, str)]
            upward = [point.estimate.value for point in line.points] + [mark.y for mark in line.marks]
            if log_x and along and min(along) <= 0:
                raise BadInput(
                    f"--log-x: {drawing.x} goes down to {min(along):g}, which has no logarithm; leave it out."
                )
            if log_y and upward and min(upward) <= 0:
                raise BadInput(
                    f"--log-y: {panel.quantity} goes down to {min(upward):g}, which has no logarithm; leave it out."
                )


def _looks(drawing: Drawing) -> dict[tuple[Hashable, ...], Look]:
    """How each line is drawn, the same in every panel.

    Where two dimensions tell lines apart, the first has the colours, the other line styles, hatches or markers.
    Otherwise all of them go from line to line: 28 are drawn before two are alike.
    """
    keys = sorted({line.key for line in drawing.lines}, key=lambda each: [in_order(value) for value in each])
    varying = [index for index in range(len(drawing.by)) if len({each[index] for each in keys}) > 1]
    firsts = list(dict.fromkeys(each[index] for each in keys for index in varying[:1]))
    rests = list(dict.fromkeys(tuple(each[index] for index in varying[1:]) for each in keys))
    colours = mpl.rcParams["axes.prop_cycle"].by_key().get("color", ["black"])
    is_grid = len(varying) > 1 and len(rests) <= len(_LINE_STYLES) and len(firsts) <= len(colours)
    found = {}
    for index, each in enumerate(keys):
        first = firsts.index(each[varying[0]]) if is_grid else index
        rest = rests.index(tuple(each[other] for other in varying[1:])) if is_grid else index
        found[each] = Look(
            colours[first % len(colours)],
            _LINE_STYLES[rest % len(_LINE_STYLES)],
            _MARKERS[(rest if drawing.categories else first) % len(_MARKERS)],  # in categories there are no lines
            _HATCHES[rest % len(_HATCHES)],
        )
    if len(set(found.values())) < len(found):
        logger.warning("%d lines, of which some look alike: choose by --actor, or part them by --facet.", len(found))
    return found


def _draw_panel(axes: Axes, panel: Panel, drawing: Drawing, looks: dict[tuple[Hashable, ...], Look]) -> None:
    if panel.data is not None:
        axes.axhline(panel.data, color=_GREY, linewidth=0.9, linestyle="-", label=DATA, zorder=1)
    kind = drawing.request.kind
    for line in panel.lines:
        look = looks[line.key]
        if kind == "profile":
            _draw_steps(axes, line, look)
        elif not drawing.categories:
            _draw_curve(axes, line, look)
        else:
            slot = _GROUP / len(panel.lines)
            offset = (panel.lines.index(line) - 0.5 * (len(panel.lines) - 1)) * slot
            at = [drawing.categories.index(str(point.x)) + offset for point in line.points]
            draw_one = {"bars": _draw_bars, "returns": _draw_episodes}.get(kind, _draw_dots)
            draw_one(axes, line, look, at, slot)
            if kind != "returns":
                places = dict(zip((point.x for point in line.points), at, strict=True))
                _draw_seeds_beside(axes, line, look, places, slot)


def _draw_curve(axes: Axes, line: Line, look: Look) -> None:
    for of_seed in _by_seed(line.marks):
        axes.plot(*_along(of_seed), color=look.colour, linestyle=look.line_style, linewidth=0.6, alpha=0.55, zorder=1.5)
    x, y = [point.x for point in line.points], [point.estimate.value for point in line.points]
    every = max(1, len(x) // _MARKED)
    axes.plot(x, y, color=look.colour, linestyle=look.line_style, marker=look.marker, markevery=every, label=line.label)
    _draw_band(axes, line, look, step=None)


def _draw_steps(axes: Axes, line: Line, look: Look) -> None:
    x, y = [point.x for point in line.points], [point.estimate.value for point in line.points]
    axes.step(x, y, where="post", color=look.colour, linestyle=look.line_style, label=line.label)
    _draw_band(axes, line, look, step="post")


def _draw_band(axes: Axes, line: Line, look: Look, step: Any) -> None:
    """The interval, where there is one; a stretch of two points or more."""
    low = [math.nan if point.estimate.low is None else point.estimate.low for point in line.points]
    high = [math.nan if point.estimate.high is None else point.estimate.high for point in line.points]
    if not all(math.isnan(each) for each in low):
        x: list[Any] = [point.x for point in line.points]
        axes.fill_between(x, low, high, step=step, color=look.colour, alpha=0.16, linewidth=0)


def _draw_bars(axes: Axes, line: Line, look: Look, at: Sequence[float], slot: float) -> None:
    axes.bar(
        at,
        [point.estimate.value for point in line.points],
        0.9 * slot,
        yerr=_errors(line),
        color=look.colour,
        alpha=0.75,
        hatch=look.hatch,
        edgecolor="white",
        linewidth=0,
        ecolor="#202020",
        label=line.label,
    )


def _draw_dots(axes: Axes, line: Line, look: Look, at: Sequence[float], _: float) -> None:
    axes.errorbar(
        at,
        [point.estimate.value for point in line.points],
        yerr=_errors(line),
        color=look.colour,
        linestyle="none",
        marker=look.marker,
        label=line.label,
    )


def _draw_episodes(axes: Axes, line: Line, look: Look, at: Sequence[float], slot: float) -> None:
    """A box from the lower to the upper quartile, a bar at the median, and a dot for each episode."""
    low, middle, high = ([getattr(point.estimate, name) for point in line.points] for name in ("low", "value", "high"))
    height = [upper - lower for lower, upper in zip(low, high, strict=True)]
    width = 0.85 * slot
    axes.bar(
        at, height, width, bottom=low, color=look.colour, alpha=0.3, hatch=look.hatch, edgecolor=look.colour,
        label=line.label,
    )  # fmt: skip
    axes.hlines(middle, [x - width / 2 for x in at], [x + width / 2 for x in at], color=look.colour, linewidth=2)
    for point, x in zip(line.points, at, strict=True):
        episodes = [mark.y for mark in line.marks if mark.x == point.x]
        spread = [x + 0.7 * width * (index * 0.618034 % 1.0 - 0.5) for index in range(len(episodes))]
        axes.plot(spread, episodes, color=look.colour, linestyle="none", marker=".", markersize=2.5, alpha=0.6)


def _draw_seeds_beside(axes: Axes, line: Line, look: Look, at: dict[float | str, float], slot: float) -> None:
    """A dot for each run, right of the interval."""
    if line.marks:
        x, y = [at[mark.x] + 0.25 * slot for mark in line.marks], [mark.y for mark in line.marks]
        axes.plot(
            x, y, linestyle="none", marker="o", markersize=3, markerfacecolor="white", markeredgecolor=look.colour,
            markeredgewidth=0.8, zorder=3,
        )  # fmt: skip


def _errors(line: Line) -> list[list[float]]:
    """How far the interval reaches below and above; nothing where there is none."""
    estimates = [point.estimate for point in line.points]
    return [
        [math.nan if each.low is None else each.value - each.low for each in estimates],
        [math.nan if each.high is None else each.high - each.value for each in estimates],
    ]


def _by_seed(marks: Sequence[Mark]) -> Iterator[list[Mark]]:
    ordered = sorted(marks, key=lambda mark: (mark.dataset, mark.seed, mark.x))
    for _, of_seed in itertools.groupby(ordered, key=lambda mark: (mark.dataset, mark.seed)):
        yield list(of_seed)


def _along(marks: Sequence[Mark]) -> tuple[list[float | str], list[float]]:
    return [mark.x for mark in marks], [mark.y for mark in marks]


def _named(quantity: str) -> str:
    return _NAMES.get(quantity.removeprefix(OF_EACH_ACTOR), quantity)


def _x_label(drawing: Drawing, panel: Panel) -> str:
    match drawing.request.kind:
        case "profile":
            return _named(panel.quantity)
        case "bars" | "dots" | "returns":
            return ""
    return _NAMES.get(drawing.x, drawing.x)


def _set_logarithmic_ticks(axis: Axis) -> None:
    """At 1, 2 and 5 of a few decades, or at the decades."""
    low, high = sorted(axis.get_view_interval())
    of_decades = (1.0, 2.0, 5.0) if high / low < 1000 else (1.0,)
    axis.set_major_locator(LogLocator(subs=of_decades))
    axis.set_major_formatter(FuncFormatter(lambda at, _: f"{at:g}"))
    axis.set_minor_locator(NullLocator())


def _set_ticks(axes: Axes, drawing: Drawing, width: float, is_logarithmic: bool) -> None:
    if drawing.categories:
        axes.set_xticks(range(len(drawing.categories)), drawing.categories)
        axes.set_xlim(-0.6, len(drawing.categories) - 0.4)
        axes.grid(False, axis="x")
        if sum(map(len, drawing.categories)) > _letters(width, "xtick.labelsize") - 4 * len(drawing.categories):
            axes.tick_params(axis="x", rotation=30)
            for label in axes.get_xticklabels():
                label.set(horizontalalignment="right", rotation_mode="anchor")
        return
    places = sorted({float(point.x) for line in drawing.lines for point in line.points})
    if drawing.request.kind == "profile":
        axes.set_ylim(-0.02, 1.04)
    if drawing.request.kind == "ablation" and len(places) <= _TICKED:
        axes.set_xticks(places, [f"{place:g}" for place in places])
        axes.minorticks_off()
    elif is_logarithmic:
        _set_logarithmic_ticks(axes.xaxis)
    elif drawing.request.kind == "chain":
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        axes.margins(x=0.08)
    elif drawing.request.kind == "curves":
        axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
        if drawing.x != "hours":
            axes.xaxis.set_major_formatter(EngFormatter(sep=""))


def _letters(width: float, size: str) -> int:
    """How many letters of a size go into a width in inches."""
    points = mpl.rcParams[size]
    return max(8, int(width / (_CHARACTER * (points if isinstance(points, int | float) else 10.0))))


def _add_legend(figure: Figure, width: float) -> None:
    """One legend below the panels; none where there is but one line, which the title names."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            if label:
                found.setdefault(label, handle)
    found |= {DATA: found.pop(DATA)} if DATA in found else {}  # last
    if len(found) > 1:
        longest = max(map(len, found)) + 8  # its line or patch takes up as much
        columns = max(1, min(len(found), _letters(width, "legend.fontsize") // longest))
        legend = figure.legend(
            found.values(), found.keys(), loc="outside lower center", ncols=columns, handlelength=3.2
        )
        # The panels keep their size, however many lines there are.
        below = legend.get_window_extent().height / figure.dpi
        figure.set_size_inches(figure.get_figwidth(), figure.get_figheight() + below)
