"""Environments: what one looks like to a policy, and making it."""

import difflib
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Space

from pogo.core.environments.antmaze import MAZES, make_antmaze
from pogo.core.errors import BadInput

Package = Literal["gymnasium", "d4rl", "gymnasium_robotics"]
_EXTRAS = {"mujoco": "pogo[mujoco]", "box2d": "gymnasium[box2d]", "gymnasium_robotics": "pogo[antmaze]"}


@dataclass(frozen=True)
class EnvironmentSpec:
    """An environment's name and sizes: all that is needed to make it and to act in it."""

    env_id: str
    observation_size: int
    action_size: int
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    max_episode_steps: int
    package: Package = "gymnasium"
    kwargs: Mapping[str, Any] = field(default_factory=dict)  # of gymnasium.make, plain JSON values

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "env_id": self.env_id,
            "observation_size": self.observation_size,
            "action_size": self.action_size,
            "action_low": list(self.action_low),
            "action_high": list(self.action_high),
            "max_episode_steps": self.max_episode_steps,
            "package": self.package,
            "kwargs": dict(self.kwargs),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "EnvironmentSpec":
        """The inverse of `to_json`."""
        bounds = {key: tuple(float(bound) for bound in data[key]) for key in ("action_low", "action_high")}
        return cls(**{**data, **bounds})


def environment_spec(
    env_id: str, max_episode_steps: int | None = None, kwargs: Mapping[str, Any] | None = None
) -> EnvironmentSpec:
    """Look at an environment by making it once.

    Args:
        env_id: gymnasium's name, or that of one of D4RL's AntMazes, which gymnasium-robotics simulates;
            `module:Name-v0` imports that module first, so it must come from the user, never from a file.
        max_episode_steps: the time limit, for an environment that has none of its own.
        kwargs: passed to `gymnasium.make`.

    Raises:
        BadInput: unknown id, missing package, spaces other than continuous boxes, infinite bounds, no time limit.
    """
    package: Package = "gymnasium_robotics" if env_id in MAZES else "gymnasium"
    draft = EnvironmentSpec(env_id, 0, 0, (), (), max_episode_steps or 0, package, dict(kwargs or {}))
    environment = make_environment(draft)
    try:
        actions, observations = environment.action_space, environment.observation_space
        where = f"env={env_id}"
        if not isinstance(actions, Box) or len(actions.shape) != 1:
            raise BadInput(f"{where} has actions {actions}; pogo needs one continuous Box of shape [size].")
        if not isinstance(observations, Box) or len(observations.shape) != 1:
            raise BadInput(f"{where} has observations {observations}; pogo needs one continuous Box of shape [size].")
        if not (np.isfinite(actions.low).all() and np.isfinite(actions.high).all()):
            raise BadInput(f"{where} has unbounded actions; wrap it so that its action Box has finite bounds.")
        steps = environment.spec.max_episode_steps if environment.spec is not None else None
        if steps is None:
            raise BadInput(f"{where} has no time limit; give one with dataset.max_episode_steps.")
        return replace(
            draft,
            observation_size=observations.shape[0],
            action_size=actions.shape[0],
            action_low=tuple(actions.low.astype(float).tolist()),
            action_high=tuple(actions.high.astype(float).tolist()),
            max_episode_steps=int(steps),
        )
    finally:
        environment.close()


def make_environment(spec: EnvironmentSpec) -> gymnasium.Env[np.ndarray, np.ndarray]:
    """A new environment with gymnasium's interface.

    Raises:
        BadInput: unknown id, a package that is missing, or a constructor that raises.
    """
    if spec.package == "d4rl":
        from pogo.core.environments.d4rl_package import make_d4rl_environment  # optional packages stay unimported

        return make_d4rl_environment(spec.env_id)
    if spec.package == "gymnasium_robotics":
        if spec.kwargs:
            raise BadInput(f"env={spec.env_id} takes no settings, but is given {dict(spec.kwargs)}.")
        return make_antmaze(spec.env_id)
    options = dict(spec.kwargs)
    registered = gymnasium.registry.get(spec.env_id)
    if spec.max_episode_steps and (registered is None or registered.max_episode_steps is None):
        options["max_episode_steps"] = spec.max_episode_steps
    try:
        with warnings.catch_warnings():
            # D4RL's robots are older versions on purpose.
            warnings.filterwarnings("ignore", message=".*is out of date.*")
            # The checker repeats space checks at every step: a third of Pendulum's time.
            environment = gymnasium.make(spec.env_id, disable_env_checker=True, **options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise BadInput(f"env={spec.env_id} needs a package that is not installed: {_mend(spec.env_id)}.") from error
    except (gymnasium.error.Error, ImportError) as error:
        raise BadInput(f"env={spec.env_id} cannot be made: {_first_line(error)}{_near(spec.env_id)}") from error
    except Exception as error:  # a wrong setting, or whatever a constructor raises
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        given = f" with {options}" if options else ""
        raise BadInput(f"env={spec.env_id} cannot be made{given}: {cause}; mend it, or name another.") from error
    if isinstance(environment.observation_space, Dict):
        environment = _flattened(environment)
    return environment


def check_sizes(spec: EnvironmentSpec, observation_size: int, action_size: int, where: str) -> None:
    """Refuse an environment whose sizes differ from the data's.

    Raises:
        BadInput: naming both sizes.
    """
    for what, ours, theirs in (
        ("observations", observation_size, spec.observation_size),
        ("actions", action_size, spec.action_size),
    ):
        if ours != theirs:
            raise BadInput(
                f"{where}: {what} have size {ours}, but env={spec.env_id} has {theirs}; "
                "name the environment that the data is from with env=..."
            )


def _flattened(environment: gymnasium.Env) -> gymnasium.Env:
    """Goal environments observe a Dict of boxes: joined to one vector, in the space's own order."""
    spaces = cast(Dict, environment.observation_space).spaces.values()
    if not all(_is_vector(space) for space in spaces):
        return environment  # environment_spec refuses it
    return gymnasium.wrappers.FlattenObservation(environment)


def _is_vector(space: Space) -> bool:
    return isinstance(space, Box) and len(space.shape) == 1


def _mend(env_id: str) -> str:
    registered = gymnasium.registry.get(env_id)
    entry_point = str(registered.entry_point) if registered is not None else ""
    for part, extra in _EXTRAS.items():
        if part in entry_point:
            return f"pip install '{extra}'"
    return f"install what {entry_point or env_id} imports"


def _near(env_id: str) -> str:
    """A hint at the nearest id's newest version: old ones may be registered only to say where they went."""
    names = [known for known in (*gymnasium.registry, *MAZES) if known != env_id]
    near = difflib.get_close_matches(env_id, names, n=1)
    if near:
        name = near[0].rpartition("-v")[0]
        newest = max((known for known in gymnasium.registry if known.rpartition("-v")[0] == name), default=near[0])
        return f" Did you mean {newest!r}?"
    return " Packages that register environments are imported with env=module:Name-v0."


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
