"""Evaluations of a run's checkpoints that another process has made, until they are in the run's own log.

    run_dir/evaluations/000001000.json    one evaluation, whole: the line that eval.jsonl will have
    run_dir/evaluations/000002000.claim   being made, by the process that the file names

The training run is the only writer of its log while it goes on, and takes the evaluations over from here. A file stays
until a checkpoint says that the log has its line, so that none is lost wherever the run is killed; what the log has
already is not taken over again. The folder is there while something is in it.
"""

import contextlib
import json
import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.logs import EVALUATION, counted_line, evaluation_line
from pogo.core.files.summary import write_json_atomically

QUEUE = "evaluations"  # the folder of a run that holds them
_NAME = re.compile("([0-9]{9})[.]json")


class EvaluationQueue:
    """The evaluations in a run's folder that wait to be taken over."""

    def __init__(self, run_dir: Path, unit: str) -> None:
        """Look at a run's folder, which need not be there.

        Args:
            run_dir: the folder.
            unit: what the run's lines are counted in.
        """
        self.folder = Path(run_dir) / QUEUE
        self._unit = unit

    def steps(self) -> list[int]:
        """The updates whose evaluations wait, ascending.

        Raises:
            RunFailed: the folder exists and cannot be listed.
        """
        try:
            names = os.listdir(self.folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise RunFailed(f"{self.folder} could not be listed: {error}.") from error
        return sorted(int(found[1]) for name in names if (found := _NAME.fullmatch(name)))

    def claim_path(self, step: int) -> Path:
        """The file that says who makes this evaluation."""
        return self.folder / f"{step:09d}.claim"

    def put(self, step: int, document: Mapping[str, object]) -> None:
        """Leave an evaluation for the run.

        Args:
            step: the update that it is of.
            document: what the run's log says of one, but for the update.

        Raises:
            RunFailed: the evaluation's file cannot be written.
        """
        line = counted_line(self._unit, step, evaluation_line(document), EVALUATION)
        write_json_atomically(self._path(step), line)

    def read(self, step: int) -> dict[str, Any]:
        """An evaluation that waits, as it was put.

        Raises:
            BadInput: the file is not what pogo writes.
            RunFailed: it cannot be read.
        """
        path = self._path(step)
        try:
            document = json.loads(path.read_bytes())
        except OSError as error:
            raise RunFailed(f"{path} could not be read: {error}.") from error
        except (ValueError, RecursionError) as error:
            raise BadInput(f"{path} is no evaluation that pogo writes: {error}.") from error
        if not isinstance(document, dict) or document.pop(self._unit, None) != step:
            raise BadInput(f"{path} is no evaluation that pogo writes: it is not of {self._unit} {step}.")
        return document

    def drop(self, steps: Collection[int]) -> None:
        """Delete evaluations that are in the log, or of a course that the run does not take; then an empty folder.

        Raises:
            RunFailed: one cannot be deleted.
        """
        try:
            for step in steps:
                self._path(step).unlink(missing_ok=True)
        except OSError as error:
            raise RunFailed(f"an evaluation could not be removed: {error}.") from error
        self.tidy()

    def tidy(self) -> None:
        """Remove the folder, if nothing is in it."""
        with contextlib.suppress(OSError):  # it is not there, or something is being evaluated
            self.folder.rmdir()

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:09d}.json"
