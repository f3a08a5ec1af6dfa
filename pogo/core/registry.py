"""The names that configs may use, and the one place that imports a backend."""

import difflib
import importlib
import importlib.util
from collections.abc import Collection
from types import ModuleType

from pogo.core.errors import BadInput

BACKENDS = {"torch": "pogo.torch_backend", "jax": "pogo.jax_backend"}
LIBRARY_SOLVERS = {"geomloss": "torch", "ott": "jax"}  # w2.solver as a library has it, and the backend that has it
SEED_GROUPS = ("jax",)  # backends with a `group` module, which trains several seeds in one program
LISTED_NAMES = 12


def check_name(kind: str, name: str, known: Collection[str]) -> None:
    """Refuse an unknown name, offering the nearest known one.

    Raises:
        BadInput: `name` is not in `known`.
    """
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=LISTED_NAMES)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        names = sorted(known)
        if len(names) > LISTED_NAMES:  # hundreds of datasets: those that look alike, or the first
            names = [*(near or names[:LISTED_NAMES]), "and others"]
        raise BadInput(f"{kind}={name} is unknown.{hint} Known: {', '.join(names)}.")


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
        BadInput: as `check_backend`.
    """
    check_backend(backend)
    return importlib.import_module(f"{BACKENDS[backend]}.{module}")
