"""POGO of its paper in torch. Twin: pogo/jax_backend/algorithms/pogo_gaussian.py.

A step from a learned behaviour policy is the paper's Algorithm 1. Its Algorithm 2, the second phase, is a chain that
begins late on frozen critics (`chain.begin_at`, `chain.freeze`).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.core.algorithms.pogo_gaussian import BEHAVIOUR, Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.torch_backend import algorithm
from pogo.torch_backend.actors import Actor, make_actor
from pogo.torch_backend.algorithm import SMALLEST_SCALE
from pogo.torch_backend.chain import squared_distance
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.losses import bootstrapped, cloning_losses, summed_td_loss
from pogo.torch_backend.networks import Params, first_q_value, q_values
from pogo.torch_backend.optimizers import minimise, move_target
from pogo.torch_backend.td3 import smoothed_actions

Arrays = Mapping[str, Tensor]


class Algorithm(algorithm.Algorithm[Hyperparameters]):
    """Critics by TD errors, a behaviour policy by likelihood, and actor 0 by one step from the latter."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        """Critics, behaviour policy; then, when it is due, actor 0 and the targets."""
        hp = self.hyperparameters
        with torch.no_grad():
            target = self.td_target(state, batch, noise)
        state, of_critic, mean_q = minimise(summed_td_loss, state, "critic", hp.learning_rate, batch, target)
        state, of_behaviour, _ = minimise(self._behaviour_loss, state, BEHAVIOUR, hp.learning_rate, batch)
        metrics = of_critic | of_behaviour | {"q": mean_q, "td_target": target.mean()}
        if self.shared.actors_due(state.updates, hp):
            state, of_actor = self._move_actor_0(state, batch, noise)
            metrics |= of_actor
        return state._replace(updates=state.updates + 1), metrics

    def td_target(self, state: TrainState, batch: Arrays, noise: Arrays) -> Tensor:
        """The smaller slow critic at a sample of the slow actor, or at its smoothed mean, [B]."""
        hp, networks, observations = self.hyperparameters, state.networks, batch["next_observations"]
        target_actor = self.actor(0, networks["target_actor"])
        if hp.target_action == "smoothed":
            actions = smoothed_actions(target_actor, batch, noise, hp)
        else:
            actions = target_actor.action_for_energy(observations, noise["target_policy"])
        next_q = min_over_members(q_values(networks["target_critic"], observations, actions))
        return bootstrapped(batch, next_q, hp.discount)

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Tensor:
        """E_s[pi] = -lambda_Q E Q - lambda H, a mean over states; scalar. POGO, equation 6."""
        return self._energy(state, actor, batch, noise.get("energy"))

    def critic_value(self, state: TrainState, observations: Tensor, actions: Tensor) -> Tensor:
        """The smaller of the critics' values, or the first's, [B]."""
        critic = state.networks["critic"]
        if self.hyperparameters.actor_q == "first":
            return first_q_value(critic, observations, actions)
        return min_over_members(q_values(critic, observations, actions))

    def _energy(self, state: TrainState, actor: Actor, batch: Arrays, sample: Tensor | None) -> Tensor:
        hp, observations = self.hyperparameters, batch["observations"]
        at_mean = hp.actor_action == "mean" and actor.config.is_gaussian
        actions = (
            actor.deterministic_actions(observations) if at_mean else actor.action_for_energy(observations, sample)
        )
        q = self.critic_value(state, observations, actions)
        # A Normal's own entropy, before any clip; other kinds have none in closed form, and none here.
        entropy = actor.entropy(observations, torch.zeros_like(actions)) if actor.config.is_gaussian else 0.0
        if hp.normalize_q:
            scale = (1.0 / q.abs().mean().clamp(min=SMALLEST_SCALE)).detach()
            return -scale * q.mean() - hp.entropy_weight * entropy
        return self.energy_scale(q) * (-q.mean() - hp.entropy_weight * entropy)

    def _behaviour(self, params: Params) -> Actor:
        return make_actor(self.shared.default_actor(self.hyperparameters), params)

    def _behaviour_loss(self, params: Params, batch: Arrays) -> tuple[Tensor, None]:
        return cloning_losses(self._behaviour(params), batch, None).mean(), None

    def _move_actor_0(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        hp = self.hyperparameters
        state, found, distance = minimise(self._actor_0_loss, state, "actor_0", hp.learning_rate, state, batch, noise)
        state = move_target(state, "target_critic", state.networks["critic"], hp.tau)
        state = move_target(state, "target_actor", state.networks["actor_0"], hp.tau)
        return state, found | {"actor_0/behaviour_distance_squared": distance}

    def _actor_0_loss(self, params: Params, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[Tensor, Tensor]:
        """The energy and the squared distance to the behaviour policy. POGO, equations 10 and 16."""
        actor, sample = self.moving_actor(0, params, noise), noise["policy_sample"]
        behaviour = self._behaviour(state.networks[BEHAVIOUR])
        draws = {name.removeprefix("behaviour_"): draw for name, draw in noise.items()} | {"energy": sample}
        distance = squared_distance(actor, behaviour, batch["observations"], draws, self.spec).mean()
        loss = self._energy(state, actor, batch, sample) + self.hyperparameters.behaviour_weight * distance
        return loss + self.data_term(actor, batch, sample), distance.detach()
