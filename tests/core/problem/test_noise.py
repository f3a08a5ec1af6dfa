"""Draws in numpy: what tests hand to both backends."""

import numpy as np
import pytest

from pogo.core.problem.noise import distinct_pairs, draw_with_numpy
from tests.helpers.pairs import check_pairs


def test_pairs_are_distinct_and_uniform() -> None:
    draws = draw_with_numpy({"pair": distinct_pairs(4, 3, 40_000)}, np.random.default_rng(0), "float32")
    check_pairs(draws["pair"], 4, (3, 2, 40_000))


@pytest.mark.parametrize("members", [2, 3])
def test_the_least_ensembles_have_pairs(members: int) -> None:
    pairs = draw_with_numpy({"pair": distinct_pairs(members, 1, 500)}, np.random.default_rng(1), "float64")["pair"]
    assert {tuple(pair) for pair in pairs[0].T} == {
        (first, second) for first in range(members) for second in range(members) if first != second
    }
