"""What an algorithm's original does to its data: done once at load, recorded, and undone at evaluation."""

import itertools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np

from pogo.core.data.precision import loses_digits
from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput
from pogo.core.setting import Values

STATE_EPSILON = 1e-3  # added to the std, not to the variance
RETURN_WINDOW = 1000  # rows after which a trajectory counts as ended, whatever the environment's limit
ACTION_TOLERANCE = 1e-5  # of half the bounds' width: float32 rounding, and that of a simulator's own clip
_NEAR_UNIT = 0.05  # bounds this near to -1 and 1 are those
_CONSTANT = 8 * float(np.finfo(np.float32).eps)  # of a column's size: what rounding makes of one value
_SHOWN_COLUMNS = 8  # in a message
_BLOCK_ROWS = 65_536  # float64 work is done in blocks, so that a dataset is never held twice

logger = logging.getLogger("pogo")

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

    observation_mean: np.ndarray  # [O] float64; zeros when off, but for columns of more digits than float32 has
    observation_std: np.ndarray  # [O] float64, epsilon included, ones when off
    reward_scale: float
    reward_shift: float
    action_low: np.ndarray  # [A] float64
    action_high: np.ndarray  # [A] float64
    held: Mapping[int, float] = field(default_factory=dict)  # by column: what its raw value is taken to be, always

    @classmethod
    def identity(cls, low: Sequence[float], high: Sequence[float], observation_size: int) -> "Normalisation":
        """Observations and rewards as they are, actions within these bounds."""
        mean, std = np.zeros(observation_size), np.ones(observation_size)
        return cls(mean, std, 1.0, 0.0, np.array(low, dtype=np.float64), np.array(high, dtype=np.float64))

    @cached_property  # policies ask at every step
    def is_identity_on_observations(self) -> bool:
        """Whether observations pass through unchanged."""
        return not self.held and not self.observation_mean.any() and bool((self.observation_std == 1.0).all())

    def observations(self, raw: np.ndarray) -> np.ndarray:
        """Environment observations [..., O] as the networks see them, float32."""
        if self.is_identity_on_observations:
            return np.asarray(raw, dtype=np.float32)
        if self.held:
            raw = np.array(raw, dtype=np.float64)
            raw[..., list(self.held)] = list(self.held.values())
        return ((raw - self.observation_mean) / self.observation_std).astype(np.float32)

    def raw_observations(self, observations: np.ndarray) -> np.ndarray:
        """The inverse of `observations`, as float32, or as float64 where float32 has too few digits for a column."""
        raw = observations * self.observation_std + self.observation_mean
        return raw if loses_digits(self.observation_mean, self.observation_std).any() else raw.astype(np.float32)

    def offset_only(self) -> "Normalisation":
        """What leaves observations and rewards as they are, but for an offset where float32 has too few digits."""
        coarse = loses_digits(self.observation_mean, self.observation_std)
        unchanged = Normalisation.identity(self.action_low.tolist(), self.action_high.tolist(), len(coarse))
        return replace(unchanged, observation_mean=np.where(coarse, self.observation_mean, 0.0))

    def environment_actions(self, actions: np.ndarray) -> np.ndarray:
        """Actions in [-1, 1] in the environment's units, float64, cut at the bounds."""
        middle, half = self._middle_and_half
        return np.clip(middle + half * actions, self.action_low, self.action_high)

    def box_actions(self, actions: np.ndarray) -> np.ndarray:
        """Actions in the environment's units as the networks see them, cut to [-1, 1], float32."""
        middle, half = self._middle_and_half
        return np.clip((actions - middle) / half, -1.0, 1.0).astype(np.float32)

    def scaling(self) -> dict[str, np.ndarray]:
        """What `observations` and `environment_actions` compute with, in float64, for code that has no numpy.

        An observation is (raw - observation_mean) / observation_std, where raw is `held_values` if `held`; an action
        action_middle + action_half * box, cut to [action_low, action_high].
        """
        middle, half = self._middle_and_half
        size = len(self.observation_mean)
        held, held_values = np.zeros(size, dtype=np.bool_), np.zeros(size)
        for column, value in self.held.items():
            held[column], held_values[column] = True, value
        return {
            "observation_mean": self.observation_mean,
            "observation_std": self.observation_std,
            "held": held,
            "held_values": held_values,
            "action_middle": middle,
            "action_half": half,
            "action_low": self.action_low,
            "action_high": self.action_high,
        }

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
            "held": {str(column): value for column, value in sorted(self.held.items())},
        }

    @classmethod
    def from_json(cls, data: Values) -> "Normalisation":
        """The inverse of `to_json`, to the bit."""
        arrays = ("observation_mean", "observation_std", "action_low", "action_high")
        found = cls(
            reward_scale=float(data["reward_scale"]),
            reward_shift=float(data["reward_shift"]),
            held={int(column): float(value) for column, value in data.get("held", {}).items()},  # none: an older run's
            **{name: np.asarray(data[name], dtype=np.float64) for name in arrays},
        )
        sizes = [getattr(found, name).shape for name in arrays]
        if any(len(shape) != 1 for shape in sizes) or sizes[0] != sizes[1] or sizes[2] != sizes[3]:
            raise BadInput(
                f"normalisation has arrays of shapes {sizes}: those of observations, and of actions, differ."
            )
        numbers = [*(getattr(found, name) for name in arrays), [found.reward_scale, found.reward_shift]]
        if not all(np.isfinite(values).all() for values in numbers) or not (found.observation_std > 0).all():
            raise BadInput("normalisation holds a number that is not finite, or a spread that is not above 0.")
        return found


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
        "name the environment that the data is from (env=...), cut them with dataset.clip_actions=true, or, where they "
        "are stored in units of the bounds, say so by dataset.actions_scaled=true."
    )


def look_scaled(actions: np.ndarray, low: np.ndarray, high: np.ndarray) -> bool:
    """Whether actions [N, A] look stored in units of other bounds: some reach -1 or 1, and none goes beyond."""
    largest = np.abs(actions).max(axis=0)
    is_other = (low < -1 - _NEAR_UNIT) | (high > 1 + _NEAR_UNIT)
    return bool((largest <= 1 + ACTION_TOLERANCE).all() and (is_other & (largest >= 1 - ACTION_TOLERANCE)).any())


def constant_columns(observations: np.ndarray) -> dict[int, float]:
    """Columns of [N, O] whose values are all the same but for rounding, and that value."""
    low, high = observations.min(axis=0), observations.max(axis=0)
    rounding = _CONSTANT * np.maximum(np.abs(low), np.abs(high))
    return {int(column): float(observations[0, column]) for column in np.flatnonzero(high - low <= rounding)}


def preprocess(
    transitions: Transitions,
    preprocessing: Preprocessing,
    low: np.ndarray,
    high: np.ndarray,
    where: str,
    *,
    offset: np.ndarray | None = None,
    hold: bool = False,
) -> tuple[Transitions, Normalisation]:
    """Scale actions to [-1, 1], then states and rewards as the algorithm asks. Works in place on the arrays given.

    Args:
        transitions: observations less `offset`, actions in the environment's units.
        preprocessing: what the algorithm asks for.
        low: bounds of the actions, [A].
        high: likewise.
        where: the source of the data, for messages.
        offset: what was taken off each observation column, [O]; none: nothing.
        hold: whether columns that are constant here are held at their value whatever the environment gives.

    Raises:
        BadInput: the return range cannot scale these rewards.
    """
    low, high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)
    for actions in (transitions.actions, transitions.next_actions):
        if actions is not None:
            _scale_actions(actions, low, high, preprocessing.action_clip or 1.0)
    offset = np.zeros(transitions.observation_size) if offset is None else offset
    mean, std = np.zeros(transitions.observation_size), np.ones(transitions.observation_size)
    constants = constant_columns(transitions.observations)
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
    normalisation = replace(normalisation, observation_mean=offset + mean)
    if constants:
        held = {column: float(offset[column]) + value for column, value in constants.items()}
        _tell_of_constants(held, hold, where)
        normalisation = replace(normalisation, held=held if hold else {})
    return transitions, replace(normalisation, reward_scale=_scale_rewards(transitions, preprocessing, where))


def _scale_rewards(transitions: Transitions, preprocessing: Preprocessing, where: str) -> float:
    """Scale and shift the rewards in place; the factor in all."""
    rewards, scale = transitions.rewards, preprocessing.reward_scale
    if preprocessing.reward_scaling == "return_range":
        spread = return_range(rewards, transitions.terminals, where)
        rewards /= np.float32(spread)  # two float32 steps, as published: one factor would round differently
        rewards *= np.float32(RETURN_WINDOW)
        scale *= RETURN_WINDOW / spread
    if preprocessing.reward_scale != 1.0:
        rewards *= np.float32(preprocessing.reward_scale)
    if preprocessing.reward_shift != 0.0:
        rewards += np.float32(preprocessing.reward_shift)
    return scale


def _tell_of_constants(constants: Mapping[int, float], hold: bool, where: str) -> None:
    shown = ", ".join(f"{column} ({value:g})" for column, value in list(constants.items())[:_SHOWN_COLUMNS])
    more = f" and {len(constants) - _SHOWN_COLUMNS} more" if len(constants) > _SHOWN_COLUMNS else ""
    if hold:
        logger.warning(
            "%s: these observation columns are constant: %s%s. Policies are shown these values there whatever an "
            "environment gives (dataset.constant_columns=keep shows them its own).",
            where, shown, more,
        )  # fmt: skip
    else:
        logger.warning(
            "%s: these observation columns are constant: %s%s. Another value in an environment is one that training "
            "never saw, and normalised it may be large (dataset.constant_columns=hold shows policies these values).",
            where, shown, more,
        )  # fmt: skip


def _scale_actions(actions: np.ndarray, low: np.ndarray, high: np.ndarray, bound: float) -> None:
    middle, half = _middle_and_half(low, high)
    if middle.any():
        actions -= middle.astype(np.float32)
    if (half != 1.0).any():
        actions /= half.astype(np.float32)
    np.clip(actions, -bound, bound, out=actions)


def _middle_and_half(low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return (low + high) / 2, (high - low) / 2
