"""SAC-N: what both backends share. An et al. 2021, arXiv:2110.01548; code of CORL."""

from dataclasses import dataclass

import numpy as np

from pogo.core import actor_critic
from pogo.core.actors import ActorConfig
from pogo.core.hyperparameters import check_between, check_positive
from pogo.core.interface import TrainSpec
from pogo.core.noise import Draw, dropout_masks, normal
from pogo.core.parameters import (
    LayerInitialisers,
    Params,
    constant,
    fan_out_bound,
    torch_default,
    uniform,
)

PUBLISHED_UPDATES = 3_000_000
PUBLISHED_BATCH_SIZE = 256
MAX_CRITICS = 10_000
INITIALISERS = LayerInitialisers(torch_default, constant(0.1), uniform(1e-3), uniform(1e-3))
# The original's routine takes a kernel's second axis as its fan-in, which is the layer's width out.
CRITIC_INITIALISERS = LayerInitialisers(fan_out_bound, constant(0.1), uniform(3e-3), uniform(3e-3))
ENERGIES = ("value", "loss")
BATCH_ARRAYS = ("observations", "actions", "rewards", "next_observations", "terminals")
targets = actor_critic.critic_target
for_run = actor_critic.any_length
actors_due = actor_critic.every_update
check_actors = actor_critic.any_actors
preprocessing = actor_critic.range_scaled_or_shifted


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults."""

    num_critics: int = 10
    discount: float = 0.99
    tau: float = 0.005
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    temperature_learning_rate: float = 3e-4
    initial_temperature: float = 1.0  # alpha at the start, and throughout where actor 0 has no density
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    normalize_states: bool = False
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        check_between("algorithm.num_critics", self.num_critics, 2, MAX_CRITICS)
        for name in ("actor_learning_rate", "critic_learning_rate", "temperature_learning_rate", "initial_temperature"):
            check_positive(f"algorithm.{name}", getattr(self, name))


def default_actor(hp: Hyperparameters) -> ActorConfig:
    """The published actor: a tanh-Gaussian with one log_std per state, its density with 1e-6 inside the log."""
    return ActorConfig(
        kind="tanh_gaussian", hidden_sizes=hp.hidden_sizes, log_std="head", log_std_min=-5.0, density="epsilon"
    )


def noise_spec(spec: TrainSpec) -> dict[str, Draw]:
    """One sample of actor 0 each for the temperature, the actor and the TD target; dropout masks."""
    action = normal(spec.batch_size, spec.action_size)
    draws = {"policy_action": action, "next_action": action} | dropout_masks(spec.actors[0], spec.batch_size)
    return draws | ({"alpha_action": action} if spec.actors[0].has_density else {})


def initial_networks(rng: np.random.Generator, spec: TrainSpec) -> dict[str, Params]:
    """The ensemble and the temperature; actors are the chain's."""
    hp = spec.hyperparameters
    ensemble = actor_critic.critics(rng, spec, hp.hidden_sizes, CRITIC_INITIALISERS, members=hp.num_critics)
    return {"critic": ensemble, "temperature": {"log_alpha": np.full(1, np.log(hp.initial_temperature))}}


def learning_rates(hp: Hyperparameters) -> dict[str, float]:
    """The trained networks and their base rates."""
    return actor_critic.actor_and_critic_rates(hp) | {"temperature": hp.temperature_learning_rate}
