"""Settings that every test runs under: one thread, no TF32, and backends that can be hidden."""

import importlib.abc
import os
import sys

# Before any framework is imported: the suite runs in several processes.
for variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(variable, "1")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ["JAX_PLATFORMS"] = os.environ.get("JAX_PLATFORMS", "cpu")

import pytest  # noqa: E402 - after the settings

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
