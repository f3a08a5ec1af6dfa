"""Two figures of a study: how much each option matters, and how its trials have gone."""

from collections.abc import Iterator
from pathlib import Path

from optuna.trial import TrialState

from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.durable import make_folder

try:
    import matplotlib as mpl
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ImportError as missing:
    raise BadInput("--out needs matplotlib, not installed here: pip install 'pogo[plot]'.") from missing

from pogo.core.reports.plots import STYLE, read_style, write_figure
from pogo.core.tuning.report import Report, best_so_far
from pogo.core.tuning.words import value_of

FORMATS = (".png", ".svg")
_GREY = "#707070"
_PER_OPTION = 0.3  # inches of a bar's height
_MARGINS = 0.9  # inches above and below the bars


def draw_report(report: Report, folder: Path) -> list[Path]:
    """Draw what there is to draw; returns the files.

    Raises:
        RunFailed: they cannot be written.
    """
    try:
        make_folder(folder)
    except OSError as error:
        raise RunFailed(f"{folder} cannot be made: {error.strerror}; give --out another folder.") from error
    written = []
    with mpl.rc_context(read_style(STYLE)):
        for name, figure in _figures(report):
            for form in FORMATS:
                path = folder / f"{name}{form}"
                write_figure(figure, path)
                written.append(path)
    return written


def _figures(report: Report) -> Iterator[tuple[str, Figure]]:
    if report.best is not None:
        yield "history", _history(report)
    if report.importances is not None:
        yield "importances", _importances(report)


def _importances(report: Report) -> Figure:
    """A bar for each option, the largest above."""
    assert report.importances is not None
    names, shares = list(report.importances), list(report.importances.values())
    width, _ = mpl.rcParams["figure.figsize"]
    figure, axes = _empty(width, _MARGINS + _PER_OPTION * len(names))
    bars = axes.barh(names, shares, height=0.65)
    axes.bar_label(bars, [f"{share:.2f}" for share in shares], padding=3, fontsize=mpl.rcParams["xtick.labelsize"])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlim(0, max(shares) * 1.12)
    axes.set_xlabel("importance (PED-ANOVA), of 1 in all")
    return figure


def _history(report: Report) -> Figure:
    """A mark for each trial, by its number, and the best so far."""
    figure, axes = _empty(*mpl.rcParams["figure.figsize"])
    best = best_so_far(report.trials)
    last = max(trial.number for trial in report.trials)
    steps = [*best, (last, best[-1][1])]
    axes.step([number for number, _ in steps], [value for _, value in steps], where="post", label="best so far")
    for state, marker, colour, label in (
        (TrialState.COMPLETE, "o", "C0", "complete"),
        (TrialState.PRUNED, "x", _GREY, "pruned, when it was"),
    ):
        found = [trial for trial in report.trials if trial.state == state]
        if found:
            numbers, values = [trial.number for trial in found], [value_of(trial) for trial in found]
            axes.plot(numbers, values, linestyle="none", marker=marker, color=colour, label=label)
    what = "normalised score" if report.plan.objective.metric == "normalized_score" else "return"
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("trial")
    over = f", {report.plan.objective.over_seeds} over seeds" if len(report.plan.seeds) > 1 else ""
    axes.set_ylabel(what + over)
    axes.legend()
    return figure


def _empty(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()
