"""The bounds that actions are scaled by: whose they are, and whether they are any."""

from collections.abc import Sequence

import numpy as np

from pogo.core.data.raw_rows import Metadata
from pogo.core.environments.spec import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput


def action_bounds(
    explicit: tuple[Sequence[float], Sequence[float]] | None,
    metadata: Metadata,
    environment: EnvironmentSpec | None,
    size: int,
    where: str,
    *,
    in_unit_box: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The bounds [A], [A] that actions are scaled by: those given, else the file's, the environment's, or D4RL's.

    Args:
        explicit: those given; one number is of all dimensions.
        metadata: the file's.
        environment: where the data is from.
        size: A.
        where: the data, for messages.
        in_unit_box: whether they are [-1, 1] where nothing says otherwise, as D4RL's are.

    Raises:
        BadInput: no source gives bounds, or the bounds are empty, of another size, or not the environment's.
    """
    if explicit is not None:
        low, high = (np.array(bound * size if len(bound) == 1 else bound) for bound in map(list, explicit))
    elif metadata.action_low is not None and metadata.action_high is not None:
        low, high = np.array(metadata.action_low), np.array(metadata.action_high)
    elif environment is not None:
        low, high = np.array(environment.action_low), np.array(environment.action_high)
    elif in_unit_box:
        low, high = -np.ones(size), np.ones(size)
    else:
        raise BadInput(
            f"{where}: no action bounds; name the environment (env=ID), or give them by dataset.action_low=[...] and "
            "dataset.action_high=[...], or as action_low and action_high of the file's metadata."
        )
    if environment is not None:
        check_sizes(environment, environment.observation_size, size, where)
    if low.shape != (size,) or high.shape != (size,) or not np.isfinite(low).all() or not np.isfinite(high).all():
        raise BadInput(f"{where}: action bounds {low.tolist()}, {high.tolist()} do not fit actions of size {size}.")
    if not (low < high).all():
        raise BadInput(f"{where}: action bounds {low.tolist()}, {high.tolist()} are empty; low must be below high.")
    if environment is not None and not (
        np.allclose(low, environment.action_low, rtol=1e-5, atol=1e-6)
        and np.allclose(high, environment.action_high, rtol=1e-5, atol=1e-6)
    ):
        raise BadInput(
            f"{where}: its actions are bounded by {low.tolist()}, {high.tolist()}, but those of "
            f"env={environment.env_id} by {list(environment.action_low)}, {list(environment.action_high)}; "
            "name the environment that the data is from with env=..."
        )
    return low.astype(np.float64), high.astype(np.float64)
