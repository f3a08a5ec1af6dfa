"""What every algorithm of this backend shares. Twin: pogo/torch_backend/algorithm.py."""

from collections.abc import Callable, Mapping

import jax
import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.base import AlgorithmInterface
from pogo.core.problem.chain import Moves, moves
from pogo.core.problem.spec import HP, TrainSpec
from pogo.core.problem.state import TrainState
from pogo.jax_backend.actors import Actor, make_actor, with_natural_gradient
from pogo.jax_backend.networks import Params

SMALLEST_SCALE = 1e-6  # of |Q| where it divides


class Algorithm(AlgorithmInterface[Array, Actor, HP]):
    """An algorithm with its shared half at hand."""

    def __init__(self, spec: TrainSpec[HP]) -> None:
        super().__init__(spec)
        self.shared = load_algorithm(spec.algorithm)
        self.learning_rates: Mapping[str, float] = self.shared.learning_rates(spec.hyperparameters)

    def actor(self, index: int, params: Params, noise: Mapping[str, Array] | None = None) -> Actor:
        """Actor `index` on `params`; with the update's `noise`, actor 0 drops hidden units if it is configured to."""
        config = self.spec.actors[index]
        masks = ()
        if noise is not None and config.dropout > 0:
            masks = tuple(noise[f"actor_dropout_{layer}"] for layer in range(len(config.hidden_sizes)))
        return make_actor(config, params, masks)

    def moves(self, update: int) -> Moves:
        """What update number `update`, from 0, moves."""
        return moves(self.spec.chain, update, bool(self.shared.actors_due(update, self.hyperparameters)))

    def moving_actor(self, index: int, params: Params, noise: Mapping[str, Array] | None = None) -> Actor:
        """`actor`, for the loss that moves it: its gradients are natural ones where `chain.natural_gradient`."""
        actor = self.actor(index, params, noise)
        chain = self.spec.chain
        return with_natural_gradient(actor, chain.geometry) if chain.natural_gradient else actor

    def after_chain(self, state: TrainState) -> TrainState:
        """What the original does once all actors have moved; nothing, in most."""
        return state

    def energy_scale(self, q: Array) -> Array | float:
        """What stands before an energy of these values, [B]: 1, or detached 1 / mean |Q| (`chain.normalize_energy`)."""
        if not self.spec.chain.normalize_energy:
            return 1.0
        return stop_gradient(1.0 / jnp.maximum(jnp.abs(q).mean(), SMALLEST_SCALE))

    def data_term(self, actor: Actor, batch: Mapping[str, Array], noise: Array | None) -> Array | float:
        """`chain.actor_0_data_weight` times the mean summed squared distance of actor 0's action to the data's."""
        weight = self.spec.chain.actor_0_data_weight
        if weight == 0:
            return 0.0
        actions = actor.action_for_loss(batch["observations"], noise)
        return weight * jnp.square(actions - batch["actions"]).sum(axis=-1).mean()


def run_if(
    due: Array | bool,
    function: Callable[..., tuple[TrainState, dict[str, Array]]],
    state: TrainState,
    *arguments: Mapping[str, Array],
) -> tuple[TrainState, dict[str, Array]]:
    """`function(state, *arguments)` where `due`, else the state as it is and zeros for metrics.

    Torch branches in Python; here the branch is part of the compiled program. A `due` known beforehand costs nothing.
    """
    if isinstance(due, bool):
        return function(state, *arguments) if due else (state, {})
    shapes = jax.eval_shape(function, state, *arguments)[1]
    zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
    return jax.lax.cond(due, function, lambda state, *_: (state, zeros), state, *arguments)
