import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import pytest

from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.make import environment_spec
from pogo.core.environments.simulators import LocalSimulators
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, RunFailed
from pogo.core.learner.interface import Pair
from pogo.core.problem.actors import ActorConfig
from pogo.core.runs.evaluation import Act, ActorEvaluation, Evaluator, ModeResult, Played, evaluate, failures_in_words

PENDULUM = environment_spec("Pendulum-v1")
PLAIN = Normalisation(np.zeros(3), np.ones(3), 1.0, 0.0, np.array([-2.0]), np.array([2.0]))
STOCHASTIC, DETERMINISTIC = ActorConfig("gaussian"), ActorConfig("deterministic")


def one_by_one(act: Callable[[np.ndarray, int, np.ndarray | None], np.ndarray]) -> Act:
    """Of a function of one actor's observations [n, O], the actor and its noise, or none."""

    def act_pairs(observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                act(rows, pair.actor, noise if pair.mode == "stochastic" else None)
                for rows, pair in zip(observations, pairs, strict=True)
            ]
        )

    return act_pairs


@one_by_one
def swing(observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
    """A feedback on the angular velocity; actor i pushes i times as hard."""
    actions = actor * observations[:, 2:3] / 8
    return np.clip(actions if noise is None else actions + 0.3 * noise, -1, 1)


def run(
    act: Act = swing,
    actors: Sequence[ActorConfig] = (STOCHASTIC,),
    episodes: int = 3,
    seed: int = 0,
    update: int = 0,
    **options: Any,
) -> list[ActorEvaluation]:
    defaults: dict[str, Any] = {"spec": PENDULUM, "normalisation": PLAIN, "reference_returns": None}
    return evaluate(act, actors, episodes=episodes, seed=seed, update=update, **(defaults | options))


def result(row: ActorEvaluation) -> ModeResult:
    """Of the deterministic mode, which every actor has."""
    assert row.deterministic is not None
    return row.deterministic


def test_returns_are_the_environments_own() -> None:
    seeds = []

    class Spy(gymnasium.Wrapper):
        def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
            seeds.append(seed)
            return super().reset(seed=seed, options=options)

    with Evaluator([DETERMINISTIC] * 2, PENDULUM, PLAIN, (-1500.0, -500.0), 3) as evaluator:
        simulators = evaluator._simulators
        assert isinstance(simulators, LocalSimulators)
        simulators._environments = [[Spy(each) for each in row] for row in simulators._environments]
        found = result(evaluator.evaluate(swing, seed=1, update=7)[1])
    expected = []
    for seed in seeds[3:]:
        environment = gymnasium.make("Pendulum-v1")
        observation, total, over = environment.reset(seed=seed)[0], 0.0, False
        while not over:
            action = 2 * np.clip(observation[2:3] / 8, -1, 1)
            observation, reward, terminated, truncated, _ = environment.step(action.astype(np.float32))
            total, over = total + float(reward), terminated or truncated
        expected.append(total)
    np.testing.assert_allclose(found.returns, expected, rtol=1e-6)
    assert seeds[:3] == seeds[3:]  # both actors start alike
    assert len(set(seeds)) == 3
    assert found.lengths == (200, 200, 200)
    assert found.return_mean == np.mean(found.returns)
    assert found.return_std == np.std(found.returns)
    assert found.normalized_score == pytest.approx(100 * (found.return_mean + 1500) / 1000)


class EndsEarly(gymnasium.Wrapper):
    """Ends after as many steps as are given."""

    def __init__(self, env: gymnasium.Env, steps: int) -> None:
        super().__init__(env)
        self._steps = self._left = steps

    def reset(self, **options: Any) -> tuple:
        self._left = self._steps
        return super().reset(**options)

    def step(self, action: Any) -> tuple:
        self._left -= 1
        observation, reward, _, truncated, info = super().step(action)
        return observation, reward, self._left == 0, truncated, info


def test_how_far_an_evaluation_is_is_told_at_each_step() -> None:
    told: list[Played] = []
    with Evaluator([DETERMINISTIC] * 2, PENDULUM, PLAIN, None, 2) as evaluator:
        simulators = evaluator._simulators
        assert isinstance(simulators, LocalSimulators)
        lengths = [[2, 3], [200, 200]]
        simulators._environments = [
            [EndsEarly(each, length) for each, length in zip(row, by_episode, strict=True)]
            for row, by_episode in zip(simulators._environments, lengths, strict=True)
        ]
        evaluator.evaluate(swing, 1, 7, told.append)
    assert [(each.episodes, each.most_steps) for each in told] == [(4, 200)] * 201
    assert [each.step for each in told] == list(range(201))
    assert [each.done for each in told] == [0, 0, 1] + [2] * 197 + [4]


def test_both_modes_of_what_is_stochastic_only() -> None:
    calls = []

    def act(observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        calls.append(pairs)
        assert noise.shape == (3, 1)
        assert noise.dtype == np.float32
        assert observations.shape == (3, 3, 3)
        assert observations.dtype == np.float32
        return np.zeros((3, 3, 1))

    first, second = run(act, [STOCHASTIC, DETERMINISTIC])
    assert set(calls) == {((0, "deterministic"), (0, "stochastic"), (1, "deterministic"))}
    assert len(calls) == 200  # one per step
    assert (first.index, first.kind, second.index, second.kind) == (0, "gaussian", 1, "deterministic")
    assert first.stochastic is not None
    assert second.stochastic is None
    assert first.stochastic.normalized_score is None
    assert json.loads(json.dumps(first.to_json()))["stochastic"]["returns"] == list(first.stochastic.returns)
    assert second.to_json()["stochastic"] is None


def test_equal_policies_get_equal_returns_and_draws_are_fresh() -> None:
    draws = []

    def act(observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        draws.append(noise)
        return swing(observations, [Pair(1, pair.mode) for pair in pairs], noise)

    first, second = run(act, [STOCHASTIC] * 2)
    assert first.deterministic == second.deterministic
    assert first.stochastic == second.stochastic
    values = np.concatenate(draws)
    assert len(np.unique(values)) == values.size
    assert abs(values.mean()) < 0.15
    assert abs(values.std() - 1) < 0.1


def test_seed_and_update_fix_everything_and_nothing_else_does() -> None:
    base = run(seed=3, update=4)
    assert run(seed=3, update=4) == base
    for seed, update in ((4, 4), (3, 5), (4, 3)):  # the last: added streams would meet the base's
        other = run(seed=seed, update=update)
        assert result(other[0]).returns != result(base[0]).returns
        assert other[0].stochastic != base[0].stochastic
    with Evaluator([STOCHASTIC], PENDULUM, PLAIN, None, 3) as evaluator:
        for update in (9, 1, 4):  # what was evaluated before leaves no trace
            used = evaluator.evaluate(swing, 3, update)
    assert used == base


@pytest.mark.parametrize("env_id", ["HalfCheetah-v4", "Hopper-v4"])
@pytest.mark.filterwarnings("ignore")
def test_a_used_simulator_gives_what_a_fresh_one_gives(env_id: str) -> None:
    pytest.importorskip("mujoco")
    spec = environment_spec(env_id)
    size = spec.action_size
    normalisation = Normalisation(
        np.zeros(spec.observation_size), np.ones(spec.observation_size), 1, 0, -np.ones(size), np.ones(size)
    )

    @one_by_one
    def act(observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
        actions = np.tanh(np.outer(observations[:, 1] + observations[:, -1], np.linspace(-1, 1, size)))
        return actions if noise is None else np.clip(actions + 0.1 * noise, -1, 1)

    spec = EnvironmentSpec.from_json(spec.to_json())
    with Evaluator([STOCHASTIC], spec, normalisation, None, 2) as evaluator:
        evaluator.evaluate(act, 0, 0)
        used = evaluator.evaluate(act, 0, 1)
    assert used == evaluate(act, [STOCHASTIC], spec, normalisation, None, 2, 0, 1)


@dataclass
class Falls(gymnasium.Env):
    """Ends after a number of steps that its seed decides, or by the action 3, and refuses to be stepped afterwards."""

    def __post_init__(self) -> None:
        self.observation_space = gymnasium.spaces.Box(-9, 9, (1,))
        self.action_space = gymnasium.spaces.Box(np.array([-1], np.float32), np.array([3], np.float32))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[np.ndarray, dict]:
        self.left = int(np.random.default_rng(seed).integers(1, 30))
        return np.ones(1, np.float32), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self.left > 0
        self.left = 0 if action[0] == 3 else self.left - 1
        return np.ones(1, np.float32), float(action[0]), self.left == 0, False, {}


@pytest.fixture
def falls() -> Iterator[EnvironmentSpec]:
    gymnasium.register("PogoFalls-v0", entry_point=Falls, max_episode_steps=100)
    yield environment_spec("PogoFalls-v0")
    del gymnasium.registry["PogoFalls-v0"]


def test_finished_episodes_rest_and_their_actions_do_not_matter(falls: EnvironmentSpec) -> None:
    normalisation = Normalisation(np.zeros(1), np.ones(1), 5.0, 7.0, np.array([-1.0]), np.array([3.0]))
    batches = []

    @one_by_one
    def act(observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
        batches.append(observations[:, 0].copy())
        return np.where(observations == 1, 0.5, np.nan)  # NaN where the episode is over

    found = result(run(act, [DETERMINISTIC], 8, spec=falls, normalisation=normalisation)[0])
    lengths = np.array(found.lengths)
    assert len(set(found.lengths)) > 3
    np.testing.assert_array_equal(found.returns, 2.0 * lengths)  # 0.5 in [-1, 1] is 2 in [-1, 3]; rewards are raw
    assert len(batches) == max(lengths)
    for step, batch in enumerate(batches):
        np.testing.assert_array_equal(batch, (lengths > step).astype(float))


def test_observations_are_normalised() -> None:
    normalisation = Normalisation(np.array([1.0, 2.0, 3.0]), np.array([2.0, 2.0, 0.5]), 1, 0, *PLAIN_BOUNDS)
    seen = []

    @one_by_one
    def act(observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
        seen.append(observations[0])
        return np.zeros((1, 1))

    run(act, [DETERMINISTIC], 1)
    run(act, [DETERMINISTIC], 1, normalisation=normalisation)
    expected = (np.array(seen[:200]) - [1, 2, 3]) / [2, 2, 0.5]
    np.testing.assert_allclose(seen[200:], expected, rtol=1e-6, atol=1e-6)


PLAIN_BOUNDS = (PLAIN.action_low, PLAIN.action_high)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_non_finite_actions_cost_their_own_result(value: float) -> None:
    @one_by_one
    def act(observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
        return np.full((3, 1), value if actor == 1 and noise is not None else 0.0)

    first, second, third = run(act, [DETERMINISTIC, STOCHASTIC, STOCHASTIC], update=12)
    assert second.stochastic is None
    assert {mode: fault.message for mode, fault in second.failed.items()} == {
        "stochastic": "actor 1 (gaussian), stochastic, at update 12: gives non-finite actions; its parameters have "
        "diverged."
    }
    assert result(first) == result(second) == result(third) == third.stochastic
    assert first.failed == third.failed == {}


@pytest.mark.parametrize(
    ("how", "processes", "message"),
    [
        ("reward", 0, "gave a reward that is not finite"),
        ("array", 0, "gave a reward of shape (1,), one number is needed"),
        ("observation", 0, "gave an observation that is not finite (nan at index 0)"),
        ("raises", 0, "failed: ZeroDivisionError: a joint is gone"),
        ("raises", 2, "failed: ZeroDivisionError: a joint is gone"),
    ],
)
def test_an_environments_fault_costs_one_result(how: str, processes: int, message: str) -> None:
    """It names the actor, mode, episode and step, and the next evaluation is whole again."""
    breaking = True

    def act(observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        actions = np.zeros((3, 3, 1))
        actions[1, 1] = float(breaking)  # actor 0's stochastic mode, second episode
        return actions

    env_id = "tests.helpers.environments:Breaking-v0"
    spec = EnvironmentSpec(env_id, 1, 1, (-1.0,), (1.0,), 100, kwargs={"how": how})
    plain = Normalisation(np.zeros(1), np.ones(1), 1.0, 0.0, np.array([-1.0]), np.array([1.0]))
    with Evaluator([STOCHASTIC, DETERMINISTIC], spec, plain, None, 3, processes) as evaluator:
        broken = evaluator.evaluate(act, 0, 7)
        breaking = False
        whole = evaluator.evaluate(act, 0, 7)
    expected = f"actor 0 (gaussian), stochastic, at update 7, episode 2 of 3, step 4: env={env_id} {message}."
    assert broken[0].to_json()["failed"] == {"stochastic": expected}
    assert broken[0].stochastic is None
    assert result(broken[0]).returns == (6.0, 6.0, 6.0)
    assert broken[1] == whole[1]
    assert failures_in_words(broken) == expected
    assert ("a joint" in broken[0].failed["stochastic"].trace) == (how == "raises")
    assert failures_in_words(whole) is None
    assert whole[0].stochastic == result(whole[0])
    assert "failed" not in whole[0].to_json()


def test_a_return_that_is_not_finite_is_no_result() -> None:
    """Though each of its rewards is."""
    spec = EnvironmentSpec("tests.helpers.environments:Breaking-v0", 1, 1, (-1.0,), (1.0,), 100, kwargs={"how": "huge"})
    plain = Normalisation(np.zeros(1), np.ones(1), 1.0, 0.0, np.array([-1.0]), np.array([1.0]))
    (found,) = run(
        lambda observations, pairs, noise: np.ones((1, 2, 1)), [DETERMINISTIC], 2, spec=spec, normalisation=plain
    )
    assert found.deterministic is None
    assert failures_in_words([found]) == (
        "actor 0 (deterministic), deterministic, at update 0: the mean of its returns is not finite."
    )


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(RunFailed, match=r"at update 5: actions have shape \(2, 3\), expected \(2, 3, 1\)"):
        run(lambda observations, pairs, noise: np.zeros((2, 3)), update=5)


def test_actors_end_at_their_own_time(falls: EnvironmentSpec) -> None:
    """Each gets what it gets alone: an episode's noise depends neither on other episodes nor on other actors."""
    normalisation = Normalisation(np.zeros(1), np.ones(1), 1.0, 0.0, np.array([-1.0]), np.array([3.0]))

    @one_by_one
    def act(observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
        # Actor 1 ends its episodes: see Falls.
        return np.full((6, 1), 1.0 if actor == 1 else 0.2) if noise is None else np.clip(0.2 * noise, -0.9, 0.9)

    together = run(act, [STOCHASTIC, DETERMINISTIC, STOCHASTIC], 6, spec=falls, normalisation=normalisation)
    assert set(result(together[1]).lengths) == {1}
    assert len(set(result(together[0]).lengths)) > 2
    for index in range(3):
        options = (falls, normalisation, None, 6)
        with Evaluator([STOCHASTIC, DETERMINISTIC, STOCHASTIC], *options, only=index) as evaluator:
            assert evaluator.evaluate(act, 0, 0) == [together[index]]


def test_processes_change_no_number() -> None:
    """Neither of episodes of one length, nor of those that end at any time; 2 workers share 5 episodes out unevenly."""
    counting = environment_spec("tests.helpers.environments:Counting-v0")
    bounds = np.array([-1.0]), np.array([3.0])
    for spec, normalisation in ((PENDULUM, PLAIN), (counting, Normalisation(np.zeros(3), np.ones(3), 1, 0, *bounds))):
        options: dict[str, Any] = {"actors": [STOCHASTIC, DETERMINISTIC], "episodes": 5, "spec": spec}
        here, there = (run(**options, normalisation=normalisation, processes=count) for count in (0, 2))
        assert here == there
    assert here[0].stochastic is not None
    assert len(set(here[0].stochastic.lengths)) > 1


def test_no_episodes_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 1 episode, got 0"):
        run(episodes=0)


def test_a_step_of_the_chain_is_one_call(falls: EnvironmentSpec) -> None:
    """Of all actors, modes and episodes together, and there is none when all have ended."""
    calls = 0

    def act(observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        nonlocal calls
        calls += 1
        return np.zeros((len(pairs), 10, 1))

    normalisation = Normalisation(np.zeros(1), np.ones(1), 1.0, 0.0, np.array([-1.0]), np.array([3.0]))
    rows = run(act, [STOCHASTIC] * 3, 10, spec=falls, normalisation=normalisation)
    assert calls == max(max(result(row).lengths) for row in rows)
