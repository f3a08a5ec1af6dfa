"""What TD3+BC, ReBRAC and POGO share: TD3's update with other targets and losses. Twin: pogo/torch_backend/td3.py.

Fujimoto, van Hoof & Meger 2018, arXiv:1802.09477.
"""

from abc import abstractmethod
from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from pogo.core.algorithms.actor_critic import SmoothingHyperparameters
from pogo.core.problem.state import TrainState
from pogo.jax_backend import algorithm
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.algorithm import run_if
from pogo.jax_backend.losses import summed_td_loss
from pogo.jax_backend.networks import Params
from pogo.jax_backend.optimizers import minimise, move_target

Arrays = Mapping[str, Array]


def smoothed_actions(target_actor: Actor, batch: Arrays, noise: Arrays, hp: SmoothingHyperparameters) -> Array:
    """The target actor's next actions with clipped noise on them, [B, A]. TD3, section 5.3."""
    smoothing = jnp.clip(noise["target_policy"] * hp.policy_noise, -hp.noise_clip, hp.noise_clip)
    next_actions = target_actor.action_for_loss(batch["next_observations"], noise.get("target_action"))
    return jnp.clip(next_actions + smoothing, -1.0, 1.0)


class Td3(algorithm.Algorithm):
    """Critics on every update; actor 0 and the targets on those that `actors_due` names.

    An algorithm says what the critics regress to and what actor 0 minimises.
    """

    target_takes_old_actor = False  # whether the target actor mixes in actor 0 from before its step

    @property
    def bootstrap_actor(self) -> str:
        """The network whose next actions the critics' target values."""
        return "target_actor"

    @abstractmethod
    def td_target(self, target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays) -> Array:
        """What the critics regress to, [B], without gradient."""

    @abstractmethod
    def actor_q(self, critic: Params, observations: Array, actions: Array) -> Array:
        """The value that actors climb, [B]."""

    @abstractmethod
    def q_weight(self, q: Array) -> Array | float:
        """What stands before the mean of `actor_q` in the actor's loss, without gradient."""

    @abstractmethod
    def actor_loss(self, critic: Params, batch: Arrays, actions: Array) -> Array:
        """Actor 0's whole loss at its actions [B, A], a scalar: an energy of `loss`."""

    def critic_loss(self, critic: Params, batch: Arrays, target: Array) -> tuple[Array, Array]:
        """The critics' loss, and the value that the metric `q` shows."""
        return summed_td_loss(critic, batch, target)

    def critic_value(self, state: TrainState, observations: Array, actions: Array) -> Array:
        """`actor_q` by the critics as they are, [B]."""
        return self.actor_q(state.networks["critic"], observations, actions)

    def q_term(self, critic: Params, observations: Array, actions: Array) -> Array:
        """What the actor's loss makes of Q at its actions, a scalar."""
        q = self.actor_q(critic, observations, actions)
        return -self.q_weight(q) * q.mean()

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Array]]:
        """Critics; then, when it is due, actor 0 and the targets."""
        hp = self.hyperparameters
        target_actor = self.actor(0, state.networks[self.bootstrap_actor])
        target = self.td_target(target_actor, state.networks["target_critic"], batch, noise)
        state, found, mean_q = minimise(self.critic_loss, state, "critic", hp.critic_learning_rate, batch, target)
        metrics = found | {"q": mean_q, "td_target": target.mean()}
        due = self.shared.actors_due(state.updates, hp)
        state, actor_metrics = run_if(due, self._move_actor_0, state, batch, noise)
        metrics |= actor_metrics
        return state._replace(updates=state.updates + 1), metrics

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Array:
        """`q_term` at the actor's sample, with another scale if it is normalised; for `loss` all of `actor_loss`."""
        critic = state.networks["critic"]
        actions = actor.action_for_energy(batch["observations"], noise.get("energy"))
        if self.spec.chain.energy == "loss":
            return self.actor_loss(critic, batch, actions)
        if self.spec.chain.normalize_energy:
            q = self.actor_q(critic, batch["observations"], actions)
            return -self.energy_scale(q) * q.mean()
        return self.q_term(critic, batch["observations"], actions)

    def _move_actor_0(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Array]]:
        hp, critic = self.hyperparameters, state.networks["critic"]
        if self.target_takes_old_actor:
            state = move_target(state, "target_actor", state.networks["actor_0"], hp.tau)
        rate = hp.actor_learning_rate
        state, found, actions = minimise(self._actor_0_loss, state, "actor_0", rate, critic, batch, noise)
        state = move_target(state, "target_critic", critic, hp.tau)
        if not self.target_takes_old_actor:
            state = move_target(state, "target_actor", state.networks["actor_0"], hp.tau)
        squared_error = jnp.square(actions - batch["actions"])
        metrics = {
            "actor_0/squared_error": squared_error.sum(axis=-1).mean(),
            "actor_0/mean_squared_error": squared_error.mean(),
        }
        return state, found | metrics

    def _actor_0_loss(self, params: Params, critic: Params, batch: Arrays, noise: Arrays) -> tuple[Array, Array]:
        actor = self.actor(0, params, noise)
        sample = noise.get("policy_action")
        actions = actor.action_for_loss(batch["observations"], sample)
        loss = self.actor_loss(critic, batch, actions) + self.data_term(actor, batch, sample)
        return loss, actions
