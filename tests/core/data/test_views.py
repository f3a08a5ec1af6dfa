import numpy as np
import pytest

from pogo.core.data.raw_rows import RawRows
from pogo.core.data.views import behaviour_statistics, infer_timeouts, view_transitions
from pogo.core.errors import BadInput


def make_raw(ends: str, with_next: bool = True, with_timeouts: bool = True) -> RawRows:
    """One row per letter: `.` inside an episode, `T` a true end, `L` a time-out."""
    rows = len(ends)
    observations = np.arange(2 * rows, dtype=np.float32).reshape(rows, 2)
    return RawRows(
        observations=observations,
        actions=np.arange(rows, dtype=np.float32).reshape(rows, 1) / 100,
        rewards=np.arange(rows, dtype=np.float32) ** 2,
        terminals=np.array([end == "T" for end in ends]),
        timeouts=np.array([end == "L" for end in ends]) if with_timeouts else None,
        next_observations=observations + np.float32(0.5) if with_next else None,
    )


def slow_d4rl_view(raw: RawRows, max_episode_steps: int) -> dict[str, list]:
    """The rule of `infer_timeouts`, row by row."""
    view: dict[str, list] = {key: [] for key in ("obs", "next", "action", "next_action", "reward", "done", "row")}
    step = 0
    for row in range(len(raw) - 1):
        if raw.timeouts is not None:
            is_timeout = bool(raw.timeouts[row])
        else:
            is_timeout = step == max_episode_steps - 1
        step = 0 if is_timeout or raw.terminals[row] else step + 1
        if is_timeout:
            continue
        view["obs"].append(raw.observations[row])
        view["next"].append(raw.observations[row + 1])
        view["action"].append(raw.actions[row])
        view["next_action"].append(raw.actions[row + 1])
        view["reward"].append(raw.rewards[row])
        view["done"].append(float(raw.terminals[row]))
        view["row"].append(row)
    return view


@pytest.mark.parametrize(
    "ends",
    ["...L...L", "..T..L..T", "T.T...L.", ".....", "..L", "TTT.", "L.L.T", "...T....T...L..", "..T...." * 9],
)
@pytest.mark.parametrize("with_next", [True, False])
@pytest.mark.parametrize("with_timeouts", [True, False])
def test_d4rl_view_is_the_row_by_row_rule(ends: str, with_next: bool, with_timeouts: bool) -> None:
    raw = make_raw(ends, with_next, with_timeouts)
    expected = slow_d4rl_view(raw, max_episode_steps=4)
    timeouts = raw.timeouts if with_timeouts else infer_timeouts(raw.terminals, 4)
    complete = RawRows(raw.observations, raw.actions, raw.rewards, raw.terminals, timeouts, raw.next_observations)

    view = view_transitions(complete, "d4rl", True, "here")

    np.testing.assert_array_equal(view.observations, expected["obs"])
    np.testing.assert_array_equal(view.next_observations, expected["next"])
    np.testing.assert_array_equal(view.actions, expected["action"])
    np.testing.assert_array_equal(view.next_actions, expected["next_action"])
    np.testing.assert_array_equal(view.rewards, expected["reward"])
    np.testing.assert_array_equal(view.terminals, expected["done"])
    view.check("here")


def test_episode_ends_mark_the_last_kept_row_of_each_episode() -> None:
    view = view_transitions(make_raw("...L..T...L.."), "d4rl", False, "here")
    #                         rows kept: 012  456 789  11
    assert view.episode_ends.tolist() == [0, 0, 1, 0, 0, 1, 0, 0, 1, 1]
    full = view_transitions(make_raw("...L..T...L.."), "full", False, "here")
    assert full.episode_ends.tolist() == [0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1, 0, 1]


def test_full_view_keeps_every_row_and_the_files_next_observations() -> None:
    raw = make_raw("...L..T")
    view = view_transitions(raw, "full", False, "here")
    np.testing.assert_array_equal(view.observations, raw.observations)
    np.testing.assert_array_equal(view.next_observations, raw.next_observations)
    assert view.terminals.tolist() == [0, 0, 0, 0, 0, 0, 1]
    assert view.next_actions is None


def test_full_view_with_next_actions_drops_only_rows_that_have_none() -> None:
    raw = make_raw("...L..T..")
    view = view_transitions(raw, "full", True, "here")
    kept = [0, 1, 2, 4, 5, 6, 7]  # 3 is a time-out, 8 an unfinished episode's last row
    np.testing.assert_array_equal(view.actions, raw.actions[kept])
    np.testing.assert_array_equal(view.next_actions, raw.actions[[row + 1 for row in kept]])
    assert len(view_transitions(make_raw("..T"), "full", True, "here")) == 3


def test_full_view_without_next_observations_is_the_d4rl_view() -> None:
    raw = make_raw("...L..T..", with_next=False)
    full, d4rl = (view_transitions(raw, view, False, "here") for view in ("full", "d4rl"))
    np.testing.assert_array_equal(full.next_observations, d4rl.next_observations)


def test_views_do_not_share_memory_with_the_raw_rows() -> None:
    raw = make_raw("...L..T")
    view = view_transitions(raw, "full", False, "here")
    assert not any(np.shares_memory(getattr(raw, key), getattr(view, key)) for key in ("observations", "rewards"))


def test_nothing_left_is_refused() -> None:
    with pytest.raises(BadInput, match=r"here: no transitions are left of 1 rows in view=d4rl.*two rows"):
        view_transitions(make_raw("."), "d4rl", False, "here")


def test_behaviour_counts_complete_episodes_with_their_last_rows() -> None:
    statistics = behaviour_statistics(make_raw("..L.T.."))  # rewards 0 1 4 | 9 16 | 25 36 unfinished
    assert statistics.episodes == 2
    assert (statistics.return_min, statistics.return_max) == (5.0, 25.0)
    assert (statistics.return_mean, statistics.return_std, statistics.length_mean) == (15.0, 10.0, 2.5)
    assert behaviour_statistics(make_raw("...")).return_mean is None
