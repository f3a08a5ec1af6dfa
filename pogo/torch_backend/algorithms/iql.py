"""IQL in torch. Twin: pogo/jax_backend/algorithms/iql.py.

Kostrikov et al. 2021, arXiv:2110.06169, in the order of CORL's code.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.core.algorithms.iql import Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.torch_backend import algorithm
from pogo.torch_backend.actors import Actor
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.losses import bootstrapped, cloning_losses, mean_td_loss
from pogo.torch_backend.networks import Params, q_values, state_values
from pogo.torch_backend.optimizers import cosine_decay, minimise, move_target

Arrays = Mapping[str, Tensor]


def value_loss(value: Params, batch: Arrays, target_q: Tensor, hp: Hyperparameters) -> tuple[Tensor, Tensor]:
    """Expectile regression of V on the target Q, scalar, and the advantages [B], detached. IQL, equation 5."""
    advantages = target_q - state_values(value, batch["observations"])
    weights = torch.abs(hp.expectile - (advantages < 0).to(advantages.dtype))
    return (weights * torch.square(advantages)).mean(), advantages.detach()


def advantage_weights(advantages: Tensor, hp: Hyperparameters) -> Tensor:
    """min(exp(beta * advantage), limit), [B]. IQL, equation 7."""
    return torch.exp(hp.beta * advantages).clamp(max=hp.max_advantage_weight)


def actor_loss(actor: Actor, batch: Arrays, weights: Tensor, noise: Tensor | None) -> Tensor:
    """Weighted -log pi(a|s), or the summed squared error of a kind without a density; scalar. IQL, equation 7."""
    return (weights * cloning_losses(actor, batch, noise)).mean()


class Algorithm(algorithm.Algorithm[Hyperparameters]):
    """IQL: expectile value, TD critics, advantage-weighted actor."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Tensor]]:
        """V, critics, their target, then the actor; V and advantages are from before their steps throughout."""
        hp = self.hyperparameters
        networks = state.networks
        with torch.no_grad():
            next_v = state_values(networks["value"], batch["next_observations"])
            target_q = min_over_members(q_values(networks["target_critic"], batch["observations"], batch["actions"]))
            td_target = bootstrapped(batch, next_v, hp.discount)

        state, of_value, advantages = minimise(value_loss, state, "value", hp.value_learning_rate, batch, target_q, hp)
        state, of_critic, mean_q = minimise(mean_td_loss, state, "critic", hp.critic_learning_rate, batch, td_target)
        state = move_target(state, "target_critic", state.networks["critic"], hp.tau)

        weights = advantage_weights(advantages, hp)
        assert hp.cosine_updates is not None  # `for_run` fills it in
        learning_rate = cosine_decay(hp.actor_learning_rate, state, "actor_0", hp.cosine_updates)
        state, of_actor, _ = minimise(self._actor_0_loss, state, "actor_0", learning_rate, batch, weights, noise)
        about = {
            "q": mean_q,
            "td_target": td_target.mean(),
            "advantage": advantages.mean(),
            "actor_0/weight": weights.mean(),
        }
        return state._replace(updates=state.updates + 1), of_value | of_critic | of_actor | about

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Tensor:
        """-min target Q at the actor's sample; `advantage` subtracts V(s); `loss` is the actor loss of IQL."""
        hp = self.hyperparameters
        networks = state.networks
        observations = batch["observations"]
        if self.spec.chain.energy == "loss":
            with torch.no_grad():
                target_q = min_over_members(q_values(networks["target_critic"], observations, batch["actions"]))
                advantages = target_q - state_values(networks["value"], observations)

            return actor_loss(actor, batch, advantage_weights(advantages, hp), noise.get("energy"))
        actions = actor.action_for_energy(observations, noise.get("energy"))
        q = self.critic_value(state, observations, actions)
        scale = self.energy_scale(q)
        if self.spec.chain.energy == "advantage":
            q = q - state_values(networks["value"], observations)
        return -scale * q.mean()

    def critic_value(self, state: TrainState, observations: Tensor, actions: Tensor) -> Tensor:
        """The smaller of the target critics' values, [B]."""
        return min_over_members(q_values(state.networks["target_critic"], observations, actions))

    def _actor_0_loss(self, params: Params, batch: Arrays, weights: Tensor, noise: Arrays) -> tuple[Tensor, None]:
        actor = self.actor(0, params, noise)
        sample = noise.get("policy_action")
        return actor_loss(actor, batch, weights, sample) + self.data_term(actor, batch, sample), None
