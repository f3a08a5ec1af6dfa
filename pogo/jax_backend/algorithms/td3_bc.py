"""TD3+BC in JAX. Twin: pogo/torch_backend/algorithms/td3_bc.py.

Fujimoto & Gu 2021, arXiv:2106.06860, in the order of CORL's code.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.jax_backend.actors import Actor
from pogo.jax_backend.gradients import min_over_members
from pogo.jax_backend.losses import bootstrapped
from pogo.jax_backend.networks import Params, first_q_value, q_values
from pogo.jax_backend.td3 import Td3, smoothed_actions

Arrays = Mapping[str, Array]


class Algorithm(Td3):
    """TD3+BC: TD3 with behaviour cloning in the actor."""

    def td_target(self, target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays) -> Array:
        """Clipped double-Q target with target smoothing, [B]. TD3, arXiv:1802.09477, sections 4.2 and 5.3."""
        next_actions = smoothed_actions(target_actor, batch, noise, self.hyperparameters)
        next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
        return bootstrapped(batch, next_q, self.hyperparameters.discount)

    def actor_q(self, critic: Params, observations: Array, actions: Array) -> Array:
        """Q_1, [B]: the original uses its first critic here, and the minimum only in the target."""
        return first_q_value(critic, observations, actions)

    def q_weight(self, q: Array) -> Array:
        """Lambda = alpha / mean |Q_1|. TD3+BC, section 5."""
        return stop_gradient(self.hyperparameters.alpha / jnp.abs(q).mean())

    def actor_loss(self, critic: Params, batch: Arrays, actions: Array) -> Array:
        """-lambda Q_1 + (pi(s) - a)^2, the latter a mean over batch and dimensions; scalar. TD3+BC, section 5."""
        cloning = jnp.square(actions - batch["actions"]).mean()
        return self.q_term(critic, batch["observations"], actions) + cloning
