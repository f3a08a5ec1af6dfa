"""Updates by arrays that are handed in: for golden runs and parity. Twin: pogo/jax_backend/single_updates.py."""

from collections.abc import Mapping

import numpy as np
import torch

from pogo.core.algorithms import load_mathematics
from pogo.core.problem.spec import TrainSpec
from pogo.torch_backend.chain import chain_step
from pogo.torch_backend.state import state_from_arrays, state_to_arrays


class SingleUpdates:
    """Steps one state through given batches and noise, on the CPU."""

    def __init__(self, spec: TrainSpec, arrays: Mapping[str, np.ndarray]) -> None:
        self._algorithm = load_mathematics(spec.algorithm, "torch").Algorithm(spec)
        self._state = state_from_arrays(arrays, torch.device("cpu"))

    def step(self, batch: Mapping[str, np.ndarray], noise: Mapping[str, np.ndarray]) -> dict[str, float]:
        """One update of the algorithm and its chain; its metrics."""
        tensors = [{name: torch.tensor(value) for name, value in arrays.items()} for arrays in (batch, noise)]
        moves = self._algorithm.moves(self._state.updates)
        self._state, metrics = chain_step(self._algorithm, self._state, *tensors)
        return {name: float(value) for name, value in metrics.items() if moves.includes(name)}

    def arrays(self) -> dict[str, np.ndarray]:
        """The canonical state, copied."""
        return state_to_arrays(self._state)
