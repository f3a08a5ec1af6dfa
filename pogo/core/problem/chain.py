"""The chain's configuration and the noise of its actors."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, get_args

from pogo.core.errors import BadInput, check_name
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw, normal
from pogo.core.problem.w2 import W2Config, w2_method
from pogo.core.setting import setting

Energy = Literal["value", "loss", "advantage"]
ChainInit = Literal["copy", "independent"]
DEFAULT_W2_WEIGHT = 10.0
DEFAULT_NUM_ACTORS = 3
LARGEST_NUM_ACTORS = 256
Array = TypeVar("Array")


@dataclass(frozen=True)
class ChainConfig:
    """The config section `chain`: how many actors, how strongly each is held to the one before, what each minimises.

    Raises:
        BadInput: a value is outside what the field allows, or `w2_weights` does not fit `num_actors`.
    """

    # As many as `w2_weights` weigh, with actor 0; without those as many as `actors` names, and at least 3.
    num_actors: int = setting(
        DEFAULT_NUM_ACTORS, least=1, most=LARGEST_NUM_ACTORS, hint="actor 0 alone is 1", inferred=True
    )
    # Of actors 1, 2, ...; 10 for each where none are given.
    w2_weights: tuple[float, ...] = setting((DEFAULT_W2_WEIGHT, DEFAULT_W2_WEIGHT), label=True, inferred=True)
    # Stands for the last of them: what a comparison sweeps over. `w2_weights`, as it is resolved, holds it.
    last_w2_weight: float | None = setting(None, on_resume="free", label=True)
    actors: tuple[dict[str, Any], ...] = ()  # kind and options as they are given, from actor 0; the last repeats
    energy: str = "value"
    # Actors 1+ start as actor 0 where their networks match, or draw their own; the algorithm's choice.
    init: str = setting("copy", inferred=True)
    learning_rate: float | None = None  # of actors 1+; none: actor 0's base rate
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
        if not (math.isfinite(self.actor_0_data_weight) and self.actor_0_data_weight >= 0):
            raise BadInput(f"chain.actor_0_data_weight={self.actor_0_data_weight}: use a finite number >= 0.")
        if self.learning_rate is not None and not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise BadInput(f"chain.learning_rate={self.learning_rate}: use a positive number, or null for actor 0's.")
        check_name("chain.energy", self.energy, get_args(Energy))
        check_name("chain.init", self.init, get_args(ChainInit))


def actor_name(index: int) -> str:
    """The network name of an actor."""
    return f"actor_{index}"


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
