"""ReBRAC: what both backends share. Tarasov et al. 2023, arXiv:2305.09836; code of CORL."""

from dataclasses import dataclass, replace

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import Delayed, critics, is_antmaze, range_scaled
from pogo.core.algorithms.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.parameters import LayerInitialisers, Params, constant, torch_default, uniform
from pogo.core.problem.spec import TrainSpec

ACTOR_INITIALISERS = LayerInitialisers(torch_default, constant(0.1), uniform(1e-3), uniform(1e-3))
CRITIC_INITIALISERS = LayerInitialisers(torch_default, constant(0.1), uniform(3e-3), uniform(3e-3))
_DEPTHS = ("actor_num_hidden", "critic_num_hidden")
UPDATES_PER_EPOCH = 1000  # the delay counts from 0 within an epoch of the original


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults. Lengths in action space are in units of the action box, [-1, 1]."""

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


class ReBRAC(Delayed[Hyperparameters]):
    """ReBRAC, but for its mathematics."""

    published_batch_size = 1024
    batch_arrays = ("observations", "actions", "rewards", "next_observations", "terminals", "next_actions")
    initialisers = ACTOR_INITIALISERS

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published actor: tanh(head), no noise."""
        return ActorConfig(
            kind="deterministic",
            hidden_sizes=(hp.hidden_size,) * hp.actor_num_hidden,
            layer_norm=hp.actor_layer_norm,
        )

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """The critics; actors are the chain's."""
        hp = spec.hyperparameters
        hidden_sizes = (hp.hidden_size,) * hp.critic_num_hidden
        return {"critic": critics(rng, spec, hidden_sizes, CRITIC_INITIALISERS, hp.critic_layer_norm)}

    @override
    def actors_due(self, update: int, hp: Hyperparameters) -> bool:
        """Whether update number `update` (from 0) moves the actors and the targets."""
        return update % UPDATES_PER_EPOCH % hp.policy_freq == 0

    @override
    def preprocessing(self, hp: Hyperparameters, dataset: str) -> Preprocessing:
        """States as they are; rewards times 100 on AntMaze; the dataset's next action for the target's penalty."""
        if is_antmaze(dataset):
            scale = 100.0 if hp.normalize_rewards else 1.0
            return Preprocessing(normalize_states=hp.normalize_states, reward_scale=scale, next_actions=True)
        return replace(range_scaled(hp, dataset), next_actions=True)


DEFINITION = ReBRAC(Hyperparameters)
