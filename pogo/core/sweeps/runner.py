"""Tasks as processes of the machine that this is called on: what every launcher has run at its place of work."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from pogo.core.errors import EXIT_DONE
from pogo.core.files.durable import make_folder
from pogo.core.sweeps.records import OUTPUT, is_cancelled, last_line, note_end, note_start, touch
from pogo.core.sweeps.task import Task
from pogo.core.system.machine import available_cpus
from pogo.core.system.signals import PARENT_PIPE, STOP_SIGNALS, exit_code_of

POLL_SECONDS = 0.05
SIGN_SECONDS = 5.0  # between two signs of life of a task, and two looks at whether it is cancelled
# Of a GPU's memory, what its runs take together: JAX takes three quarters for one run unless it is told otherwise.
GPU_MEMORY_SHARE = 0.9
_COMMAND = "import sys; from {module} import main; sys.exit(main())"
_STOPPED = {exit_code_of(number) for number in STOP_SIGNALS} | {-number for number in STOP_SIGNALS}


def was_stopped(code: int) -> bool:
    """Whether an exit code says that a process was asked to end, and did."""
    return code in _STOPPED


@dataclass(frozen=True)
class Share:
    """What of a machine each of the tasks that run side by side gets."""

    threads: int
    gpu: str | None = None  # the one that it sees, as CUDA_VISIBLE_DEVICES names it; None: as this process
    of_gpu: int = 1  # tasks that share the GPU

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of a task's process."""
        changes: dict[str, str] = {}
        if self.gpu is not None:
            changes["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.of_gpu > 1 and "XLA_PYTHON_CLIENT_MEM_FRACTION" not in os.environ:
            changes["XLA_PYTHON_CLIENT_MEM_FRACTION"] = f"{GPU_MEMORY_SHARE / self.of_gpu:.3f}"
        return os.environ | changes


def shares(side_by_side: int, gpus: Sequence[str]) -> list[Share]:
    """What each of so many tasks gets of this machine: its part of the processors, and a GPU in rotation."""
    threads = max(1, available_cpus() // side_by_side)
    of_gpu = -(-side_by_side // len(gpus)) if gpus else 1
    return [Share(threads, gpus[place % len(gpus)] if gpus else None, of_gpu) for place in range(side_by_side)]


class Process:
    """One attempt at a task, from its start to the record of its end."""

    def __init__(self, task: Task, share: Share, shown: bool) -> None:
        """Start it.

        Args:
            task: what to start.
            share: what it gets of the machine.
            shown: whether its output goes where this process's goes; else into the task's folder.
        """
        self.task, self.share = task, share
        self.is_told = False  # to stop, by this process
        make_folder(task.folder)
        given = {argument.partition("=")[0] for argument in task.arguments}
        threads = () if "threads" in given else (f"threads={share.threads}",)
        self._output: IO[bytes] | None = None if shown else (task.folder / OUTPUT).open("ab")
        # A session of its own: a Ctrl-C in the terminal reaches it once, by way of this process. Its input is a pipe
        # that ends with this process, however this ends: a run that nobody follows any more saves and stops.
        self._popen = subprocess.Popen(
            [sys.executable, "-c", _COMMAND.format(module=task.module), PARENT_PIPE, *task.arguments, *threads],
            stdin=subprocess.PIPE,
            stdout=self._output,
            stderr=self._output,
            cwd=task.working_folder or None,
            env=dict(share.environment),
            start_new_session=True,
        )
        note_start(task.folder, socket.gethostname(), self._popen.pid)
        self._signed = time.monotonic()

    def poll(self) -> int | None:
        """Its exit code once it has ended, which is recorded then; meanwhile signs of life, and whether to stop."""
        code = self._popen.poll()
        if code is not None:
            self._record(code)
            return code
        if time.monotonic() - self._signed >= SIGN_SECONDS:
            self._signed = time.monotonic()
            touch(self.task.folder)
            if is_cancelled(self.task.folder):
                self.stop()
        return None

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tell it to save and end; once."""
        if not self.is_told:
            self.is_told = True
            self._popen.send_signal(number)

    def _record(self, code: int) -> None:
        assert self._popen.stdin is not None
        self._popen.stdin.close()
        line = ""
        if self._output is not None:
            self._output.close()
            line = last_line(self.task.folder) if code != EXIT_DONE and not was_stopped(code) else ""
        note_end(self.task.folder, self._popen.pid, code, line)


class Runner:
    """Runs tasks here, so many side by side; each look at them starts what there is room for."""

    def __init__(
        self, tasks: Sequence[Task], places: Sequence[Share], max_retries: int = 0, shown: bool = False
    ) -> None:
        """Nothing is started yet.

        Args:
            tasks: in the order in which they are started.
            places: what each of those that run side by side gets.
            max_retries: how often a task is started again that was killed, or stopped by another than this process.
            shown: whether their output goes where this process's goes.
        """
        self.results: dict[Task, int] = {}  # the exit codes of those that have ended
        self.running: list[Process] = []
        self._waiting = list(tasks)
        self._free = list(places)
        self._most_tries = 1 + max_retries
        self._tries = dict.fromkeys(tasks, self._most_tries)
        self._shown = shown
        self._is_told = False

    @property
    def is_done(self) -> bool:
        """Whether nothing runs, and nothing will."""
        return not self.running and (self._is_told or not self._waiting)

    def has_begun(self, task: Task) -> bool:
        """Whether an attempt at a task has been made."""
        return task in self.results or self._tries[task] < self._most_tries

    def look(self) -> None:
        """Start what there is room for, and see what has ended."""
        while self._waiting and self._free and not self._is_told:
            task = self._waiting.pop(0)
            if is_cancelled(task.folder):
                self.results[task] = exit_code_of(signal.SIGTERM)
                continue
            self._tries[task] -= 1
            self.running.append(Process(task, self._free.pop(0), self._shown))
        for process in list(self.running):
            code = process.poll()
            if code is None:
                continue
            self.running.remove(process)
            self._free.append(process.share)
            unasked = (code < 0 or was_stopped(code)) and not process.is_told
            if unasked and self._tries[process.task] and not self._is_told:
                self._waiting.insert(0, process.task)
                continue
            self.results[process.task] = code

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Tell all that run to save and end; nothing is started any more."""
        self._is_told = True
        for process in self.running:
            process.stop(number)

    def run(self, is_told: Callable[[], bool]) -> dict[Task, int]:
        """Run all of them, or those that have been started when this process is told to end; their exit codes."""
        while not self.is_done:
            if is_told():
                self.stop()
            self.look()
            time.sleep(POLL_SECONDS)
        return self.results
