"""ReBRAC: what both backends share. Tarasov et al. 2023, arXiv:2305.09836; code of CORL."""

from dataclasses import dataclass

import numpy as np

from pogo.core.actors import ActorConfig
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.interface import TrainSpec
from pogo.core.noise import Draw, dropout_masks, normal
from pogo.core.parameters import (
    LayerInitialisers,
    Params,
    constant,
    mlp_parameters,
    stack_members,
    torch_default,
    uniform,
)

PUBLISHED_UPDATES = 1_000_000
PUBLISHED_BATCH_SIZE = 1024
NUM_CRITICS = 2
ACTOR_INITIALISERS = LayerInitialisers(torch_default, constant(0.1), uniform(1e-3), uniform(1e-3))
CRITIC_INITIALISERS = LayerInitialisers(torch_default, constant(0.1), uniform(3e-3), uniform(3e-3))
INITIALISERS = ACTOR_INITIALISERS
ENERGIES = ("value", "loss")
BATCH_ARRAYS = ("observations", "actions", "rewards", "next_observations", "terminals", "next_actions")
_DEPTHS = ("actor_num_hidden", "critic_num_hidden")
UPDATES_PER_EPOCH = 1000  # the delay counts from 0 within an epoch of the original


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults. Lengths in action space are in units of max_action."""

    actor_bc_coef: float = 1.0  # weight of cloning in the actor loss
    critic_bc_coef: float = 1.0  # weight of the penalty in the TD target
    discount: float = 0.99
    tau: float = 0.005
    policy_noise: float = 0.2  # std of target smoothing
    noise_clip: float = 0.5  # where that noise is cut
    policy_freq: int = 2  # the actor and the targets move on every policy_freq-th update, the first included
    normalize_q: bool = True
    actor_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    hidden_size: int = 256
    actor_num_hidden: int = 3
    critic_num_hidden: int = 3
    actor_layer_norm: bool = False
    critic_layer_norm: bool = True
    normalize_states: bool = False
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        for name in ("actor_bc_coef", "critic_bc_coef", "policy_noise", "noise_clip", *_DEPTHS):
            check_not_negative(f"algorithm.{name}", getattr(self, name))
        for name in ("actor_learning_rate", "critic_learning_rate", "policy_freq", "hidden_size"):
            check_positive(f"algorithm.{name}", getattr(self, name))


def targets(spec: TrainSpec) -> dict[str, str]:
    """Slow copies and what they follow."""
    return {"target_critic": "critic", "target_actor": "actor_0"}


def for_run(hp: Hyperparameters, updates: int) -> Hyperparameters:
    """The hyperparameters of a run of `updates`: none of them depends on its length."""
    return hp


def default_actor(hp: Hyperparameters) -> ActorConfig:
    """The published actor: tanh(head), no noise."""
    return ActorConfig(
        kind="deterministic",
        hidden_sizes=(hp.hidden_size,) * hp.actor_num_hidden,
        layer_norm=hp.actor_layer_norm,
    )


def noise_spec(spec: TrainSpec) -> dict[str, Draw]:
    """Target smoothing; samples of actor 0 and its target where its kind needs them; dropout masks."""
    actor = spec.actors[0]
    action = normal(spec.batch_size, spec.action_size)
    draws = {"target_policy": action} | dropout_masks(actor, spec.batch_size)
    if actor.samples_for_loss:
        draws |= {"target_action": action, "policy_action": action}
    return draws


def initial_networks(rng: np.random.Generator, spec: TrainSpec) -> dict[str, Params]:
    """The critics; actors are the chain's."""
    hp = spec.hyperparameters
    sizes = (spec.observation_size + spec.action_size, *(hp.hidden_size,) * hp.critic_num_hidden, 1)
    members = [mlp_parameters(rng, sizes, CRITIC_INITIALISERS, hp.critic_layer_norm) for _ in range(NUM_CRITICS)]
    return {"critic": stack_members(members)}


def learning_rates(hp: Hyperparameters) -> dict[str, float]:
    """The trained networks and their base rates."""
    return {"actor_0": hp.actor_learning_rate, "critic": hp.critic_learning_rate}


def actors_due(update: int, hp: Hyperparameters) -> bool:
    """Whether update number `update` (from 0) moves the actors and the targets."""
    return update % UPDATES_PER_EPOCH % hp.policy_freq == 0


def preprocessing(hp: Hyperparameters, dataset: str) -> Preprocessing:
    """States as they are; rewards times 100 on AntMaze; the dataset's next action for the target's penalty."""
    scale = 100.0 if hp.normalize_rewards and dataset.startswith("antmaze") else 1.0
    return Preprocessing(
        normalize_states=hp.normalize_states,
        reward_scaling="return_range" if hp.normalize_rewards and not dataset.startswith("antmaze") else "none",
        reward_scale=scale,
        next_actions=True,
    )
