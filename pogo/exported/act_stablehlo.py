"""Act from a StableHLO file of jax.export."""

import sys
from pathlib import Path

import jax
import numpy as np


def main(file: str, observations: str, actions: str, *noise: str) -> None:
    """Read observations [n, O] (and N(0, 1) draws [n, A], where the file samples), write actions [n, A]."""
    arrays = [np.load(path) for path in (observations, *noise)]
    if arrays[0].dtype == np.float64:
        jax.config.update("jax_enable_x64", True)
    policy = jax.export.deserialize(bytearray(Path(file).read_bytes()))
    np.save(actions, np.asarray(policy.call(*arrays)))


if __name__ == "__main__":
    main(*sys.argv[1:])
