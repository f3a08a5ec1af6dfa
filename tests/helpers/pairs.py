"""The law of pairs of members that are drawn at random."""

import numpy as np


def check_pairs(pairs: np.ndarray, members: int, shape: tuple[int, ...]) -> None:
    """Two distinct members, every ordered pair as often as any other."""
    assert pairs.shape == shape
    assert pairs.dtype.kind == "i"
    first, second = pairs[:, 0].ravel(), pairs[:, 1].ravel()
    counts = np.bincount(first * members + second, minlength=members**2).reshape(members, members)
    assert not counts.diagonal().any()
    expected = len(first) / (members * (members - 1))
    chi_squared = ((counts - expected) ** 2 / expected)[~np.eye(members, dtype=bool)].sum()
    assert chi_squared < 35  # of 4 members: 11 degrees of freedom, 1 in 4000
