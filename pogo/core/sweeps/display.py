"""What a terminal shows of the runs that a command follows: a line as each begins and ends, and how far they are."""

import contextlib
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pogo.core.errors import EXIT_DONE
from pogo.core.reports.live import RunState, duration
from pogo.core.sweeps.cell import Cell
from pogo.core.sweeps.records import last_line
from pogo.core.sweeps.runner import was_stopped
from pogo.core.sweeps.status import status_of

REFRESH_SECONDS = 2.0
LINE_SECONDS = 60.0  # between two lines of each run where there is no terminal to draw on
_MOST_ROWS = 30

logger = logging.getLogger("pogo")


@dataclass
class Followed:
    """A run that was given to a launcher."""

    cell: Cell
    number: int  # among all of the command
    began: float | None = None  # by the monotonic clock
    seconds: float | None = None  # that it took in this command
    code: int | None = None  # how it has ended

    @property
    def name(self) -> str:
        """What tells it from the others."""
        return self.cell.label or str(self.cell.run_dir)


class SweepDisplay:
    """Entered, it shows how far the runs are: on a terminal a table that stays below, else a line now and then."""

    def __init__(self, runs: Sequence[Followed], total: int, *, shows_progress: bool) -> None:
        """Nothing is shown yet.

        Args:
            runs: all that are followed.
            total: how many the command is of, those among them that it did not start.
            shows_progress: whether to show how far they are; not where their own output goes to the terminal.
        """
        self._runs, self._total = runs, total
        self._console = Console(stderr=True, highlight=False, markup=False)
        self._live: Live | None = None
        self._shows_progress = shows_progress
        self._drawn = self._said = time.monotonic()

    def __enter__(self) -> Self:
        if self._shows_progress and self._console.is_terminal:
            live = Live(console=self._console, auto_refresh=False, transient=True)
            live.start()
            self._live = live
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def begun(self, run: Followed) -> None:
        """Say that a run has begun."""
        run.began = time.monotonic()
        self._say("run %d of %d: %s", run.number, self._total, run.name)

    def ended(self, run: Followed, code: int) -> None:
        """Note how a run has ended; of a failed one say why."""
        run.code, run.seconds = code, 0.0 if run.began is None else time.monotonic() - run.began
        if code != EXIT_DONE and not was_stopped(code) and self._shows_progress:
            line = last_line(run.cell.run_dir)
            self._say("run %d failed: %s%s", run.number, run.name, f"\n{line}" if line else "", level=logging.ERROR)

    def update(self) -> None:
        """Show how far the runs are, if it is time."""
        if not self._shows_progress or time.monotonic() - self._drawn < REFRESH_SECONDS:
            return
        self._drawn = time.monotonic()
        going = [run for run in self._runs if run.began is not None and run.code is None]
        if self._live is not None:
            self._live.update(_table(going, self._counts()), refresh=True)
        elif time.monotonic() - self._said > LINE_SECONDS:
            self._said = time.monotonic()
            for run in going:
                progress = status_of(run.cell).progress
                if progress is not None:
                    logger.info("run %d: %s: %s", run.number, run.name, ", ".join(progress_in_words(progress)))

    def report(self, others_done: int) -> None:
        """How each run has ended, and how many of all are done."""
        for run in self._runs:
            if run.code is None:
                logger.info("%3d  not run            %s", run.number, run.cell.label)
            else:
                logger.info(
                    "%3d  exit %3d  %6.0f s  %s  %s",
                    run.number, run.code, run.seconds or 0.0, run.cell.label, run.cell.run_dir,
                )  # fmt: skip
        done = others_done + sum(run.code == EXIT_DONE for run in self._runs)
        logger.info("%d of %d runs done; pogo-report tables them.", done, self._total)

    def _counts(self) -> str:
        ended = sum(run.code is not None for run in self._runs)
        waiting = sum(run.began is None and run.code is None for run in self._runs)
        return f"{ended} ended, {len(self._runs) - ended - waiting} running, {waiting} waiting"

    def _say(self, message: str, *values: object, level: int = logging.INFO) -> None:
        """A line of the log, above the table."""
        with contextlib.suppress(OSError):
            if self._live is not None:
                self._live.update("", refresh=True)
            logger.log(level, message, *values)


def progress_in_words(progress: RunState) -> list[str]:
    """How far a run is, how fast, how long it takes, and its last score."""
    words = [f"{progress.position} of {progress.run.length}"]
    if progress.per_second is not None:
        words.append(f"{progress.per_second:.0f} {progress.run.clock.units}/s")
    if progress.seconds_left is not None:
        words.append(f"{duration(progress.seconds_left)} left")
    if values := progress.last_values:
        words.append(f"last scores {' '.join(f'{value:.1f}' for value in values)}")
    return words


def _table(runs: Iterable[Followed], counts: str) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False, caption=Text(counts), caption_justify="left")
    shown = list(runs)
    for run in shown[:_MOST_ROWS]:
        progress = status_of(run.cell).progress
        said = ", ".join(progress_in_words(progress)) if progress is not None else "starting"
        table.add_row(Text(str(run.number)), Text(run.name), Text(said))
    if len(shown) > _MOST_ROWS:
        table.add_row("", Text(f"and {len(shown) - _MOST_ROWS} more"), "")
    return table
