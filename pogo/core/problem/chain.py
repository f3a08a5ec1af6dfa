"""The chain's configuration and the noise of its actors."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np

from pogo.core.errors import BadInput, check_name
from pogo.core.files.checkpoint import LARGEST_STEP
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw, normal
from pogo.core.problem.w2 import W2Config, w2_method
from pogo.core.setting import setting

Energy = Literal["value", "loss", "advantage"]
ChainInit = Literal["copy", "independent"]
Geometry = Literal["w2", "fisher_rao"]
DEFAULT_W2_WEIGHT = 10.0
DEFAULT_NUM_ACTORS = 3
LONGEST_STEP = 2.0  # from one side of the action box to the other
FULL_RATE_STEP = 0.15  # an actor asked for less learns more slowly, in proportion
SMALLEST_STEP = 1e-6  # that a step just made counts as
SMALLEST_WEIGHT, LARGEST_WEIGHT = 1e-6, 1e8  # of those that follow `steps`
LARGEST_NUM_ACTORS = 256
LOG_WEIGHT = "log_weight"
_OF_CHAIN = re.compile(r"(target_)?actor_[1-9][0-9]*|w2_weight_[0-9]+")
_ACTOR = "actor_"
Array = TypeVar("Array")


@dataclass(frozen=True)
class ChainConfig:
    """The config section `chain`: how many actors, how far each may go from the one before, what each minimises.

    Raises:
        BadInput: a value is outside what the field allows, or `w2_weights` or `steps` does not fit `num_actors`.
    """

    # As many as `steps` or `w2_weights` are of, with actor 0; without those as many as `actors` names, and at least 3.
    num_actors: int = setting(
        DEFAULT_NUM_ACTORS, least=1, most=LARGEST_NUM_ACTORS, hint="actor 0 alone is 1", inferred=True
    )
    # Of actors 1, 2, ...; 10 for each where none are given. With `steps`, where the weights begin.
    w2_weights: tuple[float, ...] = setting((DEFAULT_W2_WEIGHT, DEFAULT_W2_WEIGHT), label=True, inferred=True)
    # Stands for the last of them: what a comparison sweeps over. `w2_weights`, as it is resolved, holds it.
    last_w2_weight: float | None = setting(None, on_resume="free", label=True)
    # How far actors 1, 2, ... go from the one before: the root of the mean squared W2 distance, per action dimension,
    # in units of the action box, [-1, 1]. The weights follow. None: the weights stay as they are.
    steps: tuple[float, ...] = setting((), label=True, one_for_all=True)
    # Actors 1+ first move as their reference has just moved, where both began as actor 0; by default with `steps`.
    carry: bool = setting(False, inferred=True)
    weight_learning_rate: float = 0.01  # of the logarithms of weights that follow `steps`
    # An energy of values of Q is divided by the mean of |Q|, detached.
    normalize_energy: bool = False
    # Actors 1+ are copies of actor 0 up to this update; `freeze` keeps all others as they are from there on.
    begin_at: int = setting(0, least=0, most=LARGEST_STEP)
    freeze: bool = False
    # Another run's folder: this one goes on from where that is, with all of it but its later actors.
    base: str | None = setting(None, identity=False, path=True)
    actors: tuple[dict[str, Any], ...] = ()  # kind and options as they are given, from actor 0; the last repeats
    energy: str = "value"
    geometry: str = "w2"  # of the distance that holds an actor to its reference; fisher_rao: of Normals alone
    # A Normal's gradients are those of the geometry: the inverse of its metric times the network's outputs' own.
    natural_gradient: bool = False
    # Actors 1+ start as actor 0 where their networks match, or draw their own; the algorithm's choice.
    init: str = setting("copy", inferred=True)
    learning_rate: float | None = None  # of actors 1+; none: actor 0's base rate, less for short `steps`
    actor_0_data_weight: float = 0.0  # of |pi_0 - a|^2, summed over action dimensions, in actor 0's loss

    def __post_init__(self) -> None:
        if self.num_actors < 1:
            raise BadInput(f"chain.num_actors={self.num_actors} is too few; actor 0 alone is chain.num_actors=1.")
        object.__setattr__(self, "w2_weights", tuple(float(weight) for weight in self.w2_weights))
        if len(self.w2_weights) != self.num_actors - 1:
            raise BadInput(
                f"chain.w2_weights has {len(self.w2_weights)} entries for chain.num_actors={self.num_actors}; "
                f"give one per actor after the first, {self.num_actors - 1} in all."
            )
        for index, weight in enumerate(self.w2_weights):
            if not (math.isfinite(weight) and weight >= 0):
                raise BadInput(f"chain.w2_weights[{index}]={weight} is not a weight; use a finite number >= 0.")
        object.__setattr__(self, "steps", tuple(float(step) for step in self.steps))
        self._check_steps()
        if self.freeze and self.begin_at == 0:
            raise BadInput("chain.freeze=true would train no critic; say from which update on: chain.begin_at=N.")
        if self.normalize_energy and self.energy == "loss":
            raise BadInput(
                "chain.normalize_energy=true divides an energy of Q, and chain.energy=loss is actor 0's own loss; "
                "drop it, or use chain.energy=value."
            )
        if not (math.isfinite(self.actor_0_data_weight) and self.actor_0_data_weight >= 0):
            raise BadInput(f"chain.actor_0_data_weight={self.actor_0_data_weight}: use a finite number >= 0.")
        if self.learning_rate is not None and not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise BadInput(f"chain.learning_rate={self.learning_rate}: use a positive number, or null for actor 0's.")
        check_name("chain.energy", self.energy, get_args(Energy))
        check_name("chain.init", self.init, get_args(ChainInit))
        check_name("chain.geometry", self.geometry, get_args(Geometry))

    def rate_of(self, index: int, actor_0_rate: float) -> float:
        """Adam's rate for a later actor: as it is given, or actor 0's, less for a step below FULL_RATE_STEP.

        Where an actor is held close its gradient is nearly 0, and Adam moves it about at random by what its rate is
        worth: that has to be little beside the step.
        """
        if self.learning_rate is not None:
            return self.learning_rate
        return actor_0_rate * (min(1.0, self.steps[index - 1] / FULL_RATE_STEP) if self.steps else 1.0)

    def _check_steps(self) -> None:
        rate = self.weight_learning_rate
        if not (math.isfinite(rate) and 0 < rate <= 1):
            raise BadInput(f"chain.weight_learning_rate={rate} is out of range; use a number above 0, at most 1.")
        if not self.steps:
            return
        if len(self.steps) != self.num_actors - 1:
            raise BadInput(
                f"chain.steps has {len(self.steps)} entries for chain.num_actors={self.num_actors}; give one number "
                f"for all, or one per actor after the first, {self.num_actors - 1} in all."
            )
        for index, step in enumerate(self.steps):
            if not 0 < step <= LONGEST_STEP:
                raise BadInput(
                    f"chain.steps[{index}]={step} is not a step; use a number above 0 and at most {LONGEST_STEP:g}, "
                    "in units of the action box per dimension, such as 0.1."
                )
        for index, weight in enumerate(self.w2_weights):
            if not SMALLEST_WEIGHT <= weight <= LARGEST_WEIGHT:
                raise BadInput(
                    f"chain.w2_weights[{index}]={weight} is where a weight that follows chain.steps begins; "
                    f"use a number between {SMALLEST_WEIGHT:g} and {LARGEST_WEIGHT:g}."
                )


class Moves(NamedTuple):
    """What an update moves."""

    base: bool  # critics, temperatures, targets, and actor 0 where it is due
    actor_0: bool
    chain: bool  # actors 1, 2, ...

    def includes(self, metric: str) -> bool:
        """Whether a metric of this name is of something that moves: `actor_1/loss` is of the chain."""
        if not metric.startswith(_ACTOR):
            return self.base
        return self.actor_0 if metric.startswith(f"{actor_name(0)}/") else self.chain


def moves(chain: ChainConfig, update: int, due: bool) -> Moves:
    """What update number `update`, from 0, moves of a run whose actors are `due` on it.

    Once all else is frozen, the chain moves on every update.
    """
    begun = update >= chain.begin_at
    base = not (begun and chain.freeze)
    return Moves(base, base and due, begun and (due or chain.freeze) and chain.num_actors > 1)


def actor_name(index: int) -> str:
    """The network name of an actor."""
    return f"{_ACTOR}{index}"


def weight_name(index: int) -> str:
    """The network name of the weight that follows the step of an actor; its parameter is LOG_WEIGHT."""
    return f"w2_weight_{index}"


def is_of_chain(network: str) -> bool:
    """Whether a network is of the chain alone: a later actor, its slow copy, or the weight of its distance."""
    return _OF_CHAIN.fullmatch(network) is not None


def initial_weights(chain: ChainConfig) -> dict[str, dict[str, np.ndarray]]:
    """The weights that follow steps, before the first update: networks of one scalar."""
    if not chain.steps:
        return {}
    pairs = enumerate(chain.w2_weights, start=1)
    return {weight_name(index): {LOG_WEIGHT: np.log(np.full(1, weight))} for index, weight in pairs}


def chain_noise_spec(
    actors: tuple[ActorConfig, ...], w2: W2Config, batch_size: int, action_size: int
) -> dict[str, Draw]:
    """Every draw of actors 1+: one sample for the energy, K for a distance between samples."""
    spec: dict[str, Draw] = {}
    for index in range(1, len(actors)):
        actor, reference = actors[index], actors[index - 1]
        name = actor_name(index)
        if actor.is_stochastic:
            spec[f"{name}/energy"] = normal(batch_size, action_size)
        method = w2_method(actor, reference)
        samples = normal(batch_size, w2.num_samples, action_size)
        if method == "sinkhorn":
            spec[f"{name}/w2"] = samples
            if w2.noise == "independent":
                spec[f"{name}/w2_reference"] = samples
        elif method == "l2" and w2.exact_points:
            if actor.samples_for_loss or reference.samples_for_loss:
                spec[f"{name}/w2"] = samples
        elif method == "l2" and reference.samples_for_loss:
            spec[f"{name}/w2_reference"] = normal(batch_size, action_size)
    return spec


def actor_noise(noise: Mapping[str, Array], index: int) -> dict[str, Array]:
    """The draws of one actor, by their names within it."""
    prefix = actor_name(index) + "/"
    return {name.removeprefix(prefix): draw for name, draw in noise.items() if name.startswith(prefix)}
