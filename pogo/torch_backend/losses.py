"""Targets and losses that several algorithms share. Twin: pogo/jax_backend/losses.py."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.torch_backend.actors import Actor
from pogo.torch_backend.networks import Params, q_values

Arrays = Mapping[str, Tensor]


def bootstrapped(batch: Arrays, next_q: Tensor, discount: float) -> Tensor:
    """Give r + discount * (1 - terminal) * next_q, [B], without gradient: the value that a critic regresses to."""
    return (batch["rewards"] + discount * (1.0 - batch["terminals"]) * next_q).detach()


def summed_td_errors(q: Tensor, target: Tensor) -> Tensor:
    """Squared errors of values [E, B] against a target [B], averaged over the batch, summed over members; scalar."""
    return torch.square(q - target).mean(dim=1).sum()


def summed_td_loss(critic: Params, batch: Arrays, target: Tensor) -> tuple[Tensor, Tensor]:
    """Squared TD error, averaged over the batch, summed over the members, and the mean Q."""
    q = q_values(critic, batch["observations"], batch["actions"])
    return summed_td_errors(q, target), q.mean().detach()


def mean_td_loss(critic: Params, batch: Arrays, target: Tensor, activation: str = "relu") -> tuple[Tensor, Tensor]:
    """Squared TD error, averaged over the batch and over the members, and the mean Q."""
    q = q_values(critic, batch["observations"], batch["actions"], activation)
    return torch.square(q - target).mean(), q.mean().detach()


def cloning_losses(actor: Actor, batch: Arrays, noise: Tensor | None) -> Tensor:
    """-log pi(a|s), or |pi(s) - a|^2 at the sample of noise [B, A] for a kind without a density, [B]."""
    if actor.config.has_density:
        return -actor.log_prob_actions(batch["observations"], batch["actions"])
    actions = actor.action_for_loss(batch["observations"], noise)
    return torch.square(actions - batch["actions"]).sum(dim=-1)


def temperature_loss(temperature: Params, log_probs: Tensor, target_entropy: float) -> tuple[Tensor, None]:
    """-log alpha (log pi + target entropy), scalar: it drives the policy's entropy to its target. SAC, equation 18."""
    return -(temperature["log_alpha"] * (log_probs + target_entropy)).mean(), None
