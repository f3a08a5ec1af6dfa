"""pogo-train -m: many runs started, followed or cancelled."""

import json
import shlex
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pogo.cli.train_options import TrainOptions
from pogo.core.config.compose import compose_launcher
from pogo.core.errors import EXIT_DONE, EXIT_FAILED, BadInput
from pogo.core.sweeps.cell import Cell
from pogo.core.sweeps.display import progress_in_words
from pogo.core.sweeps.launch import cancel_sweep, run_sweep
from pogo.core.sweeps.planning import plan_sweep
from pogo.core.sweeps.status import STATES, CellStatus, status_of

_STYLES = {
    "running": "cyan", "queued": "cyan", "planned": "dim", "preempted": "yellow", "failed": "red",
    "cancelled": "yellow", "done": "green",
}  # fmt: skip
_FILE_WIDTH = 200


def sweep(asked_for: TrainOptions) -> int:
    """Do with the runs of the options what they say; returns the exit code."""
    launcher = compose_launcher(_of_launcher(asked_for))
    cells = plan_sweep(asked_for.overrides, to_run=not (asked_for.status or asked_for.cancel))
    if asked_for.cfg is not None:
        for cell in cells:
            print(shlex.join(("pogo-train", *cell.arguments)), f" # {cell.run_dir}")
        return EXIT_DONE
    if asked_for.status:
        show_status(cells, asked_for.as_json)
        return EXIT_DONE
    if asked_for.cancel:
        return _cancel(cells)
    return run_sweep(cells, launcher, asked_for.retry_failed)


def _of_launcher(asked_for: TrainOptions) -> list[str]:
    """The options, with what --jobs stands for."""
    if asked_for.num_jobs is None:
        return asked_for.overrides
    given = next((text for text in asked_for.overrides if _key(text) == "launcher"), "launcher=local")
    if given != "launcher=local":
        raise BadInput(f"--jobs is of launcher=local, and this is {given}; drop it.")
    if any(_key(text) == "launcher.jobs" for text in asked_for.overrides):
        raise BadInput("--jobs and launcher.jobs say the same; drop one.")
    return [*asked_for.overrides, f"launcher.jobs={asked_for.num_jobs}"]


def _key(text: str) -> str:
    return text.partition("=")[0].lstrip("+")


def show_status(cells: Sequence[Cell], as_json: bool) -> None:
    """Print how far the runs are: a table, or a JSON document."""
    now = time.time()
    statuses = [status_of(cell, now) for cell in cells]
    if as_json:
        counts = {state: sum(status.state == state for status in statuses) for state in STATES}
        print(json.dumps({"counts": counts, "runs": [status.to_json() for status in statuses]}, indent=2))
        return
    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console.width = max(console.width, _FILE_WIDTH)
    console.print(_table(statuses))
    console.print(counts_in_words(statuses))


def counts_in_words(statuses: Sequence[CellStatus]) -> str:
    """How many runs are how."""
    numbers = {state: sum(status.state == state for status in statuses) for state in STATES}
    return f"{len(statuses)} runs: " + ", ".join(f"{number} {state}" for state, number in numbers.items() if number)


def _table(statuses: Sequence[CellStatus]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("", justify="right")
    table.add_column("run", overflow="fold")
    table.add_column("state", no_wrap=True)
    table.add_column("host", no_wrap=True)
    table.add_column("", overflow="fold")
    for number, status in enumerate(statuses, start=1):
        said = [status.note] if status.note else []
        if status.progress is not None and status.state in ("running", "preempted"):
            said += progress_in_words(status.progress)
        if status.attempts > 1:
            said.append(f"{status.attempts} attempts")
        table.add_row(
            Text(str(number)),
            Text(status.cell.label or str(status.cell.run_dir)),
            Text(status.state, style=_STYLES[status.state]),
            Text(status.host or "-"),
            Text(", ".join(said)),
        )
    return table


def _cancel(cells: Sequence[Cell]) -> int:
    try:
        cancelled = cancel_sweep(cells)
    except OSError as error:
        print(f"a run cannot be cancelled: {error}")
        return EXIT_FAILED
    for status in cancelled:
        print(f"{status.state}: {status.cell.label or status.cell.run_dir}")
    print(
        f"{len(cancelled)} of {len(cells)} runs cancelled; what runs saves and stops within seconds. "
        "The same command without --cancel goes on."
    )
    return EXIT_DONE
