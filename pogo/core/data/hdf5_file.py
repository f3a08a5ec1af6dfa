"""D4RL's HDF5 layout, read as hostile input: shapes first, then only the arrays that are needed."""

import json
import math
import re
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from gymnasium.envs.registration import WrapperSpec
from typing_extensions import override

from pogo.core.data.raw_rows import OPTIONAL, REQUIRED, Metadata, RawRows, check_layout, check_size, raw_rows
from pogo.core.data.reader import Reader, Recorded, Wanted
from pogo.core.environments.recorded import Parts, is_plain, rebuilt_wrappers, without_display
from pogo.core.errors import BadInput

_MAX_ATTRIBUTE = 65_536  # elements of a metadata attribute; HDF5 itself keeps most under 64 KiB
_OPEN_ELSEWHERE = r"unable to lock file|already open for (SWMR )?write"  # what HDF5 says of it


def read_hdf5(path: Path, max_gib: float, with_next_observations: bool) -> tuple[RawRows, Metadata]:
    """The raw rows and metadata of one file.

    Args:
        path: the file.
        max_gib: limit on the size of its arrays.
        with_next_observations: whether the rows keep them; they are compared with the rows that follow in any case.

    Raises:
        BadInput: the file is missing, locked, damaged or not HDF5; a key is missing; an array is a link, of an object
            type, of a wrong shape or length, or too large; a value is not finite, or a flag is not 0 or 1.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; check dataset.path.") from None
    except OSError as error:
        if re.search(_OPEN_ELSEWHERE, str(error)):
            raise BadInput(
                f"{path}: another process has it open for writing; let it close the file first, or read a copy."
            ) from error
        raise BadInput(
            f"{path}: not a readable HDF5 file ({_first_line(error)}); it may be truncated: fetch it again."
        ) from error
    with file:
        try:
            return _read(file, str(path), max_gib, with_next_observations)
        except BadInput:
            raise
        except (OSError, RuntimeError, LookupError, ValueError, TypeError, MemoryError) as error:
            # h5py's ways to say that the bytes make no sense, each met on files with flipped bits
            raise BadInput(f"{path}: damaged HDF5 file ({_first_line(error)}); fetch it again.") from error


def _read(file: h5py.File, where: str, max_gib: float, with_next_observations: bool) -> tuple[RawRows, Metadata]:
    present = set(file.keys())
    datasets = {key: _plain_dataset(file, key, where) for key in REQUIRED + OPTIONAL if key in present}
    shapes = {key: dataset.shape for key, dataset in datasets.items()}
    # Keys that are not read still count as what the file holds, in the message about a missing one.
    check_layout(shapes | {key: () for key in present if key not in REQUIRED + OPTIONAL}, where)
    total = 0
    for dataset in datasets.values():
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
        total += max(dataset.size * max(dataset.dtype.itemsize, 4), chunk)
    check_size(total, max_gib, where)
    arrays = {key: _values(dataset, key) for key, dataset in datasets.items()}
    return raw_rows(arrays, where, with_next_observations), _read_metadata(file, where)


def _values(dataset: h5py.Dataset, key: str) -> np.ndarray:
    """An array in the type that its use needs: HDF5 converts while it reads, without a copy of another type."""
    if key in ("terminals", "timeouts"):
        return dataset[()]
    if key in ("observations", "next_observations") and (dataset.dtype.kind != "f" or dataset.dtype.itemsize > 4):
        return dataset.astype(np.float64)[()]  # whose last digits may be what tells rows apart
    return dataset.astype(np.float32)[()]


def _plain_dataset(file: h5py.File, key: str, where: str) -> h5py.Dataset:
    """One top-level array stored in this very file as plain numbers."""
    if not isinstance(file.get(key, getlink=True), h5py.HardLink):
        raise BadInput(f"{where}: {key} is a link, which could point to any file; store the array itself.")
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset):
        raise BadInput(f"{where}: {key} is a group, expected an array.")
    if dataset.is_virtual or dataset.external:
        raise BadInput(f"{where}: {key} keeps its values in other files; store the array itself.")
    if dataset.dtype.kind not in "biuf" or dataset.dtype.itemsize > 8:
        raise BadInput(f"{where}: {key} has type {dataset.dtype}, expected plain numbers.")
    if dataset.shape is None:
        raise BadInput(f"{where}: {key} is empty, expected an array.")
    return dataset


def _read_metadata(file: h5py.File, where: str) -> Metadata:
    """Attributes of the group `metadata`, where it is one of this file's own."""
    if not isinstance(file.get("metadata", getlink=True), h5py.HardLink):
        return Metadata()
    group = file["metadata"]
    attributes = {}
    for key in ("env_id", "action_low", "action_high", "ref_min_score", "ref_max_score", "max_episode_steps"):
        if key in group.attrs:
            attributes[key] = _attribute(group, key, where)
    if not str(attributes.get("env_id", "")).isprintable():
        shown = f"{attributes['env_id']!r:.80}"
        raise BadInput(f"{where}: metadata attribute env_id = {shown} is no name of an environment; use env=ID.")
    if "env_kwargs" in group.attrs:
        attributes["env_kwargs"] = without_display(_settings(group, "env_kwargs", where))
    if "env_wrappers" in group.attrs:
        attributes |= _wrappers(_document(group, "env_wrappers", where), where)
    if "observation_parts" in group.attrs:
        attributes["observation_parts"] = _parts(_document(group, "observation_parts", where), where)
    return Metadata(**attributes)


def _document(group: h5py.Group | h5py.Dataset, key: str, where: str) -> Any:
    try:
        return json.loads(str(_bounded(group, key, where)))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{where}: metadata attribute {key} is not JSON: {error}.") from error


def _settings(group: h5py.Group | h5py.Dataset, key: str, where: str) -> dict[str, Any]:
    """Settings of the environment: no texts, which could name a file to load."""
    found = _document(group, key, where)
    is_mapping = isinstance(found, dict) and all(
        isinstance(value, bool | int | float | list) for value in found.values()
    )
    if not is_mapping or not is_plain(found):
        raise BadInput(
            f"{where}: metadata attribute {key} = {found!r:.60} is not a mapping to numbers and switches; "
            "if you trust it, name the environment with env=..."
        )
    return found


def _wrappers(found: Any, where: str) -> dict[str, Any]:
    """The wrappers of gymnasium's own that a file names, or why they cannot be made again."""
    is_list = isinstance(found, list) and all(
        isinstance(entry, dict) and isinstance(entry.get("name"), str) and isinstance(entry.get("kwargs"), dict)
        for entry in found
    )
    if not is_list:
        raise BadInput(f"{where}: metadata attribute env_wrappers = {found!r:.60} is not a list of wrappers.")
    specs = [WrapperSpec(entry["name"], "gymnasium.wrappers", entry["kwargs"]) for entry in found]
    wrappers, unmade = rebuilt_wrappers(specs)
    return {"wrappers": wrappers, "unmade": unmade}


def _parts(found: Any, where: str) -> Parts:
    is_list = isinstance(found, list) and all(
        isinstance(entry, list) and len(entry) == 2 and isinstance(entry[0], str) and type(entry[1]) is int
        for entry in found
    )
    if not is_list:
        raise BadInput(f"{where}: metadata attribute observation_parts = {found!r:.60} is not a list of [name, size].")
    return tuple((name, size) for name, size in found)


def _attribute(group: h5py.Group | h5py.Dataset, key: str, where: str) -> Any:
    value = _bounded(group, key, where)
    try:
        if key == "env_id":
            return value.decode() if isinstance(value, bytes) else str(value)
        if key in ("action_low", "action_high"):
            return tuple(float(bound) for bound in np.ravel(value))
        if key == "max_episode_steps":
            return int(value)
        return float(value)
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where}: metadata attribute {key} = {value!r} is not of the expected type.") from error


def _bounded(group: h5py.Group | h5py.Dataset, key: str, where: str) -> Any:
    shape = group.attrs.get_id(key).shape or ()
    if math.prod(shape) > _MAX_ATTRIBUTE:
        raise BadInput(f"{where}: metadata attribute {key} has shape {shape}: far too large.")
    return group.attrs[key]


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__


class Hdf5Reader(Reader):
    """D4RL's layout in an HDF5 file."""

    suffixes = (".hdf5", ".h5")

    @override
    def recognises(self, start: bytes) -> bool:
        return True  # what is no HDF5 file is told so in its own words

    @override
    def read(self, source: str, wanted: Wanted) -> Recorded:
        raw, metadata = read_hdf5(Path(source), wanted.max_gib, with_next_observations=wanted.view == "full")
        return Recorded(raw, wanted.view, metadata)
