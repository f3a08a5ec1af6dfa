"""JSONL files that a run appends to line by line, and cuts back to where it goes on from."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.documents import JSON
from pogo.core.files.durable import replace_file, write_all


@dataclass(frozen=True)
class Line:
    """One whole line of a log."""

    count: int | None  # of updates or environment steps; None: it is not a line that pogo writes
    text: bytes  # its end included


class LineFile:
    """A JSONL file that is appended to line by line, each line handed to the system at once."""

    def __init__(self, path: Path, position: int) -> None:
        """Open, cut back to `position` bytes.

        Raises:
            BadInput: the file is shorter than that, or has no line's end there.
            RunFailed: the file cannot be opened.
        """
        self.path = path
        self.position = position
        with naming(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o666)
        try:
            with naming(path):
                size = os.fstat(self._descriptor).st_size
                at_line_end = position == 0 or os.pread(self._descriptor, 1, position - 1) == b"\n"
            if size < position or not at_line_end:
                raise _other_log(path, size, position)
            with naming(path):
                os.ftruncate(self._descriptor, position)
        except BaseException:
            os.close(self._descriptor)
            raise

    def add(self, document: Mapping[str, JSON]) -> None:
        """Append one line."""
        line = line_of(document)
        with naming(self.path):
            try:
                write_all(self._descriptor, line)
            except OSError:
                with contextlib.suppress(OSError):  # no torn line: the file stays JSONL
                    os.ftruncate(self._descriptor, self.position)
                raise
        self.position += len(line)

    def sync(self) -> None:
        """Flush to the disk."""
        with naming(self.path):
            os.fsync(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with naming(self.path):
            os.close(self._descriptor)


def line_of(document: Mapping[str, JSON]) -> bytes:
    """One line, its end included."""
    return json.dumps(document, allow_nan=False).encode() + b"\n"


def read_lines(path: Path, unit: str) -> list[Line]:
    """The whole lines of a log, counted in `unit`; none of a missing file. What follows the last line's end is torn.

    Raises:
        OSError: the file is there and cannot be read.
    """
    try:
        *lines, _ = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    return [Line(_count(line, unit), line + b"\n") for line in lines]


def _count(line: bytes, unit: str) -> int | None:
    try:
        count = json.loads(line)[unit]
    except (ValueError, LookupError, TypeError, RecursionError):
        return None
    return count if type(count) is int else None


def put_back(path: Path, unit: str, counted: int, last: int) -> list[Line]:
    """Bring a log of evaluations to what it holds for a run that goes on from a checkpoint; returns its lines.

    Evaluations that were made beside the run (`pogo-eval --watch`) are logged when they are there, after later lines
    of the run's own, and are sorted in once the run has ended. So a checkpoint's count of bytes does not say which
    lines are of what came before it: their own counts do.

    Args:
        path: the log.
        unit: what its lines are counted in.
        counted: how many bytes of it the checkpoint was taken with.
        last: the last update whose evaluations are kept, whenever they were logged.

    Raises:
        BadInput: it is not the log that the checkpoint was taken with.
        RunFailed: it cannot be read or written.
    """
    kept: list[Line] = []
    size, end, is_prefix = 0, 0, True
    ends = {0}
    with naming(path):
        lines, whole = read_lines(path, unit), path.stat().st_size if path.exists() else 0
    for line in lines:
        end += len(line.text)
        ends.add(end)
        # Of an evaluation that is owed, the failed attempts before it are among the bytes that are counted.
        if size < counted or (line.count is not None and line.count <= last):
            kept.append(line)
            size += len(line.text)
            is_prefix = is_prefix and size == end
    # Where no line ends, another must have been sorted in before.
    if size < counted or (counted not in ends and len(kept) == 1):
        raise _other_log(path, whole, counted)
    if not is_prefix:
        with naming(path):
            replace_file(path, b"".join(line.text for line in kept))
    return kept


def _other_log(path: Path, size: int, counted: int) -> BadInput:
    return BadInput(
        f"{path} is not the log that the checkpoint was taken with (it has {size} bytes, the checkpoint "
        f"counted {counted}): put the original back, or start in another folder."
    )


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Name the log that the system refuses to read or write.

    Raises:
        RunFailed: it does.
    """
    try:
        yield
    except OSError as exc:
        raise RunFailed(f"log {path} could not be written: {exc}.") from exc
