"""pogo-report --html and --live: a page of the runs in a folder, and a table of how far they are, once or for long."""

import argparse
import contextlib
import logging
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from pogo.core.errors import EXIT_DONE, BadInput
from pogo.core.reports.live import RunState, Watch, Watcher, duration
from pogo.core.reports.page import PAGE, vega_bundle, write_page

EVERY, EVERY_PAGE = 5.0, 30.0  # seconds between two looks
_ORDER = ("running", "silent", "failed", "stopped", "finished")  # of the rows: first what one watches
_STYLES = {"running": "cyan", "silent": "yellow", "failed": "red", "stopped": "yellow", "finished": "green"}
_COLUMNS = ("progress", "done", "left", "per s", "last scores", "host", "last sign", "state")
_WIDE = 120  # columns of a terminal in which all of these fit
_FILE_WIDTH = 200
_OTHER_LINES = 6  # of a screen: the table's rules and header, and what stands below it
# What pogo-report's options for its own tables are where nothing is asked for.
_OF_TABLES: Mapping[str, object] = {
    "mode": "both",
    "actor": "all",
    "checkpoint": "last",
    "method": "expanded",
    "layout": "rows",
    **dict.fromkeys(("curve", "chain", "per_seed", "average", "paired", "profile"), False),
    **dict.fromkeys(("statistics", "interval", "compare", "bandit", "json", "csv", "latex", "parquet")),
}
logger = logging.getLogger("pogo")


def show(options: argparse.Namespace) -> int:
    """Write the page, or watch the runs, as the options of pogo-report say; returns the exit code.

    Raises:
        BadInput: an option that does not go with these, no run to show, or a page that cannot be written.
    """
    if not options.live and options.every is not None:
        raise BadInput("--every is for --live: it says how often to look.")
    for name, default in _OF_TABLES.items():
        if getattr(options, name) != default:
            raise BadInput(f"--{name.replace('_', '-')} is for the tables: drop it, or --html and --live.")
    if len(options.folders) > 1:
        raise BadInput(f"--html and --live show one folder, not {len(options.folders)}: give one that holds them all.")
    (folder,) = options.folders
    every = options.every if options.every is not None else EVERY if options.html is None else EVERY_PAGE
    if not 0.1 <= every < math.inf:
        raise BadInput(f"--every {every:g}: use a number of seconds of at least 0.1.")
    console = Console(highlight=False, markup=False)  # a folder's name may hold brackets
    watcher = Watcher(folder)
    if options.live and (console.is_terminal or options.html is not None):
        return watch(watcher, folder, options.html, every, console)
    seen = watcher.look(time.time())
    if not seen.states:
        raise BadInput("; ".join(seen.unreadable) or f"{folder} holds no runs: give a folder above some.")
    if options.live:
        console.width = max(console.width, _FILE_WIDTH)  # a line per run
        console.print(table(seen, folder, console.width))
    else:
        assert options.html is not None
        page = _Page(folder, options.html)
        page.write(seen, None)
        print(f"{page.path}: {len(seen.states)} runs")
    return EXIT_DONE


class _Page:
    """The page on the disk; what is wrong with the runs is said once."""

    def __init__(self, folder: Path, out: Path) -> None:
        vega_bundle()  # refuses where it cannot be drawn, before any work
        self.path = out / PAGE
        self._folder, self._out = folder, out
        self._said: set[str] = set()

    def write(self, seen: Watch, reload_seconds: float | None) -> None:
        for warning in write_page(self._folder, self._out, seen, reload_seconds):
            if warning not in self._said:
                logger.warning("%s", warning)
            self._said.add(warning)


def watch(
    watcher: Watcher,
    folder: Path,
    out: Path | None,
    every: float,
    console: Console,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], object] = time.sleep,
) -> int:
    """Look at the runs every so many seconds, until all have ended or a Ctrl-C; returns the exit code.

    Args:
        watcher: of the folder.
        folder: where the runs are.
        out: the folder of a page to rewrite at every look; None: no page.
        every: seconds.
        console: where the table is shown; where it is no terminal, only how it ends.
        clock: seconds since 1970.
        sleep: waits so many seconds.
    """
    page = None if out is None else _Page(folder, out)
    if page is not None:
        console.print(f"{page.path} is rewritten every {every:g} s: open it in a browser.", soft_wrap=True)
    seen = watcher.look(clock())
    with Live(console=console, auto_refresh=False) if console.is_terminal else contextlib.nullcontext() as live:
        try:
            _present(seen, folder, page, every, live)
            while not seen.is_over:
                sleep(every)
                seen = watcher.look(clock())
                _present(seen, folder, page, every, live)
        except KeyboardInterrupt:
            if page is not None:
                page.write(seen, None)  # nobody rewrites it any more, and so it does not load itself anew
            return EXIT_DONE
    console.print(f"all runs have ended: {counts(seen)}.")
    return EXIT_DONE


def _present(seen: Watch, folder: Path, page: _Page | None, every: float, live: Live | None) -> None:
    if page is not None:
        page.write(seen, None if seen.is_over else every)
    if live is not None:
        waits = seen.have_all_ended and not seen.is_over
        added = "; waiting a minute for the next run of a sweep" if waits else ""
        live.update(table(seen, folder, live.console.width, live.console.height, added), refresh=True)


def counts(seen: Watch) -> str:
    """How many runs are how."""
    words = {"silent": "without a sign of life"}
    numbers = {status: sum(state.status == status for state in seen.states) for status in _ORDER}
    return ", ".join(f"{number} {words.get(status, status)}" for status, number in numbers.items() if number)


def table(seen: Watch, folder: Path, width: int, height: int | None = None, added: str = "") -> RenderableType:
    """A row per run, those that go on first, and a line for each that something is wrong with.

    Args:
        seen: the runs.
        folder: where they are.
        width: columns that there is room for; few of them leave out what one can do without.
        height: lines that there is room for; None: as many as there are.
        added: to the last line, which counts the runs.
    """
    if not seen.states:
        return Text("\n".join([f"no runs in {folder} yet", *seen.unreadable]))
    states = sorted(seen.states, key=lambda state: (_ORDER.index(state.status), state.run.path))
    notes = [f"{_name(state, folder)}: {state.note}" for state in states if state.note is not None]
    notes += seen.unreadable
    shown, left_out = states, 0
    if height is not None:
        notes = notes[: max(1, height // 4)]
        room = max(1, height - _OTHER_LINES - len(notes))
        shown, left_out = states[:room], max(0, len(states) - room)
    rows = Table(box=None, pad_edge=False, header_style="bold")
    rows.add_column("run", overflow="fold", ratio=1)
    names = [name for name in _COLUMNS if width >= _WIDE or name not in ("progress", "per s", "host")]
    for name in names:
        is_left = name in ("progress", "state")
        rows.add_column(name, justify="left" if is_left else "right", no_wrap=name != "state", overflow="fold")
    for state in shown:
        cells = _cells(state, seen.time)
        rows.add_row(Text(_name(state, folder)), *(cells[name] for name in names))
    more = f"; {left_out} more do not fit on the screen" if left_out else ""
    return Group(
        rows, *(Text(note, style="yellow", overflow="fold") for note in notes), Text(counts(seen) + more + added)
    )


def _cells(state: RunState, now: float) -> Mapping[str, RenderableType]:
    status = state.status if state.status != "silent" else f"no sign of life for {duration(now - state.last_sign)}"
    return {
        "progress": ProgressBar(total=state.run.length, completed=state.position, width=10),
        "done": f"{state.position} of {state.run.length}, {100 * state.position // state.run.length} %",
        "left": "-" if state.seconds_left is None else duration(state.seconds_left),
        "per s": "-" if state.per_second is None else f"{state.per_second:.0f}",
        "last scores": " ".join(f"{value:.1f}" for value in state.last_values) or "-",
        "host": Text(state.host or "-"),
        "last sign": f"{duration(now - state.last_sign)} ago",
        "state": Text(status, style=_STYLES[state.status]),
    }


def _name(state: RunState, folder: Path) -> str:
    path = state.run.path
    return str(path.relative_to(folder)) if path != folder else path.resolve().name
