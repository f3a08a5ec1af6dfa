"""What an environment may give: one set of checks, and of words, for whoever steps it."""

import math
import traceback
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from pogo.core.environments.make import make_environment
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput

_LARGEST = float(np.finfo(np.float32).max)  # networks see float32
_NUMBERS = "fiub"  # dtype kinds


class EnvironmentFault(Exception):
    """An environment raised, or gave what it may not give: the message goes on from the environment's name."""


@dataclass(frozen=True)
class Fault:
    """An `EnvironmentFault` in a form that goes from one process to another."""

    message: str
    trace: str  # of what the environment raised; empty where it raised nothing

    @classmethod
    def of(cls, error: EnvironmentFault) -> "Fault":
        """The fault that an error tells of, with the traceback of what the environment raised."""
        return cls(str(error), "" if error.__cause__ is None else "".join(traceback.format_exception(error.__cause__)))


class CheckedEnvironment(gymnasium.Wrapper):
    """An environment that gives a float array [O], a float and two booleans, or raises `EnvironmentFault`."""

    def __init__(self, spec: EnvironmentSpec) -> None:
        super().__init__(make_environment(spec))
        self._shape = (spec.observation_size,)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[np.ndarray, dict]:
        """As the environment's.

        Raises:
            EnvironmentFault: it raised, or gave something else than an observation [O] of finite numbers and an info.
        """
        try:
            given = self.env.reset(seed=seed, options=options)
        except Exception as error:
            raise EnvironmentFault(f"failed at its reset: {in_one_line(error)}") from error
        if not isinstance(given, tuple) or len(given) != 2:
            raise EnvironmentFault(f"gave {_many(given)} at its reset, (observation, info) is needed")
        return self._observation(given[0]), given[1]

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        """As the environment's.

        Raises:
            EnvironmentFault: it raised, or gave something else than an observation [O] of finite numbers, one finite
                number as the reward, two booleans and an info.
        """
        try:
            given = self.env.step(action)
        except Exception as error:
            raise EnvironmentFault(f"failed: {in_one_line(error)}") from error
        if not isinstance(given, tuple) or len(given) != 5:
            needed = "(observation, reward, terminated, truncated, info)"
            raise EnvironmentFault(f"gave {_many(given)} at a step, {needed} is needed")
        observation, reward, terminated, truncated, info = given
        return (
            self._observation(observation),
            _reward(reward),
            terminated if type(terminated) is bool else _flag("terminated", terminated),
            truncated if type(truncated) is bool else _flag("truncated", truncated),
            info,
        )

    def _observation(self, given: Any) -> np.ndarray:
        found = given if isinstance(given, np.ndarray) else _as_array("an observation", given)
        if found.shape != self._shape:
            raise EnvironmentFault(f"gave an observation of shape {found.shape}, {self._shape} is needed")
        if found.dtype.kind not in _NUMBERS:
            raise EnvironmentFault(f"gave an observation of {found.dtype}, numbers are needed")
        # NaN is above and below nothing; two reductions take a step less time than one mask.
        if not (found.min() >= -_LARGEST and found.max() <= _LARGEST):
            raise EnvironmentFault(f"gave an observation that {_of_wrong_number(found)}")
        return found


def try_out(spec: EnvironmentSpec) -> None:
    """Make an environment, reset it and take one step in the middle of its actions.

    Raises:
        BadInput: the environment cannot be made, raises, or gives what it may not give.
    """
    try:
        environment = CheckedEnvironment(spec)
        try:
            environment.reset(seed=0)
            low, high = (np.asarray(bound, dtype=np.float64) for bound in (spec.action_low, spec.action_high))
            environment.step(((low + high) / 2).astype(environment.action_space.dtype))
        finally:
            environment.close()
    except EnvironmentFault as error:
        raise BadInput(f"env={spec.env_id} {error}; mend it, or name another.") from error


def in_one_line(error: BaseException) -> str:
    """An error's type and message."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":")


def _of_wrong_number(found: np.ndarray) -> str:
    index = int(np.flatnonzero(~(np.abs(found) <= _LARGEST))[0])
    what = "float32 cannot hold" if np.isfinite(found[index]) else "is not finite"
    return f"{what} ({found[index]} at index {index})"


def _reward(given: Any) -> float:
    if not isinstance(given, float):  # as numpy's float64 is
        found = _as_array("a reward", given)
        if found.shape != ():
            raise EnvironmentFault(f"gave a reward of shape {found.shape}, one number is needed")
        if found.dtype.kind not in _NUMBERS:
            raise EnvironmentFault(f"gave a reward of type {type(given).__name__}, one number is needed")
        given = found
    given = float(given)
    if not math.isfinite(given):
        raise EnvironmentFault("gave a reward that is not finite")
    return given


def _flag(name: str, given: Any) -> bool:
    found = _as_array(name, given)
    if found.shape != () or found.dtype.kind != "b":
        shape = f"of shape {found.shape}" if found.shape != () else f"of type {type(given).__name__}"
        raise EnvironmentFault(f"gave {name} {shape}, True or False is needed")
    return bool(found)


def _as_array(what: str, given: Any) -> np.ndarray:
    try:
        return np.asarray(given)
    except (TypeError, ValueError) as error:
        raise EnvironmentFault(f"gave {what} of type {type(given).__name__} that is no array") from error


def _many(given: Any) -> str:
    return f"{len(given)} values" if isinstance(given, tuple) else f"a {type(given).__name__}"
