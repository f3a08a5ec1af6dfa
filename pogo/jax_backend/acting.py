"""Trained networks as functions of numpy arrays, for acting outside of training. Twin: pogo/torch_backend/acting.py.

A batch is filled up with zeros to the next power of two, so that batches of any sizes share a few programs.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import jax
import numpy as np
from jax import Array

from pogo.core.learner.functions import ActionFunction, QFunction, ValueFunction
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.jax_backend import networks
from pogo.jax_backend.actors import make_actor
from pogo.jax_backend.algorithms.fql import flow_actions
from pogo.jax_backend.compilation import compiler_options
from pogo.jax_backend.devices import find_device, start_client
from pogo.jax_backend.networks import Params


def action_function(
    config: ActorConfig | FlowConfig, parameters: Mapping[str, np.ndarray], device: str = "cpu"
) -> ActionFunction:
    """How a policy acts, in the type of its parameters.

    Raises:
        BadInput: the device is not there.
    """
    return _compiled(partial(_actions, config), parameters, device)


def _actions(config: ActorConfig | FlowConfig, params: Params, rows: Array, noise: Array | None) -> Array:
    if isinstance(config, FlowConfig):
        assert noise is not None  # a flow carries noise to actions
        return flow_actions(params, rows, noise, config.steps)
    actor = make_actor(config, params)
    if noise is None:
        return actor.deterministic_actions(rows)
    return actor.sample_actions(rows, noise[:, None, :])[:, 0]


def q_function(parameters: Mapping[str, np.ndarray], activation: str, device: str = "cpu") -> QFunction:
    """The critics' values.

    Raises:
        BadInput: the device is not there.
    """

    def by_row(params: Params, observations: Array, actions: Array) -> Array:
        return networks.q_values(params, observations, actions, activation).T

    run = _compiled(by_row, parameters, device)
    return lambda observations, actions: run(observations, actions).T


def value_function(parameters: Mapping[str, np.ndarray], device: str = "cpu") -> ValueFunction:
    """The state values.

    Raises:
        BadInput: the device is not there.
    """
    return _compiled(networks.state_values, parameters, device)


def _compiled(function: Callable[..., Array], parameters: Mapping[str, np.ndarray], device: str) -> Any:
    """`function(params, *arrays)` of arrays [n, ...], to an array [n, ...]."""
    start_client(device, None)
    found = find_device(device)
    dtype = parameters["output/bias"].dtype
    is_double = dtype == np.float64
    with jax.enable_x64(is_double):
        params = {name: jax.device_put(value, found) for name, value in parameters.items()}

    @partial(jax.jit, compiler_options=compiler_options(found))
    def program(params: Params, *arrays: Array | None) -> Array:
        with jax.default_matmul_precision("highest"):
            return function(params, *(None if array is None else array.astype(dtype) for array in arrays))

    def run(*arrays: np.ndarray | None) -> np.ndarray:
        assert arrays[0] is not None
        count = len(arrays[0])
        filled = [None if array is None else _filled_up(array) for array in arrays]
        with jax.enable_x64(is_double):
            return np.asarray(program(params, *filled))[:count]

    return run


def _filled_up(array: np.ndarray) -> np.ndarray:
    missing = (1 << (len(array) - 1).bit_length()) - len(array)
    return np.pad(array, ((0, missing), (0, 0))) if missing else array
