"""What one gets after n online evaluations when choosing among K policies. Jackson et al. 2025, arXiv:2504.11453.

With a budget of rollouts a user deploys the policy that has looked best in them, not the one that is best. UCB chooses
which policy to roll out next; after each rollout the score of the policy that it would deploy is counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pogo.core.errors import BadInput
from pogo.core.learner.interface import MODES, Mode
from pogo.core.reports.evaluations import Result
from pogo.core.reports.groups import Group
from pogo.core.reports.results import Run
from pogo.core.reports.rows import ActorOfGroup
from pogo.core.reports.statistics import Estimate, Resampling, estimate

EXPLORATION = 2.0  # as published
TRIALS = 1000
SHOWN = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)  # rollouts
_UNSEEN = 1e-9  # rollouts of a policy that has had none, in the bonus: it comes before all that have had one


class Bandit(NamedTuple):
    """How the trials are made."""

    rollouts: int = 200
    trials: int = TRIALS
    among: int | None = None  # policies that each trial draws from all; None: all of them
    exploration: float = EXPLORATION  # in the units of the scores, squared
    seed: int = 0


@dataclass(frozen=True)
class BanditCurve(ActorOfGroup):
    """What is deployed after n rollouts, over the seeds of a group; `actor` is the last one to choose from."""

    mode: Mode
    unit: str  # score or return
    num_policies: int
    num_seeds: int
    deployed: Mapping[int, Estimate]  # by n; the interval is over seeds
    first: Estimate  # always actor 0
    last: Estimate  # always the last actor
    best: Estimate  # the truly best one of each run, which nobody knows


def choose_actors_online(groups: Sequence[Group], bandit: Bandit, resampling: Resampling) -> list[BanditCurve]:
    """Which actor of a chain does one deploy with n rollouts, and what does it score? One curve per group and mode.

    Each run is a bandit of its own, whose policies are its actors; runs whose evaluations kept no episodes have none.
    """
    curves = []
    for group in groups:
        for mode in MODES:
            runs = [(run, found) for run in group.runs if len(found := _policies(run, mode)) > 1]
            if not runs:
                continue
            scores = [[_scores(run, result) for result in found] for run, found in runs]
            deployed = np.stack(
                [
                    deployed_scores(each, bandit._replace(seed=run.seed)).mean(axis=0)
                    for each, (run, _) in zip(scores, runs, strict=True)
                ]
            )
            means = [[float(np.mean(policy)) for policy in each] for each in scores]
            curves.append(
                BanditCurve(
                    *group.labels,
                    group.settings,
                    len(scores[0]) - 1,
                    mode=mode,
                    unit="return" if runs[0][0].reference_returns is None else "score",
                    num_policies=len(scores[0]),
                    num_seeds=len(runs),
                    deployed={
                        count: estimate([deployed[:, count - 1].tolist()], "mean", resampling)
                        for count in sorted({*(each for each in SHOWN if each < bandit.rollouts), bandit.rollouts})
                    },
                    first=estimate([[each[0] for each in means]], "mean", resampling),
                    last=estimate([[each[-1] for each in means]], "mean", resampling),
                    best=estimate([[max(each) for each in means]], "mean", resampling),
                )
            )
    return curves


def _policies(run: Run, mode: Mode) -> list[Result]:
    """Results of each actor in a mode, at the run's last evaluation; none where an actor has kept no episodes."""
    if not run.evaluations:
        return []
    found = [result for key, result in sorted(run.evaluations[-1].results.items()) if key.mode == mode]
    return found if all(result.returns for result in found) else []


def _scores(run: Run, result: Result) -> list[float]:
    """Of single episodes; returns where the run has no scores."""
    return [value if (score := run.score(value)) is None else score for value in result.returns]


def deployed_scores(policies: Sequence[Sequence[float]], bandit: Bandit) -> np.ndarray:
    """The true mean score of what would be deployed, [trials, rollouts]: column n - 1 is after n rollouts.

    Each rollout of a policy is one of its own scores, drawn with replacement. UCB takes the largest
    mean + sqrt(exploration * log(t) / count) in rollout t = 1, 2, ..., ties at random. Deployed is the largest mean,
    the first of equals; a policy that has not been tried is not deployed; the published code gives it a mean of 0.

    Args:
        policies: scores of single episodes, policy by policy.
        bandit: how the trials are made.

    Raises:
        BadInput: there is no policy, one has no episode, or a count is less than 1.
    """
    if not policies or any(len(scores) == 0 for scores in policies):
        raise BadInput("a bandit needs policies with episodes to draw from: evaluate with eval.episodes=50 or more.")
    if min(bandit.rollouts, bandit.trials, bandit.among or 1) < 1:
        raise BadInput(f"a bandit of {bandit.rollouts} rollouts is none: use at least 1.")
    generator = np.random.default_rng(bandit.seed)
    pools = [np.asarray(scores, dtype=float) for scores in policies]
    truth = np.array([pool.mean() for pool in pools])
    number = len(pools) if bandit.among is None else min(bandit.among, len(pools))
    drawn = np.argsort(generator.random((bandit.trials, len(pools))), axis=1)[:, :number]  # without replacement
    arms = np.sort(drawn, axis=1)
    counts, sums = np.zeros((2, bandit.trials, number))
    found = np.empty((bandit.trials, bandit.rollouts))
    trials = np.arange(bandit.trials)
    for rollout in range(1, bandit.rollouts + 1):
        means = sums / np.maximum(counts, 1)
        bound = means + np.sqrt(bandit.exploration * np.log(rollout) / (counts + _UNSEEN))
        pulled = _argmax_at_random(bound, generator)
        draws = generator.random(bandit.trials)
        sums[trials, pulled] += [
            pools[arm][int(draw * len(pools[arm]))] for arm, draw in zip(arms[trials, pulled], draws, strict=True)
        ]
        counts[trials, pulled] += 1
        seen = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
        found[:, rollout - 1] = truth[arms[trials, seen.argmax(axis=1)]]
    return found


def _argmax_at_random(values: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    is_largest = values == values.max(axis=1, keepdims=True)
    return np.where(is_largest, generator.random(values.shape), -1.0).argmax(axis=1)
