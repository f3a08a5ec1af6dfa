"""IQL: what both backends share. Kostrikov et al. 2021, arXiv:2110.06169; code of CORL."""

from dataclasses import dataclass, replace

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import ActorCritic, critics
from pogo.core.algorithms.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw, dropout_masks, normal
from pogo.core.problem.parameters import Params, mlp_parameters
from pogo.core.problem.spec import TrainSpec


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults."""

    expectile: float = 0.7  # tau of the expectile regression
    beta: float = 3.0  # inverse temperature of the advantage weights
    discount: float = 0.99
    tau: float = 0.005  # share of the new critic in its target
    actor_learning_rate: float = 3e-4  # its start: the cosine schedule brings it to 0
    critic_learning_rate: float = 3e-4
    value_learning_rate: float = 3e-4
    cosine_updates: int | None = None  # length of that schedule; none: train.updates
    max_advantage_weight: float = 100.0
    deterministic: bool = False  # a deterministic actor 0, trained by squared error
    actor_dropout: float = 0.0
    hidden_sizes: tuple[int, ...] = (256, 256)
    normalize_states: bool = True
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_between("algorithm.expectile", self.expectile, 0.0, 1.0)
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        check_not_negative("algorithm.beta", self.beta)
        for name in ("actor_learning_rate", "critic_learning_rate", "value_learning_rate", "max_advantage_weight"):
            check_positive(f"algorithm.{name}", getattr(self, name))
        if self.cosine_updates is not None:
            check_positive("algorithm.cosine_updates", self.cosine_updates)


class IQL(ActorCritic[Hyperparameters]):
    """Implicit Q-learning, but for its mathematics."""

    energies = ("value", "loss", "advantage")

    @override
    def for_run(self, hp: Hyperparameters, updates: int) -> Hyperparameters:
        """The hyperparameters of a run of `updates`: the cosine schedule ends with it unless it is given a length."""
        return replace(hp, cosine_updates=hp.cosine_updates or updates)

    @override
    def scheduled(self, hp: Hyperparameters) -> str | None:
        """The option that says after how many updates a learning rate is 0."""
        return "cosine_updates"

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published actor: a Gaussian around tanh(head), one free log_std per action dimension."""
        return ActorConfig(
            kind="deterministic" if hp.deterministic else "gaussian",
            hidden_sizes=hp.hidden_sizes,
            dropout=hp.actor_dropout,
        )

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """Dropout masks where actor 0 has dropout, and a sample where it has no density to be weighted."""
        actor = spec.actors[0]
        draws = dropout_masks(actor, spec.batch_size)
        if actor.samples_for_loss:
            draws["policy_action"] = normal(spec.batch_size, spec.action_size)
        return draws

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """Critics and value; actors are the chain's."""
        hidden = spec.hyperparameters.hidden_sizes
        critic = critics(rng, spec, hidden, self.initialisers)
        value = mlp_parameters(rng, (spec.observation_size, *hidden, 1), self.initialisers)
        return {"critic": critic, "value": value}

    @override
    def learning_rates(self, hp: Hyperparameters) -> dict[str, float]:
        """The trained networks and their base rates."""
        return {
            "actor_0": hp.actor_learning_rate,
            "critic": hp.critic_learning_rate,
            "value": hp.value_learning_rate,
        }


DEFINITION = IQL(Hyperparameters)
