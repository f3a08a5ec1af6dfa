"""Datasets that a Python program holds itself: arrays in D4RL's layout, with what is known of their environment.

A run names such a dataset by a prefix, as it does Minari's: its config, record and resume are those of any other.
"""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

import numpy as np
from typing_extensions import override

from pogo.core.data.raw_rows import Metadata, RawRows, check_layout, raw_rows
from pogo.core.data.reader import Reader, Recorded, Wanted
from pogo.core.errors import BadInput

PREFIX = "arrays:"
_LARGEST_VECTOR_DIMENSIONS = 2  # rows, and what is in one


@dataclass(frozen=True, eq=False)
class HeldArrays:
    """A dataset in memory, checked.

    Raises:
        BadInput: an array cannot be taken; the message names it, the row where one is at fault, and the mend.
    """

    name: str
    arrays: Mapping[str, np.ndarray]  # by D4RL's keys, N rows in time order, episodes one after another
    metadata: Metadata = field(default_factory=Metadata)

    def __post_init__(self) -> None:
        for key, array in self.arrays.items():
            _check_numbers(array, key, self.name)
        check_layout({key: array.shape for key, array in self.arrays.items()}, self.name)
        self.rows(keep_next_observations=False)

    def rows(self, keep_next_observations: bool) -> RawRows:
        """The rows as every reader gives them; with their own next observations, or only compared with those."""
        return raw_rows(self.arrays, self.name, keep_next_observations)

    @property
    def sha256(self) -> str:
        """The digest of all values."""
        digest = hashlib.sha256()
        for key in sorted(self.arrays):
            digest.update(key.encode() + np.ascontiguousarray(self.arrays[key]).tobytes())
        return digest.hexdigest()


def _check_numbers(array: np.ndarray, key: str, name: str) -> None:
    """Refuse what is no array of numbers, or of numbers that stand for images or for choices among actions."""
    if array.dtype.kind not in "biuf":
        raise BadInput(
            f"{name}: {key} has type {array.dtype}, expected plain numbers; rows of unequal lengths and mappings "
            "(Dict spaces) become one vector each by numpy.concatenate."
        )
    if key.endswith("observations") and array.ndim > _LARGEST_VECTOR_DIMENSIONS:
        raise BadInput(
            f"{name}: {key} has shape {array.shape}: images, or stacks of frames. pogo's networks take vectors; give "
            "features [rows, size], or flatten each row."
        )
    if key.endswith("observations") and array.ndim == 1 and array.dtype.kind in "biu":
        raise BadInput(
            f"{name}: {key} has shape {array.shape} and type {array.dtype}: one whole number in each row, as of a "
            "discrete space. Give one-hot vectors [rows, size], or floats where it is a quantity."
        )
    if key == "actions" and array.dtype.kind in "biu":
        raise BadInput(
            f"{name}: actions has type {array.dtype}: whole numbers, as of a discrete action space, and pogo trains "
            "continuous actions. Where they are continuous, give them as float32."
        )


_held: ContextVar[HeldArrays | None] = ContextVar("held", default=None)


@contextmanager
def holding(dataset: HeldArrays | None) -> Iterator[None]:
    """While entered, `dataset.name=arrays:NAME` is this dataset."""
    token = _held.set(dataset)
    try:
        yield
    finally:
        _held.reset(token)


class ArraysReader(Reader):
    """The dataset that the running program holds."""

    prefix = PREFIX

    @override
    def read(self, source: str, wanted: Wanted) -> Recorded:
        held = _held.get()
        if held is None or source != f"{PREFIX}{held.name}":
            raise BadInput(
                f"dataset.name={source} was held in memory by the program that trained on it; give it to "
                "pogo.train(dataset=...) again, or save it there by Dataset.save and train with dataset.path=FILE."
            )
        return Recorded(held.rows(wanted.view == "full"), wanted.view, held.metadata, held.sha256)
