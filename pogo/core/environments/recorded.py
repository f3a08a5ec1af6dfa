"""An environment as data records it: its settings, wrappers, and what its observations are made of."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import gymnasium

from pogo.core.setting import Values

LimitSource = Literal["environment", "data", "option"]
Parts = tuple[tuple[str, int], ...]  # names and sizes of the vectors that an observation joins, in their order

# Settings that show an environment to somebody, and change nothing that it gives.
DISPLAY = (
    "render_mode",
    "width",
    "height",
    "camera_id",
    "camera_name",
    "default_camera_config",
    "max_geom",
    "screen_size",
)
# Wrappers that record or show, or that `make_environment` has its own of.
_TRANSPARENT = (
    *("RecordEpisodeStatistics", "RecordVideo", "HumanRendering", "RenderCollection", "OrderEnforcing"),
    *("PassiveEnvChecker", "Autoreset", "AddWhiteNoise", "ObstructView", "TimeLimit"),
)
_WITH_STATE = ("NormalizeObservation", "NormalizeReward")  # their running statistics are in no file


@dataclass(frozen=True)
class RecordedEnvironment:
    """What a dataset, or a run, says of the environment that it is of; every field may be absent."""

    env_id: str | None = None
    kwargs: Values = field(default_factory=dict)  # of gymnasium.make
    wrappers: tuple[Values, ...] = ()  # gymnasium's own, from the inside: `name` and `kwargs`
    observation_parts: Parts = ()  # none: one vector, or a Dict in the environment's own order
    max_episode_steps: int | None = None
    limit_source: LimitSource = "data"
    unmade: str = ""  # why it cannot be made again; empty: it can

    def is_of(self, env_id: str) -> bool:
        """Whether an id, with or without a module to import, is this environment's."""
        return self.env_id is not None and env_id.rpartition(":")[2] == self.env_id.rpartition(":")[2]

    @property
    def settings(self) -> str:
        """What has been set, in words; empty: nothing."""
        named = [*self.kwargs, *(str(wrapper["name"]) for wrapper in self.wrappers)]
        return ", ".join(named)


def without_display(kwargs: Values) -> dict[str, Any]:
    """The settings that change what an environment gives."""
    return {key: value for key, value in kwargs.items() if key not in DISPLAY}


def rebuilt_wrappers(specs: Sequence[Any]) -> tuple[tuple[Values, ...], str]:
    """The recorded wrappers (gymnasium's WrapperSpecs, or their `name`, `entry_point`, `kwargs`) that are made again.

    Returns:
        The wrappers, from the inside, and why one cannot be made again: empty if all can.
    """
    found = []
    for spec in specs:
        name, entry_point, kwargs = spec.name, str(spec.entry_point), spec.kwargs
        if name in _TRANSPARENT and entry_point.startswith("gymnasium.wrappers"):
            continue
        if not entry_point.startswith("gymnasium.wrappers") or not hasattr(gymnasium.wrappers, name):
            return (), f"wrapper {name} of {entry_point.partition(':')[0]}, a module that only you can name"
        if name in _WITH_STATE:
            return (), f"wrapper {name}, whose running statistics are not in the data"
        if kwargs is None or not is_plain(kwargs):
            return (), f"wrapper {name}, whose settings are not in the data"
        found.append({"name": name, "kwargs": dict(kwargs)})
    return tuple(found), ""


def is_plain(value: Any) -> bool:
    """Whether a setting is made of numbers, switches and single characters, as a maze's map is: no name of a file."""
    if value is None or isinstance(value, bool):
        return True
    if isinstance(value, int | float):
        return math.isfinite(value)
    if isinstance(value, str):
        return len(value) <= 1
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(entry) for key, entry in value.items())
    return isinstance(value, Sequence) and all(is_plain(entry) for entry in value)
