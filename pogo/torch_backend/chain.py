"""The JKO chain: actors 1, 2, ... and their distances. Twin: pogo/jax_backend/chain.py."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from pogo.core.problem.chain import actor_name, actor_noise
from pogo.core.problem.state import TrainState
from pogo.core.problem.w2 import W2Config, w2_method
from pogo.torch_backend.actors import Actor
from pogo.torch_backend.algorithm import Algorithm
from pogo.torch_backend.distances import (
    gaussian_w2_squared,
    l2_squared,
    point_to_gaussian_w2_squared,
    point_to_samples_w2_squared,
    sinkhorn_divergence,
)
from pogo.torch_backend.networks import Params
from pogo.torch_backend.optimizers import minimise

Arrays = Mapping[str, Tensor]


def w2_squared(
    actor: Actor, reference: Actor, observations: Tensor, noise: Arrays, w2: W2Config, index: int = 1
) -> Tensor:
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
        return gaussian_w2_squared(*actor.mean_std(observations), *_without_gradient(reference.mean_std, observations))
    if method == "sinkhorn":
        samples = actor.clipped_samples(observations, noise["w2"])
        ref_noise = noise["w2_reference"] if w2.noise == "independent" else noise["w2"]
        ref_samples = _without_gradient(reference.clipped_samples, observations, ref_noise)
        names = actor_name(index), actor_name(index - 1)
        return sinkhorn_divergence(samples, ref_samples, w2.blur, w2.solver, *names, w2.library)
    if w2.exact_points and (actor.config.is_stochastic or reference.config.is_stochastic):
        return _exact_point_w2_squared(actor, reference, observations, noise)
    ref_actions = _without_gradient(reference.action_for_loss, observations, noise.get("w2_reference"))
    return l2_squared(actor.action_for_loss(observations, noise.get("energy")), ref_actions)


def chain_step(
    algorithm: Algorithm, state: TrainState, batch: Arrays, noise: Arrays
) -> tuple[TrainState, dict[str, Tensor]]:
    """One update of everything: the algorithm's own, then, when its actors move, actors 1, 2, ... in order.

    Each actor i minimises energy(pi_i) + w_i * mean W2^2(pi_i, pi_(i-1)), with the critics frozen and the actor
    before it as this step has just left it.
    """
    due = algorithm.shared.actors_due(state.updates, algorithm.hyperparameters)
    state, metrics = algorithm.update(state, batch, noise)
    if due and algorithm.spec.chain.num_actors > 1:
        state, chain_metrics = move_chain(algorithm, state, batch, noise)
        metrics |= chain_metrics
    return state, metrics


def move_chain(
    algorithm: Algorithm, state: TrainState, batch: Arrays, noise: Arrays
) -> tuple[TrainState, dict[str, Tensor]]:
    """One step of each of the actors 1, 2, ..., in order."""
    chain = algorithm.spec.chain
    learning_rate = chain.learning_rate or algorithm.learning_rates[actor_name(0)]
    metrics: dict[str, Tensor] = {}
    for index in range(1, chain.num_actors):
        name = actor_name(index)
        state, found, (energy, distance) = minimise(
            _objective, state, name, learning_rate, algorithm, index, state, batch, actor_noise(noise, index)
        )
        metrics |= found | {f"{name}/energy": energy, f"{name}/w2_squared": distance}
    return algorithm.after_chain(state), metrics


def _objective(
    params: Params, algorithm: Algorithm, index: int, state: TrainState, batch: Arrays, noise: Arrays
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    spec = algorithm.spec
    actor = algorithm.actor(index, params)
    reference = algorithm.actor(index - 1, state.networks[actor_name(index - 1)])
    energy = algorithm.energy(state, actor, batch, noise)
    distance = w2_squared(actor, reference, batch["observations"], noise, spec.w2, index).mean()
    return energy + spec.chain.w2_weights[index - 1] * distance, (energy.detach(), distance.detach())


def _exact_point_w2_squared(actor: Actor, reference: Actor, observations: Tensor, noise: Arrays) -> Tensor:
    """W2^2 between a point and an actor, [B]: |mean - point|^2 + |std|^2, or the average over K samples."""
    point_is_actor = not actor.config.is_stochastic
    point, spread = (actor, reference) if point_is_actor else (reference, actor)
    points = point.deterministic_actions(observations)
    points = points if point_is_actor else points.detach()
    if spread.config.is_gaussian:
        mean, std = spread.mean_std(observations)
        return point_to_gaussian_w2_squared(points, *((mean.detach(), std.detach()) if point_is_actor else (mean, std)))
    samples = spread.clipped_samples(observations, noise["w2"])
    return point_to_samples_w2_squared(points, samples.detach() if point_is_actor else samples)


def _without_gradient(function: Callable[..., Any], *arguments: Any) -> Any:
    with torch.no_grad():
        return function(*arguments)
