"""OGBench's .npz layout, read without pickle, member sizes first."""

import lzma
import math
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from pogo.core.data.hdf5_file import as_flags, check_layout, check_size, raw_rows
from pogo.core.data.views import RawRows
from pogo.core.errors import BadInput

_MEMBERS = ("observations", "actions", "rewards", "terminals", "masks", "next_observations")
_DAMAGE = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, SyntaxError, UnicodeError, MemoryError)


def read_npz(path: Path, max_gib: float) -> RawRows:
    """The raw rows of an OGBench file, compact (T + 1 observations per trajectory) or with next_observations.

    OGBench's `terminals` mark where a trajectory stops, `masks` (0 at a true end) where the task was solved. In the
    compact form the stopping row only carries the last observation: it becomes a time-out without a reward, so that
    the d4rl view yields exactly OGBench's own transitions.

    Raises:
        BadInput: missing, damaged or hostile archive, arrays that do not fit, or no rewards (goal-conditioned data).
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
    ends = as_flags(arrays["terminals"], "terminals", where)
    true_ends = ~as_flags(arrays["masks"], "masks", where) if "masks" in arrays else np.zeros_like(ends)
    if "next_observations" in arrays:
        arrays |= {"terminals": true_ends, "timeouts": ends & ~true_ends}
    else:
        rewards = np.where(ends, 0.0, arrays["rewards"].reshape(-1))
        arrays |= {"terminals": true_ends & ~ends, "timeouts": ends, "rewards": rewards}
    return raw_rows(arrays, where)


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
    if shapes.get("masks", shapes["terminals"]) != shapes["terminals"]:
        raise BadInput(f"{where}: masks has shape {shapes['masks']}, terminals {shapes['terminals']}; they must agree.")
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
    if key in ("observations", "actions", "rewards", "next_observations"):
        with np.errstate(over="ignore"):  # refused as infinite by raw_rows
            array = array.astype(np.float32, copy=False)
    return array
