"""What the shared halves of several algorithms have in common: targets, rates, delays, networks."""

from typing import Any

import numpy as np

from pogo.core.data.preprocessing import Preprocessing
from pogo.core.interface import TrainSpec
from pogo.core.noise import Draw, dropout_masks, normal
from pogo.core.parameters import LayerInitialisers, Params, mlp_parameters, stack_members

TWINS = 2  # critics, where an algorithm has no option for their number


def any_length(hp: Any, updates: int) -> Any:
    """`for_run` of an algorithm none of whose hyperparameters depends on how many updates a run makes."""
    return hp


def every_update(update: int, hp: Any) -> bool:
    """`actors_due` of an algorithm that moves its actors on every update."""
    return True


def any_actors(spec: TrainSpec) -> None:
    """`check_actors` of an algorithm that takes every chain of actors."""


def critic_target(spec: TrainSpec) -> dict[str, str]:
    """`targets` of an algorithm with slow critics only."""
    return {"target_critic": "critic"}


def actor_and_critic_rates(hp: Any) -> dict[str, float]:
    """`learning_rates` of an algorithm that trains actor 0 and its critics."""
    return {"actor_0": hp.actor_learning_rate, "critic": hp.critic_learning_rate}


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


def td3_targets(spec: TrainSpec) -> dict[str, str]:
    """`targets` of TD3's family: slow critics and a slow actor 0."""
    return {"target_critic": "critic", "target_actor": "actor_0"}


def delayed(update: int, hp: Any) -> bool:
    """`actors_due` of TD3's family: every `policy_freq`-th update, counted from 1, moves the actors and the targets."""
    return (update + 1) % hp.policy_freq == 0


def td3_noise_spec(spec: TrainSpec) -> dict[str, Draw]:
    """Target smoothing; samples of actor 0 and its target where its kind needs them; dropout masks."""
    action = normal(spec.batch_size, spec.action_size)
    draws = {"target_policy": action} | dropout_masks(spec.actors[0], spec.batch_size)
    if spec.actors[0].samples_for_loss:
        draws |= {"target_action": action, "policy_action": action}
    return draws


def is_antmaze(dataset: str) -> bool:
    """Whether a dataset is one of D4RL's AntMazes, whose rewards most algorithms treat in a way of their own."""
    return dataset.startswith("antmaze")


def range_scaled(hp: Any, dataset: str) -> Preprocessing:
    """Rewards by return range where `normalize_rewards` asks for it, on every dataset."""
    return Preprocessing(
        normalize_states=hp.normalize_states, reward_scaling="return_range" if hp.normalize_rewards else "none"
    )


def range_scaled_or_shifted(hp: Any, dataset: str) -> Preprocessing:
    """Where `normalize_rewards` asks for it: rewards minus 1 on AntMaze, by return range elsewhere."""
    if is_antmaze(dataset):
        return Preprocessing(normalize_states=hp.normalize_states, reward_shift=-1.0 if hp.normalize_rewards else 0.0)
    return range_scaled(hp, dataset)
