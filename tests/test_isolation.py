"""Each backend works without the other, and core without both, in a fresh interpreter."""

import importlib.util
import pkgutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import pogo.core
from tests.conftest import FRAMEWORKS
from tests.helpers.runs import ALGORITHMS, BACKENDS, REPOSITORY, arguments, environment, summary
from tests.helpers.slow import quick

ALL = sorted(package for packages in FRAMEWORKS.values() for package in packages)
CORE = sorted(module.name for module in pkgutil.walk_packages(pogo.core.__path__, "pogo.core."))


def installed(package: str) -> bool:
    """Whether a framework is there: under --hide, looking for it raises."""
    try:
        return importlib.util.find_spec(package) is not None
    except ImportError:
        return False


def run_python(code: str, *given: str, cwd: Path | None = None) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *given],
        capture_output=True,
        text=True,
        cwd=cwd,
        env=environment(),
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_core_and_the_commands_load_no_framework() -> None:
    names = [*CORE, "pogo.cli.train", "pogo.cli.evaluate", "pogo.cli.parity", "pogo.cli.golden", "pogo.cli.report"]
    loaded = run_python(
        f"""
        import importlib, sys
        for name in {names!r}:
            importlib.import_module(name)
        print(sorted({{name.split(".")[0] for name in sys.modules}} & set({ALL!r})))
        """
    )
    assert loaded.strip() == "[]"


@pytest.mark.parametrize(
    ("command", "unneeded"), [("evaluate", "numpy hydra h5py gymnasium torch jax"), ("train", "torch jax")]
)
def test_help_needs_hardly_anything(command: str, unneeded: str) -> None:
    """That of pogo-train reads the settings' fields."""
    loaded = run_python(
        f"""
        import sys
        from pogo.cli.{command} import main
        assert main(["--help"]) == 0
        heavy = set({unneeded!r}.split())
        print("loaded", sorted({{name.split(".")[0] for name in sys.modules}} & heavy))
        """
    )
    assert loaded.splitlines()[-1] == "loaded []"


TRAIN = """
import importlib.util, sys

hidden = {hidden!r}

class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in hidden:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
from pogo.cli.train import main

code = main(sys.argv[1:])
assert not {{name.split(".")[0] for name in sys.modules}} & set(hidden)
sys.exit(code)
"""


@pytest.mark.parametrize("algorithm", quick(ALGORITHMS, ("iql",)))
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_trains_with_the_other_hidden(tmp_path: Path, backend: str, algorithm: str) -> None:
    if not installed(backend):
        pytest.skip(f"{backend} is not installed")
    hidden = tuple(package for name in FRAMEWORKS if name != backend for package in FRAMEWORKS[name])
    run_dir = tmp_path / "run"
    given = arguments(run_dir, backend, algorithm, train__updates=3, eval__episodes=1)
    run_python(TRAIN.format(hidden=hidden), *given, cwd=tmp_path)
    assert summary(run_dir)["updates"] == 3


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_hidden_one_is_named_with_its_extra(tmp_path: Path, backend: str) -> None:
    given = arguments(tmp_path / "run", backend)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN.format(hidden=FRAMEWORKS[backend]), *given],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=240,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith(f"pip install 'pogo[{backend}]'.")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_backend_imports_the_other(backend: str) -> None:
    others = {package for name in FRAMEWORKS if name != backend for package in FRAMEWORKS[name]} - {"numpy"}
    for path in (REPOSITORY / "pogo" / f"{backend}_backend").rglob("*.py"):
        words = [line.split()[1].split(".")[0] for line in path.read_text().splitlines() if _imports(line)]
        assert not set(words) & others, path


def _imports(line: str) -> bool:
    return line.lstrip().startswith(("import ", "from "))


@pytest.mark.parametrize("backend", BACKENDS)
def test_hiding_a_framework_skips_its_tests(tmp_path: Path, backend: str) -> None:
    """`--hide` is what the suite with one backend runs under."""
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        f"def test_it():\n    pytest.importorskip({backend!r})\n    raise AssertionError('it was found')\n"
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.conftest"),
            *("--hide", backend, "-c", "pyproject.toml", "--rootdir", str(REPOSITORY)),
            *("--confcutdir", str(REPOSITORY), str(tmp_path / "test_it.py")),
        ],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        env=environment(),
        timeout=240,
        check=False,
    )
    assert "1 skipped" in done.stdout, done.stdout + done.stderr
