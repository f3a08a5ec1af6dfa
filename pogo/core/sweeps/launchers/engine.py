"""What the engines that start runs have in common: they take tasks, and answer with a handle for each."""

import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Self

from pogo.core.sweeps.records import ATTEMPTS
from pogo.core.sweeps.task import Task


class Handle(ABC):
    """A task that an engine has been given."""

    def __init__(self, task: Task, job: str = "") -> None:
        self.task = task
        self.job = job  # as the engine names it
        self.since = time.time()

    def has_begun(self) -> bool:
        """Whether an attempt at it has been made."""
        attempts = self.task.folder / ATTEMPTS
        return attempts.exists() and attempts.stat().st_mtime >= self.since

    @abstractmethod
    def code(self) -> int | None:
        """Its exit code once it has ended and is not started again; None before that."""


class Engine(ABC):
    """Starts tasks. Entered, it may hold what it needs until the end."""

    name: str  # of its launcher

    @property
    def detaches(self) -> bool:
        """Whether it leaves the tasks to whom it has given them to, and waits for none."""
        return False

    @property
    def shows_output(self) -> bool:
        """Whether what they print goes where this process's output goes."""
        return False

    @property
    def is_idle(self) -> bool:
        """Whether nothing runs here, after it was told to stop; what it has given others answers for itself."""
        return False

    @abstractmethod
    def submit(self, tasks: Sequence[Task]) -> Sequence[Handle]:
        """Take the tasks, in this order; a handle for each.

        Raises:
            BadInput: the engine does not take them.
        """

    def look(self) -> None:  # noqa: B027 - some have nothing to do
        """Do what is due, some times a second."""

    @abstractmethod
    def stop(self, number: int = signal.SIGTERM) -> None:
        """Have what runs save and end, by this signal where the engine passes signals on; start nothing more."""

    def close(self) -> None:  # noqa: B027 - some hold nothing
        """Let go of what it holds."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
