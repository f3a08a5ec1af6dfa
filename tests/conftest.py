"""Settings that every test runs under: one thread, no TF32, and backends that can be hidden."""

import atexit
import importlib.abc
import os
import shutil
import sys
import tempfile

# Before any framework is imported: the suite runs in several processes.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
# XLA compiles small programs for longer than they run: without its optimisations in half the time. `make test-slow` has
# them on. (What has no dashes ends the list of flags.)
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_backend_optimization_level=0 --xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
)
os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")

# Equal programs are compiled once for all processes of the suite, and nothing is left in the user's own cache.
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="pogo-tests-jax-")
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

import pytest  # noqa: E402 - after the settings

from tests.helpers.framework import BACKENDS, Framework  # noqa: E402

FRAMEWORKS = {"torch": ("torch", "geomloss"), "jax": ("jax", "jaxlib", "flax", "optax", "ott")}


class Hidden(importlib.abc.MetaPathFinder):
    """Answers as if packages were not installed (None in sys.modules would break libraries that look there)."""

    def __init__(self, packages: tuple[str, ...]) -> None:
        self._packages = packages

    def find_spec(self, fullname, path=None, target=None):
        if fullname.split(".")[0] in self._packages:
            raise ModuleNotFoundError(f"No module named {fullname!r} (hidden)", name=fullname)
        return None


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--hide", choices=sorted(FRAMEWORKS), help="run as if this framework were not installed")


def pytest_configure(config: pytest.Config) -> None:
    hidden = config.getoption("--hide")
    if hidden:
        sys.meta_path.insert(0, Hidden(FRAMEWORKS[hidden]))


@pytest.fixture(params=BACKENDS)
def framework(request: pytest.FixtureRequest) -> Framework:
    """Each backend in turn; one that is not installed is skipped."""
    return Framework(request.param)
