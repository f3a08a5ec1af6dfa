"""Targets and losses that several algorithms share. Twin: pogo/torch_backend/losses.py."""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.jax_backend.actors import Actor
from pogo.jax_backend.networks import Params, q_values

Arrays = Mapping[str, Array]


def bootstrapped(batch: Arrays, next_q: Array, discount: float) -> Array:
    """Give r + discount * (1 - terminal) * next_q, [B], without gradient: the value that a critic regresses to."""
    return stop_gradient(batch["rewards"] + discount * (1.0 - batch["terminals"]) * next_q)


def summed_td_errors(q: Array, target: Array) -> Array:
    """Squared errors of values [E, B] against a target [B], averaged over the batch, summed over members; scalar."""
    return jnp.square(q - target).mean(axis=1).sum()


def summed_td_loss(critic: Params, batch: Arrays, target: Array) -> tuple[Array, Array]:
    """Squared TD error, averaged over the batch, summed over the members, and the mean Q."""
    q = q_values(critic, batch["observations"], batch["actions"])
    return summed_td_errors(q, target), q.mean()


def mean_td_loss(critic: Params, batch: Arrays, target: Array, activation: str = "relu") -> tuple[Array, Array]:
    """Squared TD error, averaged over the batch and over the members, and the mean Q."""
    q = q_values(critic, batch["observations"], batch["actions"], activation)
    return jnp.square(q - target).mean(), q.mean()


def cloning_losses(actor: Actor, batch: Arrays, noise: Array | None) -> Array:
    """-log pi(a|s), or |pi(s) - a|^2 at the sample of noise [B, A] for a kind without a density, [B]."""
    if actor.config.has_density:
        return -actor.log_prob_actions(batch["observations"], batch["actions"])
    actions = actor.action_for_loss(batch["observations"], noise)
    return jnp.square(actions - batch["actions"]).sum(axis=-1)


def temperature_loss(temperature: Params, log_probs: Array, target_entropy: float) -> tuple[Array, None]:
    """-log alpha (log pi + target entropy), scalar: it drives the policy's entropy to its target. SAC, equation 18."""
    return -(temperature["log_alpha"] * (log_probs + target_entropy)).mean(), None
