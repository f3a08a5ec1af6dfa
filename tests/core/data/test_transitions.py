from dataclasses import replace

import numpy as np
import pytest

from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput


@pytest.fixture
def transitions() -> Transitions:
    rng = np.random.default_rng(0)
    return Transitions(
        observations=rng.normal(size=(5, 3)).astype(np.float32),
        actions=rng.uniform(-1, 1, (5, 2)).astype(np.float32),
        rewards=rng.normal(size=5).astype(np.float32),
        next_observations=rng.normal(size=(5, 3)).astype(np.float32),
        terminals=np.array([0, 0, 1, 0, 0], dtype=np.float32),
        episode_ends=np.array([0, 0, 1, 0, 1], dtype=bool),
    )


def test_pack_puts_every_array_in_its_columns(transitions: Transitions) -> None:
    names = ["observations", "actions", "rewards", "next_observations", "terminals", "episode_ends"]
    packed, columns = transitions.pack(names)
    assert packed.dtype == np.float32
    assert packed.flags.c_contiguous
    assert packed.shape == (5, 3 + 2 + 1 + 3 + 1 + 1)
    for name in names:
        expected = getattr(transitions, name).reshape(5, -1)
        np.testing.assert_array_equal(packed[:, columns[name]], expected)


@pytest.mark.parametrize("name", ["next_actions", "pack", "returns"])
def test_pack_refuses_what_is_not_there(transitions: Transitions, name: str) -> None:
    with pytest.raises(ValueError, match=f"no '{name}' to pack"):
        transitions.pack(["rewards", name])


def test_sound_transitions_pass(transitions: Transitions) -> None:
    transitions.check("here")
    assert (len(transitions), transitions.observation_size, transitions.action_size) == (5, 3, 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rewards": np.zeros((5, 1), np.float32)}, r"rewards has shape \(5, 1\)"),
        ({"actions": np.zeros((4, 2), np.float32)}, r"actions has shape \(4, 2\), expected \(5, 2\)"),
        ({"next_observations": np.zeros((5, 2), np.float32)}, r"next_observations has shape \(5, 2\)"),
        ({"next_actions": np.zeros((5, 3), np.float32)}, r"next_actions has shape \(5, 3\)"),
        ({"observations": np.zeros((5, 3))}, "observations is float64, expected float32"),
        ({"episode_ends": np.zeros(5, np.float32)}, "episode_ends is float32, expected bool"),
        ({"terminals": np.full(5, 0.5, np.float32)}, "terminals holds values besides 0 and 1"),
        ({"rewards": np.array([0, 1, np.nan, 0, np.inf], np.float32)}, r"rewards holds nan at row 2 \(2 such values\)"),
    ],
)
def test_unsound_transitions_are_refused(transitions: Transitions, changes: dict, message: str) -> None:
    with pytest.raises(BadInput, match="here: " + message):
        replace(transitions, **changes).check("here")


def test_no_rows_are_refused(transitions: Transitions) -> None:
    empty = Transitions(*(getattr(transitions, key)[:0] for key in list(transitions.__dataclass_fields__)[:6]))
    with pytest.raises(BadInput, match="no transitions are left"):
        empty.check("here")
