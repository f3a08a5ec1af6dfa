"""TD3+BC: what both backends share. Fujimoto & Gu 2021, arXiv:2106.06860; code of CORL."""

from dataclasses import dataclass

import numpy as np

from pogo.core.actors import ActorConfig
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.interface import TrainSpec
from pogo.core.noise import Draw, dropout_masks, normal
from pogo.core.parameters import LayerInitialisers, Params, mlp_parameters, stack_members

PUBLISHED_UPDATES = 1_000_000
PUBLISHED_BATCH_SIZE = 256
NUM_CRITICS = 2
INITIALISERS = LayerInitialisers()
ENERGIES = ("value", "loss")
BATCH_ARRAYS = ("observations", "actions", "rewards", "next_observations", "terminals")


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults. Lengths in action space are in units of max_action."""

    alpha: float = 2.5  # weight of Q against cloning
    policy_noise: float = 0.2  # std of target smoothing
    noise_clip: float = 0.5  # where that noise is cut
    policy_freq: int = 2  # the actor and all targets move on every policy_freq-th update
    discount: float = 0.99
    tau: float = 0.005
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    hidden_sizes: tuple[int, ...] = (256, 256)
    normalize_states: bool = True
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        for name in ("alpha", "policy_noise", "noise_clip"):
            check_not_negative(f"algorithm.{name}", getattr(self, name))
        for name in ("actor_learning_rate", "critic_learning_rate", "policy_freq"):
            check_positive(f"algorithm.{name}", getattr(self, name))


def targets(spec: TrainSpec) -> dict[str, str]:
    """Slow copies and what they follow."""
    return {"target_critic": "critic", "target_actor": "actor_0"}


def for_run(hp: Hyperparameters, updates: int) -> Hyperparameters:
    """The hyperparameters of a run of `updates`: none of them depends on its length."""
    return hp


def default_actor(hp: Hyperparameters) -> ActorConfig:
    """The published actor: tanh(head), no noise."""
    return ActorConfig(kind="deterministic", hidden_sizes=hp.hidden_sizes)


def noise_spec(spec: TrainSpec) -> dict[str, Draw]:
    """Target smoothing; samples of actor 0 and its target where its kind needs them; dropout masks."""
    action = normal(spec.batch_size, spec.action_size)
    draws = {"target_policy": action} | dropout_masks(spec.actors[0], spec.batch_size)
    if spec.actors[0].samples_for_loss:
        draws |= {"target_action": action, "policy_action": action}
    return draws


def initial_networks(rng: np.random.Generator, spec: TrainSpec) -> dict[str, Params]:
    """The critics; actors are the chain's."""
    sizes = (spec.observation_size + spec.action_size, *spec.hyperparameters.hidden_sizes, 1)
    return {"critic": stack_members([mlp_parameters(rng, sizes, INITIALISERS) for _ in range(NUM_CRITICS)])}


def learning_rates(hp: Hyperparameters) -> dict[str, float]:
    """The trained networks and their base rates."""
    return {"actor_0": hp.actor_learning_rate, "critic": hp.critic_learning_rate}


def actors_due(update: int, hp: Hyperparameters) -> bool:
    """Whether update number `update` (from 0) moves the actors and the targets: the second is the first to."""
    return (update + 1) % hp.policy_freq == 0


def preprocessing(hp: Hyperparameters, dataset: str) -> Preprocessing:
    """Normalised states; rewards minus 1 on AntMaze, by return range elsewhere, where `normalize_rewards` asks."""
    is_antmaze = dataset.startswith("antmaze")
    return Preprocessing(
        normalize_states=hp.normalize_states,
        reward_scaling="return_range" if hp.normalize_rewards and not is_antmaze else "none",
        reward_shift=-1.0 if hp.normalize_rewards and is_antmaze else 0.0,
    )
