"""ReBRAC in torch. Twin: pogo/jax_backend/algorithms/rebrac.py.

Tarasov et al. 2023, arXiv:2305.09836, in the order of CORL's code.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.torch_backend.actors import Actor
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.losses import bootstrapped, summed_td_errors
from pogo.torch_backend.networks import Params, q_values
from pogo.torch_backend.td3 import Td3, smoothed_actions

Arrays = Mapping[str, Tensor]


class Algorithm(Td3):
    """ReBRAC: TD3 with behaviour cloning in the actor and in the target."""

    name = "rebrac"
    target_takes_old_actor = True

    def td_target(self, target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays) -> Tensor:
        """Double-Q target at a smoothed action, less a penalty for leaving the data, [B]. ReBRAC, section 3."""
        next_actions = smoothed_actions(target_actor, batch, noise, self.hyperparameters)
        penalty = torch.square(next_actions - batch["next_actions"]).sum(dim=-1)
        next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
        # The penalty is part of the bootstrap: discounted, and gone at a true end.
        hp = self.hyperparameters
        return bootstrapped(batch, next_q - hp.critic_bc_coef * penalty, hp.discount)

    def critic_loss(self, critic: Params, batch: Arrays, target: Tensor) -> tuple[Tensor, Tensor]:
        """Squared TD error, averaged over the batch, summed over the members, and the mean of the smaller Q."""
        q = q_values(critic, batch["observations"], batch["actions"])
        return summed_td_errors(q, target), q.amin(dim=0).mean().detach()

    def actor_q(self, critic: Params, observations: Tensor, actions: Tensor) -> Tensor:
        """The smaller of the members' values, [B]."""
        return min_over_members(q_values(critic, observations, actions))

    def q_weight(self, q: Tensor) -> Tensor | float:
        """Lambda = 1 / mean |min Q| where `normalize_q`."""
        return (1.0 / q.abs().mean()).detach() if self.hyperparameters.normalize_q else 1.0

    def actor_loss(self, critic: Params, batch: Arrays, actions: Tensor) -> Tensor:
        """beta_a * |pi(s) - a|^2, summed over action dimensions, - lambda min Q; scalar. ReBRAC, section 3."""
        cloning = torch.square(actions - batch["actions"]).sum(dim=-1).mean()
        return self.hyperparameters.actor_bc_coef * cloning + self.q_term(critic, batch["observations"], actions)
