"""Canonical arrays to a JAX state and back. Twin: pogo/torch_backend/state.py."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from pogo.core.problem.state import TrainState, flat, nested


def state_from_arrays(arrays: Mapping[str, np.ndarray], device: jax.Device | jax.sharding.Sharding) -> TrainState:
    """The state that canonical `arrays` describe, in memory of its own on `device`, or shared out over several."""
    # A copy on the device: on CPU, JAX may otherwise share numpy's memory, which donation would then overwrite.
    return nested({name: jax.device_put(jnp.array(array, copy=True), device) for name, array in arrays.items()})


def state_to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Canonical arrays of `state`, copied."""
    return {name: np.array(value) for name, value in flat(state).items()}
