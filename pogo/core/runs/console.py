"""What a run shows: a progress bar, and a table with a row per actor at each evaluation.

Where the output is not a terminal there is no bar, but a line now and then. A console that goes away (a closed pipe)
does not end the run: it has logs for what matters.
"""

import importlib.util
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self, TextIO

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Table
from rich.text import Text

from pogo.core.config.clock import UPDATES, Clock
from pogo.core.learner.interface import Mode
from pogo.core.runs.evaluation import ActorEvaluation, ModeResult

_BAR_SECONDS = 0.1  # between two drawings of the bar
_LINE_SECONDS = 30.0  # between two lines where there is no bar
_BARS, _PLAIN_BARS = "▁▂▃▄▅▆▇█", "_.:-=+*#"  # from the lowest to the highest
_PLAIN_WIDTH = 120  # columns where there is no terminal to ask


class RunConsole:
    """Shows a run from `start` to `total`; everything by one rich console, so that the bar stays below."""

    def __init__(
        self,
        total: int,
        *,
        start: int = 0,
        counts: Clock = UPDATES,
        stream: TextIO | None = None,
        progress: bool = True,
        show: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Prepare; nothing is shown until it is entered.

        Args:
            total: length of the whole run.
            start: how far it was before this start of it.
            counts: what both are counted in.
            stream: where to show; stderr by default.
            progress: whether to show progress at all; tables and messages are shown anyway.
            show: whether to show anything.
            clock: seconds, for the speed and the time left.
        """
        shown_on = sys.stderr if stream is None else stream
        if stream is None and _is_notebook():
            self.console = _Console(highlight=False, force_jupyter=True, quiet=not show)
        else:
            width = None if shown_on.isatty() else _PLAIN_WIDTH
            self.console = _Console(file=shown_on, highlight=False, width=width, quiet=not show)
        self._total, self._start, self._now = total, start, start
        self._counts = counts
        self._clock = clock
        self._started = self._shown = clock()
        self._shows_progress = progress
        self._progress: Progress | None = None

    def __enter__(self) -> Self:
        self._started = self._shown = self._clock()
        if self._shows_progress and (self.console.is_terminal or self.console.is_jupyter):
            # Drawn by `advance`: a thread of its own would take the interpreter from the updates, and rich's idea of
            # speed counts evaluations as training.
            columns = (BarColumn(), MofNCompleteColumn(), TaskProgressColumn(), TextColumn("{task.fields[speed]}"))
            progress = Progress(*columns, console=self.console, auto_refresh=False)
            self._task = progress.add_task("", total=self._total, completed=self._start, speed="")
            with self._while_it_lasts():
                progress.start()
                self._progress = progress
        return self

    def __exit__(self, *_: object) -> None:
        progress = self._progress
        if progress is not None:
            with self._while_it_lasts():
                self._draw(progress)
            with self._while_it_lasts():
                progress.stop()
            self._progress = None

    @property
    def per_second(self) -> float:
        """Since the start, evaluations and pauses left out; 0 before the first."""
        seconds = self._clock() - self._started
        return (self._now - self._start) / seconds if seconds > 0 else 0.0

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave out of the speed what is done inside: evaluation, compilation, a checkpoint."""
        began = self._clock()
        try:
            yield
        finally:
            self._started += self._clock() - began

    def leave_out(self, seconds: float) -> None:
        """Leave these seconds, which have just passed, out of the speed: compilation inside an update."""
        self._started += seconds

    def advance(self, position: int) -> None:
        """Show that the run has come so far, if it is time to."""
        self._now = position
        if not self._shows_progress:
            return
        progress = self._progress
        interval = _LINE_SECONDS if progress is None else _BAR_SECONDS
        now = self._clock()
        if now - self._shown < interval and position < self._total:
            return
        self._shown = now
        with self._while_it_lasts():
            if progress is None:
                share = 100 * position / self._total if self._total else 100.0
                self._print(f"{self._counts.words(position)}/{self._total}  {share:.0f}%  {self._speed()}")
            else:
                self._draw(progress)

    def evaluation_table(
        self, title: str, rows: Iterable[ActorEvaluation], behaviour: tuple[float, float, float | None] | None = None
    ) -> None:
        """Show returns (mean and standard deviation over episodes) and normalised scores, a row per actor.

        Args:
            title: of the table.
            rows: the actors.
            behaviour: mean return, its standard deviation and the score of the data's own policy; none: no such row.
        """
        plus_minus = "±" if self._is_utf else "+-"
        with self._while_it_lasts():
            self._print(_table(title, rows, behaviour, plus_minus))

    def chain_table(
        self, rows: Iterable[ActorEvaluation], steps: Sequence[float] = (), data_distance: float | None = None
    ) -> None:
        """Show what each actor is measured by, a row per actor.

        Args:
            rows: the actors, with their measures.
            steps: that actors 1, 2, ... were asked to make; none: their weights are given.
            data_distance: mean distance of the data's own actions to another row's.
        """
        with self._while_it_lasts():
            self._print(_chain_table(rows, steps, data_distance))

    def curves(self, title: str, curves: Mapping[str, Sequence[float]]) -> None:
        """Draw lines of numbers by name, one above the other on one scale, each with its first and last number."""
        levels = _BARS if self._is_utf else _PLAIN_BARS
        low = min(min(values) for values in curves.values())
        high = max(max(values) for values in curves.values())
        width = max(len(name) for name in curves)
        self.message(title)
        for name, values in curves.items():
            bars = "".join(levels[round((value - low) / (high - low or 1.0) * (len(levels) - 1))] for value in values)
            self.message(f"  {name:<{width}}  {bars}  {values[0]:.1f} ... {values[-1]:.1f}")

    @property
    def _is_utf(self) -> bool:
        return (self.console.encoding or "").lower().startswith("utf")

    def message(self, text: str) -> None:
        """Show one line of text."""
        with self._while_it_lasts():
            self._print(text)

    def _print(self, what: RenderableType) -> None:
        # Text, not str: in a message, "[10, 10]" is no markup.
        self.console.print(Text(what) if isinstance(what, str) else what, soft_wrap=isinstance(what, str))

    def _draw(self, progress: Progress) -> None:
        progress.update(self._task, completed=self._now, speed=self._speed())
        progress.refresh()

    def _speed(self) -> str:
        speed = self.per_second
        left = _duration((self._total - self._now) / speed) if speed > 0 else "-"
        return f"{speed:.{0 if speed >= 100 else 1}f} {self._counts.units.replace('_', ' ')}/s  ETA {left}"

    @contextmanager
    def _while_it_lasts(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.console.quiet = True


def _is_notebook() -> bool:
    """Whether this runs in a notebook that can redraw what it shows."""
    shell = sys.modules.get("IPython")
    current = None if shell is None else shell.get_ipython()
    return type(current).__name__ == "ZMQInteractiveShell" and importlib.util.find_spec("ipywidgets") is not None


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the process here."""
        raise BrokenPipeError


def _table(
    title: str,
    rows: Iterable[ActorEvaluation],
    behaviour: tuple[float, float, float | None] | None,
    plus_minus: str,
) -> Table:
    table = Table(title=title, title_justify="left")
    for header in ("actor", "kind", "deterministic return", "score", "stochastic return", "score"):
        table.add_column(header, justify="left" if header == "kind" else "right", no_wrap=True)
    if behaviour is not None:
        mean, std, score = behaviour
        table.add_row("data", "as recorded", "-", "-", *_return_and_score(mean, std, score, plus_minus))
    for row in rows:
        modes: tuple[tuple[Mode, ModeResult | None], ...] = (
            ("deterministic", row.deterministic),
            ("stochastic", row.stochastic),
        )
        cells = [cell for mode, returns in modes for cell in _cells(returns, mode in row.failed, plus_minus)]
        table.add_row(str(row.index), Text(row.kind), *cells)
    return table


_MEASURES = {  # header by measure
    "from_actor_0": "from actor 0",
    "q": "Q",
    "q_independent": "independent Q",
    "data_distance": "from the data",
    "saturated": "at the side",
}


def _chain_table(rows: Iterable[ActorEvaluation], steps: Sequence[float], data_distance: float | None) -> Table:
    rows = list(rows)
    table = Table(title="what the chain did, in units of the action box")
    table.title_justify = "left"
    shown = [measure for measure in _MEASURES if any(measure in row.measures for row in rows)]
    for header in ("actor", "step made" + (" (asked)" if steps else ""), *(_MEASURES[measure] for measure in shown)):
        table.add_column(header, justify="right", no_wrap=True)
    if data_distance is not None:
        own = [f"{data_distance:.3f}" if measure == "data_distance" else "-" for measure in shown]
        table.add_row("data", "-", *own)
    for row in rows:
        step = row.measures.get("from_reference")
        made = "-" if step is None else f"{step:.3f}" + (f" ({steps[row.index - 1]:g})" if steps else "")
        table.add_row(str(row.index), made, *(_measure(row.measures.get(measure), measure) for measure in shown))
    return table


def _measure(value: float | None, measure: str) -> str:
    if value is None:
        return "-"
    if measure == "saturated":
        return f"{value:.0%}"
    return f"{value:.1f}" if measure in ("q", "q_independent") else f"{value:.3f}"


def _cells(returns: ModeResult | None, has_failed: bool, plus_minus: str) -> tuple[str, str]:
    if returns is None:
        return "failed" if has_failed else "-", "-"
    return _return_and_score(returns.return_mean, returns.return_std, returns.normalized_score, plus_minus)


def _return_and_score(mean: float, std: float, score: float | None, plus_minus: str) -> tuple[str, str]:
    return f"{mean:.1f} {plus_minus} {std:.1f}", "-" if score is None else f"{score:.1f}"


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
