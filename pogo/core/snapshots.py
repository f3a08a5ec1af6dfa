"""What every learner checks of a snapshot before it takes it over."""

from collections.abc import Mapping

import numpy as np

from pogo.core.errors import BadInput

STREAM_PREFIX = "stream/"


def check_snapshot(expected: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The snapshot's state arrays, without random streams, after a look at names, shapes and types.

    Raises:
        BadInput: an array is missing, unknown, or of another shape or type than the run's configuration makes it.
    """
    arrays = {name: value for name, value in given.items() if not name.startswith(STREAM_PREFIX)}
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
