"""From a dataset's raw rows to transitions: D4RL's q-learning view, or every row."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput

View = Literal["d4rl", "full"]
VIEWS: tuple[str, ...] = ("d4rl", "full")


@dataclass(frozen=True, eq=False)
class RawRows:
    """A dataset as recorded: N rows in time order, episodes one after another, actions in the environment's units."""

    observations: np.ndarray  # [N, O] float32
    actions: np.ndarray  # [N, A] float32
    rewards: np.ndarray  # [N] float32
    terminals: np.ndarray  # [N] bool, true ends
    timeouts: np.ndarray | None = None  # [N] bool, last step of an episode that ran into its time limit
    next_observations: np.ndarray | None = None  # [N, O] float32

    def __len__(self) -> int:
        return len(self.rewards)


@dataclass(frozen=True)
class BehaviourStatistics:
    """Undiscounted returns of the dataset's complete episodes, before any change to rewards. None: no such episode."""

    episodes: int
    return_mean: float | None
    return_std: float | None
    return_min: float | None
    return_max: float | None
    length_mean: float | None


def infer_timeouts(terminals: np.ndarray, max_episode_steps: int) -> np.ndarray:
    """Time-outs of a file without a `timeouts` array: step `max_episode_steps` - 1 of an episode, [N] bool.

    Steps count from 0 after every end. D4RL's own loop starts at 1 after a true end, so that it cuts a full-length
    episode that follows one a row early and then joins its last state to the next episode's first; the sheets'
    rule, which this is, does not.
    """
    rows = np.arange(len(terminals))
    last_terminal = np.maximum.accumulate(np.where(terminals, rows, -1))
    before = np.concatenate(([-1], last_terminal[:-1]))  # the last true end before each row
    return (rows - before - 1) % max_episode_steps == max_episode_steps - 1


def behaviour_statistics(raw: RawRows) -> BehaviourStatistics:
    """Returns of the complete episodes. `raw.timeouts` must be known."""
    ends = np.flatnonzero(_episode_ends(raw))
    if not len(ends):
        return BehaviourStatistics(0, None, None, None, None, None)
    starts = np.concatenate(([0], ends[:-1] + 1))
    returns = np.add.reduceat(raw.rewards[: ends[-1] + 1].astype(np.float64), starts)
    return BehaviourStatistics(
        episodes=len(ends),
        return_mean=float(returns.mean()),
        return_std=float(returns.std()),
        return_min=float(returns.min()),
        return_max=float(returns.max()),
        length_mean=float((ends[-1] + 1) / len(ends)),
    )


def view_transitions(raw: RawRows, view: View, next_actions: bool, where: str) -> Transitions:
    """The transitions of one view; every array is a fresh copy. `raw.timeouts` must be known.

    `d4rl`: rows at time-outs and the last row are dropped, the next observation is row i + 1's, whatever the file
    says: what the published algorithms trained on. At a true end that is the next episode's start, masked by
    `terminals`. `full`: every row, with the file's own next observations; without them there is no more to read than
    in `d4rl`. Next actions are the raw action at i + 1 in both, so that with them `full` drops the time-out rows,
    which have none, and keeps the true ends, where the bootstrap is masked.

    Raises:
        BadInput: nothing is left.
    """
    timeouts = raw.timeouts
    if timeouts is None:
        raise ValueError("view_transitions needs raw.timeouts; infer_timeouts gives them")
    rows = len(raw)
    if view == "full" and raw.next_observations is not None:
        keep = np.ones(rows, dtype=bool)
        if next_actions:
            keep = raw.terminals | ~timeouts
            keep[-1] &= raw.terminals[-1]  # an unfinished episode's last action has no successor
        kept = np.flatnonzero(keep)
        next_observations = raw.next_observations[kept]
    else:
        kept = np.flatnonzero(~timeouts[:-1])
        next_observations = raw.observations[kept + 1]
    if not len(kept):
        raise BadInput(
            f"{where}: no transitions are left of {rows} rows in view={view}, which drops time-outs and the last row; "
            "a dataset needs at least two rows of one episode."
        )
    episode = np.cumsum(_episode_ends(raw))  # grows at an episode's last row, so compare each row's start
    episode[1:] = episode[:-1].copy()
    episode[0] = 0
    episode = episode[kept]
    return Transitions(
        observations=raw.observations[kept],
        actions=raw.actions[kept],
        rewards=raw.rewards[kept],
        next_observations=next_observations,
        terminals=raw.terminals[kept].astype(np.float32),
        episode_ends=np.append(episode[1:] != episode[:-1], True),
        next_actions=raw.actions[np.minimum(kept + 1, rows - 1)] if next_actions else None,
    )


def _episode_ends(raw: RawRows) -> np.ndarray:
    return raw.terminals if raw.timeouts is None else raw.terminals | raw.timeouts
