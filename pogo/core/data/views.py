"""From a dataset's raw rows to transitions: D4RL's q-learning view, or every row."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from pogo.core.data.raw_rows import RawRows
from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput

View = Literal["d4rl", "full"]
VIEWS: tuple[str, ...] = ("d4rl", "full")


@dataclass(frozen=True)
class BehaviourStatistics:
    """Undiscounted returns of the dataset's complete episodes, before any change to rewards. None: no such episode."""

    episodes: int
    return_mean: float | None
    return_std: float | None
    return_min: float | None
    return_max: float | None
    length_mean: float | None


UNKNOWN_BEHAVIOUR = BehaviourStatistics(0, None, None, None, None, None)


def infer_timeouts(terminals: np.ndarray, max_episode_steps: int) -> np.ndarray:
    """Time-outs of a file without a `timeouts` array: step `max_episode_steps` - 1 of an episode, [N] bool.

    Steps count from 0 after every end. D4RL's own loop starts at 1 after a true end, so that it cuts a full-length
    episode that follows one a row early and then joins its last state to the next episode's first; this
    rule does not.
    """
    rows = np.arange(len(terminals))
    last_terminal = np.maximum.accumulate(np.where(terminals, rows, -1))
    before = np.concatenate(([-1], last_terminal[:-1]))  # the last true end before each row
    return (rows - before - 1) % max_episode_steps == max_episode_steps - 1


def behaviour_statistics(raw: RawRows) -> BehaviourStatistics:
    """Returns of the complete episodes, whatever the order of the rows. `raw.timeouts` must be known."""
    returns, lengths = _returns(raw) if not raw.broken_rows else _returns_by_successors(raw)
    if not len(returns):
        return UNKNOWN_BEHAVIOUR
    return BehaviourStatistics(
        episodes=len(returns),
        return_mean=float(returns.mean()),
        return_std=float(returns.std()),
        return_min=float(returns.min()),
        return_max=float(returns.max()),
        length_mean=float(lengths.mean()),
    )


def _returns(raw: RawRows) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths of the complete episodes of rows in the order of time."""
    ends = np.flatnonzero(raw.ends)
    if not len(ends):
        return np.zeros(0), np.zeros(0)
    starts = np.concatenate(([0], ends[:-1] + 1))
    return np.add.reduceat(raw.rewards[: ends[-1] + 1].astype(np.float64), starts), ends + 1 - starts


def _returns_by_successors(raw: RawRows) -> tuple[np.ndarray, np.ndarray]:
    """Returns and lengths of the complete episodes of rows in any order, whose next observations tell what follows.

    What follows a row is the nearest later one whose observation is the row's own next observation, to the bit.
    """
    if raw.next_observations is None:
        return np.zeros(0), np.zeros(0)
    returns, lengths = raw.rewards.astype(np.float64), np.ones(len(raw), dtype=np.int64)  # from each row on
    is_complete = raw.ends.copy()
    is_start = np.ones(len(raw), dtype=np.bool_)
    by_observation: dict[bytes, int] = {}  # the nearest later row that begins with it and is nobody's successor yet
    for row in range(len(raw) - 1, -1, -1):
        after = None if raw.ends[row] else by_observation.pop(raw.next_observations[row].tobytes(), None)
        if after is not None:
            returns[row] += returns[after]
            lengths[row] += lengths[after]
            is_complete[row], is_start[after] = is_complete[after], False
        by_observation[raw.observations[row].tobytes()] = row
    whole = is_start & is_complete
    return returns[whole], lengths[whole]


def check_time_order(raw: RawRows, view: View, needs_order: str | None, where: str) -> None:
    """Refuse rows of which row i + 1 is not what followed row i, where that is taken to be so.

    Args:
        raw: the rows; `raw.timeouts` must be known.
        view: how they are to be read; `d4rl` takes row i + 1 for what follows.
        needs_order: what else takes it so, in words, with its mend; none: nothing.
        where: the source of the rows, for messages.

    Raises:
        BadInput: the rows are in another order, and the view or something else needs them in the order of time.
    """
    if not (broken := raw.broken_rows):
        return
    inside = int(np.count_nonzero(raw.inside[:-1]))
    found = (
        f"{where}: the next_observations of {broken} of {inside} rows inside episodes ({100 * broken / inside:.3g} %) "
        "are not the observations of the rows after them, as where the rows of several environments alternate"
    )
    if view == "d4rl":
        raise BadInput(f"{found}; dataset.view=full takes each row's own next observation.")
    if needs_order is not None:
        raise BadInput(f"{found}, and {needs_order}.")


def view_transitions(raw: RawRows, view: View, next_actions: bool, where: str) -> Transitions:
    """The transitions of one view; every array is a fresh copy. `raw.timeouts` must be known.

    `d4rl`: rows at time-outs and the last row are dropped, the next observation is row i + 1's, whatever the file
    says: what the published algorithms trained on. At a true end that is the next episode's start, masked by
    `terminals`. `full`: every row, with the file's own next observations; without them there is no more to read than
    in `d4rl`. Next actions are the file's own, or the raw action at i + 1, so that with the latter `full` drops the
    time-out rows, which have none, and keeps the true ends, where the bootstrap is masked.

    Raises:
        BadInput: nothing is left.
    """
    timeouts = raw.timeouts
    if timeouts is None:
        raise ValueError("view_transitions needs raw.timeouts; infer_timeouts gives them")
    rows = len(raw)
    if view == "full" and raw.next_observations is not None:
        keep = np.ones(rows, dtype=bool)
        if next_actions and raw.next_actions is None:
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
    episode = np.cumsum(raw.ends)  # grows at an episode's last row, so compare each row's start
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
        next_actions=_next_actions(raw, kept) if next_actions else None,
    )


def _next_actions(raw: RawRows, rows: np.ndarray) -> np.ndarray:
    """The action taken after each of these rows, [n, A]; after the last row, that row's own."""
    if raw.next_actions is not None:
        return raw.next_actions[rows]
    return raw.actions[np.minimum(rows + 1, len(raw) - 1)]
