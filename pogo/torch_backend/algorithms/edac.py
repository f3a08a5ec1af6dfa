"""EDAC in torch: SAC-N and a diversity term. Twin: pogo/jax_backend/algorithms/edac.py.

An et al. 2021, arXiv:2110.01548, in the order of CORL's code.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.torch_backend.algorithms import sac_n
from pogo.torch_backend.gradients import norm
from pogo.torch_backend.networks import Params, q_values

Arrays = Mapping[str, Tensor]

NORM_EPSILON = 1e-10  # added to the norm of a gradient


def diversity_loss(critic: Params, observations: Tensor, actions: Tensor) -> Tensor:
    """Mean cosine between members' action gradients, over ordered pairs and divided by N - 1; scalar.

    EDAC, equation 6. The gradients of all members come from one batched pass: neither members nor rows mix in a sum.
    """
    members = len(critic["output/bias"])
    copies = actions.repeat(members, 1, 1).requires_grad_()
    q = q_values(critic, observations.expand(members, *observations.shape), copies)
    (gradients,) = torch.autograd.grad(q.sum(), copies, create_graph=True)
    directions = gradients / (norm(gradients)[..., None] + NORM_EPSILON)
    # The sum over pairs j != k of <n_j, n_k> is |sum n|^2 - sum |n|^2.
    pairs = torch.square(directions.sum(dim=0)).sum(dim=-1) - torch.square(directions).sum(dim=-1).sum(dim=0)
    return pairs.mean() / (members - 1)


class Algorithm(sac_n.Algorithm):
    """EDAC: SAC-N whose critics' action gradients are kept apart."""

    name = "edac"

    def critic_objective(self, critic: Params, batch: Arrays, target: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of SAC-N and eta times the diversity term, at the data's actions."""
        loss, mean_q = super().critic_objective(critic, batch, target)
        return loss + self.hyperparameters.eta * diversity_loss(critic, batch["observations"], batch["actions"]), mean_q
