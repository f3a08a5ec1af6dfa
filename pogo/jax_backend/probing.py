"""What a log says of the actors besides their losses, at the probe's states. Twin: pogo/torch_backend/probing.py."""

from collections.abc import Mapping

import jax.numpy as jnp
from jax import Array

from pogo.core.problem.chain import actor_name
from pogo.core.problem.probe_critic import PROBE_CRITIC
from pogo.core.problem.state import TrainState
from pogo.core.problem.w2 import w2_method
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.algorithm import Algorithm
from pogo.jax_backend.chain import squared_distance
from pogo.jax_backend.networks import q_values

SATURATED = 0.99  # of the action box, from its middle to its side
Arrays = Mapping[str, Array]


def describe(algorithm: Algorithm, state: TrainState, batch: Arrays, noise: Array, around: Arrays) -> dict[str, Array]:
    """Every actor's measures, as `pogo.core.learner.interface.Learner.describe` lists them.

    Args:
        algorithm: whose critics and energy they are.
        state: its networks.
        batch: the probe's rows; observations [n, O] alone where nothing is recorded.
        noise: [n, K, A].
        around: `state_distances` [n, k], squared, and `actions` [n, k, A] of each row's neighbours, or nothing.
    """
    found: dict[str, Array] = {}
    actors = [algorithm.actor(index, state.networks[actor_name(index)]) for index in range(len(algorithm.spec.actors))]
    for index, actor in enumerate(actors):
        measures = _spread(actor, batch, noise) | _values(algorithm, state, actor, batch, noise)
        actions = actor.deterministic_actions(batch["observations"])
        measures["saturated"] = (jnp.abs(actions) > SATURATED).astype(actions.dtype).mean()
        if around:
            squared = around["state_distances"] + jnp.square(actions[:, None] - around["actions"]).sum(axis=-1)
            measures["data_distance"] = jnp.sqrt(squared.min(axis=1)).mean()
        if index > 0:
            measures["from_reference"] = _distance(algorithm, actor, actors[index - 1], batch, noise, index)
            measures["from_actor_0"] = measures["from_reference"]
        if index > 1:
            measures["from_actor_0"] = _distance(algorithm, actor, actors[0], batch, noise, index)
        found |= {f"{actor_name(index)}/{measure}": value for measure, value in measures.items()}
    return found


def _spread(actor: Actor, batch: Arrays, noise: Array) -> dict[str, Array]:
    found: dict[str, Array] = {}
    if actor.config.is_stochastic:
        found["std"] = actor.std(batch["observations"], noise)
    if actor.config.has_density:
        found["entropy"] = actor.entropy(batch["observations"], noise)
    return found


def _values(algorithm: Algorithm, state: TrainState, actor: Actor, batch: Arrays, noise: Array) -> dict[str, Array]:
    """Q at the deterministic actions by the critics, and the energy where there is all that it may read."""
    found: dict[str, Array] = {}
    observations = batch["observations"]
    actions = actor.deterministic_actions(observations)
    q = algorithm.critic_value(state, observations, actions)
    if q is not None:
        found["q"] = q.mean()
    if PROBE_CRITIC in state.networks:
        found["q_independent"] = q_values(state.networks[PROBE_CRITIC], observations, actions).mean()
    if set(algorithm.shared.batch_arrays) <= set(batch):
        found["probe_energy"] = algorithm.energy(state, actor, batch, {"energy": noise[:, 0]})
    return found


def _distance(algorithm: Algorithm, actor: Actor, other: Actor, batch: Arrays, noise: Array, index: int) -> Array:
    """The root of the mean squared distance to another actor, in the chain's geometry, per action dimension."""
    spec = algorithm.spec
    samples, sample = noise[:, : spec.w2.num_samples], noise[:, 0]
    takes_one = w2_method(actor.config, other.config) == "l2"
    draws = {"w2": samples, "w2_reference": sample if takes_one else samples, "energy": sample}
    squared = squared_distance(actor, other, batch["observations"], draws, spec, index).mean()
    return jnp.sqrt(jnp.maximum(squared, 0.0) / spec.action_size)
