"""TD3+BC in torch. Twin: pogo/jax_backend/algorithms/td3_bc.py.

Fujimoto & Gu 2021, arXiv:2106.06860, in the order of CORL's code.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.torch_backend.actors import Actor
from pogo.torch_backend.gradients import min_over_members
from pogo.torch_backend.losses import bootstrapped
from pogo.torch_backend.networks import Params, first_q_value, q_values
from pogo.torch_backend.td3 import Td3, smoothed_actions

Arrays = Mapping[str, Tensor]


class Algorithm(Td3):
    """TD3+BC: TD3 with behaviour cloning in the actor."""

    def td_target(self, target_actor: Actor, target_critic: Params, batch: Arrays, noise: Arrays) -> Tensor:
        """Clipped double-Q target with target smoothing, [B]. TD3, arXiv:1802.09477, sections 4.2 and 5.3."""
        next_actions = smoothed_actions(target_actor, batch, noise, self.hyperparameters)
        next_q = min_over_members(q_values(target_critic, batch["next_observations"], next_actions))
        return bootstrapped(batch, next_q, self.hyperparameters.discount)

    def actor_q(self, critic: Params, observations: Tensor, actions: Tensor) -> Tensor:
        """Q_1, [B]: the original uses its first critic here, and the minimum only in the target."""
        return first_q_value(critic, observations, actions)

    def q_weight(self, q: Tensor) -> Tensor:
        """Lambda = alpha / mean |Q_1|. TD3+BC, section 5."""
        return (self.hyperparameters.alpha / q.abs().mean()).detach()

    def actor_loss(self, critic: Params, batch: Arrays, actions: Tensor) -> Tensor:
        """-lambda Q_1 + (pi(s) - a)^2, the latter a mean over batch and dimensions; scalar. TD3+BC, section 5."""
        cloning = torch.square(actions - batch["actions"]).mean()
        return self.q_term(critic, batch["observations"], actions) + cloning
