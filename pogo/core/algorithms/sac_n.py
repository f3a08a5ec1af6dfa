"""SAC-N: what both backends share. An et al. 2021, arXiv:2110.01548; code of CORL."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import ActorCritic, critics
from pogo.core.algorithms.hyperparameters import check_between, check_positive
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw, dropout_masks, normal
from pogo.core.problem.parameters import LayerInitialisers, Params, constant, fan_out_bound, torch_default, uniform
from pogo.core.problem.spec import TrainSpec

MAX_CRITICS = 10_000
# The original's routine takes a kernel's second axis as its fan-in, which is the layer's width out.
CRITIC_INITIALISERS = LayerInitialisers(fan_out_bound, constant(0.1), uniform(3e-3), uniform(3e-3))


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


class SACN(ActorCritic[Hyperparameters]):
    """SAC with an ensemble of critics, but for its mathematics."""

    published_updates = 3_000_000
    initialisers = LayerInitialisers(torch_default, constant(0.1), uniform(1e-3), uniform(1e-3))

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published actor: a tanh-Gaussian with one log_std per state, its density with 1e-6 inside the log."""
        return ActorConfig(
            kind="tanh_gaussian", hidden_sizes=hp.hidden_sizes, log_std="head", log_std_min=-5.0, density="epsilon"
        )

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """One sample of actor 0 each for the temperature, the actor and the TD target; dropout masks."""
        action = normal(spec.batch_size, spec.action_size)
        draws = {"policy_action": action, "next_action": action} | dropout_masks(spec.actors[0], spec.batch_size)
        return draws | ({"alpha_action": action} if spec.actors[0].has_density else {})

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """The ensemble and the temperature; actors are the chain's."""
        hp = spec.hyperparameters
        ensemble = critics(rng, spec, hp.hidden_sizes, CRITIC_INITIALISERS, members=hp.num_critics)
        return {"critic": ensemble, "temperature": {"log_alpha": np.full(1, np.log(hp.initial_temperature))}}

    @override
    def learning_rates(self, hp: Hyperparameters) -> dict[str, float]:
        """The trained networks and their base rates."""
        return super().learning_rates(hp) | {"temperature": hp.temperature_learning_rate}


DEFINITION = SACN(Hyperparameters)
