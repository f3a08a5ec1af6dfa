"""A wheel built from the tree, installed where there is only one backend, trains: offline, from any folder."""

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.helpers.runs import BACKENDS, NETWORKS, REPOSITORY, environment

pytestmark = pytest.mark.slow
MINUTES = 60.0


def run(*command: object, cwd: Path, **changes: str) -> str:
    env = environment(**changes)
    env.pop("PYTHONPATH")  # the wheel's pogo, not the tree's
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=env,
        timeout=10 * MINUTES,
        check=False,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    # From a copy: a build leaves nothing in the tree.
    tree = folder / "tree"
    shutil.copytree(REPOSITORY, tree, ignore=_skipped, symlinks=True)
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, tree, cwd=folder)
    return next(folder.glob("pogo-*.whl"))


def _skipped(folder: str, names: list[str]) -> set[str]:
    at_the_top = {".venv", ".git", "runs", "shared", ".pytest_cache", "build", "dist"}
    return {"__pycache__", *(at_the_top if Path(folder) == REPOSITORY else ())} & set(names)


def test_the_wheel_holds_modules_configs_and_data_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / "pogo").rglob("*.py")} <= set(names)
    configs = {str(Path("pogo") / path.relative_to(REPOSITORY)) for path in (REPOSITORY / "conf").rglob("*.yaml")}
    assert configs <= set(names)
    assert {"pogo/data/pendulum-medium-replay.hdf5", "pogo/core/reports/pogo.mplstyle"} <= set(names)
    assets = (REPOSITORY / "pogo" / "core" / "reports" / "assets").iterdir()
    assert {str(path.relative_to(REPOSITORY)) for path in assets} <= set(names)
    assert not [name for name in names if name.startswith(("tests/", "benchmarks/", "shared/"))]


@pytest.mark.timeout(20 * MINUTES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_wheel_with_one_backend_trains(wheel: Path, tmp_path: Path, backend: str) -> None:
    home = tmp_path / "venv"
    run(sys.executable, "-m", "venv", home, cwd=tmp_path)
    python = home / "bin" / "python"
    constraints = REPOSITORY / "constraints.txt"
    given = f"{wheel}[{backend}]"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, given, cwd=tmp_path)
    other = next(name for name in BACKENDS if name != backend)
    run(python, "-c", f"import importlib.util as u; assert u.find_spec({other!r}) is None", cwd=tmp_path)
    where = tmp_path / "elsewhere"
    where.mkdir()
    offline = {"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    for algorithm, sizes in NETWORKS.items():
        options = [f"{key}={value}" for key, value in sizes.items()]
        small = ("train.updates=20", "train.batch_size=32", "eval.episodes=1")
        run(
            home / "bin" / "pogo-train",
            f"backend={backend}",
            f"algorithm={algorithm}",
            f"run.dir=runs/{algorithm}",
            *small,
            *options,
            cwd=where,
            **offline,
        )
        run_dir = where / "runs" / algorithm
        assert json.loads((run_dir / "summary.json").read_text())["updates"] == 20
        run(home / "bin" / "pogo-eval", run_dir, "--episodes", 1, "--json", cwd=where, **offline)
    assert {path.name for path in where.iterdir()} == {"runs"}
