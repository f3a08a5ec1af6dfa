"""The states and draws at which a run's log describes its policies: the same ones all through a run."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from pogo.core.problem.streams import generator

STATES = 256
SAMPLES = 16  # of each actor in each state
SEARCHED_ROWS = 100_000  # of a dataset, drawn once, among which neighbours are looked for
NEIGHBOURS = 64  # rows whose states are the nearest to one of the probe's
_CHUNK = 16  # states whose distances to all rows are held at once


@dataclass(frozen=True, eq=False)
class Neighbours:
    """Rows of the data around each state of a probe: how far out of the data an action is, is told by them.

    Distances are of pairs of a state and an action: each dimension of a state in units of its standard deviation over
    the data, actions in units of the action box.
    """

    state_distances: np.ndarray  # [n, k], squared
    actions: np.ndarray  # [n, k, A]
    own_distance: float  # mean distance of the data's own actions in the probe's states to another row


@dataclass(frozen=True, eq=False)
class Probe:
    """The states and draws at which every actor is measured, at the end of a window of the log.

    Fixed for the run, so that a change in the log is a change of the policy, and drawn in numpy, so that both backends
    and a resumed run measure at the same points.
    """

    batch: Mapping[str, np.ndarray]  # observations [n, O], normalised; of a dataset, all that its batches have
    noise: np.ndarray  # [n, SAMPLES, A], N(0, 1)
    neighbours: Neighbours | None = None  # none: there is no data

    @property
    def around(self) -> dict[str, np.ndarray]:
        """The neighbours' arrays by name, or nothing."""
        near = self.neighbours
        return {} if near is None else {"state_distances": near.state_distances, "actions": near.actions}


def make_probe(arrays: Mapping[str, np.ndarray], action_size: int, seed: int) -> Probe:
    """Up to STATES rows of a dataset, without repetition, their draws, and the rows around them.

    Args:
        arrays: what batches have, by name, each with N rows; observations alone where nothing is recorded.
        action_size: how many dimensions an action has.
        seed: of the draws.
    """
    rng = generator(seed, "probe")
    observations = arrays["observations"]
    rows = np.sort(rng.choice(len(observations), size=min(STATES, len(observations)), replace=False))
    noise = rng.standard_normal((len(rows), SAMPLES, action_size), dtype=np.float32)
    batch = {name: array[rows].copy() for name, array in arrays.items()}
    neighbours = None
    if "actions" in arrays and len(observations) > 1:
        neighbours = _neighbours(observations, arrays["actions"], rows, generator(seed, "probe neighbours"))
    return Probe(batch, noise, neighbours)


def _neighbours(
    observations: np.ndarray, actions: np.ndarray, rows: np.ndarray, rng: np.random.Generator
) -> Neighbours:
    searched = np.arange(len(observations))
    if len(searched) > SEARCHED_ROWS:
        searched = np.sort(rng.choice(searched, size=SEARCHED_ROWS, replace=False))
    std = observations.std(axis=0, dtype=np.float64)
    scale = np.where(std > 0, std, 1.0)
    states = observations[searched] / scale
    squares = np.square(states).sum(axis=1)
    count = min(NEIGHBOURS, len(searched) - 1)
    distances, nearest = np.empty((len(rows), count)), np.empty((len(rows), count), dtype=np.int64)
    for start in range(0, len(rows), _CHUNK):
        chunk = rows[start : start + _CHUNK]
        here = observations[chunk] / scale
        found = np.square(here).sum(axis=1)[:, None] - 2 * here @ states.T + squares
        found[chunk[:, None] == searched] = np.inf  # a row is no neighbour of itself
        at = np.argpartition(found, count - 1, axis=1)[:, :count]
        nearest[start : start + _CHUNK] = at
        distances[start : start + _CHUNK] = np.maximum(np.take_along_axis(found, at, axis=1), 0.0)
    around = actions[searched[nearest]]
    own = distances + np.square(actions[rows][:, None] - around).sum(axis=-1)
    return Neighbours(distances.astype(np.float32), around.copy(), float(np.sqrt(own.min(axis=1)).mean()))
