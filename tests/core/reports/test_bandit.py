"""The bandit protocol: known answers, and a simulation of it step by step."""

import itertools
import math
import random

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.reports.bandit import Bandit, deployed_scores

POLICIES = [[0.0, 10.0, 20.0], [5.0, 35.0], [18.0, 18.0, 18.0, 22.0]]


def one_trial(policies: list[list[float]], rollouts: int, exploration: float, draw: random.Random) -> list[float]:
    """The protocol as it is told, one rollout after the other."""
    outcomes: list[list[float]] = [[] for _ in policies]
    deployed = []
    for rollout in range(1, rollouts + 1):
        bounds = [
            (sum(found) / len(found) if found else 0.0)
            + math.sqrt(exploration * math.log(rollout) / (len(found) + 1e-9))
            for found in outcomes
        ]
        arm = draw.choice([index for index, bound in enumerate(bounds) if bound == max(bounds)])
        outcomes[arm].append(draw.choice(policies[arm]))
        means = [sum(found) / len(found) if found else -math.inf for found in outcomes]
        best = means.index(max(means))
        deployed.append(sum(policies[best]) / len(policies[best]))
    return deployed


@pytest.mark.parametrize("exploration", [2.0, 200.0])
def test_curve_is_that_of_a_direct_simulation(exploration):
    draw, trials, rollouts = random.Random(1), 4000, 25
    wanted = np.array([one_trial(POLICIES, rollouts, exploration, draw) for _ in range(trials)])
    found = deployed_scores(POLICIES, Bandit(rollouts=rollouts, trials=trials, exploration=exploration))
    error = np.sqrt(wanted.var(axis=0) / trials + found.var(axis=0) / trials)
    assert np.all(np.abs(wanted.mean(axis=0) - found.mean(axis=0)) <= 4.5 * error + 1e-12)


def test_one_rollout_deploys_any_and_one_of_each_the_luckiest():
    found = deployed_scores(POLICIES, Bandit(rollouts=3, trials=20_000, seed=1)).mean(axis=0)
    means = [float(np.mean(scores)) for scores in POLICIES]
    assert found[0] == pytest.approx(np.mean(means), abs=0.1)
    # All triples of one episode of each, equally likely; the first of equals counts.
    best = [means[int(np.argmax(triple))] for triple in itertools.product(*POLICIES)]
    assert found[2] == pytest.approx(np.mean(best), abs=0.1)


def test_many_rollouts_find_the_best():
    policies = [[10.0, 20.0], [30.0, 40.0], [0.0, 50.0]]
    assert deployed_scores(policies, Bandit(rollouts=2000, trials=50, exploration=1e4))[:, -1].mean() > 34.0


def test_a_policy_that_was_not_tried_is_not_deployed():
    """Returns below 0: a mean of 0 for what was never tried would look best."""
    found = deployed_scores([[-5.0], [-7.0], [-9.0]], Bandit(rollouts=3, trials=2000))
    assert found[:, 0].mean() == pytest.approx(-7.0, abs=0.15)
    assert (found[:, 2] == -5.0).all()


def test_each_trial_chooses_among_a_draw_of_policies():
    policies = [[float(score)] for score in range(10)]
    found = deployed_scores(policies, Bandit(rollouts=4, trials=20_000, among=2))
    # The larger of two of 0 .. 9, without replacement: 2 * 11 / 3 - 1.
    assert found[:, -1].mean() == pytest.approx(2 * 11 / 3 - 1, abs=0.07)
    assert deployed_scores(policies, Bandit(rollouts=12, trials=3, among=99))[:, -1].tolist() == [9.0] * 3


def test_the_same_seed_gives_the_same_curve():
    first, second = (deployed_scores(POLICIES, Bandit(rollouts=9, trials=20, seed=4)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(BadInput, match="policies with episodes to draw from"):
        deployed_scores([[1.0], []], Bandit())
    with pytest.raises(BadInput, match="0 rollouts"):
        deployed_scores([[1.0]], Bandit(rollouts=0))
