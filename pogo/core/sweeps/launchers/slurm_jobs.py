"""Jobs of Slurm's, by submitit: an array of them, each with one run or several side by side."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from typing_extensions import override

from pogo.core.config.launcher import SlurmLauncher
from pogo.core.errors import EXIT_FAILED, BadInput
from pogo.core.sweeps.launchers.engine import Engine, Handle
from pogo.core.sweeps.records import cancel, is_cancelled
from pogo.core.sweeps.runner import Runner, shares, was_stopped
from pogo.core.sweeps.task import Task
from pogo.core.system.machine import visible_gpus
from pogo.core.system.signals import exit_code_of

LARGEST_ARRAY = 1000  # jobs: Slurm's own default of MaxArraySize is one more
ASK_SECONDS = 10.0  # between two looks at the queue
# After SIGTERM, which submitit does not answer: Slurm ends the job soon after, unless somebody else has sent it.
TERM_PATIENCE_SECONDS = 60.0


class Job:
    """What one job does; made anew from its pickled form each time that it starts."""

    def __init__(self, tasks: Sequence[Task], max_requeues: int) -> None:
        self._tasks, self._max_requeues = tuple(tasks), max_requeues
        self._requeues = 0

    def __call__(self) -> dict[Task, int]:
        """Run the tasks side by side.

        submitit's own answer to its signal requeues the job at once, inside the handler, where nothing may be waited
        for. Here the signal is noted; once the runs have saved and ended, the answer is called as a function.

        Returns:
            Their exit codes.
        """
        requeue = signal.getsignal(_requeue_signal())
        told: list[int] = []

        def note(number: int, _: FrameType | None) -> None:
            told.append(number)

        for number in (_requeue_signal(), signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            signal.signal(number, note)
        runner = Runner(self._tasks, shares(len(self._tasks), visible_gpus()), self._max_requeues)
        results = runner.run(lambda: bool(told))
        stopped = len(results) < len(self._tasks) or any(map(was_stopped, results.values()))
        if not told or not stopped or all(is_cancelled(task.folder) for task in self._tasks):
            return results
        deadline = time.monotonic() + TERM_PATIENCE_SECONDS
        while set(told) == {signal.SIGTERM} and time.monotonic() < deadline:
            time.sleep(0.1)
        if callable(requeue) and self._requeues < self._max_requeues:
            requeue(_requeue_signal(), None)
        return results

    def checkpoint(self) -> Any:
        """What submitit puts back into the queue: the same tasks, each of which goes on where it was."""
        import submitit.helpers  # late: an extra of pogo's

        again = Job(self._tasks, self._max_requeues)
        again._requeues = self._requeues + 1
        return submitit.helpers.DelayedSubmission(again)


class _SlurmHandle(Handle):
    def __init__(self, task: Task, job: Any, queue: "_Queue") -> None:
        super().__init__(task, job.job_id)
        self._job, self._queue = job, queue

    @override
    def code(self) -> int | None:
        if self._job.paths.result_pickle.exists():
            kind, outcome = _outcome(self._job)
            return outcome.get(self.task, exit_code_of(signal.SIGTERM)) if kind == "success" else EXIT_FAILED
        # Ended without a result: cancelled, or killed with all that it had started.
        return exit_code_of(signal.SIGTERM) if self._queue.has_left(self.job) else None


class _Queue:
    """Which jobs Slurm knows of, by one question now and then."""

    def __init__(self) -> None:
        self._jobs: set[str] = set()
        self._gone: dict[str, int] = {}  # in how many answers in a row a job was missing
        self._asked = time.monotonic()

    def add(self, job: str) -> None:
        self._jobs.add(job)

    def has_left(self, job: str) -> bool:
        """Whether a job has been missing twice: the file with its result may come a little later than its end."""
        return self._gone.get(job, 0) > 1

    def look(self) -> None:
        if time.monotonic() - self._asked < ASK_SECONDS:
            return
        self._asked = time.monotonic()
        found = waiting_or_running({job.partition("_")[0] for job in self._jobs})
        if found is not None:
            self._gone = {job: self._gone.get(job, 0) + 1 for job in self._jobs - found}


class SlurmEngine(Engine):
    """Gives tasks to Slurm."""

    name = "slurm"

    def __init__(self, settings: SlurmLauncher, run_root: str) -> None:
        if shutil.which("sbatch") is None:
            raise BadInput("launcher=slurm: there is no sbatch here; start it on a machine of the cluster.")
        try:
            import submitit  # noqa: F401 - late: an extra of pogo's
        except ImportError as error:
            raise BadInput("launcher=slurm needs submitit, not installed here: pip install 'pogo[slurm]'.") from error
        self._settings, self._queue = settings, _Queue()
        self._folder = Path(settings.folder or Path(run_root) / "slurm").expanduser().absolute()
        self._jobs: list[str] = []
        self._handles: list[Handle] = []

    @property
    @override
    def detaches(self) -> bool:
        return self._settings.detach

    @override
    def submit(self, tasks: Sequence[Task]) -> Sequence[Handle]:
        import submitit

        size = self._settings.runs_per_job
        groups = [tasks[first : first + size] for first in range(0, len(tasks), size)]
        handles: list[Handle] = []
        for first in range(0, len(groups), LARGEST_ARRAY):
            part = groups[first : first + LARGEST_ARRAY]
            executor = submitit.SlurmExecutor(self._folder / "%j", max_num_timeout=self._settings.max_requeues)
            executor.update_parameters(**_parameters(self._settings))
            try:
                with executor.batch():
                    jobs = [executor.submit(Job(group, self._settings.max_requeues)) for group in part]
            except submitit.core.utils.FailedJobError as error:
                raise BadInput(f"launcher=slurm: {_why_refused(error)}") from error
            for group, job in zip(part, jobs, strict=True):
                self._queue.add(job.job_id)
                self._jobs.append(job.job_id)
                handles += [_SlurmHandle(task, job, self._queue) for task in group]
        self._handles = handles
        return handles

    @override
    def look(self) -> None:
        self._queue.look()

    @override
    def stop(self, number: int = signal.SIGTERM) -> None:
        for handle in self._handles:  # so that a job knows that it is not to wait for its next start
            if handle.code() is None:
                cancel(handle.task.folder)
        cancel_jobs(self._jobs)


def cancel_jobs(jobs: Sequence[str]) -> None:
    """Have Slurm end jobs: their runs save first, as far as its KillWait lets them."""
    if jobs and shutil.which("scancel") is not None:
        subprocess.run(["scancel", *jobs], check=False, capture_output=True)


def waiting_or_running(jobs: set[str]) -> set[str] | None:
    """Which jobs Slurm has still to do with, of arrays each one by itself; None: it does not answer."""
    if not jobs or shutil.which("squeue") is None:
        return None
    # Jobs that are long gone make squeue fail where it is asked for them by number.
    asked = subprocess.run(
        ["squeue", "--noheader", "--array", "--format=%F_%K %A", "--user", str(os.getuid())],
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if asked.returncode != 0:
        return None
    found = set()
    for line in asked.stdout.splitlines():
        of_array, _, number = line.partition(" ")
        found |= {of_array, number.strip()}
    return {job for job in found if job.partition("_")[0] in jobs}


def _parameters(settings: SlurmLauncher) -> dict[str, Any]:
    """What submitit makes the job's header of."""
    given = {
        "job_name": "pogo",
        "partition": settings.partition,
        "account": settings.account,
        "qos": settings.qos,
        "gpus_per_node": settings.gpus or None,
        "cpus_per_task": settings.cpus,
        "mem": settings.mem,
        "time": settings.timeout_min,
        "signal_delay_s": settings.signal_delay_s,
        "array_parallelism": settings.array_parallelism,
        "setup": settings.setup or None,
        "additional_parameters": {"requeue": True, **dict(map(_option, settings.sbatch))},
        "stderr_to_stdout": True,
    }
    return {name: value for name, value in given.items() if value is not None}


def _option(text: str) -> tuple[str, str | bool]:
    name, separator, value = text.removeprefix("--").partition("=")
    if not re.fullmatch(r"[a-z][a-z-]*", name):
        raise BadInput(f"launcher.sbatch: {text!r} is no option of sbatch; write '--constraint=a100', say.")
    return name, value if separator else True


def _requeue_signal() -> signal.Signals:
    """The one that submitit has asked Slurm for."""
    return signal.Signals[f"SIG{os.environ.get('SUBMITIT_PREEMPT_SIGNAL', 'USR2')}"]


def _outcome(job: Any) -> tuple[str, Any]:
    import submitit

    return submitit.core.utils.pickle_load(job.paths.result_pickle)


def _why_refused(error: BaseException) -> str:
    """What sbatch has said, without what led there."""
    text = str(error)
    said = re.search(r"sbatch: error: (.*)", text)
    return f"sbatch refuses the jobs: {said[1] if said else text}"
