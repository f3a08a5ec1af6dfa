"""What every learner checks of a snapshot before it takes it over."""

from collections.abc import Mapping, Sequence

import numpy as np

from pogo.core.errors import BadInput

STREAM_PREFIX = "stream/"
WINDOW_PREFIX = "window/"  # window/start, and window/<group>/<metric>: sums of the metrics of an open window
WINDOW_START = "window/start"
REPLAY_PREFIX = "replay/"  # the replay buffer of a run that collects its own data
COLLECTOR_PREFIX = "collector/"  # and where its episodes are
NOT_OF_THE_STATE = (STREAM_PREFIX, WINDOW_PREFIX, REPLAY_PREFIX, COLLECTOR_PREFIX)  # only what goes on training needs


def damaged(name: str, expected: str) -> BadInput:
    """The error of a checkpoint's array that this run cannot have written."""
    return BadInput(f"checkpoint's {name} is missing or not {expected}: it is damaged; use an older checkpoint.")


def check_snapshot(expected: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The snapshot's arrays of the state alone, after a look at names, shapes and types.

    Raises:
        BadInput: an array is missing, unknown, or of another shape or type than the run's configuration makes it.
    """
    arrays = {name: value for name, value in given.items() if not name.startswith(NOT_OF_THE_STATE)}
    mend = "the checkpoint is of another algorithm, chain or dataset; use its own configuration or another run.dir"
    for name in expected:
        if name not in arrays:
            raise BadInput(f"checkpoint lacks {name}: {mend}.")
    for name, value in arrays.items():
        if name not in expected:
            raise BadInput(f"checkpoint holds an unknown {name}: {mend}.")
        want = expected[name]
        if value.shape != want.shape or value.dtype != want.dtype:
            raise BadInput(
                f"checkpoint's {name} is {value.dtype}{list(value.shape)}, this run needs "
                f"{want.dtype}{list(want.shape)}: {mend}."
            )
    return {name: arrays[name] for name in expected}


def window_arrays(start: int, groups: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The snapshot's part for an open window: its first update and the sums of each group of metrics."""
    arrays = {WINDOW_START: np.asarray(start, dtype=np.int32)}
    for index, sums in enumerate(groups):
        arrays |= {f"{WINDOW_PREFIX}{index}/{name}": value for name, value in sums.items()}
    return arrays


def window_groups(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The sums that `window_arrays` put into a snapshot, group by group."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name in sorted(arrays):
        if name.startswith(WINDOW_PREFIX) and name != WINDOW_START:
            index, metric = name.removeprefix(WINDOW_PREFIX).split("/", 1)
            groups.setdefault(index, {})[metric] = arrays[name]
    return list(groups.values())
