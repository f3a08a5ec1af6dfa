"""How far the runs in a folder are, by the ends of their logs: what `pogo-report --live` shows again and again."""

import contextlib
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pogo.core.files.checkpoint import CHECKPOINTS
from pogo.core.files.event_file import host_of
from pogo.core.files.logs import EVALUATION, MESSAGES, TRAIN, last_line
from pogo.core.files.summary import CONFIG, SUMMARY
from pogo.core.reports.documents import Unreadable
from pogo.core.reports.evaluations import Evaluation, read_last_evaluation, read_last_metrics
from pogo.core.reports.results import Run, find_runs, read_run
from pogo.core.setting import Values

Status = Literal["running", "silent", "failed", "stopped", "finished"]
SILENT_AFTER = 300.0  # seconds without a change of any file: longer than compilation and most evaluations take
_SILENT_LINES = 3.0  # lines of the log that are missing by then, where a line takes longer than that
NEXT_OF_SWEEP = 60.0  # seconds in which a sweep has started its next run, if there is one
_SIGNS = {CONFIG, SUMMARY, TRAIN, EVALUATION, MESSAGES, CHECKPOINTS}
_STOPPED = re.compile(rb"\S+ INFO (stopped by .*)")


@dataclass(frozen=True)
class RunState:
    """One run, as its files say it is."""

    run: Run
    status: Status  # silent: unfinished, and its files have not changed for long
    position: int  # by the run's clock
    per_second: float | None  # updates or environment steps, of the latest line of the log
    seconds_left: float | None  # of a running one
    evaluation: Evaluation | None  # the latest
    last_sign: float  # when a file of it last changed, in seconds since 1970
    host: str | None  # where it runs; None without TensorBoard's files, whose names say so
    note: str | None  # why it failed, what stopped it, or what its latest evaluation failed by, in one line

    @property
    def last_values(self) -> list[float]:
        """The latest score of each actor, or its return where there is no score; of its mean actions if it has them."""
        found: dict[int, float] = {}
        if self.evaluation is not None:
            for (actor, _, mode), result in sorted(self.evaluation.results.items()):
                if mode == "deterministic" or actor not in found:
                    value = result.normalized_score
                    found[actor] = result.return_mean if value is None else value
        return list(found.values())

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes of it by itself."""
        return self.status in ("failed", "stopped", "finished")


@dataclass(frozen=True)
class Watch:
    """What was seen at one look into a folder."""

    states: Sequence[RunState]  # by path
    unreadable: Sequence[str]  # why a folder's run is not among them, a line each
    time: float

    @property
    def have_all_ended(self) -> bool:
        """Whether there are runs, and all of them have ended."""
        return bool(self.states) and all(state.has_ended for state in self.states)

    @property
    def is_over(self) -> bool:
        """Whether all have ended, long enough ago that no sweep is about to start its next one."""
        if not self.have_all_ended:
            return False
        return self.time - max(state.last_sign for state in self.states) > NEXT_OF_SWEEP


def duration(seconds: float) -> str:
    """In the two largest of its units."""
    whole = max(0, round(seconds))
    for size, unit, part_size, part in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part_size} {part}"
    return f"{whole} s"


class Watcher:
    """Looks at the runs in a folder; what has finished is read once, of the others' logs only the ends."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._finished: dict[Path, RunState] = {}

    def look(self, now: float) -> Watch:
        """The runs as they are at a time, in seconds since 1970.

        Raises:
            BadInput: no such folder.
        """
        states, unreadable = [], []
        for path in find_runs(self._folder):
            try:
                states.append(self._state(path, now))
            except Unreadable as error:
                unreadable.append(str(error))
            except OSError as error:
                unreadable.append(f"{error.filename} cannot be read: {error.strerror}")
        return Watch(states, unreadable, now)

    def _state(self, path: Path, now: float) -> RunState:
        changed = _changes(path)
        known = self._finished.get(path)
        if known is not None and known.last_sign == max(changed.values()):
            return known
        state = _state_of(read_run(path), changed, now)
        if state.status == "finished":
            self._finished[path] = state
        return state


def state_of_run(path: Path, now: float) -> RunState:
    """One run as it is at a time, in seconds since 1970.

    Raises:
        Unreadable: its files are not what a run leaves.
        OSError: they cannot be read.
    """
    return _state_of(read_run(path), _changes(path), now)


def _changes(path: Path) -> dict[str, float]:
    """When each file of a run that tells of life last changed, by its name."""
    found = {}
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name in _SIGNS or host_of([entry.name]) is not None:
                with contextlib.suppress(FileNotFoundError):  # it has been replaced
                    found[entry.name] = entry.stat().st_mtime
    return found


def _state_of(run: Run, changed: dict[str, float], now: float) -> RunState:
    logged = read_last_metrics(run.path / TRAIN, run.clock)
    evaluation = run.evaluations[-1] if run.is_finished else read_last_evaluation(run.path / EVALUATION, run.clock)
    position, metrics = (0, {}) if logged is None else logged
    if evaluation is not None and evaluation.count > position:
        position = evaluation.count
    per_second = _number(metrics, f"{run.clock.units}_per_second")
    last_sign = max(changed.values())
    stopped = _STOPPED.fullmatch(last_line(run.path / MESSAGES) or b"")
    status, note = _status(run, changed, stopped), None
    if status == "failed":
        note = run.failed
    elif status == "stopped" and stopped is not None:
        note = stopped[1].decode(errors="replace")
    elif evaluation is not None and evaluation.error is not None:
        note = f"evaluation at {run.clock.words(evaluation.count)} failed: {evaluation.error}"
    if status == "running" and now - last_sign > _patience(run, per_second):
        status = "silent"
    left = _seconds_left(run.length - position, position, metrics, per_second) if status == "running" else None
    return RunState(
        run=run,
        status=status,
        position=run.length if run.is_finished else min(position, run.length),
        per_second=per_second,
        seconds_left=left,
        evaluation=evaluation,
        last_sign=last_sign,
        host=host_of(changed),
        note=note,
    )


def _status(run: Run, changed: dict[str, float], stopped: re.Match[bytes] | None) -> Status:
    """What the files say, whatever their age; a run that was started again writes its config anew."""
    if run.is_finished:
        return "finished"
    if run.failed is not None and changed[SUMMARY] >= changed[CONFIG]:
        return "failed"
    return "running" if stopped is None else "stopped"


def _patience(run: Run, per_second: float | None) -> float:
    """How many seconds a run may be without a sign of life."""
    line = run.log_every / per_second if run.log_every and per_second else 0.0
    return max(SILENT_AFTER, _SILENT_LINES * line)


def _seconds_left(remaining: int, position: int, metrics: Values, per_second: float | None) -> float | None:
    """By the whole time so far, evaluations and compilation in it; of an older pogo by the speed of the updates."""
    wall = _number(metrics, "wall_seconds")
    if wall and position:
        return max(0, remaining) * wall / position
    return max(0, remaining) / per_second if per_second else None


def _number(metrics: Values, name: str) -> float | None:
    value = metrics.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not math.isfinite(value):
        return None
    return float(value)
