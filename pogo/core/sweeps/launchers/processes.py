"""Processes of this machine, some of them side by side."""

import signal
from collections.abc import Sequence

from typing_extensions import override

from pogo.core.config.launcher import LocalLauncher
from pogo.core.sweeps.launchers.engine import Engine, Handle
from pogo.core.sweeps.runner import Runner, shares
from pogo.core.sweeps.task import Task
from pogo.core.system.machine import visible_gpus


class _LocalHandle(Handle):
    def __init__(self, task: Task, runner: Runner) -> None:
        super().__init__(task)
        self._runner = runner

    @override
    def has_begun(self) -> bool:
        return self._runner.has_begun(self.task)

    @override
    def code(self) -> int | None:
        return self._runner.results.get(self.task)


class LocalEngine(Engine):
    """A pool of processes; one by one, their output is shown as it comes."""

    name = "local"

    def __init__(self, settings: LocalLauncher) -> None:
        self._gpus = visible_gpus() if settings.gpus is None else settings.gpus
        self._settings = settings
        self._runner = Runner([], [])

    @property
    def jobs(self) -> int:
        """Runs side by side."""
        given = self._settings.jobs
        return max(1, len(self._gpus) * self._settings.jobs_per_gpu) if given is None else given

    @property
    @override
    def shows_output(self) -> bool:
        return self.jobs == 1

    @property
    @override
    def is_idle(self) -> bool:
        return self._runner.is_done

    @override
    def submit(self, tasks: Sequence[Task]) -> Sequence[Handle]:
        places = shares(self.jobs, self._gpus)
        self._runner = Runner(tasks, places, self._settings.max_retries, shown=self.jobs == 1)
        return [_LocalHandle(task, self._runner) for task in tasks]

    @override
    def look(self) -> None:
        self._runner.look()

    @override
    def stop(self, number: int = signal.SIGTERM) -> None:
        self._runner.stop(number)
