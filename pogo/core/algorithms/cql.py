"""CQL: what both backends share. Kumar et al. 2020, arXiv:2006.04779; code of CORL."""

import math
from dataclasses import dataclass

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import is_antmaze
from pogo.core.algorithms.base import AlgorithmDefinition
from pogo.core.algorithms.hyperparameters import check_between, check_finite, check_not_negative, check_positive
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.noise import Draw, dropout_masks, normal, uniform11
from pogo.core.problem.parameters import (
    LayerInitialisers,
    Params,
    constant,
    mlp_parameters,
    orthogonal,
    torch_default,
    xavier,
)
from pogo.core.problem.spec import TrainSpec

CRITICS = ("critic_1", "critic_2")
CRITIC_2_NUM_HIDDEN = 3  # whatever the first critic has
MAX_ALPHA_PRIME = 1e6
OUTPUT_GAIN = 0.01
INITIALISERS = LayerInitialisers(torch_default, torch_default, xavier(OUTPUT_GAIN), constant(0.0))
PLAIN_CRITIC_INITIALISERS = INITIALISERS
ORTHOGONAL_CRITIC_INITIALISERS = LayerInitialisers(
    orthogonal(math.sqrt(2.0)), constant(0.0), orthogonal(OUTPUT_GAIN), constant(0.0)
)


@dataclass(frozen=True)
class Hyperparameters:
    """Published defaults."""

    cql_alpha: float = 10.0  # weight of the conservative term
    num_cql_actions: int = 10  # n, of each of its three sources
    temperature: float = 1.0  # of its soft maximum
    importance_sample: bool = True
    lagrange: bool = False
    target_action_gap: float = -1.0  # what the multiplier holds the gap to
    max_target_backup: bool = False
    clip_diff_min: float = -math.inf  # limits of each row's conservative term
    clip_diff_max: float = math.inf
    backup_entropy: bool = False
    tune_temperature: bool = True
    alpha_multiplier: float = 1.0
    bc_updates: int = 0  # updates of the BC phase
    target_update_period: int = 1
    discount: float = 0.99
    tau: float = 0.005
    actor_learning_rate: float = 3e-5  # the temperature's too
    critic_learning_rate: float = 3e-4  # the multiplier's too
    orthogonal_init: bool = True  # of the critics
    hidden_size: int = 256
    critic_num_hidden: int = 3  # of the first critic; the second always has 3
    actor_num_hidden: int = 3
    log_std_multiplier: float = 1.0  # start of a trained scalar
    normalize_states: bool = True
    normalize_rewards: bool = False  # by return range
    reward_scale: float = 1.0
    reward_bias: float = 0.0

    def __post_init__(self) -> None:
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        check_between("algorithm.tau", self.tau, 0.0, 1.0)
        for name in ("cql_alpha", "alpha_multiplier", "bc_updates", "actor_num_hidden", "critic_num_hidden"):
            check_not_negative(f"algorithm.{name}", getattr(self, name))
        for name in (
            "num_cql_actions",
            "temperature",
            "target_update_period",
            "actor_learning_rate",
            "critic_learning_rate",
            "hidden_size",
        ):
            check_positive(f"algorithm.{name}", getattr(self, name))
        for name in ("target_action_gap", "log_std_multiplier", "reward_scale", "reward_bias"):
            check_finite(f"algorithm.{name}", getattr(self, name))
        if not self.clip_diff_min < self.clip_diff_max:
            raise BadInput(
                f"algorithm.clip_diff_min={self.clip_diff_min} is not below clip_diff_max={self.clip_diff_max}."
            )


class CQL(AlgorithmDefinition[Hyperparameters]):
    """Conservative Q-learning, but for its mathematics."""

    initialisers = INITIALISERS

    @override
    def targets(self, spec: TrainSpec[Hyperparameters]) -> dict[str, str]:
        """Slow copies and what they follow."""
        return {f"target_{name}": name for name in CRITICS}

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The published actor: a tanh-Gaussian whose log_std is a trained affine map of its head."""
        return ActorConfig(
            kind="tanh_gaussian",
            hidden_sizes=(hp.hidden_size,) * hp.actor_num_hidden,
            log_std="head",
            log_std_affine=True,
            log_std_multiplier_init=hp.log_std_multiplier,
        )

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """Samples of actor 0 for its loss and the TD target, and the three sources of the conservative term."""
        hp, batch, size = spec.hyperparameters, spec.batch_size, spec.action_size
        action, actions = normal(batch, size), normal(batch, hp.num_cql_actions, size)
        draws = {
            "policy_action": action,
            "next_action": actions if hp.max_target_backup else action,
            "uniform_actions": uniform11(batch, hp.num_cql_actions, size),
            "current_actions": actions,
            "cql_next_actions": actions,
        }
        return draws | ({"bc_action": action} if hp.bc_updates > 0 else {}) | dropout_masks(spec.actors[0], batch)

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """Both critics, of unequal depth on AntMaze, the temperature and the multiplier; actors are the chain's."""
        hp = spec.hyperparameters
        initialisers = ORTHOGONAL_CRITIC_INITIALISERS if hp.orthogonal_init else PLAIN_CRITIC_INITIALISERS
        networks: dict[str, Params] = {}
        for name, num_hidden in zip(CRITICS, (hp.critic_num_hidden, CRITIC_2_NUM_HIDDEN), strict=True):
            sizes = (spec.observation_size + spec.action_size, *(hp.hidden_size,) * num_hidden, 1)
            networks[name] = mlp_parameters(rng, sizes, initialisers)
        if hp.tune_temperature:
            networks["temperature"] = {"log_alpha": np.zeros(1)}
        if hp.lagrange:
            networks["multiplier"] = {"log_alpha_prime": np.ones(1)}
        return networks

    @override
    def learning_rates(self, hp: Hyperparameters) -> dict[str, float]:
        """The trained networks and their base rates."""
        rates = {"actor_0": hp.actor_learning_rate} | dict.fromkeys(CRITICS, hp.critic_learning_rate)
        if hp.tune_temperature:
            rates["temperature"] = hp.actor_learning_rate
        if hp.lagrange:
            rates["multiplier"] = hp.critic_learning_rate
        return rates

    @override
    def preprocessing(self, hp: Hyperparameters, dataset: str) -> Preprocessing:
        """Normalised states; rewards by return range where asked, then always scaled and shifted."""
        return Preprocessing(
            normalize_states=hp.normalize_states,
            reward_scaling="return_range" if hp.normalize_rewards and not is_antmaze(dataset) else "none",
            reward_scale=hp.reward_scale,
            reward_shift=hp.reward_bias,
        )


DEFINITION = CQL(Hyperparameters)
