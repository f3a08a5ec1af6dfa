import json

import numpy as np
import pytest

from pogo.core.data.preprocessing import (
    Normalisation,
    Preprocessing,
    check_actions,
    observation_statistics,
    preprocess,
    return_range,
)
from pogo.core.data.transitions import Transitions
from pogo.core.errors import BadInput


def make_transitions(rows: int = 3000, seed: int = 0, end_chance: float = 0.002) -> Transitions:
    rng = np.random.default_rng(seed)
    terminals = rng.random(rows) < end_chance
    return Transitions(
        observations=rng.normal(3, 2, (rows, 4)).astype(np.float32),
        actions=rng.uniform(-2, 2, (rows, 2)).astype(np.float32),
        rewards=rng.normal(size=rows).astype(np.float32),
        next_observations=rng.normal(3, 2, (rows, 4)).astype(np.float32),
        terminals=terminals.astype(np.float32),
        episode_ends=terminals,
        next_actions=rng.uniform(-2, 2, (rows, 2)).astype(np.float32),
    )


def copy(transitions: Transitions) -> Transitions:
    return Transitions(**{key: getattr(transitions, key).copy() for key in transitions.__dataclass_fields__})


LOW, HIGH = np.array([-2.0, -2.0]), np.array([2.0, 2.0])


def slow_return_range(rewards: np.ndarray, terminals: np.ndarray) -> float:
    returns, total, length = [], 0.0, 0
    for reward, terminal in zip(rewards, terminals, strict=True):
        total += float(reward)
        length += 1
        if terminal or length == 1000:
            returns.append(total)
            total, length = 0.0, 0
    return max(returns) - min(returns)


@pytest.mark.parametrize("rows", [2000, 3000, 5999])
@pytest.mark.parametrize("end_chance", [0.0, 0.0005, 0.01, 0.5])
def test_return_range_is_the_published_loop_to_the_bit(rows: int, end_chance: float) -> None:
    data = make_transitions(rows, 1, end_chance)
    data.rewards[:] *= 10.0 ** np.random.default_rng(2).uniform(-7, 7, rows)  # so that the order of adding shows
    assert return_range(data.rewards, data.terminals, "here") == slow_return_range(data.rewards, data.terminals)


def test_return_range_windows_drift_across_time_outs() -> None:
    # 999-row episodes of rewards 0 and 1: windows of 1000 take one row of the next episode, the tail is ignored.
    rewards = np.concatenate([np.zeros(999), np.ones(999)]).astype(np.float32)
    assert slow_return_range(np.tile(rewards, 2), np.zeros(3996)) == 998.0 - 1.0
    assert return_range(np.tile(rewards, 2), np.zeros(3996), "here") == 998.0 - 1.0


def test_return_scaling_divides_then_multiplies_in_float32() -> None:
    data = make_transitions()
    spread = slow_return_range(data.rewards, data.terminals)
    expected = data.rewards.copy()
    expected /= spread
    expected *= 1000
    scaled, normalisation = preprocess(
        copy(data), Preprocessing(reward_scaling="return_range", reward_scale=2.0, reward_shift=-1.0), LOW, HIGH, "here"
    )
    np.testing.assert_array_equal(scaled.rewards, expected * np.float32(2) - np.float32(1))
    assert normalisation.reward_scale == 2000 / spread
    assert normalisation.reward_shift == -1.0


@pytest.mark.parametrize("rows", [900, 1500])
def test_return_scaling_needs_two_different_returns(rows: int) -> None:
    with pytest.raises(BadInput, match=r"here: reward scaling by the return range.*found \d; turn normalize_reward"):
        return_range(np.ones(rows, dtype=np.float32), np.zeros(rows), "here")


def test_states_are_normalised_by_the_views_population_statistics() -> None:
    data = make_transitions()
    wide = data.observations.astype(np.float64)
    mean, std = wide.mean(axis=0), np.sqrt(((wide - wide.mean(axis=0)) ** 2).mean(axis=0)) + 1e-3
    done, normalisation = preprocess(copy(data), Preprocessing(normalize_states=True), LOW, HIGH, "here")
    np.testing.assert_allclose(normalisation.observation_mean, mean, rtol=1e-12)
    np.testing.assert_allclose(normalisation.observation_std, std, rtol=1e-12)
    np.testing.assert_allclose(done.observations, (wide - mean) / std, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(done.next_observations, (data.next_observations - mean) / std, rtol=1e-6, atol=1e-7)
    np.testing.assert_array_equal(normalisation.observations(data.observations), done.observations)
    assert done.observations.dtype == normalisation.observations(wide).dtype == np.float32


def test_statistics_are_summed_in_float64() -> None:
    # float32 sums of 2e5 rows around 1e4 are off in the fifth digit of the std.
    values = np.random.default_rng(0).normal(1e4, 1.0, (200_000, 1)).astype(np.float32)
    mean, std = observation_statistics(values)
    np.testing.assert_allclose(mean, values.astype(np.float64).mean(axis=0), rtol=1e-14)
    np.testing.assert_allclose(std, values.astype(np.float64).std(axis=0), rtol=1e-10)


def test_off_changes_nothing_but_the_action_scale() -> None:
    data = make_transitions()
    done, normalisation = preprocess(copy(data), Preprocessing(), LOW, HIGH, "here")
    for key in ("observations", "rewards", "next_observations", "terminals"):
        np.testing.assert_array_equal(getattr(done, key), getattr(data, key))
    np.testing.assert_array_equal(done.actions, data.actions / 2)
    np.testing.assert_array_equal(done.next_actions, np.asarray(data.next_actions) / 2)
    assert normalisation.is_identity_on_observations


def test_actions_are_scaled_by_asymmetric_bounds_and_back() -> None:
    data = make_transitions()
    low, high = np.array([-3.0, -2.5]), np.array([5.0, 2.0])
    done, normalisation = preprocess(copy(data), Preprocessing(), low, high, "here")
    np.testing.assert_allclose(done.actions[:, 0], (data.actions[:, 0] - 1) / 4, atol=1e-6)
    np.testing.assert_allclose(normalisation.environment_actions(done.actions), data.actions, atol=1e-6)
    ends = normalisation.environment_actions(np.array([[-1.0, 1.0], [-1.5, 7.0]]))
    np.testing.assert_array_equal(ends, [[-3.0, 2.0], [-3.0, 2.0]])


def test_unit_bounds_change_no_bit() -> None:
    data = make_transitions()
    data.actions[:] /= 2
    ones = np.ones(2)
    done, normalisation = preprocess(copy(data), Preprocessing(), -ones, ones, "here")
    np.testing.assert_array_equal(done.actions, data.actions)
    np.testing.assert_array_equal(normalisation.environment_actions(data.actions), data.actions)


def test_action_clip_applies_to_scaled_actions() -> None:
    data = make_transitions()
    data.actions[0] = 2.0
    clip = 1 - 1e-5
    done, _ = preprocess(copy(data), Preprocessing(action_clip=clip), LOW, HIGH, "here")
    assert done.actions.max() == np.float32(clip)


def test_normalisation_survives_json_to_the_bit() -> None:
    _, normalisation = preprocess(
        make_transitions(), Preprocessing(normalize_states=True, reward_scaling="return_range"), LOW, HIGH, "here"
    )
    again = Normalisation.from_json(json.loads(json.dumps(normalisation.to_json())))
    for key in ("observation_mean", "observation_std", "action_low", "action_high"):
        np.testing.assert_array_equal(getattr(again, key), getattr(normalisation, key))
        assert getattr(again, key).dtype == np.float64
    assert (again.reward_scale, again.reward_shift) == (normalisation.reward_scale, normalisation.reward_shift)


def test_actions_may_exceed_the_bounds_by_rounding_only() -> None:
    actions = np.zeros((5, 2), dtype=np.float32)
    actions[3, 1] = np.nextafter(np.float32(2), np.float32(3))
    check_actions(actions, LOW, HIGH, "here")
    actions[3, 1] = 2.001
    with pytest.raises(
        BadInput, match=r"here: actions\[3, 1\] = 2.001 is outside .*\[-2, 2\] \(1 rows are\).*env=.*cl"
    ):
        check_actions(actions, LOW, HIGH, "here")


@pytest.mark.parametrize(
    ("options", "message"),
    [({"reward_scaling": "range"}, "reward_scaling=range is unknown"), ({"action_clip": 0.0}, "action_clip=0.0 must")],
)
def test_impossible_preprocessing_is_refused(options: dict, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        Preprocessing(**options)
