"""What the tests of the library train on, and how."""

from pathlib import Path
from typing import Any

import numpy as np

import pogo

KINDS = ("gaussian", "tanh_gaussian", "stochastic", "deterministic")
ROWS, OBSERVATION_SIZE, ACTION_SIZE = 600, 5, 2
LOW, HIGH = (-1.0, 0.5), (3.0, 0.75)  # a box that is not the unit one


def random_arrays(seed: int = 0) -> dict[str, Any]:
    """Six episodes of 100 steps, the first three of which truly end; every column of another scale."""
    rng = np.random.default_rng(seed)
    terminals, timeouts = np.zeros(ROWS, dtype=bool), np.zeros(ROWS, dtype=bool)
    terminals[99:300:100], timeouts[399::100] = True, True
    scales = np.array([1.0, 100.0, 0.01, 3.0, 1.0])
    return {
        "observations": (rng.standard_normal((ROWS, OBSERVATION_SIZE)) * scales + 2 * scales).astype(np.float32),
        "actions": rng.uniform(LOW, HIGH, (ROWS, ACTION_SIZE)).astype(np.float32),
        "rewards": rng.standard_normal(ROWS).astype(np.float32),
        "terminals": terminals,
        "timeouts": timeouts,
    }


def random_dataset() -> pogo.Dataset:
    """The arrays as a dataset without an environment."""
    return pogo.Dataset.from_arrays(**random_arrays(), action_low=LOW, action_high=HIGH)


OVERRIDES = {
    "train.updates": 30,
    "train.batch_size": 32,
    "checkpoint.every": 10,
    "log.every": 10,
    "chain.actors": [{"kind": kind, "hidden_sizes": [16, 16]} for kind in KINDS],
}


def trained(backend: str, folder: Path, **options: Any) -> pogo.Run:
    """A short run of IQL in `folder`."""
    overrides = {**OVERRIDES, "run.dir": folder / "run", **options}
    return pogo.train("iql", backend=backend, dataset=random_dataset(), overrides=overrides, progress=False)
