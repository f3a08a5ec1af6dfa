"""AWAC: what both backends share. Nair et al. 2020, arXiv:2006.09359; code of CORL."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import ActorCritic, critics
from pogo.core.algorithms.hyperparameters import check_between, check_positive
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw, dropout_masks, normal
from pogo.core.problem.parameters import Params
from pogo.core.problem.spec import TrainSpec


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


class AWAC(ActorCritic[Hyperparameters]):
    """Advantage-weighted actor-critic, but for its mathematics."""

    energies = ("value", "loss", "advantage")

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published actor: a Gaussian around an unbounded mean, one free log_std per action dimension."""
        return ActorConfig(kind="gaussian", hidden_sizes=hp.hidden_sizes, tanh_mean=False)

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """Actor 0's samples for the TD target and for the baseline, and where it has no density to be weighted."""
        actor, action = spec.actors[0], normal(spec.batch_size, spec.action_size)
        draws = dropout_masks(actor, spec.batch_size)
        if actor.is_stochastic:
            draws |= {"next_action": action, "value_action": action}
        if actor.samples_for_loss:
            draws |= {"policy_action": action}
        return draws

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """The critics; actors are the chain's."""
        return {"critic": critics(rng, spec, spec.hyperparameters.hidden_sizes, self.initialisers)}


DEFINITION = AWAC(Hyperparameters)
