"""Runs that the tests of the library read: trained once a process."""

import pytest

import pogo
from tests.helpers.library_runs import random_dataset, trained


@pytest.fixture(scope="session", params=["torch", "jax"])
def chain_run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> pogo.Run:
    """IQL with an actor of every kind, on each backend in turn."""
    backend = request.param
    pytest.importorskip(backend)
    return trained(backend, tmp_path_factory.mktemp(backend))


@pytest.fixture(scope="session")
def flow_run(tmp_path_factory: pytest.TempPathFactory) -> pogo.Run:
    """FQL, which has a flow besides its actors."""
    sizes = {f"algorithm.{name}_hidden_sizes": [16, 16] for name in ("actor", "critic")}
    overrides = {"train.updates": 5, "train.batch_size": 32, "run.dir": tmp_path_factory.mktemp("fql") / "run", **sizes}
    return pogo.train("fql", dataset=random_dataset(), overrides=overrides, progress=False)
