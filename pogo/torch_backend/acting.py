"""Trained networks as functions of numpy arrays, for acting outside of training. Twin: pogo/jax_backend/acting.py."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from pogo.core.learner.functions import ActionFunction, QFunction, ValueFunction
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.torch_backend import networks
from pogo.torch_backend.actors import make_actor
from pogo.torch_backend.algorithms.fql import flow_actions
from pogo.torch_backend.devices import find_device
from pogo.torch_backend.networks import Params


def action_function(
    config: ActorConfig | FlowConfig, parameters: Mapping[str, np.ndarray], device: str = "cpu"
) -> ActionFunction:
    """How a policy acts, in the type of its parameters.

    Raises:
        BadInput: the device is not there.
    """
    params = _tensors(parameters, device)
    like = params["output/bias"]

    def act(observations: np.ndarray, noise: np.ndarray | None) -> np.ndarray:
        with torch.inference_mode():
            rows = torch.from_numpy(observations).to(like)
            draws = None if noise is None else torch.from_numpy(noise).to(like)
            return _actions(config, params, rows, draws).numpy(force=True)

    return act


def _actions(config: ActorConfig | FlowConfig, params: Params, rows: Tensor, noise: Tensor | None) -> Tensor:
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
    params = _tensors(parameters, device)
    like = params["output/bias"]

    def q(observations: np.ndarray, actions: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            rows, taken = (torch.from_numpy(array).to(like) for array in (observations, actions))
            return networks.q_values(params, rows, taken, activation).numpy(force=True)

    return q


def value_function(parameters: Mapping[str, np.ndarray], device: str = "cpu") -> ValueFunction:
    """The state values.

    Raises:
        BadInput: the device is not there.
    """
    params = _tensors(parameters, device)
    like = params["output/bias"]

    def value(observations: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return networks.state_values(params, torch.from_numpy(observations).to(like)).numpy(force=True)

    return value


def _tensors(parameters: Mapping[str, np.ndarray], device: str) -> Params:
    found = find_device(device)
    return {name: torch.tensor(value, device=found) for name, value in parameters.items()}
