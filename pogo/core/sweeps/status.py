"""How far each run of a sweep is, by its folder alone: from any machine that sees it, whoever started the run."""

import json
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pogo.core.errors import EXIT_DONE
from pogo.core.files.lease import SILENT_SECONDS, owner_of
from pogo.core.files.summary import CONFIG, FAILED, read_summary
from pogo.core.reports.documents import Unreadable
from pogo.core.reports.live import RunState, state_of_run
from pogo.core.runs.resume import comparable
from pogo.core.sweeps.cell import Cell
from pogo.core.sweeps.records import Attempt, Launch, is_cancelled, read_attempts, read_launch
from pogo.core.sweeps.runner import was_stopped

# planned: there is nothing of it yet. preempted: it has stopped, or its process is gone; started again, it goes on.
State = Literal["planned", "queued", "running", "done", "failed", "preempted", "cancelled"]
STATES: tuple[State, ...] = ("running", "queued", "planned", "preempted", "failed", "cancelled", "done")


@dataclass(frozen=True)
class CellStatus:
    """One run of a sweep."""

    cell: Cell
    state: State
    note: str  # of a failed one why, of the others what is worth saying
    host: str | None  # where it runs, or ran last
    launch: Launch | None
    attempts: int
    progress: RunState | None  # what its logs say; None: they say nothing yet

    def to_json(self) -> dict[str, Any]:
        """As `--status --json` has it."""
        progress = self.progress
        return {
            "label": self.cell.label,
            "run_dirs": [str(path) for path in self.cell.run_dirs],
            "arguments": list(self.cell.arguments),
            "state": self.state,
            "note": self.note,
            "host": self.host,
            "launcher": None if self.launch is None else self.launch.launcher,
            "job": None if self.launch is None else self.launch.job,
            "attempts": self.attempts,
            "position": None if progress is None else progress.position,
            "length": self.cell.config.length,
            "per_second": None if progress is None else progress.per_second,
            "seconds_left": None if progress is None else progress.seconds_left,
        }


def status_of(cell: Cell, now: float | None = None) -> CellStatus:
    """How far a run is, at a time in seconds since 1970: now, by default."""
    now, folder = time.time() if now is None else now, cell.run_dir
    launch, attempts = read_launch(folder), read_attempts(folder)
    progress = _progress(cell, now)
    last = attempts[-1] if attempts else None
    state, note, host = _state(cell, launch, last, progress, now)
    return CellStatus(cell, state, note, host, launch, len(attempts), progress)


def is_complete(cell: Cell) -> bool:
    """Whether nothing is left to do: every seed's run is as long as asked for, of these settings, and summed up."""
    return all(_is_complete(cell, run_dir) for run_dir in cell.run_dirs)


def _state(
    cell: Cell, launch: Launch | None, last: Attempt | None, progress: RunState | None, now: float
) -> tuple[State, str, str | None]:
    host = _holder(cell.run_dir, last, now)
    if host is not None:
        return "running", "", host
    last_host = None if last is None else last.host
    if is_complete(cell):
        return "done", "", last_host
    if is_cancelled(cell.run_dir):
        return "cancelled", "", last_host
    if launch is not None and (last is None or last.began < launch.since) and _is_in_hand(launch):
        return "queued", f"by {launch.launcher}{f', job {launch.job}' if launch.job else ''}", last_host
    failure = _failure(cell, last)
    if failure is not None:
        return "failed", failure, last_host
    if last is None and progress is None:
        return "planned", "", None
    if last is not None and last.ended is None:
        return "preempted", f"process {last.pid} is gone", last_host
    waits = launch is not None and launch.detached and last is not None and last.code != EXIT_DONE
    return "preempted", f"{launch.launcher} starts it again" if waits and launch is not None else "", last_host


def _holder(folder: Path, last: Attempt | None, now: float) -> str | None:
    """Where the run goes on: who holds its folder, or where an attempt is about to."""
    held = owner_of(folder) if folder.is_dir() else None
    if held is not None:
        owner, last_sign = held
        if (owner is None or not owner.has_ended) and now - last_sign < SILENT_SECONDS:
            return "?" if owner is None else owner.host
    if last is not None and last.ended is None and now - last.last_sign < SILENT_SECONDS and not _is_gone(last):
        return last.host
    return None


def _is_gone(attempt: Attempt) -> bool:
    """Whether an attempt's process is known to be gone: one of this machine, whose number is nobody's."""
    return attempt.host == socket.gethostname() and not Path(f"/proc/{attempt.pid}").exists()


def _is_in_hand(launch: Launch) -> bool:
    """Whether somebody may still start the run: a cluster, or the process that runs the pool."""
    return launch.detached or not launch.submitter.has_ended


def _failure(cell: Cell, last: Attempt | None) -> str | None:
    """Why the run has failed, in one line; None: it has not."""
    if last is not None and last.code not in (None, EXIT_DONE) and not was_stopped(last.code):
        return last.line or _failed_summary(cell) or f"exit code {last.code}"
    return _failed_summary(cell) if last is None or last.code is None else None


def _failed_summary(cell: Cell) -> str | None:
    found = (read_summary(run_dir).get(FAILED) for run_dir in cell.run_dirs)
    return next((str(reason) for reason in found if reason is not None), None)


def _is_complete(cell: Cell, run_dir: Path) -> bool:
    summary = read_summary(run_dir)
    position = summary.get(cell.config.clock.units)
    if FAILED in summary or "evaluation_failed" in summary or not isinstance(position, int):
        return False
    return position >= cell.config.length and _is_of_these_settings(cell, run_dir)


def _is_of_these_settings(cell: Cell, run_dir: Path) -> bool:
    """Whether a run may go on by this cell; one that may not refuses it itself, once it is started."""
    try:
        recorded = comparable(json.loads((run_dir / CONFIG).read_bytes()))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return False
    ours = comparable(json.loads(json.dumps(cell.config.to_json())))
    return all(key in recorded and recorded[key] == value for key, value in ours.items())


def _progress(cell: Cell, now: float) -> RunState | None:
    try:
        return state_of_run(cell.run_dir, now)
    except (Unreadable, OSError):
        return None
