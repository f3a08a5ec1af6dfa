"""summary.json and the like: the old file or the new one, never a part."""

import json
import math
import os
import resource
from pathlib import Path

import numpy as np
import pytest

from pogo.core.errors import RunFailed
from pogo.core.files.documents import as_text
from pogo.core.files.summary import write_json_atomically


def test_a_document_comes_back_as_strict_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "summary.json"
    document = {"b": [1, 2.5, None], "a": {"best": np.float32(0.1), "worst": math.nan, "far": -math.inf}, "é": "☃"}
    write_json_atomically(path, document)

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    assert json.loads(path.read_text(), parse_constant=refuse) == {
        "a": {"best": float(np.float32(0.1)), "far": None, "worst": None},
        "b": [1, 2.5, None],
        "é": "☃",
    }
    assert os.listdir(path.parent) == ["summary.json"]


def test_a_config_keeps_its_infinities(tmp_path: Path) -> None:
    """They are settings there (CQL's limits): as text, which a command line takes back."""
    path = tmp_path / "config.json"
    write_json_atomically(path, {"low": -math.inf, "high": math.inf}, as_text)
    assert json.loads(path.read_text()) == {"high": "inf", "low": "-inf"}


def test_equal_documents_are_equal_bytes(tmp_path: Path) -> None:
    write_json_atomically(tmp_path / "a.json", {"x": 1, "y": {"p": 2, "q": 3}})
    write_json_atomically(tmp_path / "b.json", {"y": {"q": 3, "p": 2}, "x": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_full_disk_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    write_json_atomically(path, {"score": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(RunFailed, match=r"summary\.json could not be written: .*File too large"):
            write_json_atomically(path, {"score": "x" * 10_000})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert json.loads(path.read_text()) == {"score": 1}
    assert os.listdir(tmp_path) == ["summary.json"]


def test_what_has_no_json_form_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    with pytest.raises(TypeError, match=r"summary\.json/scores must be one real number, got an array of shape \(2,\)"):
        write_json_atomically(path, {"scores": np.zeros(2)})
    assert not path.exists()


def test_a_killed_write_is_written_over_and_no_link_is_followed(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / ".summary.json.partial").symlink_to(precious)
    write_json_atomically(tmp_path / "summary.json", {})
    assert precious.read_text() == "precious"
    assert sorted(os.listdir(tmp_path)) == ["precious", "summary.json"]
    assert not (tmp_path / "summary.json").is_symlink()
