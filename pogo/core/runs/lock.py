"""One process at a time in a run's folder."""

import contextlib
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pogo.core.errors import BadInput
from pogo.core.files.durable import make_folder
from pogo.core.files.lease import SILENT_SECONDS, InUse, Lease, owner_of
from pogo.core.system.machine import try_lock
from pogo.core.system.signals import StopRequest

POLL_SECONDS = 1.0
_SUSPECT_SECONDS = 30.0  # of silence, after which an owner is said to be perhaps dead
_WAIT = "let it end, wait for it with run.wait=true, or use another run.dir."

logger = logging.getLogger("pogo")


class FolderInUse(BadInput):
    """Another process trains in the folder."""

    def __init__(self, run_dir: Path, who: str, mend: str) -> None:
        super().__init__(f"{run_dir} is in use: {who} is training in it; {mend}")
        self.who = who


class RunLock:
    """Lets one process train in a run folder at a time.

    On one machine the system's lock on the folder tells, which leaves no file and ends with its process. File systems
    that several machines share have such locks or not; there the folder's lease tells (`pogo.core.files.lease`).
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._descriptor: int | None = None
        self._lease: Lease | None = None

    def reserve(self) -> None:
        """Make sure that nobody else trains in the folder, if there is one, and leave no trace in it.

        On one machine nobody else can from now on. On others somebody may until `acquire`.

        Raises:
            BadInput: the folder cannot be opened, or (`FolderInUse`) another process trains in it.
        """
        with self._naming():
            if self._run_dir.exists():
                self._open()
                Lease.check_free(self._run_dir)

    def acquire(self, make: bool = True) -> bool:
        """Hold the folder, made if need be and `make` says so; returns whether it is held.

        Raises:
            BadInput: the folder cannot be made, opened or written, or (`FolderInUse`) another process trains in it.
        """
        if self._lease is not None:
            return True
        with self._naming():
            if make:
                make_folder(self._run_dir)
            elif not self._run_dir.exists():
                return False
            self._open()
            self._lease, former = Lease.take(self._run_dir)
        if former is not None and not former.has_ended:
            logger.warning(
                "%s is taken over from %s, which has given no sign of life for %.0f s.",
                self._run_dir, former, SILENT_SECONDS,
            )  # fmt: skip
        return True

    def wait(self, stop: StopRequest) -> bool:
        """Lock the folder, made if need be, once the process that trains in it has ended.

        Returns:
            Whether it is locked; else a stop was asked for.

        Raises:
            BadInput: the folder cannot be made, opened or written.
        """
        told = False
        while not stop.requested:
            try:
                self.acquire()
            except FolderInUse as error:
                if not told:
                    logger.info("%s is in use: waiting for %s to end.", self._run_dir, error.who)
                told = True
                time.sleep(POLL_SECONDS)
            else:
                return True
        return False

    def check(self) -> None:
        """Make sure, before something is written, that the folder is still this process's.

        Raises:
            LeaseLost: another process has taken it over, or the lease was deleted.
        """
        if self._lease is not None:
            self._lease.check()

    def release(self) -> None:
        """Free the folder."""
        if self._lease is not None:
            self._lease.release()
            self._lease = None
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    @contextlib.contextmanager
    def _naming(self) -> Iterator[None]:
        """Say of what fails which folder it is about; a folder that cannot be held is let go."""
        try:
            self._check_is_folder()
            yield
        except InUse as held:
            self.release()
            raise FolderInUse(self._run_dir, str(held.owner), _mend(held)) from held
        except OSError as error:
            self.release()
            raise BadInput(
                f"run.dir={self._run_dir} cannot be used: {error}; name a folder that can be written."
            ) from error

    def _open(self) -> None:
        """Open the folder and lock it, where its file system has such locks."""
        if self._descriptor is not None:
            return
        self._descriptor = os.open(self._run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            is_free = try_lock(self._descriptor)
        except OSError:  # some network file systems lock no folders: the lease has to do
            return
        if not is_free:
            self.release()
            found = owner_of(self._run_dir)
            owner = None if found is None else found[0]
            raise FolderInUse(self._run_dir, "another process" if owner is None else str(owner), _WAIT)

    def _check_is_folder(self) -> None:
        nearest = next(path for path in (self._run_dir, *self._run_dir.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise BadInput(f"run.dir={self._run_dir}: {nearest} is a file; name a folder.")


def _mend(held: InUse) -> str:
    if held.silent < _SUSPECT_SECONDS:
        return _WAIT
    return (
        f"its last sign of life is {held.silent:.0f} s old, and at {SILENT_SECONDS:.0f} s the folder is free; if you "
        f"know that it is dead, delete {held.path.name} there."
    )
