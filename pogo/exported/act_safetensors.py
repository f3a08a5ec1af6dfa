"""Act from a safetensors file and the JSON card beside it, in numpy: the card says how the arrays are used."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

Arrays = Mapping[str, np.ndarray]


def main(file: str, observations: str, actions: str, *noise: str) -> None:
    """Read observations [n, O] (and N(0, 1) draws [n, A], to sample), write actions [n, A]."""
    card = json.loads(Path(f"{file}.json").read_text())
    draws = np.load(noise[0]) if noise else None
    np.save(actions, act(load_file(file), card["architecture"], np.load(observations), draws))


def act(
    arrays: Arrays, architecture: Mapping[str, Any], observations: np.ndarray, noise: np.ndarray | None
) -> np.ndarray:
    """Actions [n, A] in the environment's units at its observations [n, O]; without noise, the deterministic mode."""
    scaling = {name.removeprefix("scaling/"): array for name, array in arrays.items() if name.startswith("scaling/")}
    dtype = arrays["output/bias"].dtype
    rows = np.where(scaling["held"], scaling["held_values"], observations.astype(np.float64))
    rows = (rows - scaling["observation_mean"]) / scaling["observation_std"]
    draws = np.zeros((len(rows), len(scaling["action_low"]))) if noise is None else noise
    box = box_actions(arrays, architecture, rows.astype(np.float32).astype(dtype), draws.astype(dtype))
    actions = scaling["action_middle"] + scaling["action_half"] * box.astype(np.float64)
    return np.clip(actions, scaling["action_low"], scaling["action_high"]).astype(dtype)


def box_actions(arrays: Arrays, how: Mapping[str, Any], rows: np.ndarray, draws: np.ndarray) -> np.ndarray:
    """Actions [n, A] at normalised observations, before they are cut to [-1, 1]."""
    kind = how["kind"]
    if kind == "flow":
        points = draws
        for step in range(how["steps"]):
            times = np.full((len(rows), 1), step / how["steps"], dtype=rows.dtype)
            points = points + network(arrays, how, np.concatenate([rows, points, times], axis=1)) / how["steps"]
        return points
    if kind in ("stochastic", "deterministic"):
        head = network(arrays, how, np.concatenate([rows, draws], axis=1) if kind == "stochastic" else rows)
        return np.tanh(head) if how["output"] == "tanh" else head
    head, size = network(arrays, how, rows), draws.shape[1]
    mean, std = head[:, :size], deviation(arrays, how, head[:, size:])
    if kind == "tanh_gaussian":
        return np.tanh(mean + std * draws)
    return (np.tanh(mean) if how["tanh_mean"] else mean) + std * draws


def deviation(arrays: Arrays, how: Mapping[str, Any], second_half: np.ndarray) -> np.ndarray:
    """The standard deviation of a gaussian kind."""
    if how["log_std"] == "fixed":
        return np.exp(np.asarray(how["log_std_init"]))
    log_std = arrays["log_std"] if how["log_std"] == "free" else second_half
    if how["log_std"] == "head" and how["log_std_affine"] and how["std"] == "exp":
        log_std = arrays["log_std_multiplier"] * log_std + arrays["log_std_offset"]
    if how["std"] == "softplus":
        return np.where(log_std > 20.0, log_std, np.logaddexp(log_std, 0.0)) + how["std_floor"]
    return np.exp(np.clip(log_std, how["log_std_min"], how["log_std_max"]))


def network(arrays: Arrays, how: Mapping[str, Any], values: np.ndarray) -> np.ndarray:
    """Blocks of (linear, activation, layer norm where there is one), then the head."""
    for index in range(len(how["hidden_sizes"])):
        values = values @ arrays[f"hidden_{index}/kernel"] + arrays[f"hidden_{index}/bias"]
        values = ACTIVATIONS[how["activation"]](values)
        if how["layer_norm"]:
            centred = values - values.mean(axis=1, keepdims=True)
            values = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + 1e-6)
            values = values * arrays[f"norm_{index}/scale"] + arrays[f"norm_{index}/bias"]
    return values @ arrays["output/kernel"] + arrays["output/bias"]


def gelu_tanh(values: np.ndarray) -> np.ndarray:
    """GELU in its tanh form."""
    inner = np.sqrt(2 / np.pi).astype(values.dtype) * (values + values.dtype.type(0.044715) * values**3)
    return values * (1 + np.tanh(inner)) / 2


ACTIVATIONS = {"relu": lambda values: np.maximum(values, 0), "tanh": np.tanh, "gelu_tanh": gelu_tanh}


if __name__ == "__main__":
    main(*sys.argv[1:])
