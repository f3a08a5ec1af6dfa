"""Recordings of five updates, changed and written anew."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.verify.recording import Recording

FOLDER = Path(__file__).resolve().parents[2] / "golden"
STEPS = 5
Change = Callable[[dict[str, np.ndarray], dict[str, Any]], object]
Changed = Callable[[str, Change], Recording]


@pytest.fixture
def changed(tmp_path: Path) -> Changed:
    """The first updates of a recording whose arrays and `meta` went through a function that changes them in place."""

    def write(name: str, change: Change) -> Recording:
        with np.load(FOLDER / f"{name}.npz") as archive:
            arrays = {key: archive[key] for key in archive.files if key == "meta" or _step(key) <= STEPS}
        meta = json.loads(str(arrays.pop("meta")))
        meta["dims"]["steps"] = STEPS
        meta["param_steps"] = [1, STEPS]
        change(arrays, meta)
        path = tmp_path / f"{name}.npz"
        np.savez(path, **arrays, meta=np.array(json.dumps(meta)))  # pyright: ignore[reportArgumentType]
        return Recording(path)

    return write


def _step(key: str) -> int:
    section, rest = key.split("/", 1)
    return 0 if section == "init" else int(rest.split("/")[0])
