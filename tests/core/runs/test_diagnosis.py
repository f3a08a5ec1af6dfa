"""Which later actors are far below actor 0, and what is said of why."""

import dataclasses

import pytest

from pogo.core.data.views import BehaviourStatistics
from pogo.core.problem.chain import ChainConfig
from pogo.core.runs.diagnosis import below_data, measures_by_actor, setbacks
from pogo.core.runs.evaluation import ActorEvaluation, ModeResult

STEPS = ChainConfig(num_actors=2, w2_weights=(10.0,), steps=(0.1,))
WEIGHTS = ChainConfig(num_actors=2, w2_weights=(10.0,))
CLIMBED = {"q": 11.0, "q_independent": 10.0}
GOOD = {"q": 10.0, "q_independent": 9.0, "data_distance": 0.4, "saturated": 0.1, "std": 0.5}


def result(*returns: float) -> ModeResult:
    return ModeResult(sum(returns) / len(returns), 0.0, None, returns, (1,) * len(returns))


def chain(first: ModeResult, second: ModeResult, **measures: float) -> list[ActorEvaluation]:
    return [
        ActorEvaluation(0, "gaussian", first, first, measures=GOOD),
        ActorEvaluation(1, "gaussian", second, first, measures={**GOOD, "from_reference": 0.1, **measures}),
    ]


@pytest.mark.parametrize(
    ("first", "second", "is_far"),
    [
        ((100.0, 110.0, 120.0), (50.0, 60.0, 71.0), True),
        ((100.0, 110.0, 120.0), (95.0, 105.0, 115.0), False),  # less than a tenth
        ((100.0, 110.0, 120.0), (150.0, 160.0, 170.0), False),
        ((0.0, 500.0, 1000.0), (900.0, 500.0, -200.0), False),  # within what episodes differ by
        # Episode by episode the same loss, though the episodes are far apart.
        ((0.0, 500.0, 1000.0), (-100.0, 400.0, 899.0), True),
    ],
)
def test_far_below_is_by_episodes_from_the_same_start(first, second, is_far):
    found = setbacks(chain(result(*first), result(*second)), STEPS)
    assert [(each.actor, each.mode) for each in found] == ([(1, "deterministic")] if is_far else [])


def test_height_is_counted_from_a_random_policy():
    rows = chain(result(-150.0, -151.0), result(-180.0, -181.5))
    assert setbacks(rows, STEPS)
    assert not setbacks(rows, STEPS, random_return=-1200.0)  # 30 of 1050


@pytest.mark.parametrize(
    ("measures", "config", "said"),
    [
        ({**CLIMBED, "data_distance": 1.2}, STEPS, "3.0 times as far from the data as actor 0's"),
        ({**CLIMBED, "data_distance": 1.2}, WEIGHTS, "larger chain.w2_weights, or chain.steps"),
        ({"q": 12.0, "q_independent": 9.2}, STEPS, "its Q is +2 to actor 0's, an independent critic's +0.2"),
        ({"q": 9.0}, STEPS, "it has not climbed"),
        ({**CLIMBED, "saturated": 0.6}, STEPS, "60% of its action dimensions are at the side"),
        ({**CLIMBED, "from_reference": 0.3}, STEPS, "its step is 0.3 where 0.1 was asked for"),
        (CLIMBED, STEPS, "no measure tells why"),
    ],
)
def test_the_likely_cause_is_named(measures, config, said):
    (found,) = setbacks(chain(result(100.0, 101.0), result(10.0, 12.0), **measures), config)
    assert said in str(found)
    assert str(found).startswith("actor 1 is 89.5 below actor 0 (deterministic): ")
    others = {"times as far", "over-estimates", "not climbed", "at the side", "where 0.1 was asked"}
    assert sum(other in str(found) for other in others) <= 1


def test_a_mode_that_failed_is_compared_with_nothing():
    rows = chain(result(100.0, 101.0), result(10.0, 12.0))
    assert not setbacks([rows[0], dataclasses.replace(rows[1], deterministic=None)], STEPS)
    assert not setbacks(rows[:1], STEPS)


def behaviour(mean: float | None, std: float | None, episodes: int) -> BehaviourStatistics:
    return BehaviourStatistics(episodes, mean, std, mean, mean, 200.0)


def actors(*returns: tuple[float, ...]) -> list[ActorEvaluation]:
    return [ActorEvaluation(index, "gaussian", result(*each), None) for index, each in enumerate(returns)]


def test_actors_below_the_data_are_named_once_with_numbers():
    rows = actors((-900.0, -902.0), (-700.0, -702.0), (-1000.0, -1002.0))
    assert below_data(rows, behaviour(-802.5, 10.0, 100)) == (
        "below the data's mean return of -802.5 (deterministic): actor 0 by 98.5, actor 2 by 198.5; train longer, or "
        "see 'A run that does not learn' in docs/guide.md."
    )
    assert below_data(rows[1:], behaviour(-802.5, 10.0, 100)) == (
        "below the data's mean return of -802.5 (deterministic): actor 2 by 198.5."
    )


@pytest.mark.parametrize(
    ("returns", "data", "is_below"),
    [
        ((90.0, 92.0, 94.0, 96.0), behaviour(100.0, 0.0, 4), True),  # 7 of an error of 1.3
        ((90.0, 92.0, 94.0, 116.0), behaviour(100.0, 0.0, 4), False),  # 2 of an error of 6.1
        ((90.0, 92.0, 94.0, 96.0), behaviour(100.0, 8.0, 4), False),  # the data's own mean is as uncertain: 4.2
        ((90.0, 92.0, 94.0, 96.0), behaviour(100.0, 8.0, 400), True),
        ((90.0,), behaviour(100.0, 8.0, 400), False),  # one episode: the data's spread is all that is known
        ((70.0,), behaviour(100.0, 8.0, 400), True),
        ((110.0, 112.0), behaviour(100.0, 0.0, 4), False),
        ((0.0, 0.0), behaviour(None, None, 0), False),  # no complete episode
    ],
)
def test_below_the_data_is_by_standard_errors(returns, data, is_below):
    assert (below_data(actors(returns), data) is not None) == is_below


def test_what_has_no_result_is_not_below_the_data():
    (row,) = actors((0.0, 0.0))
    assert below_data([dataclasses.replace(row, deterministic=None)], behaviour(100.0, 1.0, 4)) is None


def test_measures_are_by_actor():
    found = measures_by_actor({"actor_0/q": 1.0, "actor_10/q": 2.0, "q": 3.0, "actor_10/step": 4.0})
    assert found == {0: {"q": 1.0}, 10: {"q": 2.0, "step": 4.0}}
