"""File writes that survive a crash: bytes on the disk before their name, and the name before anything relies on it."""

import contextlib
import errno
import os
from pathlib import Path


def write_all(descriptor: int, data: bytes) -> None:
    """Write every byte: the kernel may take a part at a time, and then say that the disk is full.

    Raises:
        OSError: the rest cannot be written.
    """
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def write_new_file(path: Path, data: bytes) -> None:
    """Write a file that must not exist yet and flush it to the disk. Its folder is the caller's to flush.

    Raises:
        OSError: the file exists, or cannot be created, written or flushed.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file in the place of the one of its name, if any, which stays until the new one is whole.

    Raises:
        OSError: the file cannot be written; the old one is as it was.
    """
    partial = path.with_name(f".{path.name}.partial")  # one fixed name: what a killed write left is written over
    try:
        make_folder(path.parent)
        partial.unlink(missing_ok=True)
        write_new_file(partial, data)
        os.replace(partial, path)
        sync_folder(path.parent)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def sync_folder(path: Path) -> None:
    """Flush a folder's entries: without it, a rename may not outlive a power cut.

    Raises:
        OSError: the folder cannot be opened or flushed.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as exc:
        if exc.errno != errno.EINVAL:  # some network file systems cannot flush a folder, and say so like this
            raise
    finally:
        os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and its missing parents, each flushed into its own parent.

    Raises:
        OSError: a folder cannot be made, or a file is in the way.
    """
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    sync_folder(path.parent)
