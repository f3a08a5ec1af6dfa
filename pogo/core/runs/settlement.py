"""The log of evaluations of a run that nobody trains in, in its final form: what was evaluated beside it, sorted in."""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pogo.core.config.clock import Clock
from pogo.core.errors import BadInput, RunFailed, reading
from pogo.core.files.checkpoint import LARGEST_STEP
from pogo.core.files.durable import replace_file
from pogo.core.files.evaluation_queue import EvaluationQueue
from pogo.core.files.event_file import EventFile, host_of
from pogo.core.files.line_files import Line, line_of, naming, read_lines
from pogo.core.files.logs import EVALUATION, counted_line, evaluation_line, evaluation_numbers
from pogo.core.files.summary import FAILED, SUMMARY, read_summary, write_json_atomically
from pogo.core.runs.evaluation import rows_of
from pogo.core.runs.lock import RunLock

logger = logging.getLogger("pogo")


def settle(run_dir: Path, clock: Clock) -> bool:
    """Sort what waits into eval.jsonl, where no process trains in the folder; whether that is so.

    Every line of the run's own stays, to the byte, for its checkpoints count them; an update that has one gets no
    other. The files that waited go once the log is whole: a kill on the way leaves what the next call finishes.

    Raises:
        RunFailed: a file cannot be read or written.
    """
    with RunLock(run_dir) as lock:
        try:
            lock.acquire(make=False)
        except BadInput:  # it is being trained
            return False
        _settle(run_dir, EvaluationQueue(run_dir, clock.unit), clock)
    return True


def _settle(run_dir: Path, queue: EvaluationQueue, clock: Clock) -> None:
    path = run_dir / EVALUATION
    with naming(path):
        lines = read_lines(path, clock.unit)
    if any(line.count is None for line in lines):
        raise RunFailed(
            f"{path} has a line that pogo does not write; mend it, for what was evaluated waits in {queue.folder}."
        )
    logged, added = {line.count for line in lines}, {}
    waiting = queue.steps()
    for step in waiting:
        if step not in logged:
            try:
                document = queue.read(step)
                with reading(f"the evaluation {step} that waits in {queue.folder}"):
                    rows_of(document)
            except BadInput as error:
                logger.warning("%s It is deleted.", error)
            else:
                added[step] = document
    whole = [line for line in lines if line.count is not None]
    whole += [Line(step, line_of(_line(step, document, clock))) for step, document in added.items()]
    in_order = sorted(whole, key=lambda line: line.count or 0)
    if in_order != lines:
        with naming(path):
            replace_file(path, b"".join(line.text for line in in_order))
        _show(run_dir, added)
    _fill_summary(run_dir, in_order, clock)
    queue.drop(waiting)


def _line(step: int, document: Mapping[str, Any], clock: Clock) -> dict[str, Any]:
    return counted_line(clock.unit, step, evaluation_line(document), EVALUATION)


def _show(run_dir: Path, added: Mapping[int, Mapping[str, Any]]) -> None:
    """Give TensorBoard the numbers too, where the run does."""
    if not added or host_of(path.name for path in run_dir.iterdir()) is None:
        return
    with naming(run_dir):
        events = EventFile(run_dir, purge_from=LARGEST_STEP + 1)  # it drops nothing of the run's own
        try:
            for step, document in added.items():
                events.scalars(step, evaluation_numbers(evaluation_line(document)))
            events.sync()
        finally:
            events.close()


def _fill_summary(run_dir: Path, lines: Sequence[Line], clock: Clock) -> None:
    """Let the summary of a run that does not evaluate by itself hold the evaluation of its end, where that was made."""
    summary = read_summary(run_dir)
    if not summary or FAILED in summary or "evaluation_failed" in summary:
        return
    if any(actor["deterministic"] or actor["stochastic"] for actor in summary["actors"]):
        return
    for line in lines:
        if line.count == summary[clock.units]:
            last = json.loads(line.text)
            failure = {"evaluation_failed": last["failed"]} if "failed" in last else {}
            filled = {"actors": last["actors"], "measures": last["measures"], **failure}
            write_json_atomically(run_dir / SUMMARY, summary | filled)
