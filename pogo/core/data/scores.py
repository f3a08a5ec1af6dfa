"""D4RL's normalised score, and the two returns that it is counted by."""

import math

from pogo.core.errors import BadInput


def normalized_score(value: float, reference_returns: tuple[float, float] | None) -> float | None:
    """100 * (return - min) / (max - min), or None without reference returns."""
    if reference_returns is None:
        return None
    low, high = reference_returns
    return 100.0 * (value - low) / (high - low)


def check_reference_returns(low: float | None, high: float | None, where: str) -> tuple[float, float] | None:
    """The returns that score 0 and 100, or None where neither is given.

    Raises:
        BadInput: only one of the two is given, or the first is not the smaller.
    """
    if low is None and high is None:
        return None
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)) or not low < high:
        raise BadInput(
            f"{where}: ref_min_score={low}, ref_max_score={high} must be two finite numbers, the first the smaller."
        )
    return low, high
