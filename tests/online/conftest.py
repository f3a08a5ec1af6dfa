"""A whole online run, made once for all tests that look at one."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.helpers.online_runs import arguments
from tests.helpers.runs import shared_folder, train


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An uninterrupted run per backend."""

    def make(backend: str) -> Path:
        pytest.importorskip(backend)
        with shared_folder(tmp_path_factory, f"online_{backend}") as folder:
            run_dir = folder / "run"
            if not run_dir.exists():
                train(*arguments(run_dir, backend)).assert_code(0)
            return run_dir

    return make
