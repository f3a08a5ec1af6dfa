"""What a run shows: how far it is and what it is at, and a table with a row per actor at each evaluation.

Where the output is not a terminal there is no bar, but a line now and then. A narrow terminal is shown less, and no
number that is cut. A console that goes away (a closed pipe) does not end the run: it has logs for what matters.
"""

import importlib.util
import io
import logging
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Self, TextIO

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text
from typing_extensions import override

from pogo.core.config.clock import UPDATES, Clock
from pogo.core.runs.evaluation import ActorEvaluation, Played
from pogo.core.runs.progress_line import Part, ProgressLine
from pogo.core.runs.tables import Behaviour, chain_table, returns_table

_BAR_SECONDS = 0.1  # between two drawings of the bar
_LINE_SECONDS = 30.0  # between two lines where there is no bar
_STEADY_SECONDS = 5.0  # of updates before their speed says when the run will end
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
        self._paused_at: float | None = None
        self._shows_progress = progress
        self._live: Live | None = None
        self._shown_on = shown_on
        self._lifted: list[tuple[logging.StreamHandler, TextIO]] = []  # handlers, with the streams that they had
        self._doing: tuple[Part, ...] = ()  # what else than updates the run is at
        self._has_compiled = False

    def __enter__(self) -> Self:
        self._started = self._shown = self._clock()
        if self._shows_progress and (self.console.is_terminal or self.console.is_jupyter):
            # Drawn by `advance` and its like: a thread of its own would take the interpreter from the updates.
            live = Live(get_renderable=self._line, console=self.console, auto_refresh=False)
            with self._while_it_lasts():
                live.start(refresh=True)
                self._live = live
                self._lift_messages()
        return self

    def __exit__(self, *_: object) -> None:
        live = self._live
        if live is not None:
            while self._lifted:
                handler, stream = self._lifted.pop()
                handler.setStream(stream)
            with self._while_it_lasts():
                live.refresh()
            with self._while_it_lasts():
                live.stop()
            self._live = None

    def _lift_messages(self) -> None:
        """Have log messages that go to the same terminal stand above the bar; on their own they would end its line."""
        for handler in (*logging.getLogger().handlers, *logging.getLogger("pogo").handlers):
            if isinstance(handler, logging.StreamHandler) and handler.stream is self._shown_on:
                self._lifted.append((handler, handler.stream))
                handler.setStream(_Lines(self.message))

    @property
    def per_second(self) -> float:
        """Since the start, evaluations and pauses left out; 0 before the first."""
        return (self._now - self._start) / self._seconds if self._seconds > 0 else 0.0

    @property
    def _seconds(self) -> float:
        """That count in the speed: they stand still in a pause."""
        return (self._clock() if self._paused_at is None else self._paused_at) - self._started

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Leave out of the speed what is done inside: evaluation, compilation, a checkpoint."""
        self._paused_at = began = self._clock()
        try:
            yield
        finally:
            self._started += self._clock() - began
            self._paused_at, self._doing = None, ()

    def leave_out(self, seconds: float) -> None:
        """Leave these seconds, which have just passed, out of the speed: compilation inside an update."""
        self._started += seconds

    def advance(self, position: int) -> None:
        """Show that the run has come so far, if it is time to."""
        self._now, self._doing = position, ()
        share = 100 * position / self._total if self._total else 100.0
        self._show(f"{share:.0f}%  {'  '.join(part.text for part in self._pace())}", at_once=position >= self._total)

    def compiling(self) -> None:
        """Show that a program is being compiled; where there is no bar, of the first alone."""
        self._doing = (Part("compiling ...", 1),)
        self._show("compiling ...", at_once=self._live is not None or not self._has_compiled)
        self._has_compiled = True

    def evaluating(self, played: Played) -> None:
        """Show how far an evaluation is, if it is time to."""
        episodes = f"evaluating {played.done}/{played.episodes} episodes"
        step = f"step {played.step}/{played.most_steps}"
        self._doing = (Part(episodes, 1), Part(step, 3))
        self._show(f"{episodes}, {step}")

    def _show(self, what: str, at_once: bool = False) -> None:
        """Draw the bar anew, or show a line that says what the run is at, if it is time to."""
        if not self._shows_progress:
            return
        now = self._clock()
        if not at_once and now - self._shown < (_LINE_SECONDS if self._live is None else _BAR_SECONDS):
            return
        self._shown = now
        with self._while_it_lasts():
            if self._live is None:
                self._print(f"{self._counts.words(self._now)}/{self._total}  {what}")
            else:
                self._live.refresh()

    def evaluation_table(self, title: str, rows: Sequence[ActorEvaluation], behaviour: Behaviour | None = None) -> None:
        """Show returns and scores, a row per actor, below the data's own; see `returns_table`."""
        self._doing = ()
        if self._live is not None:
            self._live.refresh()
        plus_minus = "±" if self._is_utf else "+-"
        self._show_table(returns_table(title, rows, behaviour, self.console.width, plus_minus))

    def chain_table(
        self, rows: Sequence[ActorEvaluation], steps: Sequence[float] = (), data_distance: float | None = None
    ) -> None:
        """Show what each actor is measured by, a row per actor; see `pogo.core.runs.tables.chain_table`."""
        self._show_table(chain_table(rows, steps, data_distance, self.console.width))

    def _show_table(self, table: Table) -> None:
        with self._while_it_lasts():
            self.console.print(table, crop=False)

    def curves(self, title: str, curves: Mapping[str, Sequence[float]]) -> None:
        """Draw lines of numbers by name, one above the other on one scale, each with its first and last number.

        Of more numbers than there is room for, as many are drawn as there is, the first and the last among them.
        """
        levels = _BARS if self._is_utf else _PLAIN_BARS
        low = min(min(values) for values in curves.values())
        high = max(max(values) for values in curves.values())
        width = max(len(name) for name in curves)
        self.message(title)
        for name, values in curves.items():
            ends = f"{values[0]:.1f} ... {values[-1]:.1f}"
            drawn = _thinned(values, self.console.width - width - len(ends) - 6)
            bars = "".join(levels[round((value - low) / (high - low or 1.0) * (len(levels) - 1))] for value in drawn)
            self.message("  ".join(["", f"{name:<{width}}", *([bars] if bars else []), ends]))

    @property
    def _is_utf(self) -> bool:
        return (self.console.encoding or "").lower().startswith("utf")

    def message(self, text: str) -> None:
        """Show one line of text."""
        with self._while_it_lasts():
            self._print(text)

    def _print(self, text: str) -> None:
        # Text, not str: in a message, "[10, 10]" is no markup.
        self.console.print(Text(text), soft_wrap=True)

    def _line(self) -> ProgressLine:
        count = Part(f"{self._now}/{self._total}", 0 if not self._doing else 2)
        share = Part(f"{100 * self._now / self._total if self._total else 100.0:.0f}%", 4)
        return ProgressLine(self._now, self._total, [count, share, *(self._doing or self._pace())])

    def _pace(self) -> list[Part]:
        """The speed, and when the run will end: not before the speed can say it."""
        speed = self.per_second
        parts = [Part(f"{speed:.{0 if speed >= 100 else 1}f} {self._counts.units.replace('_', ' ')}/s", 3)]
        if self._seconds >= _STEADY_SECONDS and speed > 0:
            parts.append(Part(f"ETA {_duration((self._total - self._now) / speed)}", 1))
        return parts if speed > 0 else []

    @contextmanager
    def _while_it_lasts(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError):  # ValueError: the stream was closed
            self.console.quiet = True


def _thinned(values: Sequence[float], room: int) -> list[float]:
    """At most so many of the values, evenly apart, from the first to the last; none where there is room for one."""
    if len(values) <= room:
        return list(values)
    return [values[round(index * (len(values) - 1) / (room - 1))] for index in range(room)] if room > 1 else []


def _is_notebook() -> bool:
    """Whether this runs in a notebook that can redraw what it shows."""
    shell = sys.modules.get("IPython")
    current = None if shell is None else shell.get_ipython()
    return type(current).__name__ == "ZMQInteractiveShell" and importlib.util.find_spec("ipywidgets") is not None


class _Lines(io.TextIOBase):
    """A stream of whole lines, each of which is shown by a function."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    @override
    def write(self, text: str) -> int:
        self._show(text.removesuffix("\n"))
        return len(text)


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Rich would end the process here."""
        raise BrokenPipeError


def _duration(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
