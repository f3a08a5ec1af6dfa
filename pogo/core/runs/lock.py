"""One process at a time in a run's folder."""

import logging
import os
from pathlib import Path
from typing import Self

from pogo.core.errors import BadInput
from pogo.core.files.durable import make_folder
from pogo.core.system.machine import try_lock

logger = logging.getLogger("pogo")


class RunLock:
    """Lets one process train in a run folder at a time.

    The lock is on the folder itself, so that it leaves no file, and the system frees it when the process ends, however
    it ends.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._descriptor: int | None = None

    def acquire(self, make: bool) -> bool:
        """Lock the folder, made if need be and `make` says so; returns whether it was unlocked and is locked now.

        Raises:
            BadInput: the folder cannot be made or opened, or another process trains in it.
        """
        if self._descriptor is not None:
            return False
        try:
            self._check_is_folder()
            if make:
                make_folder(self._run_dir)
            elif not self._run_dir.exists():
                return False
            self._descriptor = os.open(self._run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(
                f"run.dir={self._run_dir} cannot be used: {error}; name a folder that can be written."
            ) from error
        try:
            is_free = try_lock(self._descriptor)
        except OSError as error:  # some network file systems lock no folders
            reason = error.strerror or str(error)
            logger.warning("%s cannot be locked (%s): start no second run in it.", self._run_dir, reason)
            return True
        if not is_free:
            self.release()
            raise BadInput(
                f"{self._run_dir} is in use: another process is training in it; let it end, or use another run.dir."
            )
        return True

    def release(self) -> None:
        """Free the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _check_is_folder(self) -> None:
        nearest = next(path for path in (self._run_dir, *self._run_dir.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise BadInput(f"run.dir={self._run_dir}: {nearest} is a file; name a folder.")
