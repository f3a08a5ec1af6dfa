"""Runs as processes of this machine, some of them side by side."""

import logging
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import IO

from pogo.core.errors import EXIT_DONE, EXIT_FAILED
from pogo.core.sweeps.cell import Cell
from pogo.core.system.signals import StopRequest

POLL_SECONDS = 0.05
SHOWN_LINES = 5  # of a failed run's output, where runs go on side by side
_COMMAND = "import sys; from pogo.cli.train import main; sys.exit(main())"

logger = logging.getLogger("pogo")


@dataclass
class _Process:
    cell: Cell
    number: int
    popen: subprocess.Popen
    output: IO[bytes] | None  # where it is kept until the end; none: shown as it comes
    began: float


def run_sweep(cells: Sequence[Cell], jobs: int = 1) -> int:
    """Run every cell, `jobs` at a time; the exit code: 0 all done, 1 some failed, 130 or 143 stopped by a signal.

    A failed run does not stop the others. A signal is passed on to the runs that are going, which save; none starts
    after it. Each run is a process of its own, so that the frameworks of one leave nothing to the next.
    """
    results: dict[int, tuple[int, float]] = {}
    waiting = list(enumerate(cells, start=1))
    running: list[_Process] = []
    with StopRequest() as stop:
        told = False
        while running or (waiting and not stop.requested):
            while waiting and len(running) < jobs and not stop.requested:
                number, cell = waiting.pop(0)
                logger.info("run %d of %d: %s", number, len(cells), cell.label or cell.run_dir)
                running.append(_start(cell, number, shown=jobs == 1))
            if stop.requested and not told:
                told = True
                for process in running:
                    process.popen.send_signal(stop.signal_number or signal.SIGTERM)
            for process in [process for process in running if process.popen.poll() is not None]:
                running.remove(process)
                results[process.number] = (process.popen.returncode, time.perf_counter() - process.began)
                _report_failure(process)
            time.sleep(POLL_SECONDS)
        failed = sum(code != EXIT_DONE for code, _ in results.values())
        _report(cells, results)
        return stop.exit_code if stop.requested else EXIT_FAILED if failed else EXIT_DONE


def _start(cell: Cell, number: int, shown: bool) -> _Process:
    output = None if shown else tempfile.TemporaryFile()
    # A session of its own: a Ctrl-C in the terminal reaches it once, by way of this process.
    popen = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "--in-sweep", *cell.arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    return _Process(cell, number, popen, output, time.perf_counter())


def _report_failure(process: _Process) -> None:
    if process.output is None:
        return
    with process.output as output:
        if process.popen.returncode == EXIT_DONE:
            return
        output.seek(0)
        last = output.read().decode(errors="replace").splitlines()[-SHOWN_LINES:]
    logger.error("run %d failed: %s\n%s", process.number, process.cell.label, "\n".join(last))


def _report(cells: Sequence[Cell], results: Mapping[int, tuple[int, float]]) -> None:
    for number, cell in enumerate(cells, start=1):
        if number not in results:
            logger.info("%3d  not run            %s", number, cell.label)
            continue
        code, seconds = results[number]
        logger.info("%3d  exit %3d  %6.0f s  %s  %s", number, code, seconds, cell.label, cell.run_dir)
    done = sum(code == EXIT_DONE for code, _ in results.values())
    logger.info("%d of %d runs done; pogo-report tables them.", done, len(cells))
