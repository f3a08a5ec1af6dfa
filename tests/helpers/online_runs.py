"""The online run that these tests begin with, small enough for tests."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.runs import arguments as small_arguments

ENV_STEPS, LEARNING_STARTS = 260, 60
# A log window that is open at the checkpoints, which fall into the middle of episodes.
ONLINE = {
    "env": "Pendulum-v1",
    "train__env_steps": ENV_STEPS,
    "train__learning_starts": LEARNING_STARTS,
    "log__every": 70,
    "eval__every": 100,
    "eval__episodes": 1,
    "checkpoint__every": 50,
    "chain__num_actors": 2,
}
COUNTING = "tests.helpers.environments:Counting-v0"
# What JAX does as torch does, in core: `make test-slow` has it too.
TORCH_QUICKLY = ["torch", pytest.param("jax", marks=pytest.mark.slow)]


def arguments(run_dir: Path, backend: str = "torch", **changes: Any) -> list[str]:
    """Of a SAC run; a key of `changes` has __ for a dot, and None takes the key away."""
    return small_arguments(run_dir, backend, "sac", **{**ONLINE, **changes})
