"""What an algorithm's sheet does to the data, done once at load, recorded, and undone at evaluation."""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput

STATE_EPSILON = 1e-3  # added to the std, not to the variance
RETURN_WINDOW = 1000  # rows after which a trajectory counts as ended, whatever the environment's limit
ACTION_TOLERANCE = 1e-5  # of half the bounds' width: float32 rounding, and that of a simulator's own clip
_BLOCK_ROWS = 65_536  # float64 work is done in blocks, so that a dataset is never held twice

RewardScaling = Literal["none", "return_range"]


@dataclass(frozen=True)
class Preprocessing:
    """What an algorithm asks of the data. Rewards: the scaling first, then r * scale + shift."""

    normalize_states: bool = False
    reward_scaling: RewardScaling = "none"
    reward_scale: float = 1.0
    reward_shift: float = 0.0
    action_clip: float | None = None  # dataset actions are clipped to +- this, in units of the bounds
    next_actions: bool = False  # the raw dataset's action at i + 1

    def __post_init__(self) -> None:
        if self.reward_scaling not in ("none", "return_range"):
            raise BadInput(f"reward_scaling={self.reward_scaling} is unknown. Known: none, return_range.")
        if self.action_clip is not None and not 0.0 < self.action_clip <= 1.0:
            raise BadInput(f"action_clip={self.action_clip} must be above 0 and at most 1, the scaled bound.")


@dataclass(frozen=True, eq=False)
class Normalisation:
    """What was done to a dataset: enough to treat a running environment in the same way.

    An observation is (raw - mean) / std, a reward raw * scale + shift, an action [-1, 1] within low and high.
    """

    observation_mean: np.ndarray  # [O] float64, zeros when off
    observation_std: np.ndarray  # [O] float64, epsilon included, ones when off
    reward_scale: float
    reward_shift: float
    action_low: np.ndarray  # [A] float64
    action_high: np.ndarray  # [A] float64

    @classmethod
    def identity(cls, low: Sequence[float], high: Sequence[float], observation_size: int) -> "Normalisation":
        """Observations and rewards as they are, actions within these bounds."""
        mean, std = np.zeros(observation_size), np.ones(observation_size)
        return cls(mean, std, 1.0, 0.0, np.array(low, dtype=np.float64), np.array(high, dtype=np.float64))

    @property
    def is_identity_on_observations(self) -> bool:
        """Whether observations pass through unchanged."""
        return not self.observation_mean.any() and bool((self.observation_std == 1.0).all())

    def observations(self, raw: np.ndarray) -> np.ndarray:
        """Environment observations as the networks see them, float32."""
        if self.is_identity_on_observations:
            return np.asarray(raw, dtype=np.float32)
        return ((raw - self.observation_mean) / self.observation_std).astype(np.float32)

    def environment_actions(self, actions: np.ndarray) -> np.ndarray:
        """Actions in [-1, 1] in the environment's units, float32, cut at its bounds."""
        middle, half = self._middle_and_half
        return np.clip(middle + half * actions, self.action_low, self.action_high).astype(np.float32)

    @cached_property
    def _middle_and_half(self) -> tuple[np.ndarray, np.ndarray]:
        return _middle_and_half(self.action_low, self.action_high)  # once: actions are scaled at every step

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values; a float's text form names exactly that float."""
        return {
            "observation_mean": self.observation_mean.tolist(),
            "observation_std": self.observation_std.tolist(),
            "reward_scale": self.reward_scale,
            "reward_shift": self.reward_shift,
            "action_low": self.action_low.tolist(),
            "action_high": self.action_high.tolist(),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Normalisation":
        """The inverse of `to_json`, to the bit."""
        arrays = ("observation_mean", "observation_std", "action_low", "action_high")
        return cls(
            reward_scale=float(data["reward_scale"]),
            reward_shift=float(data["reward_shift"]),
            **{name: np.asarray(data[name], dtype=np.float64) for name in arrays},
        )


def return_range(rewards: np.ndarray, terminals: np.ndarray, where: str) -> float:
    """Largest minus smallest return over trajectories closed at a terminal or after 1000 rows.

    The rows of time-outs are already gone, so the windows of time-limited episodes drift across their borders, and
    the unfinished tail is ignored: as published (CORL), for equal numbers.

    Raises:
        BadInput: no trajectory closes, or all returns are equal.
    """
    ends = np.flatnonzero(terminals)
    segments = np.concatenate(([0], ends + 1))
    if segments[-1] != len(rewards):
        segments = np.append(segments, len(rewards))
    returns = []
    for start, stop in itertools.pairwise(segments):
        closed = terminals[stop - 1] != 0  # the tail after the last terminal need not close
        for left in range(start, stop, RETURN_WINDOW):
            if closed or stop - left >= RETURN_WINDOW:
                window = rewards[left : min(left + RETURN_WINDOW, stop)]
                # accumulate adds in order, as the published loop does; sum() adds pairwise and rounds differently.
                returns.append(float(np.add.accumulate(window, dtype=np.float64)[-1]))
    spread = max(returns) - min(returns) if returns else 0.0
    if not spread > 0.0:
        raise BadInput(
            f"{where}: reward scaling by the return range needs two trajectories of different return (closed by a "
            f"terminal or {RETURN_WINDOW} rows), found {len(returns)}; turn normalize_rewards off for this dataset: "
            "algorithm.normalize_rewards=false."
        )
    return spread


def observation_statistics(observations: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation per column, [O] each, summed in float64."""
    mean = observations.mean(axis=0, dtype=np.float64)
    squares = np.zeros_like(mean)
    for start in range(0, len(observations), _BLOCK_ROWS):
        squares += np.square(observations[start : start + _BLOCK_ROWS] - mean).sum(axis=0)
    return mean, np.sqrt(squares / len(observations))


def check_actions(actions: np.ndarray, low: np.ndarray, high: np.ndarray, where: str) -> None:
    """Refuse actions outside the bounds by more than rounding.

    Raises:
        BadInput: naming the first such row, its value, and the bounds.
    """
    slack = ACTION_TOLERANCE * (high - low) / 2
    below, above = (low - slack).astype(np.float32), (high + slack).astype(np.float32)
    if (actions.min(axis=0) >= below).all() and (actions.max(axis=0) <= above).all():
        return
    outside = (actions < below) | (actions > above)
    row, column = np.argwhere(outside)[0]
    raise BadInput(
        f"{where}: actions[{row}, {column}] = {actions[row, column]:g} is outside the environment's bounds "
        f"[{low[column]:g}, {high[column]:g}] ({np.count_nonzero(outside.any(axis=1))} rows are); "
        "name the environment that the data is from (env=...), or cut them with dataset.clip_actions=true."
    )


def preprocess(
    transitions: Transitions, preprocessing: Preprocessing, low: np.ndarray, high: np.ndarray, where: str
) -> tuple[Transitions, Normalisation]:
    """Scale actions to [-1, 1], then states and rewards as the algorithm asks. Works in place on the arrays given.

    Raises:
        BadInput: the return range cannot scale these rewards.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    for actions in (transitions.actions, transitions.next_actions):
        if actions is not None:
            _scale_actions(actions, low, high, preprocessing.action_clip or 1.0)
    mean, std = np.zeros(transitions.observation_size), np.ones(transitions.observation_size)
    if preprocessing.normalize_states:
        mean, std = observation_statistics(transitions.observations)
        std = std + STATE_EPSILON
    normalisation = Normalisation(
        observation_mean=mean,
        observation_std=std,
        reward_scale=preprocessing.reward_scale,
        reward_shift=preprocessing.reward_shift,
        action_low=low,
        action_high=high,
    )
    if preprocessing.normalize_states:
        for observations in (transitions.observations, transitions.next_observations):
            for start in range(0, len(observations), _BLOCK_ROWS):
                block = slice(start, start + _BLOCK_ROWS)
                observations[block] = normalisation.observations(observations[block])
    rewards = transitions.rewards
    if preprocessing.reward_scaling == "return_range":
        spread = return_range(rewards, transitions.terminals, where)
        rewards /= np.float32(spread)  # two float32 steps, as published: one factor would round differently
        rewards *= np.float32(RETURN_WINDOW)
        normalisation = replace(normalisation, reward_scale=RETURN_WINDOW / spread * preprocessing.reward_scale)
    if preprocessing.reward_scale != 1.0:
        rewards *= np.float32(preprocessing.reward_scale)
    if preprocessing.reward_shift != 0.0:
        rewards += np.float32(preprocessing.reward_shift)
    return transitions, normalisation


def _scale_actions(actions: np.ndarray, low: np.ndarray, high: np.ndarray, bound: float) -> None:
    middle, half = _middle_and_half(low, high)
    if middle.any():
        actions -= middle.astype(np.float32)
    if (half != 1.0).any():
        actions /= half.astype(np.float32)
    np.clip(actions, -bound, bound, out=actions)


def _middle_and_half(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (low + high) / 2, (high - low) / 2
