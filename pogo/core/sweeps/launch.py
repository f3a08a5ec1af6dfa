"""The runs of a sweep given to a launcher, and followed to their ends."""

import logging
import signal
import time
from collections.abc import Sequence

from pogo.core.config.launcher import Launcher
from pogo.core.errors import EXIT_DONE, EXIT_FAILED, RunFailed
from pogo.core.files.lease import Owner
from pogo.core.sweeps.cell import Cell
from pogo.core.sweeps.display import Followed, SweepDisplay
from pogo.core.sweeps.launchers import make_engine
from pogo.core.sweeps.launchers.engine import Engine, Handle
from pogo.core.sweeps.launchers.slurm_jobs import cancel_jobs, waiting_or_running
from pogo.core.sweeps.records import Launch, cancel, withdraw, write_launch
from pogo.core.sweeps.status import CellStatus, status_of
from pogo.core.sweeps.task import Task
from pogo.core.system.signals import StopRequest

POLL_SECONDS = 0.05

logger = logging.getLogger("pogo")


def run_sweep(cells: Sequence[Cell], launcher: Launcher, retry_failed: bool = False) -> int:
    """Have every run made that is not done, failed or in somebody's hands, and wait for them unless it is detached.

    A failed run does not stop the others. A signal is passed on to the runs that go on, which save; none starts after
    it. Each run is a process of its own, so that the frameworks of one leave nothing to the next.

    Args:
        cells: the runs.
        launcher: who starts them.
        retry_failed: whether those that have failed are started too.

    Returns:
        The exit code: 0 all done, or all given to a cluster; 1 some failed; 130 or 143 stopped by a signal.

    Raises:
        BadInput: the launcher does not take them.
    """
    runs, done, failed = [], 0, 0
    for number, status in enumerate(map(status_of, cells), start=1):
        why_not = _why_not(status, retry_failed)
        if why_not is None:
            runs.append(Followed(status.cell, number))
            continue
        done += status.state == "done"
        failed += status.state == "failed"
        logger.info("%3d  %s: %s", number, why_not, status.cell.label or status.cell.run_dir)
    if not runs:
        logger.info("%d of %d runs done; pogo-report tables them.", done, len(cells))
        return EXIT_FAILED if failed else EXIT_DONE
    with make_engine(launcher, cells[0].config.run.root) as engine, StopRequest() as stop:
        with SweepDisplay(runs, len(cells), shows_progress=not engine.shows_output) as display:
            handles = _submit(engine, runs, display)
            if engine.detaches:
                _say_detached(engine, list(handles))
                return EXIT_DONE if len(handles) == len(runs) else EXIT_FAILED
            _follow(engine, handles, display, stop)
        display.report(done)
        failed += sum(run.code not in (EXIT_DONE, None) for run in runs)
        return stop.exit_code if stop.requested else EXIT_FAILED if failed else EXIT_DONE


def cancel_sweep(cells: Sequence[Cell]) -> list[CellStatus]:
    """Have what runs save and stop, and start nothing more of it; the runs that it was done to.

    Raises:
        OSError: a mark cannot be left in a folder.
    """
    open_ones = [status for status in map(status_of, cells) if status.state in ("running", "queued", "preempted")]
    for status in open_ones:
        cancel(status.cell.run_dir)
    cancel_jobs(sorted({job for status in open_ones if (job := _slurm_job(status)) is not None}))
    return open_ones


def _why_not(status: CellStatus, retry_failed: bool) -> str | None:
    """Why a run is not started; None: it is."""
    if status.state == "done":
        return "done"
    if status.state == "running":
        return f"left alone, it runs on {status.host}"
    if status.state in ("queued", "preempted") and _is_in_a_queue(status):
        return f"left alone, it waits ({status.note}); --cancel takes it back"
    if status.state == "failed" and not retry_failed:
        return f"failed before ({status.note}); --retry-failed starts it again"
    return None


def _slurm_job(status: CellStatus) -> str | None:
    launch = status.launch
    return launch.job if launch is not None and launch.launcher == "slurm" and launch.job else None


def _is_in_a_queue(status: CellStatus) -> bool:
    """Whether who was given a run still has it; Slurm is asked, where it answers."""
    job = _slurm_job(status)
    if job is None:
        return status.state == "queued"
    known = waiting_or_running({job.partition("_")[0]})
    return known is None or job in known


def _submit(engine: Engine, runs: Sequence[Followed], display: SweepDisplay) -> dict[Handle, Followed]:
    """Give the runs to the engine, and leave word of it in their folders; a run that has none cannot be started."""
    submitter, since = Owner.this_process(), time.time()
    tasks: dict[Task, Followed] = {}
    for run in runs:
        task = Task.of(run.cell)
        try:
            write_launch(task.folder, Launch(engine.name, "", submitter, engine.detaches, since))
        except (RunFailed, OSError) as error:
            logger.error("run %d: %s", run.number, error)
            display.ended(run, EXIT_FAILED)
        else:
            tasks[task] = run
    try:
        handles = {handle: tasks[handle.task] for handle in engine.submit(list(tasks))}
    except BaseException:
        for task in tasks:
            withdraw(task.folder)
        raise
    for handle in handles:
        if handle.job:
            write_launch(handle.task.folder, Launch(engine.name, handle.job, submitter, engine.detaches, since))
    return handles


def _say_detached(engine: Engine, handles: Sequence[Handle]) -> None:
    jobs = sorted({handle.job for handle in handles})
    logger.info("%d runs given to %s, jobs %s.", len(handles), engine.name, ", ".join(_arrays(jobs)))
    logger.info("the same command with --status follows them, with --cancel ends them.")


def _arrays(jobs: Sequence[str]) -> list[str]:
    """Jobs, those of an array as one."""
    sizes: dict[str, int] = {}
    for job in jobs:
        sizes[job.partition("_")[0]] = sizes.get(job.partition("_")[0], 0) + 1
    return [f"{job} ({size} of an array)" if size > 1 else job for job, size in sizes.items()]


def _follow(engine: Engine, handles: dict[Handle, Followed], display: SweepDisplay, stop: StopRequest) -> None:
    """Wait until all has ended, or all that was started before a stop."""
    pending, told = dict(handles), False
    while pending:
        if stop.requested and not told:
            told = True
            engine.stop(stop.signal_number or signal.SIGTERM)
        engine.look()
        for handle, run in list(pending.items()):
            if run.began is None and handle.has_begun():
                display.begun(run)
            code = handle.code()
            if code is not None:
                del pending[handle]
                display.ended(run, code)
        if told and engine.is_idle:
            break
        display.update()
        time.sleep(POLL_SECONDS)
    for handle in pending:  # never started: nobody has them any more
        withdraw(handle.task.folder)
