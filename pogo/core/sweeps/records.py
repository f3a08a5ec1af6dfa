"""What stands beside a run of a sweep, in its folder: who was asked to start it, its attempts, its output.

    launch.json      the latest launcher that was given it, its job there, and the process that gave it
    attempts.jsonl   a line as an attempt begins and one as it ends; touched while it goes on
    output.log       what the attempts have printed
    cancelled        there while nobody shall start it, and whoever runs it shall stop

All are written by whoever starts runs; the run itself knows of none of them.
"""

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pogo.core.files.durable import make_folder, write_all
from pogo.core.files.lease import Owner
from pogo.core.files.summary import write_json_atomically

LAUNCH, ATTEMPTS, OUTPUT, CANCELLED = "launch.json", "attempts.jsonl", "output.log", "cancelled"
TAIL_BYTES = 4096  # of the output, in which a failure's last line is looked for


@dataclass(frozen=True)
class Launch:
    """Who was given a run to start."""

    launcher: str
    job: str  # as the launcher names it; empty where it names none
    submitter: Owner  # the process that gave it; the runs of a pool or of Ray end with it
    detached: bool  # it does not wait for them
    since: float  # in seconds since 1970


@dataclass(frozen=True)
class Attempt:
    """A process that was started for a run."""

    host: str
    pid: int
    began: float  # in seconds since 1970
    ended: float | None  # None: it goes on, or nobody was left to say that it has ended
    code: int | None  # its exit code; negative: the signal that killed it
    line: str  # of a failed one, the last that it printed
    last_sign: float  # when it was last known to go on


def write_launch(folder: Path, launch: Launch) -> None:
    """Note who was given the run; its folder is made if need be.

    Raises:
        RunFailed: launch.json cannot be written.
    """
    (folder / CANCELLED).unlink(missing_ok=True)
    write_json_atomically(folder / LAUNCH, asdict(launch))


def withdraw(folder: Path) -> None:
    """Take back what `write_launch` has noted, of a run that was not started."""
    with contextlib.suppress(OSError):
        (folder / LAUNCH).unlink(missing_ok=True)
        folder.rmdir()  # where nothing else is in it


def read_launch(folder: Path) -> Launch | None:
    """Who was last given the run; None: nobody, or what is there cannot be read."""
    try:
        values = json.loads((folder / LAUNCH).read_bytes())
        return Launch(**{**values, "submitter": Owner(**values["submitter"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def note_start(folder: Path, host: str, pid: int) -> None:
    """Note that an attempt begins."""
    _append(folder, {"event": "started", "host": host, "pid": pid, "time": time.time()})


def note_end(folder: Path, pid: int, code: int, line: str) -> None:
    """Note that an attempt has ended, with this exit code."""
    _append(folder, {"event": "ended", "pid": pid, "code": code, "line": line, "time": time.time()})


def touch(folder: Path) -> None:
    """Give a sign of life of the attempt that goes on."""
    with contextlib.suppress(OSError):
        os.utime(folder / ATTEMPTS)


def read_attempts(folder: Path) -> list[Attempt]:
    """Every attempt, in order; none where there is no file of them. Torn lines are passed over."""
    path = folder / ATTEMPTS
    try:
        raw, last_sign = path.read_bytes(), path.stat().st_mtime
    except OSError:
        return []
    attempts: list[Attempt] = []
    for line in raw.splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError):
            event = json.loads(line)
            if event["event"] == "started":
                attempts.append(Attempt(event["host"], event["pid"], event["time"], None, None, "", last_sign))
            elif attempts and attempts[-1].pid == event["pid"]:
                last = attempts.pop()
                attempts.append(
                    Attempt(last.host, last.pid, last.began, event["time"], event["code"], event["line"], event["time"])
                )
    return attempts


def last_line(folder: Path) -> str:
    """The last line of the output that says something."""
    try:
        with (folder / OUTPUT).open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - TAIL_BYTES))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    return next((line.strip() for line in reversed(lines) if line.strip()), "")


def cancel(folder: Path) -> None:
    """Mark a run as one that nobody shall start, and that whoever runs it shall stop.

    Raises:
        OSError: the mark cannot be made.
    """
    make_folder(folder)
    (folder / CANCELLED).touch()


def is_cancelled(folder: Path) -> bool:
    """Whether it is marked so."""
    return (folder / CANCELLED).exists()


def _append(folder: Path, event: dict[str, Any]) -> None:
    make_folder(folder)
    descriptor = os.open(folder / ATTEMPTS, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, json.dumps(event).encode() + b"\n")
    finally:
        os.close(descriptor)
