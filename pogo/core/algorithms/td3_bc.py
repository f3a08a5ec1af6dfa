"""TD3+BC: what both backends share. Fujimoto & Gu 2021, arXiv:2106.06860; code of CORL."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import Delayed, critics
from pogo.core.algorithms.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.parameters import Params
from pogo.core.problem.spec import TrainSpec


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults. Lengths in action space are in units of the action box, [-1, 1]."""

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


class TD3BC(Delayed[Hyperparameters]):
    """TD3+BC, but for its mathematics."""

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published actor: tanh(head), no noise."""
        return ActorConfig(kind="deterministic", hidden_sizes=hp.hidden_sizes)

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """The critics; actors are the chain's."""
        return {"critic": critics(rng, spec, spec.hyperparameters.hidden_sizes, self.initialisers)}


DEFINITION = TD3BC(Hyperparameters)
