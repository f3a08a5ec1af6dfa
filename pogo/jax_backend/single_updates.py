"""Updates by arrays that are handed in: for golden runs and parity. Twin: pogo/torch_backend/single_updates.py."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pogo.core.algorithms import load_mathematics
from pogo.core.problem.spec import TrainSpec
from pogo.jax_backend.chain import chain_step
from pogo.jax_backend.compilation import compiler_options
from pogo.jax_backend.state import state_from_arrays, state_to_arrays


class SingleUpdates:
    """Steps one state through given batches and noise, on the CPU."""

    def __init__(self, spec: TrainSpec, arrays: Mapping[str, np.ndarray]) -> None:
        # float64 is a switch of the whole process in JAX: set for the length of each call, and only for such a run.
        self._enable_x64 = spec.dtype == "float64"
        self._algorithm = load_mathematics(spec.algorithm, "jax").Algorithm(spec)
        cpu = jax.devices("cpu")[0]
        self._step = jax.jit(
            lambda state, batch, noise: chain_step(self._algorithm, state, batch, noise),
            compiler_options=compiler_options(cpu),
        )
        with jax.enable_x64(self._enable_x64):
            self._state = state_from_arrays(arrays, cpu)

    def step(self, batch: Mapping[str, np.ndarray], noise: Mapping[str, np.ndarray]) -> dict[str, float]:
        """One update of the algorithm and its chain; its metrics."""
        moves = self._algorithm.moves(int(self._state.updates))
        with jax.enable_x64(self._enable_x64):
            arrays = [{name: jnp.asarray(value) for name, value in values.items()} for values in (batch, noise)]
            self._state, metrics = self._step(self._state, *arrays)
            return {name: float(value) for name, value in metrics.items() if moves.includes(name)}

    def arrays(self) -> dict[str, np.ndarray]:
        """The canonical state, copied."""
        return state_to_arrays(self._state)
