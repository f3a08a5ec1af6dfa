"""Observations of more digits than float32 has: an offset is taken off before the cast."""

import logging

import numpy as np

LARGEST_ROUNDING = 1e-4  # of a column's spread: what the cast to float32 may cost
LARGEST_LOSS = 0.5  # of a column's distinct values, before it is warned of
_LOOKED_AT = 100_000  # rows whose distinct values are counted

logger = logging.getLogger("pogo")


def in_float32(values: np.ndarray, offset: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
    """Values [N, O] as float32, and what was taken off each column first, [O] float64; none: nothing.

    A column of large mean and small spread, such as metres of a map's grid, would keep few of its digits.

    Args:
        values: in the type that they were stored in.
        offset: what to take off, in place of what the values themselves need.
    """
    if values.dtype.kind == "f" and values.dtype.itemsize <= 4:
        return np.ascontiguousarray(values, dtype=np.float32), offset
    if offset is None:
        offset = _offset(values)
    with np.errstate(over="ignore"):  # beyond float32's range: infinite, and refused as such
        if offset is None:
            return np.ascontiguousarray(values, dtype=np.float32), None
        return (values - offset).astype(np.float32), offset


def loses_digits(mean: np.ndarray, std: np.ndarray) -> np.ndarray:
    """Whether float32 is too coarse for values of such a mean and spread, column by column."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounding = np.spacing(np.abs(mean).astype(np.float32)).astype(np.float64)
    return np.isfinite(rounding) & (rounding > LARGEST_ROUNDING * std)


def _offset(values: np.ndarray) -> np.ndarray | None:
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
        exact = (values[0].astype(np.float32) == values[0]) & (std == 0)  # one value, and float32 has it
    offset = np.where(loses_digits(mean, std) & ~exact, mean, 0.0)
    # One value only: the offset is that value, where a mean would be off by its rounding.
    offset = np.where((offset != 0) & (values == values[0]).all(axis=0), values[0].astype(np.float64), offset)
    return offset if offset.any() else None


def lossy_columns(values: np.ndarray, cast: np.ndarray, offset: np.ndarray | None, where: str) -> list[int]:
    """The columns of which float32 keeps less than half of the distinct values, offset or not; warned of once."""
    if values.dtype.kind == "f" and values.dtype.itemsize <= 4:
        return []
    found = []
    for column in range(values.shape[1]):
        before = np.unique(values[:_LOOKED_AT, column])
        after = np.unique(cast[:_LOOKED_AT, column])
        if len(after) < LARGEST_LOSS * len(before):
            found.append(column)
    if found:
        logger.warning(
            "%s: float32, which networks compute in, tells apart less than half of the values in these observation "
            "columns: %s; rescale them before saving, or leave them out.",
            where, ", ".join(map(str, found)),
        )  # fmt: skip
    return found
