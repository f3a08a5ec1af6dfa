"""SAC: what both backends share. Haarnoja et al. 2018, arXiv:1801.01290 and 1812.05905; homework 3 of CS285 (2023)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from typing_extensions import override

from pogo.core.algorithms.actor_critic import ActorCritic, critics
from pogo.core.algorithms.hyperparameters import check_between, check_not_negative, check_positive
from pogo.core.errors import BadInput, check_name
from pogo.core.problem.actors import Activation, ActorConfig
from pogo.core.problem.noise import Draw, distinct_pairs, dropout_masks, normal
from pogo.core.problem.parameters import Params
from pogo.core.problem.spec import TrainSpec

ActorGradient = Literal["reparametrize", "reinforce"]
TargetBackup = Literal["mean", "min", "double_q", "redq"]
ActorQ = Literal["mean", "min"]
Schedule = Literal["constant", "linear"]

MAX_CRITICS = 10_000
AUTO = "auto"  # temperature: tuned
FIXED_STD = 0.1
CRITIC_DRAWS = ("next_action", "redq_pair", "next_entropy")  # of each critic step, along the leading axis


@dataclass(frozen=True)
class Hyperparameters:
    """The homework's defaults, but for `actor_gradient` and `tau`: its own select no target update."""

    actor_gradient: str = "reparametrize"  # reparametrize | reinforce
    num_actor_samples: int = 1  # M, of reinforce
    num_critics: int = 1
    target_backup: str = "mean"  # mean | min | double_q | redq
    actor_q: str = "mean"  # of the critics, what actors climb: mean (the homework) | min (the paper of 2018)
    tau: float | None = 0.005  # soft targets on every update; none: hard ones
    target_update_period: int | None = None  # hard targets on updates 1, 1 + period, ...; none: soft ones
    num_critic_updates: int = 1  # critic steps of one update, on the same batch
    use_entropy_bonus: bool = True  # without it neither actor nor target sees the entropy
    backup_entropy: bool = True  # in the target too
    temperature: float | int | str = 0.1  # the entropy's weight; `auto`: tuned to `target_entropy`
    initial_temperature: float = 1.0  # where `auto` starts, and stays where actor 0 has no density
    target_entropy: float | None = None  # of `auto`; none: minus the action size
    temperature_learning_rate: float = 3e-4
    use_tanh: bool = True  # of the actor: tanh of a Gaussian, or a Gaussian with an unbounded mean
    fixed_std: bool = False  # std 0.1 in every state, instead of softplus(head) + 0.01
    discount: float = 0.99
    actor_learning_rate: float = 3e-4
    critic_learning_rate: float = 3e-4
    actor_schedule: str = "constant"  # constant | linear: down to 0 at `schedule_updates`, then 0
    critic_schedule: str = "constant"
    schedule_updates: int | None = None  # none: train.updates
    hidden_size: int = 128
    num_layers: int = 3  # hidden ones, of critics and actor
    activation: str = "tanh"
    normalize_states: bool = False
    normalize_rewards: bool = False

    def __post_init__(self) -> None:
        for name, known in (
            ("actor_gradient", ActorGradient),
            ("target_backup", TargetBackup),
            ("actor_q", ActorQ),
            ("actor_schedule", Schedule),
            ("critic_schedule", Schedule),
            ("activation", Activation),
        ):
            check_name(f"algorithm.{name}", getattr(self, name), get_args(known))
        for name in (
            "num_actor_samples",
            "num_critic_updates",
            "initial_temperature",
            "temperature_learning_rate",
            "actor_learning_rate",
            "critic_learning_rate",
            "hidden_size",
            "num_layers",
        ):
            check_positive(f"algorithm.{name}", getattr(self, name))
        for name in ("target_update_period", "schedule_updates"):
            if getattr(self, name) is not None:
                check_positive(f"algorithm.{name}", getattr(self, name))
        check_between("algorithm.discount", self.discount, 0.0, 1.0)
        self._check_targets()
        self._check_temperature()

    @property
    def tunes_temperature(self) -> bool:
        """Whether the entropy's weight is trained."""
        return self.temperature == AUTO

    def _check_targets(self) -> None:
        if (self.tau is None) == (self.target_update_period is None):
            raise BadInput(
                f"algorithm.tau={self.tau} and target_update_period={self.target_update_period}: "
                "exactly one of them moves the targets; give one, and null for the other."
            )
        if self.tau is not None:
            check_between("algorithm.tau", self.tau, 0.0, 1.0)
        check_between("algorithm.num_critics", self.num_critics, 1, MAX_CRITICS)
        if self.target_backup == "double_q" and self.num_critics != 2:
            raise BadInput(
                f"algorithm.target_backup=double_q swaps two critics; num_critics={self.num_critics} must be 2."
            )
        if self.target_backup == "redq" and self.num_critics < 2:
            raise BadInput("algorithm.target_backup=redq takes two of the critics; num_critics=1 must be 2 or more.")

    def _check_temperature(self) -> None:
        if self.target_entropy is not None and not math.isfinite(self.target_entropy):
            raise BadInput(f"algorithm.target_entropy={self.target_entropy} is out of range; use a finite number.")
        if not self.tunes_temperature:
            if isinstance(self.temperature, str):
                raise BadInput(f"algorithm.temperature={self.temperature} is neither a number nor {AUTO}.")
            check_not_negative("algorithm.temperature", self.temperature)
        elif not self.use_entropy_bonus:
            raise BadInput(f"algorithm.temperature={AUTO} weighs nothing; it needs use_entropy_bonus=true.")
        elif self.fixed_std and not self.use_tanh:
            raise BadInput(
                f"algorithm.temperature={AUTO} needs an entropy that can change; "
                "with fixed_std=true and use_tanh=false it is constant."
            )


class SAC(ActorCritic[Hyperparameters]):
    """Soft actor-critic, but for its mathematics."""

    published_updates = 300_000
    published_batch_size = 128
    published_env_steps = 300_000  # of an online run

    @override
    def for_run(self, hp: Hyperparameters, updates: int) -> Hyperparameters:
        """The hyperparameters of a run of `updates`: linear schedules end with it unless they are given a length."""
        return replace(hp, schedule_updates=hp.schedule_updates or updates)

    @override
    def scheduled(self, hp: Hyperparameters) -> str | None:
        """The option that says after how many updates a learning rate is 0; none where both rates are constant."""
        return "schedule_updates" if "linear" in (hp.actor_schedule, hp.critic_schedule) else None

    @override
    def default_actor(self, hp: Hyperparameters) -> ActorConfig:
        """The homework's actor: a tanh-Gaussian with a softplus std per state, or as `use_tanh`, `fixed_std` say."""
        return ActorConfig(
            kind="tanh_gaussian" if hp.use_tanh else "gaussian",
            hidden_sizes=(hp.hidden_size,) * hp.num_layers,
            activation=hp.activation,
            tanh_mean=False,
            log_std="fixed" if hp.fixed_std else "head",
            log_std_init=math.log(FIXED_STD) if hp.fixed_std else 0.0,
            std="softplus",
        )

    @override
    def check_actors(self, actors: Sequence[ActorConfig], hp: Hyperparameters) -> None:
        """Refuse REINFORCE for an actor 0 without a density.

        Raises:
            BadInput: `actor_gradient` is `reinforce`, and the kind of actor 0 has no density.
        """
        kind = actors[0].kind
        if hp.actor_gradient == "reinforce" and not actors[0].has_density:
            raise BadInput(
                f"algorithm.actor_gradient=reinforce needs the density of actor 0, and a {kind} actor has none; "
                "use actor_gradient=reparametrize."
            )

    @override
    def noise_spec(self, spec: TrainSpec[Hyperparameters]) -> dict[str, Draw]:
        """Separate draws of actor 0: for each critic step's target and its entropy, for the actor and its entropy."""
        hp, actor = spec.hyperparameters, spec.actors[0]
        sizes = spec.batch_size, spec.action_size
        draws = dropout_masks(actor, spec.batch_size)
        if actor.is_stochastic:
            draws["next_action"] = normal(hp.num_critic_updates, *sizes)
            samples = (hp.num_actor_samples,) if hp.actor_gradient == "reinforce" else ()
            draws["policy_action"] = normal(spec.batch_size, *samples, spec.action_size)
        if hp.target_backup == "redq":
            draws["redq_pair"] = distinct_pairs(hp.num_critics, hp.num_critic_updates, spec.batch_size)
        if actor.has_density:
            draws["entropy_action"] = normal(*sizes)
            if hp.use_entropy_bonus and hp.backup_entropy:
                draws["next_entropy"] = normal(hp.num_critic_updates, *sizes)
        return draws

    @override
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[Hyperparameters]) -> dict[str, Params]:
        """The critics, and the temperature where it is tuned; actors are the chain's."""
        hp = spec.hyperparameters
        hidden_sizes = (hp.hidden_size,) * hp.num_layers
        networks = {"critic": critics(rng, spec, hidden_sizes, self.initialisers, members=hp.num_critics)}
        if hp.tunes_temperature:
            networks["temperature"] = {"log_alpha": np.full(1, np.log(hp.initial_temperature))}
        return networks

    @override
    def critic_activation(self, hp: Hyperparameters) -> str:
        """The one that every network has."""
        return hp.activation

    @override
    def learning_rates(self, hp: Hyperparameters) -> dict[str, float]:
        """The trained networks and their base rates."""
        rates = super().learning_rates(hp)
        return rates | ({"temperature": hp.temperature_learning_rate} if hp.tunes_temperature else {})


DEFINITION = SAC(Hyperparameters)
