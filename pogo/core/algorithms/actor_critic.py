"""What the definitions of several algorithms have in common: rates, delays, networks, preprocessing."""

from typing import Protocol, TypeVar

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.base import AlgorithmDefinition
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.problem.noise import Draw, dropout_masks, normal
from pogo.core.problem.parameters import LayerInitialisers, Params, mlp_parameters, stack_members
from pogo.core.problem.spec import TrainSpec

TWINS = 2  # critics, where an algorithm has no option for their number


class Normalising(Protocol):
    """Hyperparameters that say how a dataset is normalised."""

    @property
    def normalize_states(self) -> bool:
        """Whether observations get mean 0 and standard deviation 1."""
        ...

    @property
    def normalize_rewards(self) -> bool:
        """Whether rewards are scaled or shifted as the algorithm does it."""
        ...


class ActorCriticHyperparameters(Normalising, Protocol):
    """Hyperparameters of an algorithm that trains actor 0 and critics, each at a rate of its own."""

    @property
    def actor_learning_rate(self) -> float:
        """Adam's rate for actor 0."""
        ...

    @property
    def critic_learning_rate(self) -> float:
        """Adam's rate for the critics."""
        ...


class DelayedHyperparameters(ActorCriticHyperparameters, Protocol):
    """Hyperparameters of an algorithm of TD3's family."""

    @property
    def policy_freq(self) -> int:
        """Every how many updates the actors and the targets move."""
        ...


class SmoothingHyperparameters(Protocol):
    """Hyperparameters of target smoothing."""

    @property
    def policy_noise(self) -> float:
        """Its standard deviation, in units of the action box."""
        ...

    @property
    def noise_clip(self) -> float:
        """Where it is cut."""
        ...


AC = TypeVar("AC", bound=ActorCriticHyperparameters)
TD3 = TypeVar("TD3", bound=DelayedHyperparameters)


class ActorCritic(AlgorithmDefinition[AC]):
    """An algorithm with a rate for actor 0 and one for its critics, and CORL's preprocessing."""

    @override
    def learning_rates(self, hp: AC) -> dict[str, float]:
        return {"actor_0": hp.actor_learning_rate, "critic": hp.critic_learning_rate}

    @override
    def preprocessing(self, hp: AC, dataset: str) -> Preprocessing:
        return range_scaled_or_shifted(hp, dataset)


class Delayed(ActorCritic[TD3]):
    """An algorithm of TD3's family: slow critics and a slow actor 0, delayed actors, target smoothing."""

    @override
    def targets(self, spec: TrainSpec[TD3]) -> dict[str, str]:
        return {"target_critic": "critic", "target_actor": "actor_0"}

    @override
    def actors_due(self, update: int, hp: TD3) -> bool:
        """Every `policy_freq`-th update, counted from 1, moves the actors and the targets."""
        return (update + 1) % hp.policy_freq == 0

    @override
    def noise_spec(self, spec: TrainSpec[TD3]) -> dict[str, Draw]:
        """Target smoothing; samples of actor 0 and its target where its kind needs them; dropout masks."""
        action = normal(spec.batch_size, spec.action_size)
        draws = {"target_policy": action} | dropout_masks(spec.actors[0], spec.batch_size)
        if spec.actors[0].samples_for_loss:
            draws |= {"target_action": action, "policy_action": action}
        return draws


def critics(
    rng: np.random.Generator,
    spec: TrainSpec,
    hidden_sizes: tuple[int, ...],
    initialisers: LayerInitialisers,
    layer_norm: bool = False,
    members: int = TWINS,
) -> Params:
    """An ensemble of Q networks of (observation, action), every array with a leading member axis."""
    sizes = (spec.observation_size + spec.action_size, *hidden_sizes, 1)
    return stack_members([mlp_parameters(rng, sizes, initialisers, layer_norm) for _ in range(members)])


def is_antmaze(dataset: str) -> bool:
    """Whether a dataset is one of D4RL's AntMazes, whose rewards most algorithms treat in a way of their own."""
    return dataset.startswith("antmaze")


def range_scaled(hp: Normalising, dataset: str) -> Preprocessing:
    """Rewards by return range where `normalize_rewards` asks for it, on every dataset."""
    return Preprocessing(
        normalize_states=hp.normalize_states, reward_scaling="return_range" if hp.normalize_rewards else "none"
    )


def range_scaled_or_shifted(hp: Normalising, dataset: str) -> Preprocessing:
    """The changes of rewards that `normalize_rewards` asks for: minus 1 on AntMaze, by return range elsewhere."""
    if is_antmaze(dataset):
        return Preprocessing(normalize_states=hp.normalize_states, reward_shift=-1.0 if hp.normalize_rewards else 0.0)
    return range_scaled(hp, dataset)
