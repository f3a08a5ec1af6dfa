"""What is written counts once it is on the disk: every file and folder is flushed before it is relied on."""

import os
from pathlib import Path

import pytest

from pogo.core.files.durable import make_folder, write_new_file


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths that are flushed, in order."""
    found: list[Path] = []
    flush = os.fsync

    def noted(descriptor: int) -> None:
        found.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return found


def test_a_new_file_is_flushed_whole(tmp_path: Path, flushed: list[Path]) -> None:
    path = tmp_path / "file"
    write_new_file(path, b"content")
    assert flushed == [path]
    assert path.read_bytes() == b"content"


def test_each_folder_is_flushed_into_its_parent(tmp_path: Path, flushed: list[Path]) -> None:
    make_folder(tmp_path / "outer" / "inner")
    assert flushed == [tmp_path, tmp_path / "outer"]
