"""What a run writes down: train.jsonl, eval.jsonl, run.log, TensorBoard events, and Weights & Biases when asked for.

Equal runs write equal JSONL: keys are sorted, times of day are run.log's and TensorBoard's, and only what the caller
passes of the clock (`updates_per_second`, `wall_seconds`) differs. A resumed run cuts the JSONL files back to where its
checkpoint was taken.
"""

import contextlib
import contextvars
import importlib
import io
import json
import logging
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeAlias

from pogo.core.errors import EXIT_DONE, EXIT_FAILED, BadInput, RunFailed
from pogo.core.files.documents import JSON, as_json, as_null, as_number
from pogo.core.files.durable import make_folder, sync_folder
from pogo.core.files.event_file import EventFile
from pogo.core.files.line_files import LineFile, naming, put_back
from pogo.core.files.summary import FAILED, write_json_atomically

TRAIN = "train.jsonl"
EVALUATION = "eval.jsonl"
MESSAGES = "run.log"
UPDATE = "update"
WALL_SECONDS = "wall_seconds"  # since the run began, by the clock on the wall, pauses between processes left out
CLIP = "eval/clip"
_BLOCK = 2**16  # bytes, of a file that is read from its end

LogPositions: TypeAlias = Mapping[str, int]
"""Bytes in each JSONL file, and under `update` the last update logged: part of a checkpoint's records."""

_logger = logging.getLogger("pogo")
# Whose messages are being written, where several runs log side by side; none: everyone's.
_speaker: contextvars.ContextVar["RunLog | None"] = contextvars.ContextVar("speaker", default=None)


class RunLog:
    """The logs of one run. A file that cannot be written ends the run: RunFailed, with path and cause."""

    def __init__(
        self,
        run_dir: Path,
        *,
        tensorboard: bool = True,
        wandb: Mapping[str, object] | None = None,
        resume_from: LogPositions | None = None,
        keep_to: int | None = None,
        unit: str = UPDATE,
    ) -> None:
        """Open the logs of a run, new or resumed.

        Args:
            run_dir: the run's folder, made if missing.
            tensorboard: whether to write TensorBoard events into it.
            wandb: arguments of `wandb.init`, or None for no Weights & Biases.
            resume_from: what `positions()` said at the checkpoint. None starts at update 0: what a run that never
                reached a checkpoint has left in the JSONL files is cut, and hidden in TensorBoard.
            keep_to: the last update whose evaluations are kept of those logged after the checkpoint, which were made
                beside the run; none: the last one logged.
            unit: what the lines are counted in, the first key of each.

        Raises:
            BadInput: a log is not what the checkpoint was taken with; wandb is not installed.
            RunFailed: a log cannot be opened.
        """
        self.run_dir = Path(run_dir)
        self._unit = unit
        positions = {TRAIN: 0, EVALUATION: 0, UPDATE: -1} if resume_from is None else _checked(resume_from)
        wandb_module = None if wandb is None else _import_wandb()
        self._last_update = positions[UPDATE]
        keep_to = self._last_update if keep_to is None else keep_to
        self._wandb_step = self._last_update
        self._opened = contextlib.ExitStack()
        self._events: EventFile | None = None
        self._wandb: Any = None
        self._exit_code = EXIT_DONE
        with contextlib.ExitStack() as on_failure:
            on_failure.enter_context(self._opened)
            with naming(self.run_dir):
                make_folder(self.run_dir)
            self._messages = self._opened.enter_context(_logging_to(self.run_dir / MESSAGES, self))
            evaluations = put_back(self.run_dir / EVALUATION, unit, positions[EVALUATION], keep_to)
            # The updates that eval.jsonl has a line of.
            self.evaluated = {line.count for line in evaluations if line.count is not None}
            ends = {TRAIN: positions[TRAIN], EVALUATION: sum(len(line.text) for line in evaluations)}
            self._files = {
                name: self._opened.enter_context(LineFile(self.run_dir / name, end)) for name, end in ends.items()
            }
            if tensorboard:
                with naming(self.run_dir):
                    self._events = EventFile(self.run_dir, purge_from=max(self._last_update, keep_to) + 1)
                self._opened.enter_context(_closing(self._events))
            if wandb is not None:
                self._wandb = _start_wandb(wandb_module, self.run_dir, wandb, resumed=resume_from is not None)
                self._opened.callback(self._finish_wandb)
            with naming(self.run_dir):
                sync_folder(self.run_dir)
            on_failure.pop_all()

    def train(self, update: int, metrics: Mapping[str, object]) -> None:
        """Log one line of training metrics; NaN and infinities are null in the file, as JSON has neither.

        Raises:
            TypeError: a metric is not a real scalar; the message names it.
            RunFailed: a log cannot be written.
        """
        numbers = {name: as_number(f"metric {name}", metrics[name]) for name in sorted(metrics)}
        line = {name: as_json(number, name, as_null) for name, number in numbers.items()}
        self._add(TRAIN, update, line, {f"train/{name}": number for name, number in numbers.items()})

    def evaluation(self, update: int, document: Mapping[str, object]) -> None:
        """Log one line about an evaluation; its numbers also go to TensorBoard, tagged by where they are in it.

        Raises:
            TypeError: something in the document has no JSON form.
            RunFailed: a log cannot be written.
        """
        line = evaluation_line(document)
        self._add(EVALUATION, update, line, evaluation_numbers(line))
        self.evaluated.add(update)

    def late_evaluation(self, update: int, document: Mapping[str, object]) -> None:
        """Log one line about an evaluation of an update that the run has left behind.

        Raises:
            TypeError, RunFailed: as `evaluation`.
        """
        line = evaluation_line(document)
        numbers = evaluation_numbers(line)
        self._add_to_files(EVALUATION, update, line, numbers)
        if self._wandb is not None:
            # It takes no step twice and none that lies behind: the next one, and the update beside the numbers.
            self._wandb_step += 1
            self._wandb.log({**numbers, f"eval/{self._unit}": update}, step=self._wandb_step)
        self.evaluated.add(update)

    def clip(self, update: int, gif: bytes, size: tuple[int, int]) -> None:
        """Show a moving picture of this height and width beside an evaluation, in TensorBoard and wandb.

        Raises:
            RunFailed: a log cannot be written.
        """
        if self._events is not None:
            with naming(self._events.path):
                self._events.image(update, CLIP, gif, size)
        if self._wandb is not None:
            video = importlib.import_module("wandb").Video(io.BytesIO(gif), format="gif")
            self._wandb.log({CLIP: video}, step=max(update, self._wandb_step))

    def message(self, text: str) -> None:
        """Say something, with the time, in run.log and wherever else the logger `pogo` leads."""
        _logger.info("%s", text)

    def note(self, text: str) -> None:
        """Say something, with the time, in run.log alone."""
        record = _logger.makeRecord(_logger.name, logging.INFO, __file__, 0, text, (), None)
        self._messages.handle(record)

    def fail(self, reason: str) -> None:
        """Say in wandb why the run ends before its time; its run there ends as one that has failed."""
        self._exit_code = EXIT_FAILED
        if self._wandb is not None:
            self._wandb.summary[FAILED] = reason

    @contextlib.contextmanager
    def own_messages(self) -> Iterator[None]:
        """Keep what the logger `pogo` is told meanwhile out of the run.log of other runs of this process."""
        token = _speaker.set(self)
        try:
            yield
        finally:
            _speaker.reset(token)

    def positions(self) -> dict[str, int]:
        """The length of each log in bytes, once all that it holds is on the disk: for the checkpoint.

        Raises:
            RunFailed: a log cannot be flushed to the disk.
        """
        for file in self._files.values():
            file.sync()
        if self._events is not None:
            with naming(self._events.path):
                self._events.sync()
        return {**{name: file.position for name, file in self._files.items()}, UPDATE: self._last_update}

    def close(self) -> None:
        """Flush and close everything. A second call does nothing.

        Raises:
            RunFailed: what was logged last cannot be flushed.
        """
        try:
            with self._opened.pop_all():
                self.positions()
        finally:
            self._files, self._events, self._wandb = {}, None, None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except RunFailed:
            if error is None:  # otherwise the log's trouble is the lesser news
                raise

    def _finish_wandb(self) -> None:
        self._wandb.finish(exit_code=self._exit_code)

    def _add(self, name: str, update: int, line: Mapping[str, JSON], numbers: Mapping[str, float]) -> None:
        self._add_to_files(name, update, line, numbers)
        if self._wandb is not None:
            self._wandb_step = max(update, self._wandb_step)
            self._wandb.log(dict(numbers), step=self._wandb_step)

    def _add_to_files(self, name: str, update: int, line: Mapping[str, JSON], numbers: Mapping[str, float]) -> None:
        self._files[name].add(counted_line(self._unit, update, line, name))
        self._last_update = max(update, self._last_update)
        if self._events is not None and numbers:
            with naming(self._events.path):
                self._events.scalars(update, numbers)


def counted_line(unit: str, update: int, line: Mapping[str, JSON], name: str) -> dict[str, JSON]:
    """A line of a log as the file has it, its count first.

    Raises:
        ValueError: something in the line is called as the count is.
    """
    if unit in line:
        raise ValueError(f"{unit!r} is the line's own key in {name}: give the metric another name.")
    return {unit: update, **line}


def evaluation_line(document: Mapping[str, object]) -> dict[str, JSON]:
    """What eval.jsonl says of an evaluation beside its count.

    Raises:
        TypeError: something in the document has no JSON form.
    """
    return {key: as_json(document[key], f"evaluation/{key}", as_null) for key in sorted(document)}


def evaluation_numbers(line: Mapping[str, JSON]) -> dict[str, float]:
    """The numbers of such a line, by their tags in TensorBoard and wandb."""
    return dict(_numbers(line, "eval"))


def last_line(path: Path) -> bytes | None:
    """The last whole line of a log, read from the file's end; None where there is none yet, or no file.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        file = open(path, "rb")
    except FileNotFoundError:
        return None
    with file:
        start, found = file.seek(0, os.SEEK_END), b""
        while start > 0:
            begin = max(0, start - _BLOCK)
            file.seek(begin)
            found, start = file.read(start - begin) + found, begin
            lines = found.split(b"\n")
            # What follows the last line's end is being written; what precedes the first one's may be half a line.
            whole = lines[:-1] if start == 0 else lines[1:-1]
            if whole:
                return whole[-1]
    return None


def _checked(positions: LogPositions) -> LogPositions:
    for name in (TRAIN, EVALUATION, UPDATE):
        if type(positions.get(name)) is not int or positions[name] < (-1 if name == UPDATE else 0):
            raise BadInput(
                f"The checkpoint's log positions have no {name} that can be: resume from another checkpoint."
            )
    return positions


class _MessageHandler(logging.FileHandler):
    """Logging's file handler, except that a message it cannot write ends the run, once."""

    def __init__(self, path: Path, owner: RunLog) -> None:
        super().__init__(path, mode="a", encoding="utf-8", errors="backslashreplace")
        self._owner = owner
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S%z"))
        self._failed = False

    def handle(self, record: logging.LogRecord) -> bool:
        is_ours = _speaker.get() in (None, self._owner)
        return is_ours and not self._failed and bool(super().handle(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        error = sys.exception()
        if not isinstance(error, OSError):
            super().handleError(record)  # a mistake in a message, not in the file
            return
        self._failed = True  # the message about this failure must not fail in turn
        raise RunFailed(f"log {self.baseFilename} could not be written: {error}.") from error


@contextlib.contextmanager
def _logging_to(path: Path, owner: RunLog) -> Iterator[_MessageHandler]:
    """Let the logger `pogo` write into `path`, at least from INFO on."""
    with naming(path):
        handler = _MessageHandler(path, owner)
    level = _logger.level
    _logger.addHandler(handler)
    if _logger.getEffectiveLevel() > logging.INFO:
        _logger.setLevel(logging.INFO)
    try:
        yield handler
    finally:
        _logger.setLevel(level)
        _logger.removeHandler(handler)
        with contextlib.suppress(OSError):  # each message was flushed, or its failure was raised
            handler.close()


@contextlib.contextmanager
def _closing(events: EventFile) -> Iterator[None]:
    try:
        yield
    finally:
        with naming(events.path):
            events.close()


def _numbers(line: JSON, name: str) -> Iterator[tuple[str, float]]:
    """The numbers to plot, by where they are; not a list's, such as the returns of single episodes.

    An entry of a list is named by where it stands there: its own `index` says the same, and is no curve.
    """
    if isinstance(line, Mapping):
        for key, value in line.items():
            yield from _numbers(value, f"{name}/{key}")
    elif isinstance(line, list):
        for index, value in enumerate(line):
            if isinstance(value, Mapping):
                entries = {key: entry for key, entry in value.items() if key != "index"}
                yield from _numbers(entries, f"{name}/{index}")
    elif isinstance(line, int | float) and not isinstance(line, bool):
        yield name, line


def _import_wandb() -> Any:
    try:
        return importlib.import_module("wandb")
    except ImportError as exc:
        raise BadInput("logging to wandb needs wandb, not installed here: pip install 'pogo[wandb]'.") from exc


def _start_wandb(wandb: Any, run_dir: Path, settings: Mapping[str, object], *, resumed: bool) -> Any:
    """A Weights & Biases run; a resumed run goes on under the name that its first start wrote into wandb.json."""
    path = run_dir / "wandb.json"
    run_id = settings.get("id")
    if run_id is None and resumed and path.exists():
        try:
            run_id = json.loads(path.read_bytes())["id"]
        except (ValueError, KeyError, TypeError) as exc:
            raise BadInput(f"{path} names no wandb run: delete it to log to a new one.") from exc
    run_id = run_id or secrets.token_hex(4)
    write_json_atomically(path, {"id": run_id})
    try:
        run = wandb.init(**{"dir": str(run_dir), "resume": "allow", **settings, "id": run_id})
    except wandb.Error as exc:
        raise RunFailed(f"wandb could not be started: {exc}.") from exc
    if run.summary.get(FAILED) is not None:  # an earlier process did: the run goes on
        run.summary[FAILED] = None
    return run
