"""D4RL's HDF5 layout, read as hostile input: shapes first, then only the arrays that are needed."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from pogo.core.data.transitions import check_finite
from pogo.core.data.views import RawRows
from pogo.core.errors import BadInput

REQUIRED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("timeouts", "next_observations")
GIB = 2**30
_MAX_ATTRIBUTE = 65_536  # elements of a metadata attribute; HDF5 itself keeps most under 64 KiB


@dataclass(frozen=True)
class Metadata:
    """What a file says of its environment; every field may be absent."""

    env_id: str | None = None
    action_low: tuple[float, ...] | None = None
    action_high: tuple[float, ...] | None = None
    ref_min_score: float | None = None
    ref_max_score: float | None = None
    max_episode_steps: int | None = None
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)


def read_hdf5(path: Path, max_gib: float, with_next_observations: bool) -> tuple[RawRows, Metadata]:
    """The raw rows and metadata of one file. `next_observations` is read only where the view asks for it.

    Raises:
        BadInput: missing, damaged or not HDF5; a missing key; links, object types, unequal lengths, wrong shapes; too
            large; non-finite values; terminals that are not 0 or 1.
    """
    try:
        file = h5py.File(path, "r")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; check dataset.path.") from None
    except OSError as error:
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


def check_layout(shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuse arrays whose declared shapes do not fit together, before any is read.

    Raises:
        BadInput: a required key is missing, there are no rows, or shapes and lengths disagree.
    """
    missing = [key for key in REQUIRED if key not in shapes]
    if missing:
        raise BadInput(
            f"{where}: no {', '.join(missing)}; it holds {', '.join(sorted(shapes)) or 'nothing'}. "
            f"D4RL's layout has {', '.join(REQUIRED)} at the top level."
        )
    rows = shapes["observations"][:1]
    if rows in ((), (0,)):
        raise BadInput(f"{where}: observations has shape {shapes['observations']}: no rows to train on.")
    for key, shape in shapes.items():
        if key in REQUIRED + OPTIONAL and shape[:1] != rows:
            raise BadInput(
                f"{where}: {key} has shape {shape}, but observations has {rows[0]} rows; lengths must be equal."
            )
    for key in ("observations", "actions", "next_observations"):
        if key in shapes and (len(shapes[key]) != 2 or shapes[key][1] < 1):
            raise BadInput(f"{where}: {key} has shape {shapes[key]}, expected [rows, size]; flatten each row.")
    if shapes.get("next_observations", shapes["observations"]) != shapes["observations"]:
        raise BadInput(
            f"{where}: next_observations has shape {shapes['next_observations']}, "
            f"but observations has {shapes['observations']}."
        )
    for key in ("rewards", "terminals", "timeouts"):
        if key in shapes and shapes[key] not in ((rows[0],), (rows[0], 1)):
            raise BadInput(f"{where}: {key} has shape {shapes[key]}, expected ({rows[0]},) or ({rows[0]}, 1).")


def check_size(size: int, max_gib: float, where: str) -> None:
    """Refuse data larger than the limit.

    Raises:
        BadInput: `size` bytes are more than `max_gib`.
    """
    if size > max_gib * GIB:
        raise BadInput(
            f"{where}: {size / GIB:.3g} GiB is above the limit dataset.max_gib={max_gib:g}; "
            "raise it if the data is meant to be this large."
        )


def as_flags(values: np.ndarray, key: str, where: str) -> np.ndarray:
    """A [N] bool array from bools, integers or floats that are all 0 or 1.

    Raises:
        BadInput: another value, with its row.
    """
    values = values.reshape(-1)
    if values.dtype == np.bool_:
        return values
    flags = values == 1
    wrong = ~(flags | (values == 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BadInput(f"{where}: {key} holds {values[row]} at row {row}; it marks ends with 0 or 1 only.")
    return flags


def raw_rows(arrays: Mapping[str, np.ndarray], where: str) -> RawRows:
    """Checked raw rows of arrays that have passed `check_layout`.

    Raises:
        BadInput: a value is not finite, or a flag is not 0 or 1.
    """
    floats = {}
    for key in ("observations", "actions", "rewards", "next_observations"):
        if key in arrays:
            # A float64 beyond float32's range becomes infinite here, and is refused as such.
            with np.errstate(over="ignore"):
                floats[key] = np.ascontiguousarray(arrays[key], dtype=np.float32)
            check_finite(floats[key], key, where)
    return RawRows(
        observations=floats["observations"],
        actions=floats["actions"],
        rewards=floats["rewards"].reshape(-1),
        terminals=as_flags(arrays["terminals"], "terminals", where),
        timeouts=as_flags(arrays["timeouts"], "timeouts", where) if "timeouts" in arrays else None,
        next_observations=floats.get("next_observations"),
    )


def _read(file: h5py.File, where: str, max_gib: float, with_next_observations: bool) -> tuple[RawRows, Metadata]:
    present = set(file.keys())
    wanted = [key for key in REQUIRED + OPTIONAL if key in present]
    if not with_next_observations:
        wanted = [key for key in wanted if key != "next_observations"]
    datasets = {key: _plain_dataset(file, key, where) for key in wanted}
    shapes = {key: dataset.shape for key, dataset in datasets.items()}
    # Keys that are not read still count as what the file holds, in the message about a missing one.
    check_layout(shapes | {key: () for key in present if key not in REQUIRED + OPTIONAL}, where)
    total = 0
    for dataset in datasets.values():
        chunk = math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0
        total += max(dataset.size * max(dataset.dtype.itemsize, 4), chunk)
    check_size(total, max_gib, where)
    arrays = {}
    for key, dataset in datasets.items():
        is_flag = key in ("terminals", "timeouts")
        # HDF5 converts while it reads: a float64 file needs no float64 copy in memory.
        arrays[key] = dataset[()] if is_flag else dataset.astype(np.float32)[()]
    return raw_rows(arrays, where), _read_metadata(file, where)


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
    if "env_kwargs" in group.attrs:
        attributes["env_kwargs"] = _environment_settings(group, where)
    return Metadata(**attributes)


def _environment_settings(group: h5py.Group | h5py.Dataset, where: str) -> dict[str, bool | int | float]:
    """Settings of the environment, JSON; numbers and switches only: a text could name a file to load."""
    try:
        found = json.loads(str(_bounded(group, "env_kwargs", where)))
    except ValueError as error:
        raise BadInput(f"{where}: metadata attribute env_kwargs is not JSON: {error}.") from error
    if not isinstance(found, dict) or not all(isinstance(value, bool | int | float) for value in found.values()):
        raise BadInput(
            f"{where}: metadata attribute env_kwargs = {found!r:.60} is not a mapping to numbers and switches; "
            "if you trust it, name the environment with env=..."
        )
    return found


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
