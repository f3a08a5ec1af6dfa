"""The two halves of an algorithm: its definition, one for both backends, and its mathematics, one in each."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from pogo.core.data.preprocessing import Preprocessing
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.core.problem.noise import Draw
from pogo.core.problem.parameters import LayerInitialisers, Params
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import TrainState

Array = TypeVar("Array")
Actor = TypeVar("Actor")
HP = TypeVar("HP")


class AlgorithmDefinition(ABC, Generic[HP]):
    """An algorithm without its mathematics: hyperparameters, networks, noise, preprocessing, and what it can do.

    Both backends and every command read it. A subclass gives the abstract methods, and sets or overrides what is not as
    in most algorithms. One instance, made with the class of its hyperparameters, is the algorithm:
    `DEFINITION = IQL(Hyperparameters)`.
    """

    published_updates: int = 1_000_000
    published_batch_size: int = 256
    published_env_steps: int | None = None  # of a run that collects its own data; None: it learns from a dataset only
    initialisers: LayerInitialisers = LayerInitialisers()  # of the actors
    energies: tuple[str, ...] = ("value", "loss")  # what `chain.energy` may be
    batch_arrays: tuple[str, ...] = ("observations", "actions", "rewards", "next_observations", "terminals")
    chain_init: str = "copy"  # `chain.init` where it is not given
    # Of an algorithm of another package: the module with its class `Algorithm`, by backend.
    modules: Mapping[str, str] = {}

    def __init__(self, hyperparameters: type[HP]) -> None:
        self.Hyperparameters = hyperparameters

    @abstractmethod
    def default_actor(self, hp: HP) -> ActorConfig:
        """The published actor 0."""

    @abstractmethod
    def noise_spec(self, spec: TrainSpec[HP]) -> dict[str, Draw]:
        """Every random draw of one update, by name, but for those of the chain."""

    @abstractmethod
    def initial_networks(self, rng: np.random.Generator, spec: TrainSpec[HP]) -> dict[str, Params]:
        """The starting parameters of all networks but the actors and the targets, by name."""

    @abstractmethod
    def learning_rates(self, hp: HP) -> dict[str, float]:
        """The base rate of each trained network, `actor_0` among them."""

    @abstractmethod
    def preprocessing(self, hp: HP, dataset: str) -> Preprocessing:
        """What becomes of a dataset of this name before training."""

    def targets(self, spec: TrainSpec[HP]) -> dict[str, str]:
        """The slow copies, by name, and the networks that they follow."""
        return {"target_critic": "critic"}

    def actors_due(self, update: int, hp: HP) -> bool:
        """Whether update number `update`, from 0, moves the actors; it may be a traced array in JAX."""
        return True

    def critic_activation(self, hp: HP) -> str:
        """The activation of the network `critic`."""
        return "relu"

    def flow(self, hp: HP) -> FlowConfig | None:
        """The flow policy that the network `flow` is; None where there is no such network."""
        return None

    def for_run(self, hp: HP, updates: int) -> HP:
        """The hyperparameters of a run of so many updates: what follows its length is filled in."""
        return hp

    def scheduled(self, hp: HP) -> str | None:
        """The option that says after how many updates a learning rate is 0; None where no rate falls to 0."""
        return None

    def check_actors(self, actors: Sequence[ActorConfig], hp: HP) -> None:
        """Refuse a chain of actors that the algorithm cannot train.

        Raises:
            BadInput: naming the actor and what it lacks.
        """


AnyDefinition = AlgorithmDefinition[Any]


class AlgorithmInterface(ABC, Generic[Array, Actor, HP]):
    """One algorithm on one backend.

    Its hyperparameters, default actor, noise and starting parameters are in `pogo.core.algorithms`, once for both
    backends. `update` and `energy` are pure functions of their arguments: every random number is in `noise`.
    """

    def __init__(self, spec: TrainSpec[HP]) -> None:
        self.spec = spec
        self.hyperparameters: HP = spec.hyperparameters

    @abstractmethod
    def update(
        self, state: TrainState, batch: Mapping[str, Array], noise: Mapping[str, Array]
    ) -> tuple[TrainState, dict[str, Array]]:
        """One update of critics, temperatures, actor 0 and targets, in the original's order.

        Only actor 0 takes part, whatever the chain does. Metrics whose names begin with `actor_` are of updates that
        move the actors; on others they are absent (torch) or zero (JAX, where shapes are static).
        """

    @abstractmethod
    def energy(self, state: TrainState, actor: Actor, batch: Mapping[str, Array], noise: Mapping[str, Array]) -> Array:
        """What an actor 1+ minimises besides its distance, a scalar mean over the batch (`chain.energy`)."""

    def critic_value(self, state: TrainState, observations: Array, actions: Array) -> Array | None:
        """What the critics say of actions, [B], as the energy `value` reads them; None where there are no critics."""
        return None
