"""The JKO chain: actors 1, 2, ... and their distances. Twin: pogo/torch_backend/chain.py."""

import math
from collections.abc import Mapping
from functools import partial

import jax.numpy as jnp
from jax import Array
from jax.lax import stop_gradient

from pogo.core.problem.chain import (
    LARGEST_WEIGHT,
    LOG_WEIGHT,
    SMALLEST_STEP,
    SMALLEST_WEIGHT,
    ChainConfig,
    actor_name,
    actor_noise,
    weight_name,
)
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import TrainState
from pogo.core.problem.w2 import W2Config, w2_method
from pogo.jax_backend.actors import Actor
from pogo.jax_backend.algorithm import Algorithm, run_if
from pogo.jax_backend.distances import (
    gaussian_fisher_rao_squared,
    gaussian_w2_squared,
    l2_squared,
    point_to_gaussian_w2_squared,
    point_to_samples_w2_squared,
    sinkhorn_divergence,
)
from pogo.jax_backend.networks import Params
from pogo.jax_backend.optimizers import minimise
from pogo.jax_backend.probe_critic import move_probe_critic

Arrays = Mapping[str, Array]


def w2_squared(
    actor: Actor, reference: Actor, observations: Array, noise: Arrays, w2: W2Config, index: int = 1
) -> Array:
    """Squared W2 distance of `actor` to `reference` in each state, [B]; no gradient flows into the reference.

    Args:
        actor: the actor that moves.
        reference: the actor before it in the chain.
        observations: [B, O].
        noise: `w2` [B, K, A], and `w2_reference` where the reference draws its own; for `l2`, the actor's sample is
            that of its energy, `energy` [B, A], and the reference's `w2_reference` [B, A].
        w2: solver, blur and noise.
        index: of the actor in the chain, for what errors call the two.
    """
    method = w2_method(actor.config, reference.config)
    if method == "closed_form":
        return gaussian_w2_squared(*actor.mean_std(observations), *stop_gradient(reference.mean_std(observations)))
    if method == "sinkhorn":
        samples = actor.clipped_samples(observations, noise["w2"])
        ref_noise = noise["w2_reference"] if w2.noise == "independent" else noise["w2"]
        ref_samples = stop_gradient(reference.clipped_samples(observations, ref_noise))
        names = actor_name(index), actor_name(index - 1)
        return sinkhorn_divergence(samples, ref_samples, w2.blur, w2.solver, *names, w2.library)
    if w2.exact_points and (actor.config.is_stochastic or reference.config.is_stochastic):
        return _exact_point_w2_squared(actor, reference, observations, noise)
    ref_actions = stop_gradient(reference.action_for_loss(observations, noise.get("w2_reference")))
    return l2_squared(actor.action_for_loss(observations, noise.get("energy")), ref_actions)


def squared_distance(
    actor: Actor, reference: Actor, observations: Array, noise: Arrays, spec: TrainSpec, index: int = 1
) -> Array:
    """The squared distance of `actor` to `reference` in each state, [B], in the geometry of the chain.

    Arguments are those of `w2_squared`; no gradient flows into the reference.
    """
    if spec.chain.geometry == "fisher_rao":
        return gaussian_fisher_rao_squared(
            *actor.mean_std(observations), *stop_gradient(reference.mean_std(observations))
        )
    return w2_squared(actor, reference, observations, noise, spec.w2, index)


def chain_step(
    algorithm: Algorithm, state: TrainState, batch: Arrays, noise: Arrays
) -> tuple[TrainState, dict[str, Array]]:
    """One update of everything: the algorithm's own, then, when its actors move, actors 1, 2, ... in order.

    Each actor i minimises energy(pi_i) + w_i * mean W2^2(pi_i, pi_(i-1)), with the critics frozen and the actor
    before it as this step has just left it. Up to `chain.begin_at` they are copies of actor 0; from there on, with
    `chain.freeze`, nothing else moves.
    """
    chain, updates, actor_0 = algorithm.spec.chain, state.updates, state.networks[actor_name(0)]
    # What `algorithm.moves` says, of a number that is known to the compiled program alone.
    due = algorithm.shared.actors_due(updates, algorithm.hyperparameters)
    begun = updates >= chain.begin_at if chain.begin_at > 0 else True
    if chain.freeze:
        state, metrics = run_if(~begun, partial(_move_base, algorithm), state, batch, noise)
        state, moving = state._replace(updates=updates + 1), begun
    else:
        state, metrics = _move_base(algorithm, state, batch, noise)
        moving = due & begun
    if chain.num_actors > 1:
        state, chain_metrics = run_if(moving, partial(move_chain, algorithm), state, batch, noise, actor_0)
        metrics |= chain_metrics
        if chain.begin_at > 0:
            state, _ = run_if(due & ~begun, partial(copy_actor_0, algorithm), state)
    return state, metrics


def move_chain(
    algorithm: Algorithm, state: TrainState, batch: Arrays, noise: Arrays, actor_0: Params
) -> tuple[TrainState, dict[str, Array]]:
    """One step of each of the actors 1, 2, ..., in order; `actor_0` is as it was before this update."""
    chain = algorithm.spec.chain
    metrics: dict[str, Array] = {}
    reference_before = actor_0
    for index in range(1, chain.num_actors):
        name, rate = actor_name(index), chain.rate_of(index, algorithm.learning_rates[actor_name(0)])
        before = state.networks[name]
        if algorithm.spec.is_carried(index):
            state = carry_along(state, index, reference_before)
        reference_before = before
        state, found, (energy, distance) = minimise(
            _objective, state, name, rate, algorithm, index, state, batch, actor_noise(noise, index)
        )
        step = jnp.sqrt(jnp.maximum(distance, 0.0) / algorithm.spec.action_size)
        metrics |= found | {f"{name}/energy": energy, f"{name}/w2_squared": distance, f"{name}/step": step}
        if chain.steps:
            metrics[f"{name}/w2_weight"] = w2_weight(state, chain, index)
            state = follow_step(state, chain, index, step)
    return algorithm.after_chain(state), metrics


def copy_actor_0(algorithm: Algorithm, state: TrainState) -> tuple[TrainState, dict[str, Array]]:
    """Actors 1, 2, ... as they are before the chain begins: what actor 0 is, where they begin as it and can be."""
    spec = algorithm.spec
    followers = [index for index in range(1, spec.chain.num_actors) if spec.begins_as_actor_0(index)]
    copies = {actor_name(index): state.networks[actor_name(0)] for index in followers}
    return algorithm.after_chain(state._replace(networks=state.networks | copies)), {}


def w2_weight(state: TrainState, chain: ChainConfig, index: int) -> Array | float:
    """The weight of an actor's distance: as it is given, or as it follows the actor's step."""
    if not chain.steps:
        return chain.w2_weights[index - 1]
    return jnp.exp(state.networks[weight_name(index)][LOG_WEIGHT]).sum()


def carry_along(state: TrainState, index: int, reference_before: Params) -> TrainState:
    """Move an actor as its reference has just moved, and leave its step to learn.

    An actor that only chases its reference is behind it or past it by about what Adam moves the two in an update, and
    a short step is lost in that.
    """
    params, reference = (state.networks[actor_name(each)] for each in (index, index - 1))
    moved = {name: value + (reference[name] - reference_before[name]) for name, value in params.items()}
    return state._replace(networks=state.networks | {actor_name(index): moved})


def follow_step(state: TrainState, chain: ChainConfig, index: int, step: Array) -> TrainState:
    """Dual ascent on the logarithm of a weight: up where the step just made is longer than the one asked for.

    The multiplier's own gradient is step^2 - asked^2. Its sign and its zero are those of log(step / asked), which does
    not depend on the units of the energy; it is limited to [-1, 1], for steps of 0 and for actors that begin far away.
    """
    name = weight_name(index)
    excess = jnp.clip(jnp.log(jnp.maximum(step, SMALLEST_STEP) / chain.steps[index - 1]), -1.0, 1.0)
    moved = state.networks[name][LOG_WEIGHT] + chain.weight_learning_rate * excess
    log_weight = jnp.clip(moved, math.log(SMALLEST_WEIGHT), math.log(LARGEST_WEIGHT))
    return state._replace(networks=state.networks | {name: {LOG_WEIGHT: log_weight}})


def _move_base(
    algorithm: Algorithm, state: TrainState, batch: Arrays, noise: Arrays
) -> tuple[TrainState, dict[str, Array]]:
    """All but the chain: the algorithm's own update, and that of the probe's critic."""
    state, metrics = algorithm.update(state, batch, noise)
    if algorithm.spec.probe_critic:
        state, of_probe = move_probe_critic(algorithm, state, batch)
        metrics |= of_probe
    return state, metrics


def _objective(
    params: Params, algorithm: Algorithm, index: int, state: TrainState, batch: Arrays, noise: Arrays
) -> tuple[Array, tuple[Array, Array]]:
    spec = algorithm.spec
    actor = algorithm.moving_actor(index, params)
    reference = algorithm.actor(index - 1, state.networks[actor_name(index - 1)])
    energy = algorithm.energy(state, actor, batch, noise)
    distance = squared_distance(actor, reference, batch["observations"], noise, spec, index).mean()
    weight = w2_weight(state, spec.chain, index)
    return energy + weight * distance, (energy, distance)


def _exact_point_w2_squared(actor: Actor, reference: Actor, observations: Array, noise: Arrays) -> Array:
    """W2^2 between a point and an actor, [B]: |mean - point|^2 + |std|^2, or the average over K samples."""
    point_is_actor = not actor.config.is_stochastic
    point, spread = (actor, reference) if point_is_actor else (reference, actor)
    points = point.deterministic_actions(observations)
    points = points if point_is_actor else stop_gradient(points)
    if spread.config.is_gaussian:
        moments = spread.mean_std(observations)
        return point_to_gaussian_w2_squared(points, *(stop_gradient(moments) if point_is_actor else moments))
    samples = spread.clipped_samples(observations, noise["w2"])
    return point_to_samples_w2_squared(points, stop_gradient(samples) if point_is_actor else samples)
