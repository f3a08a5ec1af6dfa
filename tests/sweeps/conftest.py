"""The engines, each with what it needs."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pogo.core.config.launcher import LocalLauncher, RayLauncher, SlurmLauncher
from pogo.core.sweeps.launchers import make_engine
from pogo.core.sweeps.launchers.engine import Engine
from tests.helpers.runs import REPOSITORY
from tests.helpers.slurm import slurm, why_no_slurm

SETTINGS = {"local": LocalLauncher, "slurm": SlurmLauncher, "ray": RayLauncher}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Slurm, and what its commands need in their environment."""
    pytest.importorskip("submitit")
    why_not = why_no_slurm()
    if why_not is not None:
        pytest.skip(why_not)
    with slurm(tmp_path_factory.mktemp("slurm")) as environment:
        yield environment


@pytest.fixture
def make(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Engine]:
    """An engine by its launcher's name, with settings of it."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))

    def made(name: str, **settings: Any) -> Engine:
        if name == "ray":
            pytest.importorskip("ray")
        if name == "slurm":
            for key, value in request.getfixturevalue("cluster").items():
                monkeypatch.setenv(key, value)
            settings = {"cpus": 1, **settings}
        monkeypatch.chdir(tmp_path)
        return make_engine(SETTINGS[name](**settings), str(tmp_path))

    return made
