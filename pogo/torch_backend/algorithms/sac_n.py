"""SAC-N in torch. Twin: pogo/jax_backend/algorithms/sac_n.py.

An et al. 2021, arXiv:2110.01548, in the order of CORL's code.
"""

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor

from pogo.core.algorithms.sac_n import Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.torch_backend import algorithm
from pogo.torch_backend.actors import Actor
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.losses import bootstrapped, summed_td_loss, temperature_loss
from pogo.torch_backend.networks import Params, q_values, smallest_q_value
from pogo.torch_backend.optimizers import minimise, move_target

Arrays = Mapping[str, Tensor]
SACN = TypeVar("SACN", bound=Hyperparameters)


def td_target(
    actor: Actor, target_critic: Params, alpha: Tensor, batch: Arrays, noise: Arrays, hp: Hyperparameters
) -> Tensor:
    """Soft target, the minimum over the ensemble at one sample of the actor, [B]."""
    next_actions, log_probs = actor.clipped_sample_and_log_prob(batch["next_observations"], noise["next_action"])
    next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions)) - alpha * log_probs
    return bootstrapped(batch, next_q, hp.discount)


def actor_loss(
    critic: Params, alpha: Tensor, actor: Actor, observations: Tensor, noise: Tensor
) -> tuple[Tensor, Tensor]:
    """Give alpha log pi - min Q at one reparametrised sample, scalar, and the policy's entropy estimate."""
    actions, log_probs = actor.clipped_sample_and_log_prob(observations, noise)
    q = smallest_q_value(critic, observations, actions)
    return (alpha * log_probs - q).mean(), -log_probs.mean().detach()


class Algorithm(algorithm.Algorithm[SACN]):
    """SAC-N: soft actor-critic with the minimum over an ensemble."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        """Temperature, actor, critics with the updated actor and temperature, targets."""
        hp = self.hyperparameters
        metrics: dict[str, Tensor] = {}
        if self.spec.actors[0].has_density:  # without one there is no entropy to tune by: alpha stays at its start
            with torch.no_grad():
                actor = self.actor(0, state.networks["actor_0"])
                _, log_probs = actor.clipped_sample_and_log_prob(batch["observations"], noise["alpha_action"])
            target_entropy = -float(self.spec.action_size)
            rate = hp.temperature_learning_rate
            state, metrics, _ = minimise(temperature_loss, state, "temperature", rate, log_probs, target_entropy)
        alpha = state.networks["temperature"]["log_alpha"].detach().exp()
        critic = state.networks["critic"]
        rate = hp.actor_learning_rate
        state, of_actor, entropy = minimise(self._actor_0_loss, state, "actor_0", rate, critic, alpha, batch, noise)
        with torch.no_grad():
            actor = self.actor(0, state.networks["actor_0"])
            target = td_target(actor, state.networks["target_critic"], alpha, batch, noise, hp)
        rate = hp.critic_learning_rate
        state, of_critic, mean_q = minimise(self.critic_objective, state, "critic", rate, batch, target)
        state = move_target(state, "target_critic", state.networks["critic"], hp.tau)
        about = {"q": mean_q, "td_target": target.mean(), "alpha": alpha.sum(), "entropy": entropy}
        return state._replace(updates=state.updates + 1), metrics | of_actor | of_critic | about

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Tensor:
        """Give alpha log pi - min Q at the actor's sample: SAC-N's own actor loss."""
        alpha = state.networks["temperature"]["log_alpha"].detach().exp()
        observations = batch["observations"]
        if actor.config.is_stochastic:
            actions, log_probs = actor.clipped_sample_and_log_prob(observations, noise["energy"])
            q = self.critic_value(state, observations, actions)
            return self.energy_scale(q) * (alpha * log_probs - q).mean()
        q = self.critic_value(state, observations, actor.deterministic_actions(observations))
        return -self.energy_scale(q) * q.mean()

    def critic_value(self, state: TrainState, observations: Tensor, actions: Tensor) -> Tensor:
        """The smallest of the ensemble's values, [B]."""
        return smallest_q_value(state.networks["critic"], observations, actions)

    def critic_objective(self, critic: Params, batch: Arrays, target: Tensor) -> tuple[Tensor, Tensor]:
        """What the critics minimise; EDAC adds to it."""
        return summed_td_loss(critic, batch, target)

    def _actor_0_loss(
        self, params: Params, critic: Params, alpha: Tensor, batch: Arrays, noise: Arrays
    ) -> tuple[Tensor, Tensor]:
        actor = self.actor(0, params, noise)
        sample = noise["policy_action"]
        loss, entropy = actor_loss(critic, alpha, actor, batch["observations"], sample)
        return loss + self.data_term(actor, batch, sample), entropy
