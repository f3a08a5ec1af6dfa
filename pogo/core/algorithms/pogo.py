"""POGO: transport-map actors under a TD3-style critic; what both backends share. Code of the original."""

from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import Delayed, critics, range_scaled
from pogo.core.algorithms.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.errors import check_name
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw
from pogo.core.problem.parameters import Params
from pogo.core.problem.spec import TrainSpec

TD_TARGETS = ("target", "online")


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults. Lengths in action space are in units of the action box, [-1, 1]."""

    w2_data: float = 0.25  # w_0, of actor 0's mean squared distance to the data; published per dataset
    normalize_q: bool = False
    noise_shaping: bool = True  # target smoothing
    policy_noise: float = 0.2  # its std
    noise_clip: float = 0.5  # where that noise is cut
    td_target: str = "target"  # whose next actions the target values: target (slow actor 0) | online (actor 0)
    policy_freq: int = 2  # actors and targets move on every policy_freq-th update
    discount: float = 0.99
    tau: float = 0.005
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    hidden_sizes: tuple[int, ...] = (256, 256)
    normalize_states: bool = True
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        check_name("algorithm.td_target", self.td_target, TD_TARGETS)
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        for name in ("w2_data", "policy_noise", "noise_clip"):
            check_not_negative(f"algorithm.{name}", getattr(self, name))
        for name in ("actor_learning_rate", "critic_learning_rate", "policy_freq"):
            check_positive(f"algorithm.{name}", getattr(self, name))


class POGO(Delayed[Hyperparameters]):
    """POGO, but for its mathematics."""

    chain_init = "independent"

    @override
    def targets(self, spec: TrainSpec[Hyperparameters]) -> dict[str, str]:
        """Slow copies and what they follow; the original keeps one of every actor and reads that of actor 0."""
        others = {f"target_actor_{index}": f"actor_{index}" for index in range(1, len(spec.actors))}
        return super().targets(spec) | others

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published actor: tanh of a network that reads the observation and a latent of action size."""
        return ActorConfig(kind="stochastic", hidden_sizes=hp.hidden_sizes)

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """Target smoothing; samples of actor 0 and its target where its kind needs them; dropout masks."""
        draws = super().noise_spec(spec)
        if not spec.hyperparameters.noise_shaping:
            del draws["target_policy"]
        return draws

    @override
    def preprocessing(self, hp: Hyperparameters, dataset: str) -> Preprocessing:
        """Normalised states; rewards by return range where asked, on AntMaze too."""
        return range_scaled(hp, dataset)

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """The critics; actors are the chain's."""
        return {"critic": critics(rng, spec, spec.hyperparameters.hidden_sizes, self.initialisers)}


DEFINITION = POGO(Hyperparameters)
