"""The states and draws at which a run's log describes its policies: the same ones all through a run."""

from dataclasses import dataclass

import numpy as np

from pogo.core.problem.streams import generator

STATES = 256
SAMPLES = 16  # of each actor in each state


@dataclass(frozen=True, eq=False)
class Probe:
    """The states and draws at which every actor's spread and entropy are measured, at the end of a window of the log.

    Fixed for the run, so that a change in the log is a change of the policy, and drawn in numpy, so that both backends
    and a resumed run measure at the same points.
    """

    observations: np.ndarray  # [n, O], normalised
    noise: np.ndarray  # [n, SAMPLES, A], N(0, 1)


def make_probe(observations: np.ndarray, action_size: int, seed: int) -> Probe:
    """Up to STATES rows of a dataset's observations [N, O], without repetition, and their draws."""
    rng = generator(seed, "probe")
    rows = rng.choice(len(observations), size=min(STATES, len(observations)), replace=False)
    noise = rng.standard_normal((len(rows), SAMPLES, action_size), dtype=np.float32)
    return Probe(observations[np.sort(rows)].copy(), noise)
