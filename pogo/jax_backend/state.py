"""Canonical arrays to a JAX state and back. Twin: pogo/torch_backend/state.py."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from pogo.core.interface import AdamState, TrainState


def state_from_arrays(arrays: Mapping[str, np.ndarray], device: jax.Device | jax.sharding.Sharding) -> TrainState:
    """The state that canonical `arrays` describe, in memory of its own on `device`, or shared out over several."""
    networks: dict[str, dict[str, Array]] = {}
    moments: dict[str, dict[str, dict[str, Array]]] = {}
    counts: dict[str, Array] = {}
    for name in arrays:
        if name == "updates":
            continue
        # A copy on the device: on CPU, JAX may otherwise share numpy's memory, which donation would then overwrite.
        value = jax.device_put(jnp.array(arrays[name], copy=True), device)
        if not name.startswith("optimizer/"):
            network, parameter = name.split("/", 1)
            networks.setdefault(network, {})[parameter] = value
        elif name.endswith("/count"):
            counts[name.split("/")[1]] = value
        else:
            _, network, moment, parameter = name.split("/", 3)
            moments.setdefault(network, {"mu": {}, "nu": {}})[moment][parameter] = value
    optimizers = {
        network: AdamState(count, moments[network]["mu"], moments[network]["nu"]) for network, count in counts.items()
    }
    return TrainState(networks, optimizers, jax.device_put(jnp.array(arrays["updates"], copy=True), device))


def state_to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Canonical arrays of `state`, copied."""
    arrays: dict[str, np.ndarray] = {}
    for network, params in state.networks.items():
        for parameter, value in params.items():
            arrays[f"{network}/{parameter}"] = np.array(value)
    for network, optimizer in state.optimizers.items():
        for moment, tensors in (("mu", optimizer.mu), ("nu", optimizer.nu)):
            for parameter, value in tensors.items():
                arrays[f"optimizer/{network}/{moment}/{parameter}"] = np.array(value)
        arrays[f"optimizer/{network}/count"] = np.array(optimizer.count)
    arrays["updates"] = np.array(state.updates)
    return arrays
