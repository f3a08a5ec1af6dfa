"""A command that stands in for a run: it counts in a file, goes on where it was, and stops as a run does.

    FILE TARGET [SECONDS_PER_COUNT] [fail]

Each process leaves a line in FILE.log as it begins and as it ends, and does not begin while another holds the folder.
"""

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pogo.core.runs.lock import RunLock
from pogo.core.system.signals import PARENT_PIPE, StopRequest, end_with_parent


def main(arguments: Sequence[str] | None = None) -> int:
    given = [each for each in (arguments or sys.argv[1:]) if not each.startswith("threads=")]
    if PARENT_PIPE in given:
        given.remove(PARENT_PIPE)
        end_with_parent()
    file, target, pause = Path(given[0]), int(given[1]), float(given[2])
    with StopRequest() as stop, RunLock(file.parent) as lock:
        if not lock.wait(stop):
            return stop.exit_code
        note(file, "begins")
        count = int(file.read_text()) if file.exists() else 0
        while count < target and not stop.requested:
            time.sleep(pause)
            count += 1
            file.with_suffix(".new").write_text(str(count))
            os.replace(file.with_suffix(".new"), file)
        note(file, "ends")
        if "fail" in given:
            sys.stdout.write("it was to fail\n")
            return 1
        return 0 if count >= target else stop.exit_code


def note(file: Path, what: str) -> None:
    with file.with_suffix(".log").open("a") as log:
        log.write(f"{what} {os.getpid()}\n")
