"""A dataset as an algorithm trains on it, from rows however they were come by."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pogo.core.data.action_bounds import action_bounds as bounds_of_actions
from pogo.core.data.config import CUSTOM
from pogo.core.data.environment import NO_ENVIRONMENT
from pogo.core.data.preprocessing import Normalisation, Preprocessing, preprocess
from pogo.core.data.raw_rows import Metadata, RawRows, check_layout, raw_rows
from pogo.core.data.rules import Rules, check_order, with_actions, with_ends
from pogo.core.data.scores import check_reference_returns, normalized_score
from pogo.core.data.transitions import Transitions
from pogo.core.data.views import VIEWS, BehaviourStatistics, View, behaviour_statistics, view_transitions
from pogo.core.environments.make import environment_spec
from pogo.core.environments.spec import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput, check_name


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset as an algorithm asked for it, and what is known about its origin."""

    name: str
    transitions: Transitions
    normalisation: Normalisation
    behaviour: BehaviourStatistics
    environment: EnvironmentSpec | None  # None: nothing to evaluate in
    reference_returns: tuple[float, float] | None  # the returns that score 0 and 100
    origin: str  # the file, or the name, that it was read from
    sha256: str
    view: str
    raw_rows: int
    why_no_environment: str = ""  # where there is none, and none was declined

    @property
    def observation_size(self) -> int:
        """Width of an observation."""
        return self.transitions.observation_size

    @property
    def action_size(self) -> int:
        """Width of an action."""
        return self.transitions.action_size

    def normalized_score(self, value: float) -> float | None:
        """D4RL's score of a raw return, where reference returns exist."""
        return normalized_score(value, self.reference_returns)


@dataclass(frozen=True)
class Origin:
    """What is known of recorded rows beside themselves."""

    name: str  # that runs are filed under
    where: str  # the file, or the name, that they were read from
    sha256: str
    environment: EnvironmentSpec | None
    reference_returns: tuple[float, float] | None
    max_episode_steps: int | None
    why_no_environment: str = ""


def assemble(
    raw: RawRows,
    origin: Origin,
    preprocessing: Preprocessing,
    view: View,
    bounds: tuple[np.ndarray, np.ndarray],
    rules: Rules,
) -> Dataset:
    """Check recorded rows, and view, scale and normalise them as an algorithm asks.

    Args:
        raw: the rows, in time order.
        origin: where they are from.
        preprocessing: what the algorithm asks of its data.
        view: which rows become transitions.
        bounds: of the actions, [A] and [A].
        rules: what is let through that is out of the ordinary.

    Raises:
        BadInput: rows that do not fit together, or not their environment.
    """
    (low, high), where = bounds, origin.where
    if origin.environment is not None:
        check_sizes(origin.environment, raw.observations.shape[1], raw.actions.shape[1], where)
    raw = with_actions(raw, low, high, rules, where)
    raw = with_ends(raw, origin.max_episode_steps, rules, where)
    check_order(raw, view, preprocessing, rules, where)
    behaviour = behaviour_statistics(raw)
    transitions = view_transitions(raw, view, preprocessing.next_actions, where)
    rows, offset = len(raw), raw.observation_offset
    del raw  # a third of the memory
    transitions, normalisation = preprocess(
        transitions, preprocessing, low, high, where, offset=offset, hold=rules.hold_constants
    )
    transitions.check(where)
    return Dataset(
        name=origin.name,
        transitions=transitions,
        normalisation=normalisation,
        behaviour=behaviour,
        environment=origin.environment,
        why_no_environment=origin.why_no_environment,
        reference_returns=origin.reference_returns,
        origin=where,
        sha256=origin.sha256,
        view=view,
        raw_rows=rows,
    )


def dataset_from_arrays(
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    terminals: np.ndarray,
    *,
    timeouts: np.ndarray | None = None,
    next_observations: np.ndarray | None = None,
    name: str = CUSTOM,
    preprocessing: Preprocessing | None = None,
    view: View = "d4rl",
    env: str | None = None,
    action_bounds: tuple[Sequence[float], Sequence[float]] | None = None,
    reference_returns: tuple[float, float] | None = None,
    max_episode_steps: int | None = None,
    clip_actions: bool = False,
    actions_scaled: bool = False,
    hold_constants: bool = True,
) -> Dataset:
    """A dataset from arrays of one's own, in time order, episodes one after another; checked like a file.

    Bounds are `action_bounds`, else the environment's. The arrays are copied.

    Raises:
        BadInput: the arrays or the environment cannot be used, as for `load_dataset`.
    """
    given = {
        "observations": observations,
        "actions": actions,
        "rewards": rewards,
        "terminals": terminals,
        "timeouts": timeouts,
        "next_observations": next_observations,
    }
    arrays = {key: np.asarray(array) for key, array in given.items() if array is not None}
    check_name("view", view, VIEWS)
    for key, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise BadInput(f"{name}: {key} has type {array.dtype}, expected plain numbers.")
    check_layout({key: array.shape for key, array in arrays.items()}, name)
    raw = raw_rows(arrays, name, keep_next_observations=view == "full")
    environment = None if env in (None, NO_ENVIRONMENT) else environment_spec(env, max_episode_steps)
    bounds = bounds_of_actions(action_bounds, Metadata(), environment, raw.actions.shape[1], name, in_unit_box=False)
    origin = Origin(
        name=name,
        where=name,
        sha256=_arrays_digest(arrays),
        environment=environment,
        reference_returns=check_reference_returns(*(reference_returns or (None, None)), name),
        max_episode_steps=max_episode_steps or (environment.max_episode_steps if environment else None),
    )
    rules = Rules(clip_actions=clip_actions, actions_scaled=actions_scaled, hold_constants=hold_constants)
    return assemble(raw, origin, preprocessing or Preprocessing(), view, bounds, rules)


def _arrays_digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(key.encode() + np.ascontiguousarray(arrays[key]).tobytes())
    return digest.hexdigest()
