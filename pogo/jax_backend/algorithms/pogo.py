"""POGO in JAX: transport-map actors. Twin: pogo/torch_backend/algorithms/pogo.py.

In the order of the original's code (the published scores are of another algorithm).
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.core.problem.chain import actor_name
from pogo.core.problem.state import TrainState
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.algorithm import SMALLEST_SCALE
from pogo.jax_backend.gradients import min_over_members
from pogo.jax_backend.losses import bootstrapped
from pogo.jax_backend.networks import Params, first_q_value, q_values
from pogo.jax_backend.optimizers import move_target
from pogo.jax_backend.td3 import Td3, smoothed_actions

Arrays = Mapping[str, Array]


class Algorithm(Td3):
    """POGO: TD3-style critics under a chain of transport maps."""

    @property
    def bootstrap_actor(self) -> str:
        """Target actor 0, as the original's code, or actor 0 itself, as its README says."""
        return "actor_0" if self.hyperparameters.td_target == "online" else "target_actor"

    def td_target(self, target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays) -> Array:
        """Clipped double-Q target at a sample of that actor, smoothed where `noise_shaping`, [B]."""
        hp = self.hyperparameters
        if hp.noise_shaping:
            next_actions = smoothed_actions(target_actor, batch, noise, self.hyperparameters)
        else:
            next_actions = target_actor.action_for_loss(batch["next_observations"], noise.get("target_action"))
        next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
        return bootstrapped(batch, next_q, hp.discount)

    def actor_q(self, critic: Params, observations: Array, actions: Array) -> Array:
        """Q_1, [B]."""
        return first_q_value(critic, observations, actions)

    def q_weight(self, q: Array) -> Array | float:
        """Lambda = 1 / mean |Q_1| where `normalize_q`."""
        if not self.hyperparameters.normalize_q:
            return 1.0
        return stop_gradient(1.0 / jnp.maximum(jnp.abs(q).mean(), SMALLEST_SCALE))

    def actor_loss(self, critic: Params, batch: Arrays, actions: Array) -> Array:
        """-lambda Q_1 + w_0 (pi(s) - a)^2, the latter a mean over batch and action dimensions; scalar."""
        distance = jnp.square(actions - batch["actions"]).mean()
        return self.q_term(critic, batch["observations"], actions) + self.hyperparameters.w2_data * distance

    def after_chain(self, state: TrainState) -> TrainState:
        """Move the targets of actors 1+, which the original keeps and never reads."""
        for index in range(1, self.spec.chain.num_actors):
            name = actor_name(index)
            state = move_target(state, f"target_{name}", state.networks[name], self.hyperparameters.tau)
        return state
