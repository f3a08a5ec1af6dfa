"""Who trains in a run's folder, told by a file in it: what a lock of one machine cannot tell on shared file systems.

`lease.<n>.json` names the process and is touched every few seconds while it lives. The newest number counts. A folder
without such a file is free; one whose process has ended, or has been silent for long, is taken over under the next
number, which only one of several can create. The former owner, where it only slept, finds out before its next write.
"""

import contextlib
import json
import os
import re
import secrets
import socket
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Self

from pogo.core.errors import RunFailed
from pogo.core.files.durable import write_new_file

BEAT_SECONDS = 10.0  # between two signs of life
SILENT_SECONDS = 120.0  # without a sign of life, after which an owner on another machine counts as dead
_NAME = re.compile(r"lease\.(\d+)\.json")


class LeaseLost(RunFailed):
    """Another process has taken the folder over: this one writes nothing more into it."""


class InUse(Exception):
    """Another process trains in the folder."""

    def __init__(self, owner: "Owner", silent: float, path: Path) -> None:
        super().__init__(f"{owner} trains in {path.parent}")
        self.owner, self.silent, self.path = owner, silent, path


@dataclass(frozen=True)
class Owner:
    """A process, told from every other one that there is or was."""

    host: str
    pid: int
    boot: str  # of the host's present start; empty where the system does not say
    namespace: str  # in which the pid counts: a container has its own
    began: int  # when the process did, in ticks since the boot
    since: float  # when it took the folder, in seconds since 1970
    token: str  # of this lease

    @classmethod
    def this_process(cls) -> Self:
        """An owner that is the present process, from now on."""
        pid = os.getpid()
        return cls(
            socket.gethostname(), pid, _boot(), _namespace(), _began(pid) or 0, time.time(), secrets.token_hex(8)
        )

    @property
    def has_ended(self) -> bool:
        """Whether it is known to: only of a process whose pid counts here."""
        if not self.boot or (self.boot, self.namespace) != (_boot(), _namespace()):
            return False
        return _began(self.pid) != self.began

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


def owner_of(folder: Path) -> tuple[Owner | None, float] | None:
    """Who holds a folder, and when it last gave a sign of life, in seconds since 1970; None: nobody does.

    The owner is None where its file is not readable, or not yet whole.

    Raises:
        OSError: the folder cannot be read.
    """
    newest = _newest(folder)
    if newest is None:
        return None
    path = _path(folder, newest)
    try:
        return _read(path), path.stat().st_mtime
    except FileNotFoundError:  # released meanwhile
        return owner_of(folder)


class Lease:
    """A folder held by this process, from `take` to `release`, with a thread that gives signs of life."""

    def __init__(self, folder: Path, number: int, owner: Owner) -> None:
        self._folder, self._path, self._number, self._owner = folder, _path(folder, number), number, owner
        self._ended = threading.Event()
        self._beaten = time.monotonic()
        self._thread = threading.Thread(target=self._beat, name="pogo-lease", daemon=True)
        self._thread.start()

    @staticmethod
    def check_free(folder: Path) -> Owner | None:
        """Make sure that nobody alive holds a folder; the dead owner that it still names, if it does.

        Raises:
            InUse: somebody does.
            OSError: the folder cannot be read.
        """
        while (newest := _newest(folder)) is not None:
            with contextlib.suppress(FileNotFoundError):  # released meanwhile
                return _check_dead(_path(folder, newest))
        return None

    @classmethod
    def take(cls, folder: Path) -> tuple[Self, Owner | None]:
        """Hold a folder that nobody alive holds; returns the lease, and the dead owner that it was taken over from.

        Raises:
            InUse: somebody does.
            OSError: the folder cannot be written.
        """
        while True:
            newest = _newest(folder)
            former = cls.check_free(folder)
            number, owner = (newest or 0) + 1, Owner.this_process()
            try:
                write_new_file(_path(folder, number), json.dumps(asdict(owner)).encode())
            except FileExistsError:  # another was faster
                continue
            # Two may have found the folder free, one of them before the last owner's file was gone.
            if _newest(folder) != number:
                _path(folder, number).unlink(missing_ok=True)
                continue
            for older in _numbers(folder):
                if older < number:
                    _path(folder, older).unlink(missing_ok=True)
            return cls(folder, number, owner), former

    def check(self) -> None:
        """Make sure that the folder is still this process's.

        Raises:
            LeaseLost: it is another's, or somebody has deleted the file.
        """
        if time.monotonic() - self._beaten > BEAT_SECONDS:  # the thread had no turn, as in a process that was paused
            self._touch()
        try:
            is_ours = _newest(self._folder) == self._number and _read(self._path) == self._owner
        except OSError:
            is_ours = False
        if not is_ours:
            found = owner_of(self._folder) if self._folder.is_dir() else None
            other = "nobody" if found is None or found[0] is None else str(found[0])
            raise LeaseLost(
                f"{self._folder} is no longer held by this process ({self._owner}): {self._path.name} was taken over "
                f"by {other} or deleted; this process writes nothing more. The same command goes on from the newest "
                "checkpoint."
            )

    def release(self) -> None:
        """Free the folder."""
        self._ended.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if _read(self._path) == self._owner:
                self._path.unlink()

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_SECONDS):
            self._touch()

    def _touch(self) -> None:
        """Give a sign of life; where that fails, `check` says what it means."""
        with contextlib.suppress(OSError):
            os.utime(self._path)
            self._beaten = time.monotonic()


def _check_dead(path: Path) -> Owner | None:
    """The owner that a file names, if it has ended or been silent for long; None: the file cannot be read.

    Raises:
        InUse: it lives, as far as can be told.
        FileNotFoundError: it has released the folder.
    """
    owner = _read(path)
    if owner is not None and owner.has_ended:
        return owner
    silent = _silence(path)
    if silent > SILENT_SECONDS:
        return owner
    raise InUse(owner or Owner("unknown", 0, "", "", 0, time.time() - silent, ""), silent, path)


def _read(path: Path) -> Owner | None:
    """The owner that a file names; None: it is not whole, or not a lease."""
    try:
        values = json.loads(path.read_bytes())
        return Owner(**values)
    except (ValueError, TypeError):
        return None


def _silence(path: Path) -> float:
    """Seconds since a lease was touched, by the clock of the file system that both times come from.

    Raises:
        FileNotFoundError: the lease is gone.
    """
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".now") as now:
        return os.fstat(now.fileno()).st_mtime - path.stat().st_mtime


def _newest(folder: Path) -> int | None:
    return max(_numbers(folder), default=None)


def _numbers(folder: Path) -> list[int]:
    return [int(match[1]) for name in os.listdir(folder) if (match := _NAME.fullmatch(name))]


def _path(folder: Path, number: int) -> Path:
    return folder / f"lease.{number}.json"


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


@cache
def _namespace() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _began(pid: int) -> int | None:
    """When a process of this machine began, in ticks since the boot; None: there is none of that number."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] in "ZX" else int(fields[19])
    except (OSError, ValueError, IndexError):
        return None
