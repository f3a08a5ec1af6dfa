"""The contracts that both backends fulfil: a training problem, an algorithm, a learner."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, NamedTuple, TypeVar

import numpy as np

from pogo.core.actors import ActorConfig
from pogo.core.chain import ChainConfig
from pogo.core.online.replay import ReplayBuffer
from pogo.core.probe import Probe
from pogo.core.w2 import W2Config

Array = TypeVar("Array")
Actor = TypeVar("Actor")
HP = TypeVar("HP")
Mode = Literal["deterministic", "stochastic"]


class Pair(NamedTuple):
    """An actor of the chain in one of its modes."""

    actor: int
    mode: Mode


class AdamState(NamedTuple):
    """One network's Adam moments, each shaped as its parameters, and the number of steps taken."""

    count: Any
    mu: dict[str, Any]
    nu: dict[str, Any]


class TrainState(NamedTuple):
    """All that an update changes. A state that went into an update may not be used again (its memory is reused)."""

    networks: dict[str, dict[str, Any]]  # by name: actor_0, actor_1, ..., critic, target_critic, ...
    optimizers: dict[str, AdamState]  # one per trained network, under the network's name
    updates: Any  # how many updates made this state


@dataclass(frozen=True)
class TrainSpec(Generic[HP]):
    """What is fixed about one training problem: sizes, networks, hyperparameters."""

    algorithm: str
    observation_size: int
    action_size: int
    batch_size: int
    actors: tuple[ActorConfig, ...]
    chain: ChainConfig
    w2: W2Config
    hyperparameters: HP  # the algorithm's own
    dtype: str = "float32"


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


class Learner(ABC):
    """What the training loop drives: one algorithm, its chain and its data on one backend."""

    compile_seconds: float  # spent on compilation since the learner was made

    @property
    @abstractmethod
    def updates(self) -> int:
        """How many updates have been made."""

    @property
    @abstractmethod
    def machine(self) -> dict[str, str]:
        """The `device` that it computes on, such as cpu or cuda:0, and the `device_name` that its maker gave it."""

    @property
    @abstractmethod
    def replay(self) -> ReplayBuffer | None:
        """What it trains on where a run collects its own data."""

    def train(self, num_updates: int, close_window: bool = True) -> dict[str, float]:
        """`advance`, then `window_means`."""
        self.advance(num_updates)
        return self.window_means(close_window)

    @abstractmethod
    def advance(self, num_updates: int) -> None:
        """Make `num_updates` updates; does not wait for the device."""

    @abstractmethod
    def window_means(self, close: bool = True) -> dict[str, float]:
        """Each metric's mean over the updates of the window that compute it; none of a window without updates.

        A window is what one line of the log averages: all updates since the last one was closed. Its means do not
        depend, to the bit, on how it was cut into calls.

        Raises:
            RunFailed: a metric is not finite; the message names it and the update.
        """

    @abstractmethod
    def act(self, observations: np.ndarray, actor: int, noise: np.ndarray | None = None) -> np.ndarray:
        """Actions [n, A] in units of max_action for normalised observations [n, O].

        `noise` None is the deterministic mode; N(0, 1) draws [n, A] sample the actor.
        """

    @abstractmethod
    def act_pairs(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        """What `act` gives for each pair, [P, n, A], at observations of its own, [P, n, O], in one call.

        `noise` [n, A] samples every actor that is in its stochastic mode.
        """

    @abstractmethod
    def describe(self, probe: Probe) -> dict[str, float]:
        """Of every stochastic actor `actor_<i>/std`, and `actor_<i>/entropy` (nats) of those that have a density.

        A gaussian's are its own, before any clip; the others' are estimated from the probe's samples. The std is in
        units of max_action, a root mean square over states and action dimensions.
        """

    @abstractmethod
    def snapshot(self) -> dict[str, np.ndarray]:
        """The whole state by canonical names, random streams under `stream/`, an open window under `window/`."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over a snapshot of either backend.

        A snapshot of the other backend brings parameters, moments and counters; random streams then restart from
        the seed and the number of updates.

        Raises:
            BadInput: names, shapes or types differ from this learner's.
        """
