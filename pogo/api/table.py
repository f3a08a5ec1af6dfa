"""Columns of numbers by name, as runs log them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from typing_extensions import override

from pogo.core.errors import BadInput

if TYPE_CHECKING:
    import pandas


class Table(Mapping[str, np.ndarray]):
    """Columns of one length: `table["loss"]` is an array, `table.to_pandas()` a data frame."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Columns of rows; where a row lacks an entry or has null there, a number is NaN and a text is empty."""
        names = dict.fromkeys(name for row in rows for name in row)
        self._columns = {name: _column([row.get(name) for row in rows]) for name in names}
        self._length = len(rows)

    @property
    def num_rows(self) -> int:
        """The length of every column."""
        return self._length

    @override
    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self._columns:
            raise KeyError(f"no column {name!r}; there are {', '.join(self._columns) or 'none'}")
        return self._columns[name]

    @override
    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    @override
    def __len__(self) -> int:
        return len(self._columns)

    @override
    def __repr__(self) -> str:
        return f"<{self._length} rows of {', '.join(self._columns)}>"

    def to_pandas(self) -> "pandas.DataFrame":
        """The same as a pandas data frame.

        Raises:
            BadInput: pandas is not installed.
        """
        try:
            import pandas  # late: pogo has no need of it
        except ImportError as error:
            raise BadInput("to_pandas needs pandas, not installed here: pip install pandas.") from error
        return pandas.DataFrame(self._columns)


def _column(values: Sequence[Any]) -> np.ndarray:
    if any(isinstance(value, str) for value in values):
        return np.array(["" if value is None else value for value in values])
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return np.array(values, dtype=np.int64)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
