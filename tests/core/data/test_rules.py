"""What is made of ends that a file marks, or leaves to be inferred."""

import numpy as np

from pogo.core.data.raw_rows import RawRows
from pogo.core.data.rules import Rules, with_ends


def test_a_true_end_at_the_limit_is_no_time_out() -> None:
    """Three steps fill the limit of three, and the environment has ended the first episode itself."""
    column = np.zeros((6, 1), np.float32)
    raw = RawRows(column, column, column[:, 0], np.array([False, False, True, False, False, False]))
    found = with_ends(raw, 3, Rules(), "here")
    assert found.timeouts is not None
    assert found.terminals.tolist() == [False, False, True, False, False, False]
    assert found.timeouts.tolist() == [False, False, False, False, False, True]
