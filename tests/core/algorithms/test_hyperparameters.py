"""Hyperparameters that no network or update could be made with are refused by name, before any work."""

import math
from typing import Any

import pytest

from pogo.core.algorithms import load_algorithm
from pogo.core.errors import BadInput


@pytest.mark.parametrize(
    ("algorithm", "option", "value"),
    [
        ("cql", "critic_num_hidden", -1),
        ("cql", "actor_num_hidden", -2),
        ("cql", "reward_scale", math.nan),
        ("cql", "reward_bias", math.inf),
        ("cql", "target_action_gap", math.nan),
        ("cql", "log_std_multiplier", math.inf),
        ("fql", "critic_hidden_sizes", (512, -3)),
        ("fql", "critic_hidden_sizes", (0,)),
    ],
)
def test_what_cannot_be_is_refused(algorithm: str, option: str, value: Any) -> None:
    with pytest.raises(BadInput, match=rf"^algorithm\.{option}.* is out of range; use a"):
        load_algorithm(algorithm).Hyperparameters(**{option: value})
