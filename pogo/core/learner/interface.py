"""The contract of a learner, which each backend fulfils."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np

from pogo.core.learner.probe import Probe
from pogo.core.learner.replay_buffer import ReplayBuffer

Mode = Literal["deterministic", "stochastic"]
MODES: tuple[Mode, ...] = get_args(Mode)


class Pair(NamedTuple):
    """An actor of the chain in one of its modes."""

    actor: int
    mode: Mode


def unwatched() -> None:
    """What is called as a compilation begins where nobody shows it."""


class Learner(ABC):
    """What the training loop drives: one algorithm, its chain and its data on one backend."""

    compile_seconds: float  # spent on compilation since the learner was made
    on_compile: Callable[[], None]  # called as a compilation begins; `unwatched`, until another is put in its place

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
    def replay_buffer(self) -> ReplayBuffer | None:
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
        """Actions [n, A] within [-1, 1] for normalised observations [n, O].

        `noise` None is the deterministic mode; N(0, 1) draws [n, A] sample the actor.
        """

    @abstractmethod
    def act_pairs(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        """What `act` gives for each pair, [P, n, A], at observations of its own, [P, n, O], in one call.

        `noise` [n, A] samples every actor that is in its stochastic mode.
        """

    @abstractmethod
    def describe(self, probe: Probe) -> dict[str, float]:
        """Measure every actor at the probe's states; a metric is named `actor_<i>/` and what it measures.

        - `std`, of a stochastic kind: in units of the action box, [-1, 1], a root mean square over states and action
          dimensions; `entropy`, of one with a density, in nats. A gaussian's are its own, before any clip; the others'
          are estimated from the probe's samples.
        - `q`: the critics' value of its deterministic actions; `q_independent`: that of the probe's critic.
        - `probe_energy`: what `chain.energy` says, for every actor at the same states and draws.
        - `saturated`: the share of action dimensions within 1 % of the box's side.
        - `data_distance`: the mean distance of its actions to the data, as `Neighbours` measures it.
        - `from_reference` and `from_actor_0`, of later actors: the root of the mean squared distance to the actor
          before it and to the first, per action dimension: W2 in units of the action box, by common noise, or as
          `chain.geometry` has it.
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
