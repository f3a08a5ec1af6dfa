"""Observations that are a mapping of vectors, joined to one vector in a given order."""

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Space

from pogo.core.environments.recorded import Parts
from pogo.core.errors import BadInput
from pogo.core.setting import Values


def parts_of(space: Space) -> Parts | None:
    """Names and sizes of the vectors in a space, in its own order; none where there is anything else in it.

    A mapping inside a mapping is named by its path: `desired_goal/kettle`.
    """
    found = list(_parts(space, ""))
    return None if any(part is None for part in found) else tuple(part for part in found if part is not None)


def _parts(space: Space, name: str) -> Iterator[tuple[str, int] | None]:
    if isinstance(space, Dict):
        for key, entry in space.spaces.items():
            yield from _parts(entry, f"{name}/{key}" if name else str(key))
    elif isinstance(space, Box) and len(space.shape) == 1:
        yield name, space.shape[0]
    else:
        yield None


def part(observation: Any, name: str) -> Any:
    """The vector of this name in an observation."""
    for key in name.split("/"):
        observation = observation[key]
    return observation


def described(parts: Parts) -> str:
    """The parts as messages name them."""
    return ", ".join(f"{name} [{size}]" for name, size in parts)


class JoinedObservation(gymnasium.ObservationWrapper):
    """Joins the parts of every observation, in the order given."""

    def __init__(self, environment: gymnasium.Env, parts: Parts, where: str) -> None:
        """Wrap an environment whose observations have these parts, in any order.

        Raises:
            BadInput: its parts have other names or sizes.
        """
        super().__init__(environment)
        have = parts_of(environment.observation_space)
        if have is None or dict(have) != dict(parts):
            shown = environment.observation_space if have is None else described(have)
            raise BadInput(
                f"{where} has observations {shown}, and the data's are {described(parts)}; name the environment that "
                "the data is from with env=..."
            )
        self.parts = parts
        self._names = [name for name, _ in parts]
        boxes = [_space_of(environment.observation_space, name) for name in self._names]
        low, high = (np.concatenate([getattr(box, bound) for box in boxes]) for bound in ("low", "high"))
        self.observation_space = Box(low, high, dtype=np.result_type(*(box.dtype for box in boxes)).type)

    def observation(self, observation: Values) -> np.ndarray:
        """The parts of one observation, joined, [O]."""
        return np.concatenate([np.asarray(part(observation, name)) for name in self._names])


def _space_of(space: Space, name: str) -> Any:
    for key in name.split("/"):
        assert isinstance(space, Dict)
        space = space.spaces[key]
    return space
