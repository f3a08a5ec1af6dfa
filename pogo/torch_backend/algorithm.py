"""What every algorithm of this backend shares. Twin: pogo/jax_backend/algorithm.py."""

from collections.abc import Mapping

import torch
from torch import Tensor

from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.base import AlgorithmInterface
from pogo.core.problem.chain import Moves, moves
from pogo.core.problem.spec import HP, TrainSpec
from pogo.core.problem.state import TrainState
from pogo.torch_backend.actors import Actor, make_actor, with_natural_gradient
from pogo.torch_backend.networks import Params

SMALLEST_SCALE = 1e-6  # of |Q| where it divides


class Algorithm(AlgorithmInterface[Tensor, Actor, HP]):
    """An algorithm with its shared half at hand."""

    def __init__(self, spec: TrainSpec[HP]) -> None:
        super().__init__(spec)
        self.shared = load_algorithm(spec.algorithm)
        self.learning_rates: Mapping[str, float] = self.shared.learning_rates(spec.hyperparameters)

    def actor(self, index: int, params: Params, noise: Mapping[str, Tensor] | None = None) -> Actor:
        """Actor `index` on `params`; with the update's `noise`, actor 0 drops hidden units if it is configured to."""
        config = self.spec.actors[index]
        masks = ()
        if noise is not None and config.dropout > 0:
            masks = tuple(noise[f"actor_dropout_{layer}"] for layer in range(len(config.hidden_sizes)))
        return make_actor(config, params, masks)

    def moves(self, update: int) -> Moves:
        """What update number `update`, from 0, moves."""
        return moves(self.spec.chain, update, bool(self.shared.actors_due(update, self.hyperparameters)))

    def moving_actor(self, index: int, params: Params, noise: Mapping[str, Tensor] | None = None) -> Actor:
        """`actor`, for the loss that moves it: its gradients are natural ones where `chain.natural_gradient`."""
        actor = self.actor(index, params, noise)
        chain = self.spec.chain
        return with_natural_gradient(actor, chain.geometry) if chain.natural_gradient else actor

    def after_chain(self, state: TrainState) -> TrainState:
        """What the original does once all actors have moved; nothing, in most."""
        return state

    def energy_scale(self, q: Tensor) -> Tensor | float:
        """What stands before an energy of these values, [B]: 1, or detached 1 / mean |Q| (`chain.normalize_energy`)."""
        if not self.spec.chain.normalize_energy:
            return 1.0
        return (1.0 / q.abs().mean().clamp(min=SMALLEST_SCALE)).detach()

    def data_term(self, actor: Actor, batch: Mapping[str, Tensor], noise: Tensor | None) -> Tensor | float:
        """`chain.actor_0_data_weight` times the mean summed squared distance of actor 0's action to the data's."""
        weight = self.spec.chain.actor_0_data_weight
        if weight == 0:
            return 0.0
        actions = actor.action_for_loss(batch["observations"], noise)
        return weight * torch.square(actions - batch["actions"]).sum(dim=-1).mean()
