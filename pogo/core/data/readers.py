"""The formats of datasets. A new one is a module with its reader, and a line here."""

from pogo.core.data.arrays import ArraysReader
from pogo.core.data.hdf5_file import Hdf5Reader
from pogo.core.data.minari_source import MinariReader
from pogo.core.data.npz_file import NpzReader
from pogo.core.data.reader import Reader

READERS: tuple[Reader, ...] = (
    ArraysReader(),
    MinariReader(),
    NpzReader(),
    Hdf5Reader(),
)  # the last takes what no other recognises
FILE_SUFFIXES = tuple(suffix for reader in READERS for suffix in reader.suffixes)
LONGEST_START = 16  # bytes that a file is recognised by


def reader_of_name(name: str) -> Reader | None:
    """The reader of datasets with such a name; None: the name is of a file."""
    return next((reader for reader in READERS if reader.prefix and name.startswith(reader.prefix)), None)


def reader_of_file(start: bytes) -> Reader:
    """The reader of a file that begins with these bytes."""
    return next(reader for reader in READERS if reader.recognises(start))
