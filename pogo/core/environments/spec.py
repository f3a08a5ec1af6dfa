"""What an environment looks like to a policy."""

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from pogo.core.environments.recorded import LimitSource, Parts, RecordedEnvironment
from pogo.core.errors import BadInput
from pogo.core.setting import Values

Package = Literal["gymnasium", "d4rl", "gymnasium_robotics"]


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
    kwargs: Values = field(default_factory=dict)  # of gymnasium.make, plain JSON values
    wrappers: tuple[Values, ...] = ()  # gymnasium's own, from the inside: `name` and `kwargs`
    observation_parts: Parts = ()  # the vectors that an observation joins, in their order; none: it is one vector
    action_dtype: str = "float32"  # of its action space
    limit_source: LimitSource = "environment"  # whose `max_episode_steps` is

    @property
    def recorded(self) -> RecordedEnvironment:
        """What another environment in its place takes over."""
        has_own_limit = self.limit_source != "environment"
        return RecordedEnvironment(
            env_id=self.env_id,
            kwargs=self.kwargs,
            wrappers=self.wrappers,
            observation_parts=self.observation_parts,
            max_episode_steps=self.max_episode_steps if has_own_limit else None,
            limit_source=self.limit_source,
        )

    @property
    def limit_words(self) -> str:
        """The limit of its episodes in words; empty where it is the one that the environment is registered with."""
        if self.limit_source == "environment":
            return ""
        whose = "the data's limit" if self.limit_source == "data" else "dataset.max_episode_steps"
        return f"episodes of at most {self.max_episode_steps} steps, {whose}"

    def actions(self, wanted: np.ndarray) -> np.ndarray:
        """Actions [..., A] in its units, cut at its bounds, in its own type: a rounding would leave the box."""
        return np.clip(wanted, self.action_low, self.action_high).astype(self.action_dtype)

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
            "wrappers": [dict(wrapper) for wrapper in self.wrappers],
            "observation_parts": [list(part) for part in self.observation_parts],
            "action_dtype": self.action_dtype,
            "limit_source": self.limit_source,
        }

    @classmethod
    def from_json(cls, data: Values) -> "EnvironmentSpec":
        """The inverse of `to_json`; what an older pogo did not write is as it was then."""
        bounds = {key: tuple(float(bound) for bound in data[key]) for key in ("action_low", "action_high")}
        parts = tuple((str(name), int(size)) for name, size in data.get("observation_parts", ()))
        wrappers = tuple(dict(wrapper) for wrapper in data.get("wrappers", ()))
        return cls(**{**data, **bounds, "observation_parts": parts, "wrappers": wrappers})


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
