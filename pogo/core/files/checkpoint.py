"""Checkpoints that are whole or absent: written beside, verified on every load, never unpickled.

    run_dir/checkpoints/000001000/   committed, and nothing else is in checkpoints/
        arrays.safetensors           a pure function of the arrays
        records.json                 every JSON record, by name
        manifest.json                step, format, size and SHA-256 per file, and its own digest
    run_dir/partial/                 being written or being deleted; may be cleared at any time
    run_dir/replaced/                a committed one whose step is being saved again
    run_dir/damaged/                 set aside: failed its verification
    run_dir/.checkpointed            there once a first one is committed: tells checkpoints lost from none made yet

A folder enters `checkpoints/` and leaves it by one rename, so that a kill at any moment leaves committed folders only.
"""

import contextlib
import errno
import hashlib
import json
import logging
import operator
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import safetensors.numpy

from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.documents import JSON, as_json
from pogo.core.files.durable import make_folder, sync_folder, write_new_file

CHECKPOINTS = "checkpoints"  # the folder of a run that holds them
ARRAYS = "arrays.safetensors"
RECORDS = "records.json"
MANIFEST = "manifest.json"
FORMAT = "pogo-checkpoint"
FORMAT_VERSION = 1
DEFAULT_KEEP = 3

_STEP_NAME = re.compile("[0-9]{9}")
_SCRATCH_NAME = re.compile("[0-9]{9}[.](new|old)-[0-9a-f]{8}")
LARGEST_STEP = 999_999_999
_LARGEST_MANIFEST = 65_536  # bytes; a real one has about 400
_DTYPES = frozenset("bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64".split())
_NON_FINITE = "$float"  # {"$float": "nan"} stands for a NaN in records.json, which stays strict JSON

_logger = logging.getLogger("pogo")


class CheckpointDamaged(BadInput):
    """A checkpoint that is not what was saved. The message names the folder and what is wrong with it."""


class NoGoodCheckpoint(BadInput):
    """Checkpoints were committed and none is good: exit code 2, since no work was done and the mend is the user's."""


@dataclass(frozen=True)
class Checkpoint:
    """What one verified folder holds."""

    step: int
    path: Path
    arrays: dict[str, np.ndarray]  # writable, native byte order
    records: dict[str, Any]  # JSON documents by name: the reader knows their form


class CheckpointStore:
    """The checkpoints of one run.

    The run itself saves, and sets damaged ones aside. Any number of readers may load meanwhile (`load`, or
    `load_newest(set_aside=False)`): a reader writes nothing.
    """

    def __init__(self, run_dir: Path, keep: int = DEFAULT_KEEP, group: str = "") -> None:
        """Look at a run's folder, which need not be there.

        Args:
            run_dir: the folder.
            keep: how many checkpoints stay.
            group: names the runs that are trained together with this one; empty: none.
        """
        if keep < 1:
            raise BadInput(f"checkpoints to keep must be at least 1, got {keep}.")
        self.run_dir = Path(run_dir)
        self.keep = keep
        self.folder = self.run_dir / CHECKPOINTS
        self.damaged_folder = self.run_dir / "damaged"
        self._mark = self.run_dir / ".checkpointed"
        self._partial_folder = self.run_dir / "partial"
        self._replaced_folder = self.run_dir / "replaced"
        self._group = group
        self._saved: int | None = None  # the step saved last

    def steps(self) -> list[int]:
        """Committed steps, ascending.

        Raises:
            RunFailed: the folder exists and cannot be listed.
        """
        # A step whose replacement was killed half-way is still committed: its old folder is in replaced/.
        names = {*_names(self.folder), *_names(self._replaced_folder)}
        return sorted(int(name) for name in names if _STEP_NAME.fullmatch(name))

    def path(self, step: int) -> Path:
        """The folder of a committed checkpoint; where it would be, if there is none."""
        committed, replaced = self.folder / _name(step), self._replaced_folder / _name(step)
        return replaced if os.path.lexists(replaced) and not os.path.lexists(committed) else committed

    def save(
        self, step: int, arrays: Mapping[str, np.ndarray], records: Mapping[str, object], *, prune: bool = True
    ) -> Path:
        """Commit a checkpoint, then delete all but the newest `keep`. A step that exists is replaced.

        Args:
            step: updates done, 0 to 999,999,999.
            arrays: boolean, integer and real arrays of up to 64 bits, of any layout; a foreign byte order becomes
                the native one.
            records: JSON documents; numpy, torch and jax scalars become numbers, NaN and infinities are kept.
            prune: whether older ones are deleted now, or by `prune`, once what belongs to this one is saved too.

        Raises:
            RunFailed: the checkpoint could not be written; path and cause are named. Earlier ones are as they were.
            TypeError: a value has no form in the file.
            ValueError: the step, an array's name or a record's key cannot be stored.
        """
        step = operator.index(step)
        if not 0 <= step <= LARGEST_STEP:
            raise ValueError(f"checkpoint step must be 0 to {LARGEST_STEP}, got {step}.")
        contents = {ARRAYS: _array_bytes(arrays), RECORDS: _record_bytes(records)}
        contents[MANIFEST] = _manifest_bytes(step, contents)
        target = self.folder / _name(step)
        try:
            self._settle()
            self._commit(self._write_partial(step, contents), target)
            self._saved = step
        except OSError as exc:
            with contextlib.suppress(OSError, RunFailed):
                self._settle()  # frees the disk, and puts back what was being replaced
            raise RunFailed(
                f"checkpoint {target} could not be written: {exc}. Earlier checkpoints are as they were."
            ) from exc
        try:
            self._settle()  # the new one is in: what it replaced may go
            if not self._mark.exists():
                write_new_file(self._mark, self._mark_of(step))
                sync_folder(self.run_dir)
        except OSError as exc:
            raise RunFailed(f"checkpoint {target} is written, but {self.run_dir} could not be tidied: {exc}.") from exc
        if prune:
            self.prune()
        return target

    def prune(self) -> None:
        """Delete all checkpoints but the newest `keep` and the one saved last.

        Raises:
            RunFailed: a checkpoint could not be removed.
        """
        try:
            for step in self.steps()[: -self.keep]:
                if step != self._saved:  # newer ones may exist where a run went back
                    self._discard(self.path(step))
            self._remove_empty_folders()
        except OSError as exc:
            raise RunFailed(f"older checkpoints of {self.run_dir} could not be removed: {exc}.") from exc

    def load(self, step: int) -> Checkpoint:
        """One committed checkpoint, every byte verified.

        Raises:
            BadInput: no such step, or a format that this version does not read.
            CheckpointDamaged: it is not what was saved.
            RunFailed: the system refuses to read it (permission, too many open files).
        """
        steps = self.steps()
        if step not in steps:
            raise BadInput(f"{self.folder} has no checkpoint {step}. It has: {', '.join(map(str, steps)) or 'none'}.")
        return _load(self.path(step), step)

    def load_newest(
        self, *, set_aside: bool = True, among: Collection[int] = range(LARGEST_STEP + 1)
    ) -> Checkpoint | None:
        """The newest good checkpoint of those steps, or None where none of them was ever committed.

        Each damaged one on the way is warned of once, and moved to `damaged/` unless `set_aside` is false.

        Raises:
            NoGoodCheckpoint: some were committed, and none is good (also when an earlier call set them all aside).
            BadInput, RunFailed: no checkpoint is good, or one cannot be read (`load` says when).
        """
        tried: set[int] = set()
        damaged = 0
        # Listed afresh each time: a run that is going on may commit and delete while a reader looks.
        while candidates := [step for step in self.steps() if step in among and step not in tried]:
            step = candidates[-1]
            path = self.path(step)
            try:
                return _load(path, step)
            except CheckpointDamaged as exc:
                tried.add(step)
                if not os.path.lexists(path):  # deleted by its run meanwhile: not damaged
                    continue
                damaged += 1
                where = f"moved to {self._set_aside(path)}" if set_aside else "left where it is"
                _logger.warning("%s It is %s; the one before it is tried.", exc, where)
        others = [step for step in self.steps() if step not in tried]
        if not others and (damaged or _names(self.damaged_folder)):
            raise NoGoodCheckpoint(
                f"{self.run_dir} has had checkpoints and none is good: see {self.damaged_folder}. "
                "Restore one into checkpoints/, or start again in another folder."
            )
        self.check_not_lost()
        return None

    def check_not_lost(self) -> None:
        """Refuse a folder that has had checkpoints and holds none, not even damaged ones.

        Raises:
            NoGoodCheckpoint: they have been deleted or moved away.
        """
        if self._mark.exists() and not self.steps():
            raise NoGoodCheckpoint(lost(self.run_dir))

    def holds_first_alone(self) -> bool:
        """Whether all that there is is the first checkpoint of a run of this very group, of several runs."""
        steps = self.steps()
        if not self._group or len(steps) != 1:
            return False
        try:
            return self._mark.read_bytes() == self._mark_of(steps[0])
        except OSError:  # an older pogo left none
            return False

    def _mark_of(self, first: int) -> bytes:
        group = f", of runs {self._group} trained together" if self._group else ""
        return f"The first checkpoint was {_name(first)}{group}.\n".encode()

    def begin_again(self) -> None:
        """Delete every checkpoint of a run that starts from its beginning again.

        Raises:
            RunFailed: a checkpoint could not be removed.
        """
        try:
            self._mark.unlink(missing_ok=True)  # first: a kill on the way leaves what can be begun again once more
            sync_folder(self.run_dir)
        except OSError as exc:
            raise RunFailed(f"checkpoints of {self.run_dir} could not be removed: {exc}.") from exc
        self.drop_newer(-1)

    def drop_newer(self, step: int) -> None:
        """Delete what was committed after `step`: a run that goes back to it cuts its logs to what it then held.

        Raises:
            RunFailed: a checkpoint could not be removed.
        """
        try:
            for newer in reversed([found for found in self.steps() if found > step]):
                self._discard(self.path(newer))
            self._remove_empty_folders()
        except OSError as exc:
            raise RunFailed(f"checkpoints of {self.run_dir} after {step} could not be removed: {exc}.") from exc

    def _settle(self) -> None:
        """Finish what a save began: put replaced ones back, or drop them where the new one is in; clear `partial/`."""
        for folder in (self.folder, self._partial_folder, self._replaced_folder):
            if folder.is_symlink():  # deleting and renaming through a link could reach anything
                raise OSError(errno.ELOOP, "must be a folder, is a symbolic link", str(folder))
        for name in _names(self._replaced_folder):
            if not _STEP_NAME.fullmatch(name):
                continue
            if os.path.lexists(self.folder / name):
                self._discard(self._replaced_folder / name)
            else:
                _move(self._replaced_folder / name, self.folder / name)
        for name in _names(self._partial_folder):
            if _SCRATCH_NAME.fullmatch(name):
                _delete(self._partial_folder / name)
        self._remove_empty_folders()

    def _write_partial(self, step: int, contents: Mapping[str, bytes]) -> Path:
        make_folder(self._partial_folder)
        partial = self._partial_folder / f"{_name(step)}.new-{secrets.token_hex(4)}"
        partial.mkdir()
        for name, data in contents.items():
            write_new_file(partial / name, data)
        sync_folder(partial)
        return partial

    def _commit(self, partial: Path, target: Path) -> None:
        make_folder(self.folder)
        if not os.path.lexists(target):
            _move(partial, target)
            return
        # A rename cannot replace a folder with files in it: the old one waits, still counted by steps(), beside.
        replaced = self._replaced_folder / target.name
        make_folder(self._replaced_folder)
        _move(target, replaced)
        _move(partial, target)

    def _remove_empty_folders(self) -> None:
        for folder in (self._partial_folder, self._replaced_folder):
            with contextlib.suppress(OSError):  # it is not there, or what could not be deleted yet is in it
                folder.rmdir()

    def _discard(self, path: Path) -> None:
        """Delete a checkpoint: out of sight by one rename first, so that no half-deleted one can be found."""
        make_folder(self._partial_folder)
        trash = self._partial_folder / f"{path.name}.old-{secrets.token_hex(4)}"
        _move(path, trash)
        _delete(trash)

    def _set_aside(self, path: Path) -> Path:
        try:
            make_folder(self.damaged_folder)
            taken = set(_names(self.damaged_folder))
            number = 1
            while (name := path.name if number == 1 else f"{path.name}.{number}") in taken:
                number += 1
            _move(path, self.damaged_folder / name)
        except OSError as exc:
            raise RunFailed(f"damaged checkpoint {path} could not be moved to {self.damaged_folder}: {exc}.") from exc
        return self.damaged_folder / name


def lost(run_dir: Path) -> str:
    """What is said of a run whose checkpoints were there and are not any more."""
    return (
        f"{run_dir} has had checkpoints, and checkpoints/ is gone or empty: put it back to go on, or start again in "
        "another folder (run.dir), or once this one is deleted."
    )


def load_newest_common(stores: Sequence[CheckpointStore]) -> list[Checkpoint] | None:
    """The good checkpoints of the newest step of which every store has one; None where no step is in all of them.

    Raises:
        NoGoodCheckpoint, BadInput, RunFailed: some run has no good checkpoint, or one cannot be read.
    """
    newest = LARGEST_STEP
    while True:  # a damaged one is set aside, and what is left looked at anew
        common = set.intersection(*({step for step in store.steps() if step <= newest} for store in stores))
        if not common and any(store.steps() for store in stores):
            return None
        found = [store.load_newest(among=common) for store in stores]
        steps = {checkpoint.step for checkpoint in found if checkpoint is not None}
        if not steps:
            return None
        if len(steps) == 1 and None not in found:
            return [checkpoint for checkpoint in found if checkpoint is not None]
        newest = min(steps)


def _name(step: int) -> str:
    return f"{step:09d}"


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except FileNotFoundError:
        return []
    except OSError as exc:
        raise RunFailed(f"{folder} could not be listed: {exc}.") from exc


def _move(source: Path, target: Path) -> None:
    os.rename(source, target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def _delete(path: Path) -> None:
    """Delete a folder that nothing refers to any more; what cannot go yet (open on NFS) goes at the next save."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        shutil.rmtree(path, ignore_errors=True)


def _canonical(document: JSON) -> bytes:
    """The one serialisation of a document: sorted keys, no spaces, ASCII, floats by their shortest exact form."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii") + b"\n"


def _array_bytes(arrays: Mapping[str, np.ndarray]) -> bytes:
    ready = {}
    for name in sorted(arrays):
        array = np.asarray(arrays[name])
        if array.dtype.newbyteorder("=").name not in _DTYPES:
            raise TypeError(
                f"array {name!r} has dtype {array.dtype}; a checkpoint stores {', '.join(sorted(_DTYPES))}."
            )
        if name == "__metadata__" or not _is_text(name):
            raise ValueError(f"array name {name!r} cannot be stored in safetensors.")
        # Not ascontiguousarray, which gives a scalar an axis.
        ready[name] = np.asarray(array, dtype=array.dtype.newbyteorder("="), order="C")
    return safetensors.numpy.save(ready)  # no metadata: safetensors writes several entries in random order


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return True


def _record_bytes(records: Mapping[str, object]) -> bytes:
    if _has_key(records, _NON_FINITE):
        raise ValueError(f"records have the key {_NON_FINITE!r}, which stands for NaN and infinities in {RECORDS}.")
    return _canonical(as_json(records, "records", lambda value: {_NON_FINITE: repr(value)}))


def _has_key(document: object, key: str) -> bool:
    if isinstance(document, Mapping):
        return key in document or any(_has_key(value, key) for value in document.values())
    return isinstance(document, list | tuple) and any(_has_key(value, key) for value in document)


def _manifest_bytes(step: int, contents: Mapping[str, bytes]) -> bytes:
    files = {
        name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in sorted(contents.items())
    }
    return _sealed({"files": files, "format": FORMAT, "step": step, "version": FORMAT_VERSION})


def _sealed(body: Mapping[str, JSON]) -> bytes:
    return _canonical({**body, "digest": hashlib.sha256(_canonical(body)).hexdigest()})


def _load(path: Path, step: int) -> Checkpoint:
    try:
        contents = _verified_contents(path, step)
        arrays = safetensors.numpy.load(contents[ARRAYS])
        records = json.loads(contents[RECORDS], object_pairs_hook=_restore_non_finite)
    except OSError as exc:
        # Missing, a link, a folder where a file should be or none, unreadable sectors: the checkpoint's fault. Anything
        # else is the system's, and moving good checkpoints away for it would lose them.
        if exc.errno in (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.ENXIO, errno.EIO):
            raise CheckpointDamaged(f"Checkpoint {path} is damaged: {exc.strerror}: {exc.filename}.") from exc
        raise RunFailed(f"checkpoint {path} could not be read: {exc}.") from exc
    except BadInput:  # a ValueError too
        raise
    except (_Wrong, safetensors.SafetensorError, KeyError, ValueError, RecursionError) as exc:
        raise CheckpointDamaged(f"Checkpoint {path} is damaged: {exc}.") from exc
    return Checkpoint(step, path, arrays, records)


class _Wrong(Exception):
    """What a verification found, before it is known which checkpoint it belongs to."""


def _verified_contents(path: Path, step: int) -> dict[str, bytes]:
    """The bytes of the files, each read once: what is hashed is what is parsed."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = sorted(os.listdir(descriptor))
        if found != sorted((ARRAYS, MANIFEST, RECORDS)):
            raise _Wrong(f"it holds {', '.join(found) or 'nothing'}")
        files = _manifest_files(_read(descriptor, MANIFEST, largest=_LARGEST_MANIFEST), step)
        contents = {}
        for name in (ARRAYS, RECORDS):
            data = _read(descriptor, name, exactly=files[name]["size"])
            if hashlib.sha256(data).hexdigest() != files[name]["sha256"]:
                raise _Wrong(f"{name} is not what its SHA-256 in {MANIFEST} says")
            contents[name] = data
        return contents
    finally:
        os.close(descriptor)


def _manifest_files(raw: bytes, step: int) -> dict[str, dict[str, Any]]:
    """The manifest's table of files, after its own digest, its form and its step are checked."""
    document = json.loads(raw)
    if not isinstance(document, dict) or document.pop("digest", None) is None or _sealed(document) != raw:
        raise _Wrong(f"{MANIFEST} is not as it was written")
    if document.get("format") != FORMAT or document.get("version") != FORMAT_VERSION:
        raise BadInput(
            f"Checkpoint {step} has format {document.get('format')!r} {document.get('version')!r}; this pogo reads "
            f"{FORMAT!r} {FORMAT_VERSION}: resume with the version that wrote it."
        )
    if document.get("step") != step:
        raise _Wrong(f"{MANIFEST} belongs to step {document.get('step')}")
    files = document.get("files")
    if not isinstance(files, dict) or sorted(files) != [ARRAYS, RECORDS]:
        raise _Wrong(f"{MANIFEST} lists other files")
    return files


def _read(folder: int, name: str, *, exactly: int | None = None, largest: int | None = None) -> bytes:
    """One regular file's bytes; its size is checked before it is read."""
    # O_NONBLOCK: opening a pipe put in a file's place would wait for ever.
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise _Wrong(f"{name} is not a regular file")
        if exactly is not None and status.st_size != exactly:
            raise _Wrong(f"{name} has {status.st_size} bytes, not {exactly}")
        if largest is not None and status.st_size > largest:
            raise _Wrong(f"{name} has {status.st_size} bytes")
        data = file.read(status.st_size)
    if len(data) != status.st_size:
        raise _Wrong(f"{name} ended after {len(data)} bytes")
    return data


def _restore_non_finite(pairs: list[tuple[str, Any]]) -> Any:
    document = dict(pairs)
    if list(document) == [_NON_FINITE]:
        return float(document[_NON_FINITE])
    return document
