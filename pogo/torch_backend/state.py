"""Canonical arrays to a torch state and back. Twin: pogo/jax_backend/state.py."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pogo.core.interface import AdamState, TrainState


def state_from_arrays(arrays: Mapping[str, np.ndarray], device: torch.device) -> TrainState:
    """The state that canonical `arrays` describe, in memory of its own on `device`."""
    networks: dict[str, dict[str, Tensor]] = {}
    moments: dict[str, dict[str, dict[str, Tensor]]] = {}
    counts: dict[str, int] = {}
    for name in arrays:
        if name == "updates":
            continue
        if not name.startswith("optimizer/"):
            network, parameter = name.split("/", 1)
            networks.setdefault(network, {})[parameter] = _to_tensor(arrays[name], device)
        elif name.endswith("/count"):
            counts[name.split("/")[1]] = int(arrays[name])
        else:
            _, network, moment, parameter = name.split("/", 3)
            tensors = moments.setdefault(network, {"mu": {}, "nu": {}})[moment]
            tensors[parameter] = _to_tensor(arrays[name], device)
    optimizers = {}
    for network, count in counts.items():
        for parameter in networks[network].values():
            parameter.requires_grad_(True)
        steps = torch.tensor(count, dtype=torch.int32, device=device)
        ordered = {
            moment: {name: moments[network][moment][name] for name in networks[network]} for moment in ("mu", "nu")
        }
        optimizers[network] = AdamState(steps, ordered["mu"], ordered["nu"])
    return TrainState(networks, optimizers, int(arrays["updates"]))


def state_to_arrays(state: TrainState) -> dict[str, np.ndarray]:
    """Canonical arrays of `state`, copied."""
    arrays: dict[str, np.ndarray] = {}
    for network, params in state.networks.items():
        for parameter, value in params.items():
            arrays[f"{network}/{parameter}"] = _to_numpy(value)
    for network, optimizer in state.optimizers.items():
        for moment, tensors in (("mu", optimizer.mu), ("nu", optimizer.nu)):
            for parameter, value in tensors.items():
                arrays[f"optimizer/{network}/{moment}/{parameter}"] = _to_numpy(value)
        arrays[f"optimizer/{network}/count"] = np.asarray(int(optimizer.count), dtype=np.int32)
    arrays["updates"] = np.asarray(state.updates, dtype=np.int32)
    return arrays


def _to_tensor(array: np.ndarray, device: torch.device) -> Tensor:
    # In C order whatever numpy's is: the fused Adam walks parameters, moments and gradients side by side in memory.
    return torch.tensor(np.ascontiguousarray(array).reshape(array.shape), device=device)


def _to_numpy(value: Tensor) -> np.ndarray:
    return value.detach().cpu().numpy().copy()
