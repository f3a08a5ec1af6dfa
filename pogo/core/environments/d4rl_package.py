"""D4RL's own environments, where a user still has the packages `d4rl` and `gym`. Optional; nothing else needs it."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from functools import cache
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput


class _Hidden(MetaPathFinder):
    """Makes one package look absent."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """Refuse the package and what is in it; leave the rest to the other finders."""
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r} (hidden: it cannot be loaded here)", name=name)
        return None


def is_installed() -> bool:
    """Whether both packages are there to import; imports neither."""
    return all(importlib.util.find_spec(package) is not None for package in ("d4rl", "gym"))


def d4rl_spec(name: str) -> EnvironmentSpec:
    """Look at one of D4RL's environments.

    Raises:
        BadInput: the packages do not load, do not register `name`, or its simulator is missing.
    """
    environment = make_d4rl_environment(name)
    try:
        environment.reset(seed=0)  # some raise here alone, for want of a simulator or of a file
    except Exception as error:
        environment.close()
        raise BadInput(f"env={name} of the d4rl package fails at its reset: {_in_one_line(error)}.") from error
    try:
        actions, observations = environment.action_space, environment.observation_space
        if not (isinstance(actions, Box) and isinstance(observations, Box) and len(observations.shape) == 1):
            raise BadInput(f"env={name} of the d4rl package has spaces {observations}, {actions}; pogo needs boxes.")
        return EnvironmentSpec(
            env_id=name,
            observation_size=observations.shape[0],
            action_size=actions.shape[0],
            action_low=tuple(actions.low.astype(float).tolist()),
            action_high=tuple(actions.high.astype(float).tolist()),
            max_episode_steps=environment.max_episode_steps,
            package="d4rl",
        )
    finally:
        environment.close()


def make_d4rl_environment(name: str) -> "D4rlEnvironment":
    """One of D4RL's environments with gymnasium's interface.

    Raises:
        BadInput: the packages are missing, or know no such environment.
    """
    gym = _import_d4rl()
    try:
        return D4rlEnvironment(gym.make(name))
    except Exception as error:  # unregistered where its simulator did not load; else whatever old packages raise
        raise BadInput(f"env={name} cannot be made by the d4rl package: {_in_one_line(error)}.") from error


class D4rlEnvironment(gymnasium.Env[np.ndarray, np.ndarray]):
    """Old gym's interface (d4rl 1.1 pins gym below 0.25) as gymnasium's."""

    def __init__(self, environment: Any) -> None:
        self._environment = environment
        self.max_episode_steps = int(environment.spec.max_episode_steps)
        self.observation_space = _box(environment.observation_space)
        self.action_space = _box(environment.action_space)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start an episode. The simulators draw from numpy's global generator too, so that is seeded as well."""
        if seed is not None:
            np.random.seed(seed)  # noqa: NPY002 - the environments' own generator
            self._environment.seed(seed)
        return self._environment.reset(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step; old gym's `done` is split by its time-limit mark."""
        observation, reward, done, info = self._environment.step(action)
        truncated = bool(info.get("TimeLimit.truncated", False))
        return observation, float(reward), bool(done) and not truncated, truncated, info

    def close(self) -> None:
        """Free the simulator."""
        self._environment.close()


def _in_one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(":.")


def _box(space: Any) -> gymnasium.Space:
    return Box(low=np.asarray(space.low), high=np.asarray(space.high), dtype=space.dtype.type)


@cache
def _import_d4rl() -> ModuleType:
    """Import d4rl for its registrations, and return gym.

    d4rl survives a missing mujoco_py, but not one that is installed without its MuJoCo 2.1 binaries: that raises a
    bare Exception, which d4rl does not expect. So one that does not load is hidden first, and d4rl's other simulators
    work.
    """
    if importlib.util.find_spec("mujoco_py") is not None:
        try:
            importlib.import_module("mujoco_py")
        except Exception:  # noqa: BLE001 - it raises bare Exceptions, and compiles code on import
            for module in [module for module in sys.modules if module.partition(".")[0] == "mujoco_py"]:
                del sys.modules[module]
            sys.meta_path.insert(0, _Hidden("mujoco_py"))
    try:
        gym = importlib.import_module("gym")
        importlib.import_module("d4rl")
    except Exception as error:  # old packages fail in many ways, all of them the user's installation
        raise BadInput(
            f"the d4rl package does not load here ({type(error).__name__}: {error}); "
            "repair it, or uninstall it to use gymnasium's environments."
        ) from error
    return gym
