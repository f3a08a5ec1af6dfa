"""A format is a reader and its line in the list: nothing else knows one."""

from pathlib import Path

import numpy as np
import pytest
from typing_extensions import override

from pogo.core.data import readers
from pogo.core.data.config import DatasetConfig
from pogo.core.data.loading import load_dataset
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.data.raw_rows import Metadata, raw_rows
from pogo.core.data.reader import Reader, Recorded, Wanted
from pogo.core.errors import BadInput

NAMES = ("observations", "actions", "rewards", "terminals", "timeouts")
ROWS = np.array([[0.5, 0.1, 1, 0, 0], [0.7, -0.2, 2, 0, 0], [0.9, 0.3, 3, 1, 0], [0.1, 0.0, 4, 0, 1]])
BOUNDED = Metadata(action_low=(-1.0,), action_high=(1.0,))


class TextReader(Reader):
    """Columns of numbers under a first line of names."""

    suffixes = (".txt",)
    prefix = "text:"

    @override
    def recognises(self, start: bytes) -> bool:
        return start.startswith(b"observations")

    @override
    def read(self, source: str, wanted: Wanted) -> Recorded:
        columns = np.loadtxt(source.removeprefix(self.prefix), skiprows=1).T
        arrays: dict[str, np.ndarray] = dict(zip(NAMES, columns, strict=True))
        return Recorded(raw_rows(arrays, source), wanted.view, BOUNDED, sha256="0" * 64)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(readers, "READERS", (TextReader(), *readers.READERS))
    path = tmp_path / "mine.txt"
    np.savetxt(path, ROWS, header=" ".join(NAMES), comments="")
    return path


def test_a_file_is_read_by_how_it_begins(file: Path) -> None:
    dataset = load_dataset(DatasetConfig(path=str(file)), Preprocessing(), "none")
    assert dataset.name == "mine"
    np.testing.assert_allclose(dataset.transitions.rewards, [1, 2, 3])


def test_a_name_is_read_by_its_prefix(file: Path) -> None:
    config = DatasetConfig(name=f"text:{file.name}")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(file.parent)
        dataset = load_dataset(config, Preprocessing(), "none")
        assert (dataset.name, dataset.sha256) == ("mine.txt", "0" * 64)
        with pytest.raises(BadInput, match="SHA-256 of its values is 0000"):
            load_dataset(DatasetConfig(name=config.name, sha256="1" * 64), Preprocessing(), "none")


def test_what_no_reader_recognises_is_refused_as_the_last_ones(file: Path) -> None:
    file.write_bytes(b"something else")
    with pytest.raises(BadInput, match="not a readable HDF5 file"):
        load_dataset(DatasetConfig(path=str(file)), Preprocessing(), "none")
