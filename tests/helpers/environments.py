"""Environments whose transitions are known; `env=tests.helpers.environments:Counting-v0` registers them."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

LIMIT = 7  # steps of an episode that nothing else ends


class Counting(gymnasium.Env):
    """Observes (start, t, sum of actions); start is drawn from the seed. Ends truly where that sum passes 2.5.

    The reward is the action plus the start, so that a return tells its episode.
    """

    observation_space = Box(-np.inf, np.inf, (3,), np.float64)
    action_space = Box(np.array([-1.0], np.float32), np.array([3.0], np.float32))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.start, self.time, self.total = float(self.np_random.integers(1000)), 0, 0.0
        return self._observed(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        self.time += 1
        self.total += float(action[0])
        return self._observed(), float(action[0]) + self.start, self.total > 2.5, False, {}

    def _observed(self) -> np.ndarray:
        return np.array([self.start, self.time, self.total])


class Careless(Counting):
    """Draws its start from nobody's seed."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        super().reset(seed=seed)
        self.start = float(np.random.default_rng().integers(1_000_000_000))
        return self._observed(), {}


class Diverging(Counting):
    """Its reward becomes infinite."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        observation, reward, terminated, truncated, info = super().step(action)
        return observation, np.inf if self.time == 3 else reward, terminated, truncated, info


class Failing(Counting):
    """Raises in its third step."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        if self.time == 2:
            raise ZeroDivisionError("a joint is gone")
        return super().step(action)


class Breaking(gymnasium.Env):
    """Ends after 6 steps of reward 1; in an episode with an action of 1, breaks in its fourth step as it is told."""

    observation_space = Box(-9, 9, (1,), np.float64)
    action_space = Box(-1, 1, (1,), np.float32)

    def __init__(self, how: str) -> None:
        self.how = how

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        self.time, self.breaks = 0, False
        return np.zeros(1), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, Any, bool, bool, dict]:
        self.time += 1
        self.breaks |= bool(action[0] == 1)
        breaks = self.breaks and self.time >= 4
        if breaks and self.how == "raises":
            raise ZeroDivisionError("a joint\n is gone")
        observation = np.full(1, np.nan if breaks and self.how == "observation" else 0.0)
        rewards = {"reward": np.nan, "array": np.ones(1), "huge": 1e308}
        reward = rewards.get(self.how, 1.0) if breaks else 1.0
        return observation, reward, self.time == 6, False, {}


gymnasium.register("Breaking-v0", entry_point=Breaking)
gymnasium.register("Failing-v0", entry_point=Failing, max_episode_steps=LIMIT)
gymnasium.register("Diverging-v0", entry_point=Diverging, max_episode_steps=LIMIT)
gymnasium.register("Counting-v0", entry_point=Counting, max_episode_steps=LIMIT)
gymnasium.register("Careless-v0", entry_point=Careless, max_episode_steps=LIMIT)
