"""A dataset's rows as recorded, whatever file they are from: what every reader checks and gives back."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pogo.core.data.precision import in_float32, lossy_columns
from pogo.core.data.transitions import check_finite
from pogo.core.environments.recorded import Parts
from pogo.core.errors import BadInput
from pogo.core.setting import Values

REQUIRED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("timeouts", "next_observations")
GIB = 2**30
SAME_OBSERVATION = 1e-3  # of a column's spread: what two stored forms of one observation may differ by
_BLOCK_ROWS = 65_536  # comparisons are done in blocks, so that no second copy of a dataset is held


@dataclass(frozen=True, eq=False)
class RawRows:
    """A dataset as recorded: N rows in time order, episodes one after another, actions in the environment's units."""

    observations: np.ndarray  # [N, O] float32, less `observation_offset`
    actions: np.ndarray  # [N, A] float32
    rewards: np.ndarray  # [N] float32
    terminals: np.ndarray  # [N] bool, true ends
    timeouts: np.ndarray | None = None  # [N] bool, last step of an episode that ran into its time limit
    next_observations: np.ndarray | None = None  # [N, O] float32, less `observation_offset`
    next_actions: np.ndarray | None = None  # [N, A] float32, where they are not those of the row after
    observation_offset: np.ndarray | None = None  # [O] float64, taken off before the cast to float32; none: zeros
    follows: np.ndarray | None = None  # [N - 1] bool: row i's own next observation is row i + 1's; none: not told

    def __len__(self) -> int:
        return len(self.rewards)

    @property
    def broken_rows(self) -> int:
        """The number of rows inside episodes whose own next observation is not that of the row after them.

        `timeouts` must be known. Any at all means that row i + 1 is not what followed row i, as in a buffer of several
        environments whose rows alternate.
        """
        return 0 if self.follows is None else int(np.count_nonzero(~self.follows & self.inside[:-1]))

    @property
    def inside(self) -> np.ndarray:
        """Whether each row is followed by another of its episode, as its flags tell it, [N] bool."""
        return ~self.ends

    @property
    def ends(self) -> np.ndarray:
        """Whether each row is marked as the last of its episode, [N] bool."""
        return self.terminals if self.timeouts is None else self.terminals | self.timeouts


@dataclass(frozen=True)
class Metadata:
    """What a file says of its environment; every field may be absent."""

    env_id: str | None = None
    action_low: tuple[float, ...] | None = None
    action_high: tuple[float, ...] | None = None
    ref_min_score: float | None = None
    ref_max_score: float | None = None
    max_episode_steps: int | None = None
    env_kwargs: Values = field(default_factory=dict)
    wrappers: tuple[Values, ...] = ()  # of gymnasium's, around it, from the inside: `name` and `kwargs`
    observation_parts: Parts = ()  # what the columns of an observation are joined from, in their order
    unmade: str = ""  # why the environment cannot be made again; empty: it can


def check_layout(shapes: Mapping[str, tuple[int, ...]], where: str) -> None:
    """Refuse arrays whose declared shapes do not fit together, before any is read.

    Raises:
        BadInput: a required key is missing, there are no rows, or shapes and lengths disagree.
    """
    missing = [key for key in REQUIRED if key not in shapes]
    if missing:
        raise BadInput(
            f"{where}: no {', '.join(missing)}; it holds {', '.join(sorted(shapes)) or 'nothing'}. "
            f"D4RL's layout has {', '.join(REQUIRED)} at the top level."
        )
    rows = shapes["observations"][:1]
    if rows in ((), (0,)):
        raise BadInput(f"{where}: observations has shape {shapes['observations']}: no rows to train on.")
    for key, shape in shapes.items():
        if key in REQUIRED + OPTIONAL and shape[:1] != rows:
            raise BadInput(
                f"{where}: {key} has shape {shape}, but observations has {rows[0]} rows; lengths must be equal."
            )
    for key in ("observations", "actions", "next_observations"):
        if key in shapes and (len(shapes[key]) not in (1, 2) or 0 in shapes[key]):
            raise BadInput(f"{where}: {key} has shape {shapes[key]}, expected [rows, size]; flatten each row.")
    sizes = {key: _as_matrix(shapes[key]) for key in ("observations", "next_observations") if key in shapes}
    if len(set(sizes.values())) > 1:
        raise BadInput(
            f"{where}: next_observations has shape {shapes['next_observations']}, "
            f"but observations has {shapes['observations']}."
        )
    for key in ("rewards", "terminals", "timeouts"):
        if key in shapes and shapes[key] not in ((rows[0],), (rows[0], 1)):
            raise BadInput(f"{where}: {key} has shape {shapes[key]}, expected ({rows[0]},) or ({rows[0]}, 1).")


def _as_matrix(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Rows of one number each may be stored without the second axis."""
    return shape if len(shape) == 2 else (*shape, 1)


def check_size(size: int, max_gib: float, where: str) -> None:
    """Refuse data larger than the limit.

    Raises:
        BadInput: `size` bytes are more than `max_gib`.
    """
    if size > max_gib * GIB:
        raise BadInput(
            f"{where}: {size / GIB:.3g} GiB is above the limit dataset.max_gib={max_gib:g}; "
            "raise it if the data is meant to be this large."
        )


def as_flags(values: np.ndarray, key: str, where: str) -> np.ndarray:
    """A [N] bool array from bools, integers or floats that are all 0 or 1.

    Raises:
        BadInput: a value is neither 0 nor 1; the message names its row.
    """
    values = values.reshape(-1)
    if values.dtype == np.bool_:
        return values
    flags = values == 1
    wrong = ~(flags | (values == 0))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise BadInput(f"{where}: {key} holds {values[row]} at row {row}; it marks ends with 0 or 1 only.")
    return flags


def raw_rows(arrays: Mapping[str, np.ndarray], where: str, keep_next_observations: bool = True) -> RawRows:
    """Checked raw rows of arrays that have passed `check_layout`, in the types that they were stored in.

    Observations of more than float32's precision keep what would be lost as `observation_offset`. `next_actions` may be
    among the arrays.

    Args:
        arrays: by key.
        where: their source, for messages.
        keep_next_observations: whether they are part of the rows, or only compared with the rows that follow.

    Raises:
        BadInput: a value is not finite, or a flag is not 0 or 1.
    """
    # Rows of one number each may come without the second axis.
    vectors = {
        key: arrays[key].reshape(len(arrays[key]), -1)
        for key in ("observations", "next_observations", "actions", "next_actions")
        if key in arrays
    }
    for key, values in vectors.items():
        check_finite(values, key, where)
    observations, offset = in_float32(vectors["observations"])
    lossy_columns(vectors["observations"], observations, offset, where)
    next_observations = None
    if "next_observations" in vectors:
        next_observations, _ = in_float32(vectors["next_observations"], offset)
    floats = {"observations": observations, "rewards": _float32(arrays["rewards"]).reshape(-1)}
    floats |= {key: _float32(vectors[key]) for key in ("actions", "next_actions") if key in vectors}
    if next_observations is not None:
        floats["next_observations"] = next_observations
    for key, values in floats.items():  # a float64 beyond float32's range has become infinite
        check_finite(values, key, where)
    return RawRows(
        observations=observations,
        actions=floats["actions"],
        rewards=floats["rewards"],
        terminals=as_flags(arrays["terminals"], "terminals", where),
        timeouts=as_flags(arrays["timeouts"], "timeouts", where) if "timeouts" in arrays else None,
        next_observations=next_observations if keep_next_observations else None,
        next_actions=floats.get("next_actions"),
        observation_offset=offset,
        follows=None if next_observations is None else _follows(observations, next_observations),
    )


def as_true_ends(raw: RawRows) -> RawRows:
    """The rows with each that is marked as a true end and as a time-out taken for a true end.

    Many tools write `timeouts` for "the episode is over", whatever ended it.
    """
    if raw.timeouts is None:
        return raw
    return replace(raw, timeouts=raw.timeouts & ~raw.terminals)


def _float32(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(values, dtype=np.float32)


def _follows(observations: np.ndarray, next_observations: np.ndarray) -> np.ndarray:
    """Whether each row's own next observation is the observation of the row after it, [N - 1] bool."""
    tolerance = SAME_OBSERVATION * observations.std(axis=0, dtype=np.float64)
    tolerance += 1e-6 * np.abs(observations).max(axis=0)  # the rounding of a column that hardly moves
    follows = np.empty(len(observations) - 1, dtype=np.bool_)
    for start in range(0, len(follows), _BLOCK_ROWS):
        block = slice(start, min(start + _BLOCK_ROWS, len(follows)))
        after = observations[block.start + 1 : block.stop + 1]
        follows[block] = (np.abs(next_observations[block] - after) <= tolerance).all(axis=1)
    return follows
