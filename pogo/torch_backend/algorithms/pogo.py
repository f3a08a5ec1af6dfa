"""POGO in torch: transport-map actors. Twin: pogo/jax_backend/algorithms/pogo.py.

In the order of the original's code (the published scores are of another algorithm).
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.core.algorithms.pogo import Hyperparameters
from pogo.core.chain import actor_name
from pogo.core.interface import TrainState
from pogo.torch_backend import algorithm
from pogo.torch_backend.actors import Actor
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.networks import Params, q_values
from pogo.torch_backend.optimizers import minimise, move_target

Arrays = Mapping[str, Tensor]

SMALLEST_SCALE = 1e-6  # of |Q| where it divides


def td_target(target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays, hp: Hyperparameters) -> Tensor:
    """Clipped double-Q target at a sample of target actor 0, smoothed where `noise_shaping`, [B]."""
    next_actions = target_actor.action_for_loss(batch["next_observations"], noise.get("target_action"))
    if hp.noise_shaping:
        smoothing = (noise["target_policy"] * hp.policy_noise).clamp(-hp.noise_clip, hp.noise_clip)
        next_actions = (next_actions + smoothing).clamp(-1.0, 1.0)
    next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
    return (batch["rewards"] + hp.discount * (1.0 - batch["terminals"]) * next_q).detach()


def critic_loss(critic: Params, batch: Arrays, target: Tensor) -> tuple[Tensor, Tensor]:
    """Squared TD error, averaged over the batch, summed over the members, and the mean Q."""
    q = q_values(critic, batch["observations"], batch["actions"])
    return torch.square(q - target).mean(dim=1).sum(), q.mean().detach()


def q_term(critic: Params, observations: Tensor, actions: Tensor, hp: Hyperparameters) -> Tensor:
    """-lambda mean Q_1; lambda is 1, or 1 / mean |Q_1| without gradient where `normalize_q`; scalar."""
    q = q_values(critic, observations, actions)[0]
    if not hp.normalize_q:
        return -q.mean()
    return -(1.0 / q.abs().mean().clamp(min=SMALLEST_SCALE)).detach() * q.mean()


def actor_loss(critic: Params, batch: Arrays, actions: Tensor, hp: Hyperparameters) -> Tensor:
    """-lambda Q_1 + w_0 (pi(s) - a)^2, the latter a mean over batch and action dimensions; scalar."""
    distance = torch.square(actions - batch["actions"]).mean()
    return q_term(critic, batch["observations"], actions, hp) + hp.w2_data * distance


class Algorithm(algorithm.Algorithm):
    """POGO: TD3-style critics under a chain of transport maps."""

    name = "pogo"

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        """Critics on every update; actor 0 and targets on every `policy_freq`-th."""
        hp = self.hyperparameters
        with torch.no_grad():
            target_actor = self.actor(0, state.networks["target_actor"])
            target = td_target(target_actor, state.networks["target_critic"], batch, noise, hp)
        state, loss_q, mean_q = minimise(critic_loss, state, "critic", hp.critic_learning_rate, batch, target)
        metrics = {"critic_loss": loss_q, "q": mean_q, "td_target": target.mean()}
        if self.shared.actors_due(state.updates, hp):
            state, actor_metrics = self._move_actor_0(state, batch, noise)
            metrics |= actor_metrics
        return state._replace(updates=state.updates + 1), metrics

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Tensor:
        """-lambda_i Q_1 at the actor's sample; `loss` adds actor 0's distance to the data."""
        critic = state.networks["critic"]
        actions = actor.action_in_box(batch["observations"], noise.get("energy"))
        if self.spec.chain.energy == "loss":
            return actor_loss(critic, batch, actions, self.hyperparameters)
        return q_term(critic, batch["observations"], actions, self.hyperparameters)

    def after_chain(self, state: TrainState) -> TrainState:
        """Move the targets of actors 1+, which the original keeps and never reads."""
        for index in range(1, self.spec.chain.num_actors):
            name = actor_name(index)
            state = move_target(state, f"target_{name}", state.networks[name], self.hyperparameters.tau)
        return state

    def _move_actor_0(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        hp = self.hyperparameters
        critic = state.networks["critic"]
        rate = hp.actor_learning_rate
        state, loss, actions = minimise(self._actor_0_loss, state, "actor_0", rate, critic, batch, noise)
        state = move_target(state, "target_critic", critic, hp.tau)
        state = move_target(state, "target_actor", state.networks["actor_0"], hp.tau)
        mean_squared_error = torch.square(actions - batch["actions"]).mean()
        return state, {"actor_0/loss": loss, "actor_0/mean_squared_error": mean_squared_error}

    def _actor_0_loss(self, params: Params, critic: Params, batch: Arrays, noise: Arrays) -> tuple[Tensor, Tensor]:
        actor = self.actor(0, params, noise)
        sample = noise.get("policy_action")
        actions = actor.action_for_loss(batch["observations"], sample)
        loss = actor_loss(critic, batch, actions, self.hyperparameters) + self.data_term(actor, batch, sample)
        return loss, actions.detach()
