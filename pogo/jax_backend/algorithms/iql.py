"""IQL in JAX. Twin: pogo/torch_backend/algorithms/iql.py.

Kostrikov et al. 2021, arXiv:2110.06169, in the order of CORL's code.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.core.algorithms.iql import Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.jax_backend import algorithm
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.gradients import min_over_members
from pogo.jax_backend.losses import bootstrapped, cloning_losses, mean_td_loss
from pogo.jax_backend.networks import Params, q_values, state_values
from pogo.jax_backend.optimizers import cosine_decay, minimise, move_target

Arrays = Mapping[str, Array]


def value_loss(value: Params, batch: Arrays, target_q: Array, hp: Hyperparameters) -> tuple[Array, Array]:
    """Expectile regression of V on the target Q, scalar, and the advantages [B], detached. IQL, equation 5."""
    advantages = target_q - state_values(value, batch["observations"])
    weights = jnp.abs(hp.expectile - (advantages < 0).astype(advantages.dtype))
    return (weights * jnp.square(advantages)).mean(), stop_gradient(advantages)


def advantage_weights(advantages: Array, hp: Hyperparameters) -> Array:
    """min(exp(beta * advantage), limit), [B]. IQL, equation 7."""
    return jnp.minimum(jnp.exp(hp.beta * advantages), hp.max_advantage_weight)


def actor_loss(actor: Actor, batch: Arrays, weights: Array, noise: Array | None) -> Array:
    """Weighted -log pi(a|s), or the summed squared error of a kind without a density; scalar. IQL, equation 7."""
    return (weights * cloning_losses(actor, batch, noise)).mean()


class Algorithm(algorithm.Algorithm[Hyperparameters]):
    """IQL: expectile value, TD critics, advantage-weighted actor."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Array]]:
        """V, critics, their target, then the actor; V and advantages are from before their steps throughout."""
        hp = self.hyperparameters
        networks = state.networks
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

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Array:
        """-min target Q at the actor's sample; `advantage` subtracts V(s); `loss` is the actor loss of IQL."""
        hp = self.hyperparameters
        networks = state.networks
        observations = batch["observations"]
        if self.spec.chain.energy == "loss":
            target_q = min_over_members(q_values(networks["target_critic"], observations, batch["actions"]))
            advantages = stop_gradient(target_q - state_values(networks["value"], observations))

            return actor_loss(actor, batch, advantage_weights(advantages, hp), noise.get("energy"))
        actions = actor.action_for_energy(observations, noise.get("energy"))
        q = self.critic_value(state, observations, actions)
        scale = self.energy_scale(q)
        if self.spec.chain.energy == "advantage":
            q = q - state_values(networks["value"], observations)
        return -scale * q.mean()

    def critic_value(self, state: TrainState, observations: Array, actions: Array) -> Array:
        """The smaller of the target critics' values, [B]."""
        return min_over_members(q_values(state.networks["target_critic"], observations, actions))

    def _actor_0_loss(self, params: Params, batch: Arrays, weights: Array, noise: Arrays) -> tuple[Array, None]:
        actor = self.actor(0, params, noise)
        sample = noise.get("policy_action")
        return actor_loss(actor, batch, weights, sample) + self.data_term(actor, batch, sample), None
