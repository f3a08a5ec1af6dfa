"""EDAC in JAX: SAC-N and a diversity term. Twin: pogo/torch_backend/algorithms/edac.py.

An et al. 2021, arXiv:2110.01548, in the order of CORL's code.
"""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from pogo.core.algorithms.edac import Hyperparameters
from pogo.jax_backend.algorithms import sac_n
from pogo.jax_backend.gradients import norm
from pogo.jax_backend.losses import summed_td_errors
from pogo.jax_backend.networks import Params, q_values_and_action_gradients

Arrays = Mapping[str, Array]

NORM_EPSILON = 1e-10  # added to the norm of a gradient


def diversity_loss(gradients: Array) -> Array:
    """Mean cosine between the members' action gradients [E, B, A], over ordered pairs, divided by E - 1; scalar.

    EDAC, equation 6.
    """
    directions = gradients / (norm(gradients)[..., None] + NORM_EPSILON)
    # The sum over pairs j != k of <n_j, n_k> is |sum n|^2 - sum |n|^2.
    pairs = jnp.square(directions.sum(axis=0)).sum(axis=-1) - jnp.square(directions).sum(axis=-1).sum(axis=0)
    return pairs.mean() / (len(gradients) - 1)


class Algorithm(sac_n.Algorithm[Hyperparameters]):
    """EDAC: SAC-N whose critics' action gradients are kept apart."""

    def critic_objective(self, critic: Params, batch: Arrays, target: Array) -> tuple[Array, Array]:
        """The loss of SAC-N and eta times the diversity term, at the data's actions."""
        q, gradients = q_values_and_action_gradients(critic, batch["observations"], batch["actions"])
        loss = summed_td_errors(q, target) + self.hyperparameters.eta * diversity_loss(gradients)
        return loss, q.mean()
