"""FQL in JAX. Twin: pogo/torch_backend/algorithms/fql.py.

Park et al. 2025, arXiv:2502.02538, as its authors' code: one joint loss, so every term sees the parameters from before
the update. Its networks share no parameter, and Adam works entry by entry: a step per network is the same.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.core.algorithms.fql import Hyperparameters
from pogo.core.problem.state import TrainState
from pogo.jax_backend import algorithm
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.gradients import clip, min_over_members
from pogo.jax_backend.losses import bootstrapped, mean_td_loss
from pogo.jax_backend.networks import Params, mlp, q_values
from pogo.jax_backend.optimizers import minimise, move_target

Arrays = Mapping[str, Array]

ACTIVATION = "gelu_tanh"


def aggregate(q: Array, hp: Hyperparameters) -> Array:
    """Both members' values [2, B] to one [B]: their mean, or the smaller (`q_agg`)."""
    return q.mean(axis=0) if hp.q_agg == "mean" else min_over_members(q)


def td_target(actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays, hp: Hyperparameters) -> Array:
    """Target at a sample of the online one-step actor, [B]."""
    next_actions = actor.action_for_energy(batch["next_observations"], noise.get("next_action"))
    next_q = aggregate(q_values(target_critic, batch["next_observations"], next_actions, ACTIVATION), hp)
    return bootstrapped(batch, next_q, hp.discount)


def velocity(flow: Params, observations: Array, points: Array, times: Array) -> Array:
    """The flow's velocity at `points` [B, A] and `times` [B, 1], [B, A]."""
    return mlp(flow, jnp.concatenate([observations, points, times], axis=-1), ACTIVATION)


def flow_loss(flow: Params, batch: Arrays, noise: Arrays) -> tuple[Array, None]:
    """Flow matching to the data's actions, a mean over batch and action dimensions; scalar. FQL, equation 4."""
    start, times = noise["flow_x0"], noise["flow_t"]
    points = (1.0 - times) * start + times * batch["actions"]
    error = velocity(flow, batch["observations"], points, times) - (batch["actions"] - start)
    return jnp.square(error).mean(), None


def flow_actions(flow: Params, observations: Array, latents: Array, steps: int) -> Array:
    """The actions [B, A] that the flow carries `latents` to, by Euler's method; clipped to the box at the end only."""
    points = latents
    for step in range(steps):
        times = jnp.full_like(latents[:, :1], step / steps)
        points = points + velocity(flow, observations, points, times) / steps
    return jnp.clip(points, -1.0, 1.0)


def q_loss(critic: Params, observations: Array, actions: Array, hp: Hyperparameters) -> Array:
    """-lambda mean Q; scalar. The mean of both members whatever `q_agg` says, as the original's."""
    q = q_values(critic, observations, actions, ACTIVATION).mean(axis=0)
    scale = stop_gradient(1.0 / jnp.abs(q).mean()) if hp.normalize_q_loss else 1.0
    return -scale * q.mean()


def actor_loss(
    actor: Actor, critic: Params, observations: Array, actions: Array, distilled: Array, hp: Hyperparameters
) -> tuple[Array, dict[str, Array]]:
    """Give alpha times the distance of `actions` to the flow's, minus lambda mean Q; scalar. FQL, equation 8."""
    distillation = jnp.square(actions - distilled).mean()
    of_q = q_loss(critic, observations, clip(actions, -1.0, 1.0), hp)
    return hp.alpha * distillation + of_q, {
        "actor_0/distillation": distillation,
        "actor_0/q_loss": of_q,
    }


class Algorithm(algorithm.Algorithm[Hyperparameters]):
    """FQL: a flow policy of the data, distilled into a one-step actor that also maximises Q."""

    def update(self, state: TrainState, batch: Arrays, noise: Arrays) -> tuple[TrainState, dict[str, Array]]:
        """Actor 0 with the old critics and the old flow, the target with the old critics, critics, flow."""
        hp = self.hyperparameters
        networks = state.networks
        actor = self.actor(0, networks["actor_0"])
        target = td_target(actor, networks["target_critic"], batch, noise, hp)
        distilled = flow_actions(networks["flow"], batch["observations"], noise["distill"], hp.flow_steps)
        rate, critic = hp.learning_rate, networks["critic"]
        arguments = critic, batch, distilled, noise
        state, of_actor, about = minimise(self._actor_0_loss, state, "actor_0", rate, *arguments)
        # The original's target mixes in the critics from before their step.
        state = move_target(state, "target_critic", critic, hp.tau)
        state, of_critic, mean_q = minimise(mean_td_loss, state, "critic", rate, batch, target, ACTIVATION)
        state, of_flow, _ = minimise(flow_loss, state, "flow", rate, batch, noise)
        about |= {"q": mean_q, "td_target": target.mean()}
        return state._replace(updates=state.updates + 1), of_actor | of_critic | of_flow | about

    def energy(self, state: TrainState, actor: Actor, batch: Arrays, noise: Arrays) -> Array:
        """-lambda_i Q at the actor's sample, the critics' mean; `loss` is actor 0's own, distillation included."""
        hp = self.hyperparameters
        critic, observations = state.networks["critic"], batch["observations"]
        if self.spec.chain.energy == "loss":
            latents = noise["energy"] if actor.config.is_stochastic else jnp.zeros_like(batch["actions"])
            distilled = flow_actions(state.networks["flow"], observations, latents, hp.flow_steps)
            # An energy is of a sample, a gaussian's too, where actor 0's own loss takes the mean.
            act = actor.action_for_energy if actor.config.is_gaussian else actor.unclipped_action_for_loss
            return actor_loss(actor, critic, observations, act(observations, latents), stop_gradient(distilled), hp)[0]
        actions = actor.action_for_energy(observations, noise.get("energy"))
        if self.spec.chain.normalize_energy:
            q = self.critic_value(state, observations, actions)
            return -self.energy_scale(q) * q.mean()
        return q_loss(critic, observations, actions, hp)

    def critic_value(self, state: TrainState, observations: Array, actions: Array) -> Array:
        """The mean of the critics' values, [B]."""
        return q_values(state.networks["critic"], observations, actions, ACTIVATION).mean(axis=0)

    def _actor_0_loss(
        self, params: Params, critic: Params, batch: Arrays, distilled: Array, noise: Arrays
    ) -> tuple[Array, dict[str, Array]]:
        actor, sample = self.actor(0, params, noise), noise["distill"]
        observations = batch["observations"]
        actions = actor.unclipped_action_for_loss(observations, sample)
        loss, about = actor_loss(actor, critic, observations, actions, distilled, self.hyperparameters)
        return loss + self.data_term(actor, batch, sample), about
