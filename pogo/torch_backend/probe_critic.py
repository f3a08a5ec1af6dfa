"""One update of the probe's critic. Twin: pogo/jax_backend/probe_critic.py."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.core.problem.chain import actor_name
from pogo.core.problem.probe_critic import (
    LEARNING_RATE,
    PROBE_ARRAYS,
    PROBE_CRITIC,
    PROBE_PREFIX,
    TARGET_PROBE_CRITIC,
    TAU,
)
from pogo.core.problem.state import TrainState
from pogo.torch_backend.algorithm import Algorithm
from pogo.torch_backend.losses import bootstrapped, mean_td_loss
from pogo.torch_backend.networks import q_values
from pogo.torch_backend.optimizers import minimise, move_target


def move_probe_critic(
    algorithm: Algorithm, state: TrainState, batch: Mapping[str, Tensor]
) -> tuple[TrainState, dict[str, Tensor]]:
    """One Adam step on the TD error of actor 0's deterministic actions, on rows of its own; its slow copy follows."""
    rows = {name: batch[f"{PROBE_PREFIX}{name}"] for name in PROBE_ARRAYS}
    with torch.no_grad():
        actor = algorithm.actor(0, state.networks[actor_name(0)])
        actions = actor.deterministic_actions(rows["next_observations"])
        slow = state.networks[TARGET_PROBE_CRITIC]
        next_q = q_values(slow, rows["next_observations"], actions).mean(dim=0)
        target = bootstrapped(rows, next_q, algorithm.hyperparameters.discount)
    state, metrics, _ = minimise(mean_td_loss, state, PROBE_CRITIC, LEARNING_RATE, rows, target)
    return move_target(state, TARGET_PROBE_CRITIC, state.networks[PROBE_CRITIC], TAU), metrics
