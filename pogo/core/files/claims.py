"""Files by which processes, on one machine or on several, keep from doing the same work: the first to make it has it.

Nothing is lost where two have one all the same, as when a process that was taken for dead goes on: they do the work
twice.
"""

import contextlib
import json
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from pogo.core.errors import RunFailed
from pogo.core.files.durable import make_folder, write_new_file

SILENT_AFTER = 300.0  # seconds without a sign of the holder, which gives one every REFRESH_EVERY
REFRESH_EVERY = 10.0
_ATTEMPTS = 3  # at a file whose folder others remove when it is empty


class _Sign(NamedTuple):
    """The last change of another's claim, and when this process first saw it."""

    changed: int
    seen: float


class Claims:
    """The claims of one process, and what it has seen of those of others.

    One is given up for dead when its process is not there any more, on this machine, or when it has not been refreshed
    for SILENT_AFTER: by this process's own clock, for the clocks of two machines may differ.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._held: dict[Path, float] = {}  # when each was last refreshed
        self._signs: dict[Path, _Sign] = {}

    def take(self, path: Path) -> bool:
        """Make the claim; whether it is ours, and not another's.

        Raises:
            RunFailed: the file cannot be made.
        """
        document = {"host": socket.gethostname(), "pid": os.getpid(), "time": time.time()}
        data = json.dumps(document).encode() + b"\n"
        try:
            for _ in range(_ATTEMPTS):
                with contextlib.suppress(FileNotFoundError):
                    make_folder(path.parent)
                    try:
                        write_new_file(path, data)
                    except FileExistsError:
                        if not self._is_abandoned(path):
                            return False
                        path.unlink(missing_ok=True)
                        continue
                    self._held[path] = self._clock()
                    return True
        except OSError as error:
            raise RunFailed(f"{path} could not be written: {error}.") from error
        return False

    def refresh(self) -> None:
        """Touch the file of each claim that this process holds and has not touched for REFRESH_EVERY seconds."""
        now = self._clock()
        for path, last in self._held.items():
            if now - last >= REFRESH_EVERY:
                with contextlib.suppress(OSError):  # it was taken for dead: the work is then done twice
                    os.utime(path)
                self._held[path] = now

    def release(self, path: Path) -> None:
        """Delete the claim's file: another process may now make the claim."""
        self._held.pop(path, None)
        with contextlib.suppress(OSError):
            path.unlink()

    def _is_abandoned(self, path: Path) -> bool:
        try:
            changed = path.stat().st_mtime_ns
        except FileNotFoundError:  # given up meanwhile
            return False
        try:
            document = json.loads(path.read_bytes())
            host, pid = document["host"], document["pid"]
        except (OSError, ValueError, LookupError, TypeError, RecursionError):  # it is being written
            host = pid = None
        if host == socket.gethostname() and type(pid) is int and not _is_alive(pid):
            return True
        sign = self._signs.get(path)
        if sign is None or sign.changed != changed:
            self._signs[path] = _Sign(changed, self._clock())
            return False
        return self._clock() - sign.seen > SILENT_AFTER


def _is_alive(pid: int) -> bool:
    """Whether such a process is there, and is not this one: it would hold the claim itself."""
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's
        return True
    return True
