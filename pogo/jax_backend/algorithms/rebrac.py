"""ReBRAC in JAX. Twin: pogo/torch_backend/algorithms/rebrac.py.

Tarasov et al. 2023, arXiv:2305.09836, in the order of CORL's code.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.jax_backend.actors import Actor
from pogo.jax_backend.gradients import min_over_members
from pogo.jax_backend.losses import bootstrapped, summed_td_errors
from pogo.jax_backend.networks import Params, q_values
from pogo.jax_backend.td3 import Td3, smoothed_actions

Arrays = Mapping[str, Array]


class Algorithm(Td3):
    """ReBRAC: TD3 with behaviour cloning in the actor and in the target."""

    name = "rebrac"
    target_takes_old_actor = True

    def td_target(self, target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays) -> Array:
        """Double-Q target at a smoothed action, less a penalty for leaving the data, [B]. ReBRAC, section 3."""
        next_actions = smoothed_actions(target_actor, batch, noise, self.hyperparameters)
        penalty = jnp.square(next_actions - batch["next_actions"]).sum(axis=-1)
        next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
        # The penalty is part of the bootstrap: discounted, and gone at a true end.
        hp = self.hyperparameters
        return bootstrapped(batch, next_q - hp.critic_bc_coef * penalty, hp.discount)

    def critic_loss(self, critic: Params, batch: Arrays, target: Array) -> tuple[Array, Array]:
        """Squared TD error, averaged over the batch, summed over the members, and the mean of the smaller Q."""
        q = q_values(critic, batch["observations"], batch["actions"])
        return summed_td_errors(q, target), q.min(axis=0).mean()

    def actor_q(self, critic: Params, observations: Array, actions: Array) -> Array:
        """The smaller of the members' values, [B]."""
        return min_over_members(q_values(critic, observations, actions))

    def q_weight(self, q: Array) -> Array | float:
        """Lambda = 1 / mean |min Q| where `normalize_q`."""
        return stop_gradient(1.0 / jnp.abs(q).mean()) if self.hyperparameters.normalize_q else 1.0

    def actor_loss(self, critic: Params, batch: Arrays, actions: Array) -> Array:
        """beta_a * |pi(s) - a|^2, summed over action dimensions, - lambda min Q; scalar. ReBRAC, section 3."""
        cloning = jnp.square(actions - batch["actions"]).sum(axis=-1).mean()
        return self.hyperparameters.actor_bc_coef * cloning + self.q_term(critic, batch["observations"], actions)
