from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box

from pogo.core.environments.checks import CheckedEnvironment, EnvironmentFault, try_out
from pogo.core.environments.make import environment_spec
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput

FINE = (np.zeros(2, np.float32), 1.0, False, False, {})
ARRAY = np.zeros(2)


class Scripted(gymnasium.Env):
    """Gives what it is told to, or raises it."""

    observation_space = Box(-1, 1, (2,), np.float32)
    action_space = Box(-1, 3, (1,), np.float32)

    def __init__(self, given: Any = FINE, start: Any = (ARRAY, {}), made: Exception | None = None) -> None:
        if made is not None:
            raise made
        self.given, self.start = given, start
        self.taken: list[np.ndarray] = []

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        if isinstance(self.start, Exception):
            raise self.start
        return self.start

    def step(self, action: np.ndarray) -> Any:
        self.taken.append(action)
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


gymnasium.register("PogoScripted-v0", entry_point=Scripted)
ID = "PogoScripted-v0"


def scripted(**settings: Any) -> EnvironmentSpec:
    return EnvironmentSpec(ID, 2, 1, (-1.0,), (3.0,), 0, kwargs=settings)


def changed(**entries: Any) -> tuple[Any, ...]:
    names = ("observation", "reward", "terminated", "truncated", "info")
    return tuple(entries.get(name, value) for name, value in zip(names, FINE, strict=True))


FAULTS = [
    (changed(observation=np.zeros(3)), r"gave an observation of shape (3,), (2,) is needed"),
    (changed(observation=np.zeros((1, 2))), r"gave an observation of shape (1, 2), (2,) is needed"),
    (changed(observation=None), r"gave an observation of shape (), (2,) is needed"),
    (changed(observation=np.array(["a", "b"])), "gave an observation of <U1, numbers are needed"),
    (changed(observation=[[1], [1, 2]]), "gave an observation of type list that is no array"),
    (changed(observation=np.array([0, np.nan])), "gave an observation that is not finite (nan at index 1)"),
    (changed(observation=np.array([-np.inf, 0])), "gave an observation that is not finite (-inf at index 0)"),
    (changed(observation=np.array([0, 1e300])), "gave an observation that float32 cannot hold (1e+300 at index 1)"),
    (changed(reward=float("nan")), "gave a reward that is not finite"),
    (changed(reward=np.float32(np.inf)), "gave a reward that is not finite"),
    (changed(reward=np.array([1.0])), "gave a reward of shape (1,), one number is needed"),
    (changed(reward=[1.0, 2.0]), "gave a reward of shape (2,), one number is needed"),
    (changed(reward=None), "gave a reward of type NoneType, one number is needed"),
    (changed(reward="1"), "gave a reward of type str, one number is needed"),
    (changed(terminated=1), "gave terminated of type int, True or False is needed"),
    (changed(terminated=np.array([True])), "gave terminated of shape (1,), True or False is needed"),
    (changed(truncated=None), "gave truncated of type NoneType, True or False is needed"),
    (FINE[:4], "gave 4 values at a step, (observation, reward, terminated, truncated, info) is needed"),
    (list(FINE), "gave a list at a step, (observation, reward, terminated, truncated, info) is needed"),
    (ZeroDivisionError("a joint\n is gone"), "failed: ZeroDivisionError: a joint is gone"),
    (AssertionError(), "failed: AssertionError"),
]


@pytest.mark.parametrize(("given", "message"), FAULTS)
def test_what_a_step_may_not_give(given: Any, message: str) -> None:
    environment = CheckedEnvironment(scripted(given=given))
    environment.reset(seed=0)
    with pytest.raises(EnvironmentFault) as caught:
        environment.step(np.zeros(1))
    assert str(caught.value) == message
    with pytest.raises(BadInput) as refused:
        try_out(scripted(given=given))
    assert str(refused.value) == f"env={ID} {message}; mend it, or name another."


@pytest.mark.parametrize(
    ("start", "message"),
    [
        (ARRAY, "gave a ndarray at its reset, (observation, info) is needed"),
        ((ARRAY, {}, 1), "gave 3 values at its reset, (observation, info) is needed"),
        ((ARRAY * np.nan, {}), "gave an observation that is not finite (nan at index 0)"),
        (OSError("no display"), "failed at its reset: OSError: no display"),
    ],
)
def test_what_a_reset_may_not_give(start: Any, message: str) -> None:
    with pytest.raises(BadInput) as refused:
        try_out(scripted(start=start))
    assert str(refused.value) == f"env={ID} {message}; mend it, or name another."


def test_numbers_of_every_type_are_fine() -> None:
    given = [
        (changed(reward=2), 2.0),
        (changed(reward=np.float32(0.5)), 0.5),
        (changed(reward=np.array(3)), 3.0),
        (changed(observation=np.array([1, 2])), 1.0),
        (changed(observation=[0.5, 1.0], terminated=np.bool_(True)), 1.0),
        (changed(observation=np.array([3e38, -3e38], np.float32)), 1.0),  # their squares are no float32
    ]
    for values, reward in given:
        environment = CheckedEnvironment(scripted(given=values))
        environment.reset(seed=0)
        observation, found, terminated, truncated, _ = environment.step(np.zeros(1))
        np.testing.assert_array_equal(observation, values[0])
        assert (found, type(found)) == (reward, float)
        assert (terminated, truncated) == (bool(values[2]), False)
        assert type(terminated) is bool


@pytest.mark.parametrize("error", [RuntimeError("no\nlicence"), OSError("no licence"), AssertionError("no licence")])
def test_a_constructor_that_raises_is_bad_input(error: Exception) -> None:
    with pytest.raises(BadInput, match=rf"env={ID} cannot be made.*{type(error).__name__}: no licence") as refused:
        environment_spec(ID, 5, {"made": error})
    assert "\n" not in str(refused.value)


def test_an_interrupted_constructor_is_not_its_fault() -> None:
    interrupt: Any = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        environment_spec(ID, 5, {"made": interrupt})
