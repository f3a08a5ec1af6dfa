"""What both backends share of each algorithm: hyperparameters, noise, starting parameters. No arrays of theirs.

The algorithms are pogo's own and those of installed packages, which name theirs by an entry point of the group
`pogo.algorithms`.
"""

import importlib
import importlib.metadata
from functools import cache
from types import ModuleType

from pogo.core.algorithms.base import AlgorithmDefinition, AnyDefinition
from pogo.core.errors import BadInput, check_name
from pogo.core.registry import check_backend, load_backend

# pogo's own
ALGORITHMS = ("iql", "td3_bc", "cql", "awac", "sac_n", "edac", "rebrac", "fql", "pogo", "pogo_gaussian", "sac")
GROUP = "pogo.algorithms"


@cache
def entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    """Those of installed packages, by the algorithm's name; pogo's own names are not theirs to take."""
    found = {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
    return {name: point for name, point in found.items() if name not in ALGORITHMS}


def algorithm_names() -> tuple[str, ...]:
    """Every algorithm that can be chosen here: pogo's own, then those of installed packages by name."""
    return (*ALGORITHMS, *sorted(entry_points()))


@cache
def load_algorithm(algorithm: str) -> AnyDefinition:
    """The definition of an algorithm.

    Raises:
        BadInput: no algorithm has that name, or another package's cannot be imported or is no `AlgorithmDefinition`.
    """
    check_name("algorithm", algorithm, algorithm_names())
    if algorithm in ALGORITHMS:
        return importlib.import_module(f"{__name__}.{algorithm}").DEFINITION
    point = entry_points()[algorithm]
    where = (
        f"algorithm={algorithm}: the entry point {point.value} of the package {point.dist.name if point.dist else '?'}"
    )
    try:
        definition = point.load()
    except Exception as error:  # another package's code: whatever it raises
        raise BadInput(f"{where} cannot be imported ({type(error).__name__}: {error}); mend or remove it.") from error
    if not isinstance(definition, AlgorithmDefinition):
        raise BadInput(f"{where} is a {type(definition).__name__}; name an instance of {AlgorithmDefinition.__name__}.")
    return definition


def load_mathematics(algorithm: str, backend: str) -> ModuleType:
    """The module with an algorithm's class `Algorithm` on one backend.

    Raises:
        BadInput: the backend is unknown or not installed, or another package's algorithm has none on it.
    """
    if algorithm in ALGORITHMS:
        return load_backend(backend, f"algorithms.{algorithm}")
    modules = load_algorithm(algorithm).modules
    if backend not in modules:
        others = " or ".join(f"backend={name}" for name in modules)
        raise BadInput(f"algorithm={algorithm} is not written for backend={backend}; use {others}.")
    check_backend(backend)
    return importlib.import_module(modules[backend])
