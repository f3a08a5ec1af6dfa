"""AWAC: what both backends share. Nair et al. 2020, arXiv:2006.09359; code of CORL."""

from dataclasses import dataclass

import numpy as np

from pogo.core.actors import ActorConfig
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.hyperparameters import check_between, check_positive
from pogo.core.interface import TrainSpec
from pogo.core.noise import Draw, dropout_masks, normal
from pogo.core.parameters import LayerInitialisers, Params, mlp_parameters, stack_members

PUBLISHED_UPDATES = 1_000_000
PUBLISHED_BATCH_SIZE = 256
NUM_CRITICS = 2
INITIALISERS = LayerInitialisers()
ENERGIES = ("value", "loss", "advantage")
BATCH_ARRAYS = ("observations", "actions", "rewards", "next_observations", "terminals")


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults."""

    advantage_temperature: float = 1.0  # lambda: weights are exp(advantage / lambda)
    max_advantage_weight: float = 100.0
    discount: float = 0.99
    tau: float = 0.005
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    normalize_states: bool = True
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        for name in ("advantage_temperature", "max_advantage_weight", "actor_learning_rate", "critic_learning_rate"):
            check_positive(f"algorithm.{name}", getattr(self, name))


def targets(spec: TrainSpec) -> dict[str, str]:
    """Slow copies and what they follow."""
    return {"target_critic": "critic"}


def for_run(hp: Hyperparameters, updates: int) -> Hyperparameters:
    """The hyperparameters of a run of `updates`: none of them depends on its length."""
    return hp


def default_actor(hp: Hyperparameters) -> ActorConfig:
    """The published actor: a Gaussian around an unbounded mean, one free log_std per action dimension."""
    return ActorConfig(kind="gaussian", hidden_sizes=hp.hidden_sizes, tanh_mean=False)


def noise_spec(spec: TrainSpec) -> dict[str, Draw]:
    """Actor 0's samples for the TD target and for the baseline, and where it has no density to be weighted."""
    actor, action = spec.actors[0], normal(spec.batch_size, spec.action_size)
    draws = dropout_masks(actor, spec.batch_size)
    if actor.is_stochastic:
        draws |= {"next_action": action, "value_action": action}
    if actor.samples_for_loss:
        draws |= {"policy_action": action}
    return draws


def initial_networks(rng: np.random.Generator, spec: TrainSpec) -> dict[str, Params]:
    """The critics; actors are the chain's."""
    sizes = (spec.observation_size + spec.action_size, *spec.hyperparameters.hidden_sizes, 1)
    return {"critic": stack_members([mlp_parameters(rng, sizes, INITIALISERS) for _ in range(NUM_CRITICS)])}


def learning_rates(hp: Hyperparameters) -> dict[str, float]:
    """The trained networks and their base rates."""
    return {"actor_0": hp.actor_learning_rate, "critic": hp.critic_learning_rate}


def actors_due(update: int, hp: Hyperparameters) -> bool:
    """Whether update number `update` (from 0) moves the actors: always."""
    return True


def preprocessing(hp: Hyperparameters, dataset: str) -> Preprocessing:
    """Normalised states; rewards minus 1 on AntMaze, by return range elsewhere, where `normalize_rewards` asks."""
    is_antmaze = dataset.startswith("antmaze")
    return Preprocessing(
        normalize_states=hp.normalize_states,
        reward_scaling="return_range" if hp.normalize_rewards and not is_antmaze else "none",
        reward_shift=-1.0 if hp.normalize_rewards and is_antmaze else 0.0,
    )
