"""The replay buffer on JAX's device. Twin: pogo/torch_backend/replay_buffer.py."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from typing_extensions import override

from pogo.core.learner import replay_buffer
from pogo.core.problem.spec import TrainSpec


class ReplayBuffer(replay_buffer.ReplayBuffer):
    """See `pogo.core.learner.replay_buffer.ReplayBuffer`."""

    def __init__(self, capacity: int, spec: TrainSpec, device: jax.Device) -> None:
        super().__init__(capacity, spec.observation_size, spec.action_size)
        self.rows = jnp.zeros((capacity, self.width), dtype=spec.dtype, device=device)
        # The buffer is given to the program and taken back: the rows that stay are not copied.
        self._insert = jax.jit(_insert, donate_argnums=0)

    @property
    def held(self) -> np.ndarray:
        """How many rows there are, as an argument of a compiled program."""
        return np.asarray(len(self), dtype=np.int32)

    @override
    def write(self, slots: np.ndarray, rows: np.ndarray) -> None:
        self.rows = self._insert(self.rows, slots.astype(np.int32), rows)

    @override
    def read(self) -> np.ndarray:
        return np.array(np.asarray(self.rows)[: len(self)], dtype=np.float32)  # sliced there, each length compiles


def _insert(held: Array, slots: Array, rows: Array) -> Array:
    return held.at[slots].set(rows.astype(held.dtype), unique_indices=True)
