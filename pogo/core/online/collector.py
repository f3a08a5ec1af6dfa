"""Collecting transitions: environments side by side, whose state is in a checkpoint."""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.checks import CheckedEnvironment, EnvironmentFault, in_one_line
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, RunFailed
from pogo.core.learner.replay_buffer import REPLAY_ARRAYS
from pogo.core.problem.state import COLLECTOR_PREFIX, damaged
from pogo.core.problem.streams import generator, stream

_NOISE_BLOCK = 1024  # steps whose draws are made at once: a generator takes longer to make than to draw from

logger = logging.getLogger("pogo")


class Episode(NamedTuple):
    """A finished one."""

    episode_return: float  # undiscounted, in the environment's own rewards
    length: int


class Collector:
    """Steps environments side by side and begins their next episodes.

    Everything random is a function of the seed and of where the run is: an episode's start of its environment's and its
    own number, a step's draws of the step's number. So both backends meet the same starts and draws, and a checkpoint
    needs no simulator's insides: an episode is resumed by repeating its actions from its start.
    """

    def __init__(
        self, spec: EnvironmentSpec, num_envs: int, normalisation: Normalisation, seed: int, purpose: str = "training"
    ) -> None:
        """Begin an episode in every environment.

        Args:
            spec: what to make.
            num_envs: how many.
            normalisation: how observations, rewards and actions are given and taken.
            seed: what starts and draws are split from.
            purpose: of the collecting; each has starts and draws of its own.

        Raises:
            BadInput: an environment cannot be made or reset.
        """
        self.spec, self._normalisation, self._seed, self._purpose = spec, normalisation, seed, purpose
        with naming_failures(spec):
            self._envs = SyncVectorEnv(
                [partial(CheckedEnvironment, spec)] * num_envs, autoreset_mode=AutoresetMode.DISABLED, copy=True
            )
        self.num_envs = num_envs
        self.env_steps = 0  # of all environments together
        self.finished: list[Episode] = []  # since they were last taken
        self._actions: list[list[np.ndarray]] = [[] for _ in range(num_envs)]  # of each running episode, [A] each
        self._returns = np.zeros(num_envs)
        self._episodes = np.zeros(num_envs, dtype=np.int64)  # how many each has finished
        self._noise: tuple[int, np.ndarray] | None = None
        with naming_failures(spec):
            self._raw = self._reset(np.ones(num_envs, dtype=np.bool_))
        self.observations = normalisation.observations(self._raw)  # [n, O], as the networks see them

    def random_actions(self) -> np.ndarray:
        """Uniform draws over the box for the next step, [n, A] in [-1, 1]."""
        return 2.0 * self._draws()[1] - 1.0

    def noise(self) -> np.ndarray:
        """N(0, 1) draws for the next step, [n, A] float32."""
        return self._draws()[0]

    def step(self, actions: np.ndarray) -> dict[str, np.ndarray]:
        """Take one step in every environment; the transitions, one per environment, as a replay buffer takes them.

        `actions` [n, A] are in units of the bounds, and cut at them. A row's next observation is the one that the
        action led to, also at an episode's end.

        Raises:
            RunFailed: an environment raises, or gives what it may not give.
        """
        actions = np.clip(actions, -1.0, 1.0).astype(np.float32)
        before = self.observations
        with self._naming_faults():
            raw, rewards, terminated, truncated, _ = self._envs.step(self._in_units(actions))
        next_observations = self._normalisation.observations(raw)
        self.env_steps += self.num_envs
        self._returns += rewards
        for history, action in zip(self._actions, actions, strict=True):
            history.append(action)
        done = terminated | truncated
        self._raw, self.observations = raw, next_observations
        if done.any():
            self._finish(done)
        normalised = rewards * self._normalisation.reward_scale + self._normalisation.reward_shift
        return {
            "observations": before,
            "actions": actions,
            "rewards": normalised.astype(np.float32),
            "next_observations": next_observations,
            "terminals": terminated.astype(np.float32),
            "timeouts": (truncated & ~terminated).astype(np.float32),
        }

    def take_finished(self) -> list[Episode]:
        """The episodes that have finished since the last call."""
        taken, self.finished = self.finished, []
        return taken

    def snapshot(self) -> dict[str, np.ndarray]:
        """The collector's part of a checkpoint."""
        lengths = [len(history) for history in self._actions]
        actions = [action for history in self._actions for action in history]
        arrays = {
            "env_steps": np.asarray(self.env_steps, dtype=np.int64),
            "episodes": self._episodes.copy(),
            "lengths": np.asarray(lengths, dtype=np.int64),
            "actions": np.array(actions, dtype=np.float32).reshape(-1, self.spec.action_size),
            "observations": self._raw.astype(np.float64),
            "finished": np.array(self.finished, dtype=np.float64).reshape(-1, 2),
        }
        return {f"{COLLECTOR_PREFIX}{name}": array for name, array in arrays.items()}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take over a snapshot: begin its episodes anew and repeat their actions.

        An environment that does not come to the same observations has randomness that its seed does not fix: that is
        said once, and its episodes begin anew.

        Raises:
            BadInput: the arrays are no snapshot of such a collector.
        """
        given = self._checked(arrays)
        self.env_steps = int(given["env_steps"])
        self.finished = [Episode(total, int(length)) for total, length in given["finished"].tolist()]
        self._episodes = given["episodes"].copy()
        self._raw = self._reset(np.ones(self.num_envs, dtype=np.bool_))
        histories = np.split(given["actions"], np.cumsum(given["lengths"])[:-1])
        for index, history in enumerate(histories):
            self._repeat(index, history)
        if not np.array_equal(self._raw, given["observations"]):
            logger.warning(
                "env=%s does not repeat an episode from its seed and actions: its episodes begin anew, and the run "
                "will differ from one that was not interrupted.",
                self.spec.env_id,
            )
            self._raw = self._reset(np.ones(self.num_envs, dtype=np.bool_))
        self.observations = self._normalisation.observations(self._raw)

    def _checked(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The snapshot's arrays by their short names, of the shapes that this collector writes."""
        envs, spec = self.num_envs, self.spec
        shapes: dict[str, tuple[int | None, ...]] = {
            "env_steps": (),
            "episodes": (envs,),
            "lengths": (envs,),
            "actions": (None, spec.action_size),
            "observations": (envs, spec.observation_size),
            "finished": (None, 2),
        }
        found = {}
        for name, shape in shapes.items():
            full = f"{COLLECTOR_PREFIX}{name}"
            array = arrays.get(full)
            if array is None or array.ndim != len(shape) or not np.isfinite(array).all():
                raise damaged(full, f"of shape {list(shape)}")
            if any(size not in (None, have) for size, have in zip(shape, array.shape, strict=True)):
                raise damaged(full, f"of shape {list(shape)}")
            found[name] = array
        lengths = found["lengths"]
        if (lengths < 0).any() or lengths.sum() != len(found["actions"]):
            raise damaged(f"{COLLECTOR_PREFIX}lengths", f"of {len(found['actions'])} actions in all")
        return found

    def close(self) -> None:
        """Free the simulators."""
        self._envs.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reset(self, which: np.ndarray) -> np.ndarray:
        """Begin the next episode of these environments; all raw observations [n, O]."""
        seeds = [
            int(stream(self._seed, f"{self._purpose} episode", index, int(self._episodes[index])).generate_state(1)[0])
            if reset
            else None
            for index, reset in enumerate(which)
        ]
        for index in np.flatnonzero(which):
            self._actions[index] = []
        self._returns[which] = 0.0
        return self._envs.reset(seed=seeds, options={"reset_mask": which})[0]

    def _finish(self, done: np.ndarray) -> None:
        for index in np.flatnonzero(done):
            self.finished.append(Episode(float(self._returns[index]), len(self._actions[index])))
        self._episodes[done] += 1
        with self._naming_faults():
            self._raw = self._reset(done)
        self.observations = self._normalisation.observations(self._raw)

    @contextlib.contextmanager
    def _naming_faults(self) -> Iterator[None]:
        try:
            yield
        except EnvironmentFault as error:
            raise RunFailed(
                f"env={self.spec.env_id} {error} at environment step {self.env_steps}: the environment has failed, or "
                "its simulation has diverged; the last good checkpoint is kept."
            ) from error

    def _repeat(self, index: int, history: np.ndarray) -> None:
        """Bring one environment, which is at its episode's start, to where these actions [t, A] lead."""
        for action in history:
            taken = self._in_units(action)
            observation, reward, *_ = self._envs.envs[index].step(taken)
            self._raw[index] = observation
            self._returns[index] += float(reward)
            self._actions[index].append(action)

    def _in_units(self, actions: np.ndarray) -> np.ndarray:
        return self.spec.actions(self._normalisation.environment_actions(actions))

    def _draws(self) -> tuple[np.ndarray, np.ndarray]:
        """Normal and uniform draws of the next step."""
        block, row = divmod(self.env_steps // self.num_envs, _NOISE_BLOCK)
        if self._noise is None or self._noise[0] != block:
            rng = generator(self._seed, f"{self._purpose} draws", block)
            shape = (_NOISE_BLOCK, self.num_envs, self.spec.action_size)
            normal, uniform = rng.standard_normal(shape, dtype=np.float32), rng.random(shape, dtype=np.float32)
            self._noise = block, np.stack([normal, uniform])
        return self._noise[1][0, row], self._noise[1][1, row]


@contextlib.contextmanager
def naming_failures(spec: EnvironmentSpec) -> Iterator[None]:
    """Say which environment is at fault, before a run has begun.

    Raises:
        BadInput: the environment raised, or gave what it may not give.
    """
    try:
        yield
    except BadInput:
        raise
    except EnvironmentFault as error:
        raise BadInput(f"env={spec.env_id} {error}; mend it, or name another.") from error
    except RunFailed as error:
        if not isinstance(error.__cause__, EnvironmentFault):
            raise
        raise BadInput(f"env={spec.env_id} {error.__cause__}; mend it, or name another.") from error
    except Exception as error:
        raise BadInput(f"env={spec.env_id} failed: {in_one_line(error)}; mend it, or name another.") from error


def collect_episodes(
    collector: Collector, policy: Callable[[Collector], np.ndarray], transitions: int
) -> dict[str, np.ndarray]:
    """Whole episodes of at least so many transitions, one after another: `REPLAY_ARRAYS` by name.

    Every environment goes on until it has its share and its episode has ended, so that short episodes are not
    preferred to long ones.

    Args:
        collector: where; its episodes have just begun.
        policy: the next actions [n, A], in units of the bounds.
        transitions: how many, at least.
    """
    share = -(-transitions // collector.num_envs)
    steps: list[dict[str, np.ndarray]] = []
    counts = np.zeros(collector.num_envs, dtype=np.int64)  # of rows to keep; 0: not known yet
    while not counts.all():
        steps.append(step := collector.step(policy(collector)))
        ended = (step["terminals"] + step["timeouts"]) > 0
        counts[ended & (counts == 0) & (len(steps) >= share)] = len(steps)
    return {
        name: np.concatenate(
            [np.stack([step[name][index] for step in steps[:count]]) for index, count in enumerate(counts)]
        )
        for name in REPLAY_ARRAYS
    }


def random_returns(spec: EnvironmentSpec, episodes: int, seed: int) -> np.ndarray:
    """Returns of episodes of uniform actions, [episodes]."""
    unchanged = Normalisation.identity(spec.action_low, spec.action_high, spec.observation_size)
    with Collector(spec, 1, unchanged, seed, purpose="random reference") as collector:
        while len(collector.finished) < episodes:
            collector.step(collector.random_actions())
        return np.array([episode.episode_return for episode in collector.finished])


def visited_at_random(spec: EnvironmentSpec, normalisation: Normalisation, steps: int, seed: int) -> np.ndarray:
    """Observations [steps, O] that uniform actions lead to, as the networks see them."""
    with Collector(spec, 1, normalisation, seed, purpose="probe") as collector:
        return np.concatenate([collector.step(collector.random_actions())["observations"] for _ in range(steps)])
