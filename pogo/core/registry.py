"""The names that configs may use, and the one place that imports a backend."""

import importlib
import importlib.util
from types import ModuleType

from pogo.core.errors import BadInput, check_name

BACKENDS = {"torch": "pogo.torch_backend", "jax": "pogo.jax_backend"}
LIBRARY_SOLVERS = {"geomloss": "torch", "ott": "jax"}  # w2.solver as a library has it, and the backend that has it
SEED_GROUPS = ("jax",)  # backends with a `group` module, which trains several seeds in one program


def check_backend(backend: str) -> None:
    """Refuse a backend that is unknown or whose framework is not installed.

    Raises:
        BadInput: the name is unknown, or its package cannot be found here.
    """
    check_name("backend", backend, BACKENDS)
    try:
        installed = importlib.util.find_spec(backend) is not None
    except (ImportError, ValueError):  # a hidden or half-removed package answers so
        installed = False
    if not installed:
        raise BadInput(f"backend={backend} needs {backend}, not installed here: pip install 'pogo[{backend}]'.")


def load_backend(backend: str, module: str) -> ModuleType:
    """Import `module` of one backend (`"learner"`, `"algorithms.iql"`): the only place that loads a framework.

    Raises:
        BadInput: the name is unknown, or its package cannot be found here.
    """
    check_backend(backend)
    return importlib.import_module(f"{BACKENDS[backend]}.{module}")
