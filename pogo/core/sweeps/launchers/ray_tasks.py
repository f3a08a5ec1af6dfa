"""Tasks of Ray's core: one per run, on this machine or a cluster whose machines see the same folders."""

import importlib
import signal
import socket
from collections.abc import Sequence
from typing import Any

from typing_extensions import override

from pogo.core.config.launcher import RayLauncher
from pogo.core.errors import BadInput
from pogo.core.sweeps.launchers.engine import Engine, Handle
from pogo.core.sweeps.runner import Runner, Share
from pogo.core.sweeps.task import Task
from pogo.core.system.signals import exit_code_of

KILLED = 128 + signal.SIGKILL
ANSWER_SECONDS = 10.0


def _run(task: Task, threads: int, max_retries: int) -> int:
    """What a worker of Ray's does: one task; its exit code."""
    runner = Runner([task], [Share(threads)], max_retries)  # Ray has set which GPUs this process sees
    while not runner.is_done:
        try:
            runner.run(lambda: False)
        except KeyboardInterrupt:  # ray.cancel
            runner.stop()
    return runner.results.get(task, exit_code_of(signal.SIGTERM))


def _check_answers(address: str | None) -> None:
    """Refuse an address where nothing answers, which Ray itself goes on asking for minutes.

    Raises:
        BadInput: so it is.
    """
    host, separator, port = (address or "").removeprefix("ray://").rpartition(":")
    if not separator or not port.isdecimal():
        return
    try:
        socket.create_connection((host, int(port)), timeout=ANSWER_SECONDS).close()
    except OSError as error:
        raise BadInput(
            f"launcher.address={address}: no Ray answers there ({error}); ray start --head starts one."
        ) from error


class _RayHandle(Handle):
    def __init__(self, task: Task, ray: Any, reference: Any) -> None:
        super().__init__(task, reference.task_id().hex())
        self.reference, self._ray = reference, ray
        self._code: int | None = None

    @override
    def code(self) -> int | None:
        if self._code is None and self._ray.wait([self.reference], timeout=0)[0]:
            self._code = self._outcome()
        return self._code

    def _outcome(self) -> int:
        errors = self._ray.exceptions
        try:
            return self._ray.get(self.reference)
        except errors.TaskCancelledError:
            return exit_code_of(signal.SIGTERM)
        except errors.RayError:  # its worker has died more often than it is started again
            return KILLED


class RayEngine(Engine):
    """Gives tasks to Ray, for as long as this process goes on."""

    name = "ray"

    def __init__(self, settings: RayLauncher) -> None:
        try:
            self._ray: Any = importlib.import_module("ray")
        except ImportError as error:
            raise BadInput("launcher=ray needs ray, not installed here: pip install 'pogo[ray]'.") from error
        self._settings = settings
        self._handles: list[_RayHandle] = []
        _check_answers(settings.address)
        own = {"address": "local", "include_dashboard": False}
        try:
            self._ray.init(
                **(own if settings.address is None else {"address": settings.address}),
                log_to_driver=False,
                logging_level="warning",
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise BadInput(
                f"launcher.address={settings.address}: no Ray answers there ({error}); ray start --head starts one."
            ) from error

    @override
    def submit(self, tasks: Sequence[Task]) -> Sequence[Handle]:
        settings = self._settings
        remote = self._ray.remote(_run).options(
            num_cpus=settings.cpus, num_gpus=settings.gpus, max_retries=settings.max_retries, name="pogo"
        )
        threads = max(1, int(settings.cpus))
        self._handles = [
            _RayHandle(task, self._ray, remote.remote(task, threads, settings.max_retries)) for task in tasks
        ]
        return self._handles

    @override
    def stop(self, number: int = signal.SIGTERM) -> None:
        for handle in self._handles:
            if handle.code() is None:
                self._ray.cancel(handle.reference, force=False)

    @override
    def close(self) -> None:
        self._ray.shutdown()
