"""Datasets in .npz archives, with OGBench's keys or D4RL's, read without pickle, member sizes first."""

import lzma
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from typing_extensions import override

from pogo.core.data.raw_rows import RawRows, as_flags, check_layout, check_size, raw_rows
from pogo.core.data.reader import Reader, Recorded, Wanted
from pogo.core.errors import BadInput

_ZIP_MAGIC = b"PK\x03\x04"
_OF_OGBENCH = ("masks", "valids")
_MEMBERS = ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations", *_OF_OGBENCH)
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, SyntaxError, UnicodeError, MemoryError)


def read_npz(path: Path, max_gib: float) -> RawRows:
    """The raw rows of one archive; the keys say what its `terminals` mean.

    With `masks` (0 at a true end) or `valids`, which OGBench writes, they mark where a trajectory stops. Of the forms
    of such a file each gives the same rows: with `next_observations`; with T + 1 observations per trajectory, whose
    last row only carries the last one; and OGBench's compact one, whose `valids` say which rows are transitions.
    Otherwise the keys are D4RL's: `terminals` mark true ends, and `timeouts` what else ends an episode.

    Raises:
        BadInput: the archive is missing, damaged or hostile; its arrays do not fit together; the keys of both layouts
            contradict each other; or there are no rewards (goal-conditioned data).
    """
    where = str(path)
    try:
        with zipfile.ZipFile(path) as archive:
            arrays = _read_members(archive, where, max_gib)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; check dataset.path.") from None
    except BadInput:
        raise
    except (*_DAMAGE, OSError, EOFError, ValueError, RuntimeError) as error:
        raise BadInput(f"{path}: not a readable .npz file ({error}); fetch it again.") from error
    if "timeouts" in arrays or not any(key in arrays for key in _OF_OGBENCH):
        _check_masks(arrays, where)
        return raw_rows({key: array for key, array in arrays.items() if key not in _OF_OGBENCH}, where)
    return raw_rows(_of_ogbench(arrays, where), where)


def _check_masks(arrays: dict[str, np.ndarray], where: str) -> None:
    """Refuse keys of both layouts that do not say the same."""
    for key, other in (("masks", "terminals"), ("valids", None)):
        if key not in arrays:
            continue
        if other is None or (as_flags(arrays[key], key, where) == as_flags(arrays[other], other, where)).any():
            raise BadInput(
                f"{where}: timeouts is D4RL's, which marks true ends by terminals, and {key} is OGBench's, which marks "
                "by terminals where a trajectory stops; leave one of the two out."
            )


def _of_ogbench(arrays: dict[str, np.ndarray], where: str) -> dict[str, np.ndarray]:
    """Rows of OGBench's keys under D4RL's, each with its own next observation."""
    stops = as_flags(arrays["terminals"], "terminals", where)
    solved = ~as_flags(arrays["masks"], "masks", where) if "masks" in arrays else np.zeros_like(stops)
    if "next_observations" in arrays:
        plain = {key: array for key, array in arrays.items() if key not in _OF_OGBENCH}
        return plain | {"terminals": solved, "timeouts": stops & ~solved}
    # Where `valids` are given, `terminals` mark the last two rows of a trajectory.
    is_transition = as_flags(arrays["valids"], "valids", where) if "valids" in arrays else ~stops
    rows = np.flatnonzero(is_transition[:-1])
    if not len(rows):
        raise BadInput(f"{where}: every row is marked as the last of its trajectory: no transitions.")
    return {
        "observations": arrays["observations"][rows],
        "next_observations": arrays["observations"][rows + 1],
        "actions": arrays["actions"][rows],
        "next_actions": arrays["actions"][rows + 1],  # of the row that only carries the last observation, too
        "rewards": arrays["rewards"].reshape(-1)[rows],
        "terminals": solved[rows],
        "timeouts": ~is_transition[rows + 1] & ~solved[rows],
    }


def _read_members(archive: zipfile.ZipFile, where: str, max_gib: float) -> dict[str, np.ndarray]:
    names = archive.namelist()
    for name in names:
        if "/" in name or "\\" in name or ".." in name or len(names) != len(set(names)):
            raise BadInput(f"{where}: member {name!r} has a path in its name or occurs twice; refused.")
    headers = {key: _header(archive, key, where) for key in _MEMBERS if f"{key}.npy" in names}
    others = {name.removesuffix(".npy"): () for name in names if name.removesuffix(".npy") not in headers}
    shapes = {key: shape for key, (shape, _) in headers.items()}
    if "rewards" not in shapes and "observations" in shapes:
        raise BadInput(
            f"{where}: no rewards, so this is OGBench's goal-conditioned data; "
            "relabel it with a single-task environment and save rewards and masks beside the rest."
        )
    check_layout(shapes | others, where)
    for key in _OF_OGBENCH:
        if math.prod(shapes.get(key, shapes["terminals"])) != math.prod(shapes["terminals"]):
            raise BadInput(f"{where}: {key} has shape {shapes[key]}, terminals {shapes['terminals']}; they must agree.")
    sizes = [math.prod(shape) * max(dtype.itemsize, 4) for shape, dtype in headers.values()]
    check_size(sum(sizes), max_gib, where)
    return {key: _array(archive, key) for key in headers}


def _header(archive: zipfile.ZipFile, key: str, where: str) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(f"{key}.npy") as member:
        version = npy.read_magic(member)
        read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, dtype = read(member)
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise BadInput(f"{where}: {key} has type {dtype}, expected plain numbers; pickled objects are never loaded.")
    return shape, dtype


def _array(archive: zipfile.ZipFile, key: str) -> np.ndarray:
    with archive.open(f"{key}.npy") as member:
        array = npy.read_array(member, allow_pickle=False)
        if member.read(1):  # at the end, zipfile compares the checksum
            raise ValueError(f"{key} goes on after its array")
    return array


class NpzReader(Reader):
    """An .npz archive, OGBench's or one with D4RL's keys."""

    suffixes = (".npz",)

    @override
    def recognises(self, start: bytes) -> bool:
        return start.startswith(_ZIP_MAGIC)

    @override
    def read(self, source: str, wanted: Wanted) -> Recorded:
        # OGBench's own view: all its transitions, whose form decides where the next observations are.
        return Recorded(read_npz(Path(source), wanted.max_gib), "full")
