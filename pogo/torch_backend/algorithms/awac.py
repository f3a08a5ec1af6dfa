"""AWAC in torch. Twin: pogo/jax_backend/algorithms/awac.py.

Nair et al. 2020, arXiv:2006.09359, in the order of CORL's code.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.core.algorithms.awac import Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.torch_backend import algorithm
from pogo.torch_backend.actors import Actor
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.losses import bootstrapped, cloning_losses, summed_td_loss
from pogo.torch_backend.networks import Params, q_values
from pogo.torch_backend.optimizers import minimise, move_target

Arrays = Mapping[str, Tensor]


def td_target(actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays, hp: Hyperparameters) -> Tensor:
    """Double-Q target at one clipped sample of the online actor, [B]."""
    next_actions = actor.action_for_energy(batch["next_observations"], noise.get("next_action"))
    next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
    return bootstrapped(batch, next_q, hp.discount)


def advantage_weights(critic: Params, batch: Arrays, policy_actions: Tensor, hp: Hyperparameters) -> Tensor:
    """min(exp((Q(s, a) - Q(s, pi)) / lambda), limit), [B], without gradient. AWAC, equation 13."""
    q = min_over_members(q_values(critic, batch["observations"], batch["actions"]))
    v = min_over_members(q_values(critic, batch["observations"], policy_actions))
    return torch.exp((q - v) / hp.advantage_temperature).clamp(max=hp.max_advantage_weight).detach()


def actor_loss(actor: Actor, batch: Arrays, weights: Tensor, noise: Tensor | None) -> Tensor:
    """Weighted -log pi(a|s), or the summed squared error of a kind without a density; scalar. AWAC, equation 13."""
    return (cloning_losses(actor, batch, noise) * weights).mean()


class Algorithm(algorithm.Algorithm[Hyperparameters]):
    """AWAC: TD critics, advantage-weighted actor."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        """Critics, then the actor with the updated critics, then their targets."""
        hp = self.hyperparameters
        with torch.no_grad():
            actor = self.actor(0, state.networks["actor_0"])
            target = td_target(actor, state.networks["target_critic"], batch, noise, hp)
        state, of_critic, mean_q = minimise(summed_td_loss, state, "critic", hp.critic_learning_rate, batch, target)
        with torch.no_grad():
            policy_actions = actor.action_for_energy(batch["observations"], noise.get("value_action"))
            weights = advantage_weights(state.networks["critic"], batch, policy_actions, hp)
        rate = hp.actor_learning_rate
        state, of_actor, _ = minimise(self._actor_0_loss, state, "actor_0", rate, batch, weights, noise)
        state = move_target(state, "target_critic", state.networks["critic"], hp.tau)
        about = {"q": mean_q, "td_target": target.mean(), "actor_0/weight": weights.mean()}
        return state._replace(updates=state.updates + 1), of_critic | of_actor | about

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Tensor:
        """-min Q at the actor's sample; `advantage` subtracts that of actor 0; `loss` is AWAC's own."""
        critic = state.networks["critic"]
        observations = batch["observations"]
        if self.spec.chain.energy == "loss":
            with torch.no_grad():
                baseline = self._baseline_actions(state, observations)
                weights = advantage_weights(critic, batch, baseline, self.hyperparameters)
            return actor_loss(actor, batch, weights, noise.get("energy"))
        actions = actor.action_for_energy(observations, noise.get("energy"))
        q = self.critic_value(state, observations, actions)
        scale = self.energy_scale(q)
        if self.spec.chain.energy == "advantage":
            q = q - self.critic_value(state, observations, self._baseline_actions(state, observations))
        return -scale * q.mean()

    def critic_value(self, state: TrainState, observations: Tensor, actions: Tensor) -> Tensor:
        """The smaller of the critics' values, [B]."""
        return min_over_members(q_values(state.networks["critic"], observations, actions))

    def _baseline_actions(self, state: TrainState, observations: Tensor) -> Tensor:
        """What an energy's V(s) is taken at, whichever actor it is of: actor 0's deterministic action."""
        return self.actor(0, state.networks["actor_0"]).deterministic_actions(observations)

    def _actor_0_loss(self, params: Params, batch: Arrays, weights: Tensor, noise: Arrays) -> tuple[Tensor, None]:
        actor = self.actor(0, params, noise)
        sample = noise.get("policy_action")
        return actor_loss(actor, batch, weights, sample) + self.data_term(actor, batch, sample), None
