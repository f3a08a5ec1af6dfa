"""Canonical arrays to a torch state and back. Twin: pogo/jax_backend/state.py."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pogo.core.problem.state import UPDATES, TrainState, flat, nested


def state_from_arrays(arrays: Mapping[str, np.ndarray], device: torch.device) -> TrainState:
    """The state that canonical `arrays` describe, in memory of its own on `device`."""
    state = nested({name: _to_tensor(array, device) for name, array in arrays.items()})
    for network in state.optimizers:
        for parameter in state.networks[network].values():
            parameter.requires_grad_(True)
    return state._replace(updates=int(arrays[UPDATES]))


def state_to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Canonical arrays of `state`, copied."""
    updates = np.asarray(state.updates, dtype=np.int32)
    return {name: _to_numpy(value) for name, value in flat(state).items() if name != UPDATES} | {UPDATES: updates}


def _to_tensor(array: np.ndarray, device: torch.device) -> Tensor:
    # In C order whatever numpy's is: the fused Adam walks parameters, moments and gradients side by side in memory.
    return torch.tensor(np.ascontiguousarray(array).reshape(array.shape), device=device)


def _to_numpy(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()
