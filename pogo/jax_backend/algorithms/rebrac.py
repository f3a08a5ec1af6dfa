"""ReBRAC in JAX. Twin: pogo/torch_backend/algorithms/rebrac.py.

Tarasov et al. 2023, arXiv:2305.09836, in the order of CORL's code.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.core.algorithms.rebrac import Hyperparameters
from pogo.core.interface import TrainState
from pogo.jax_backend import algorithm
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.algorithm import run_if
from pogo.jax_backend.gradients import min_over_members
from pogo.jax_backend.networks import Params, q_values
from pogo.jax_backend.optimizers import minimise, move_target

Arrays = Mapping[str, Array]


def td_target(target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays, hp: Hyperparameters) -> Array:
    """Clipped double-Q target at a smoothed action, less the penalty for leaving the data, [B]. ReBRAC, section 3."""
    smoothing = jnp.clip(noise["target_policy"] * hp.policy_noise, -hp.noise_clip, hp.noise_clip)
    next_actions = target_actor.action_for_loss(batch["next_observations"], noise.get("target_action"))
    next_actions = jnp.clip(next_actions + smoothing, -1.0, 1.0)
    penalty = jnp.square(next_actions - batch["next_actions"]).sum(axis=-1)
    next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
    # The penalty is part of the bootstrap: discounted, and gone at a true end.
    bootstrap = next_q - hp.critic_bc_coef * penalty
    return stop_gradient(batch["rewards"] + hp.discount * (1.0 - batch["terminals"]) * bootstrap)


def critic_loss(critic: Params, batch: Arrays, target: Array) -> tuple[Array, Array]:
    """Squared TD error, averaged over the batch, summed over the members, and the mean of the smaller Q."""
    q = q_values(critic, batch["observations"], batch["actions"])
    return jnp.square(q - target).mean(axis=1).sum(), q.min(axis=0).mean()


def q_term(critic: Params, observations: Array, actions: Array, hp: Hyperparameters) -> Array:
    """-lambda mean min Q, lambda = 1 / mean |min Q| without gradient where `normalize_q`; scalar."""
    q = min_over_members(q_values(critic, observations, actions))
    if not hp.normalize_q:
        return -q.mean()
    return -stop_gradient(1.0 / jnp.abs(q).mean()) * q.mean()


def actor_loss(critic: Params, batch: Arrays, actions: Array, hp: Hyperparameters) -> Array:
    """beta_a * |pi(s) - a|^2, summed over action dimensions, - lambda min Q; scalar. ReBRAC, section 3."""
    cloning = jnp.square(actions - batch["actions"]).sum(axis=-1).mean()
    return hp.actor_bc_coef * cloning + q_term(critic, batch["observations"], actions, hp)


class Algorithm(algorithm.Algorithm):
    """ReBRAC: TD3 with behaviour cloning in the actor and in the target."""

    name = "rebrac"

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Array]]:
        """Critics on every update; actor and targets on every `policy_freq`-th, the first included."""
        hp = self.hyperparameters
        target_actor = self.actor(0, state.networks["target_actor"])
        target = td_target(target_actor, state.networks["target_critic"], batch, noise, hp)

        state, loss_q, mean_q = minimise(critic_loss, state, "critic", hp.critic_learning_rate, batch, target)
        metrics = {"critic_loss": loss_q, "q": mean_q, "td_target": target.mean()}
        due = self.shared.actors_due(state.updates, hp)
        state, actor_metrics = run_if(due, self._move_actor_0, state, batch, noise)
        metrics |= actor_metrics
        return state._replace(updates=state.updates + 1), metrics

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Array:
        """-lambda_i min Q at the actor's sample, lambda_i at that sample; `loss` is the actor loss of ReBRAC."""
        critic = state.networks["critic"]
        actions = actor.action_in_box(batch["observations"], noise.get("energy"))
        if self.spec.chain.energy == "loss":
            return actor_loss(critic, batch, actions, self.hyperparameters)
        return q_term(critic, batch["observations"], actions, self.hyperparameters)

    def _move_actor_0(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Array]]:
        hp = self.hyperparameters
        critic = state.networks["critic"]
        # The original's target mixes in the actor from before this step (and the critics from after theirs).
        state = move_target(state, "target_actor", state.networks["actor_0"], hp.tau)
        rate = hp.actor_learning_rate
        state, loss, actions = minimise(self._actor_0_loss, state, "actor_0", rate, critic, batch, noise)
        state = move_target(state, "target_critic", critic, hp.tau)
        squared_error = jnp.square(actions - batch["actions"])
        metrics = {
            "actor_0/loss": loss,
            "actor_0/squared_error": squared_error.sum(axis=-1).mean(),
            "actor_0/mean_squared_error": squared_error.mean(),
        }
        return state, metrics

    def _actor_0_loss(self, params: Params, critic: Params, batch: Arrays, noise: Arrays) -> tuple[Array, Array]:
        actor = self.actor(0, params, noise)
        sample = noise.get("policy_action")
        actions = actor.action_for_loss(batch["observations"], sample)
        loss = actor_loss(critic, batch, actions, self.hyperparameters) + self.data_term(actor, batch, sample)
        return loss, actions
