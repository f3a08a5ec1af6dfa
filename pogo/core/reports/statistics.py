"""Statistics of scores over seeds, with stratified-bootstrap intervals. Agarwal et al. 2021, arXiv:2108.13264.

A stratum is a dataset: its numbers, one per run, are drawn anew from among themselves, so that no draw has more of one
dataset than the data has. Episodes of one run are no runs of their own: what comes in here is one number per run.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, get_args

import numpy as np
from scipy import stats

from pogo.core.errors import BadInput

Statistic = Literal["mean", "std", "median", "iqm", "optimality_gap"]
Method = Literal["expanded", "percentile"]
STATISTICS: tuple[Statistic, ...] = get_args(Statistic)
METHODS: tuple[Method, ...] = get_args(Method)
EXPERT_SCORE = 100.0  # what the optimality gap is a gap to
RESAMPLES = 10_000
FEW_SEEDS = 5  # below that even an expanded interval covers less than it says


class Estimate(NamedTuple):
    """A statistic and its interval; none where a dataset has a single run."""

    value: float
    low: float | None = None
    high: float | None = None


class Resampling(NamedTuple):
    """How intervals are made.

    `percentile` takes the bootstrap's own quantiles, as rliable does. They are too narrow for few runs: by
    sqrt((n - 1) / n), and for not knowing the spread. `expanded` takes more extreme ones, by as much as a normal sample
    needs (Hesterberg 2015, arXiv:1411.5279), and covers what it says from 5 runs on.
    """

    level: float = 95.0  # percent
    method: Method = "expanded"
    resamples: int = RESAMPLES
    seed: int = 0

    def checked(self) -> "Resampling":
        """Itself.

        Raises:
            BadInput: a value is outside what it may be.
        """
        if not 0 < self.level < 100:
            raise BadInput(f"--interval {self.level:g}: use a number of percent between 0 and 100, such as 95.")
        if self.resamples < 100:
            raise BadInput(f"{self.resamples} resamples give no quantiles; use at least 100.")
        return self

    def tail(self, sizes: Sequence[int]) -> float:
        """The share of the bootstrap's draws to leave out on either side, for strata of so many runs."""
        outside = 0.5 * (1.0 - self.level / 100.0)
        if self.method == "percentile":
            return outside
        size = stats.hmean(sizes)
        quantile = stats.t.ppf(outside, sum(sizes) - len(sizes))
        return float(stats.norm.cdf(np.sqrt(size / (size - 1)) * quantile))


DEFAULT = Resampling()


def estimate(
    strata: Sequence[Sequence[float] | np.ndarray], statistic: Statistic = "iqm", resampling: Resampling = DEFAULT
) -> Estimate:
    """A statistic of the runs of one dataset or of several, and its interval.

    Over several datasets, mean and median are those of the datasets' means and std is the root of their mean variance;
    iqm and optimality_gap are of all runs together, as rliable has them.

    Args:
        strata: one number per run, dataset by dataset, none of them empty.
        statistic: mean, std (sample, n - 1), median, iqm (the mean of the middle half) or optimality_gap (the mean of
            what scores lack of 100, 0 for those above).
        resampling: how the interval is made.

    Raises:
        BadInput: there is no run, or no such statistic.
    """
    samples = [np.asarray(values, dtype=float) for values in strata]
    if not samples or any(len(values) == 0 for values in samples):
        raise BadInput(f"{statistic} of no runs: give at least one number per dataset.")
    if statistic not in _OF_SAMPLES:
        raise BadInput(f"{statistic} is no statistic; use {', '.join(STATISTICS)}.")
    return interval_of(samples, _OF_SAMPLES[statistic], resampling)


def estimates(
    strata: Sequence[Sequence[float] | np.ndarray], statistics: Sequence[Statistic], resampling: Resampling = DEFAULT
) -> dict[str, Estimate]:
    """Several statistics by name; without those that so few runs have not, as one run has no spread."""
    found = {name: estimate(strata, name, resampling) for name in statistics}
    return {name: each for name, each in found.items() if np.isfinite(each.value)}


def interval_of(
    samples: Sequence[np.ndarray], of_samples: Callable[[Sequence[np.ndarray]], np.ndarray], resampling: Resampling
) -> Estimate:
    """A function of samples with its bootstrap interval, each sample drawn anew from itself.

    Args:
        samples: [n_d] each.
        of_samples: takes arrays [..., n_d] and gives [...].
        resampling: how the interval is made.
    """
    value = float(of_samples(samples))
    sizes = [len(values) for values in samples]
    if min(sizes) < 2 or not np.isfinite(value):
        return Estimate(value)
    drawn = stats.bootstrap(
        tuple(samples),
        lambda *resampled, axis: of_samples(resampled),
        n_resamples=resampling.resamples,
        vectorized=True,
        paired=False,
        method="percentile",
        rng=np.random.default_rng(resampling.seed),
    ).bootstrap_distribution
    tail = resampling.tail(sizes)
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Estimate(value, float(low), float(high))


def _mean(samples: Sequence[np.ndarray]) -> np.ndarray:
    return np.mean([values.mean(axis=-1) for values in samples], axis=0)


def _std(samples: Sequence[np.ndarray]) -> np.ndarray:
    if min(values.shape[-1] for values in samples) < 2:
        return np.asarray(np.nan)
    return np.sqrt(np.mean([values.var(axis=-1, ddof=1) for values in samples], axis=0))


def _median(samples: Sequence[np.ndarray]) -> np.ndarray:
    if len(samples) == 1:
        return np.median(samples[0], axis=-1)
    return np.median([values.mean(axis=-1) for values in samples], axis=0)


def _iqm(samples: Sequence[np.ndarray]) -> np.ndarray:
    return stats.trim_mean(np.concatenate(samples, axis=-1), 0.25, axis=-1)


def _optimality_gap(samples: Sequence[np.ndarray]) -> np.ndarray:
    return EXPERT_SCORE - np.minimum(np.concatenate(samples, axis=-1), EXPERT_SCORE).mean(axis=-1)


_OF_SAMPLES: dict[str, Callable[[Sequence[np.ndarray]], np.ndarray]] = {
    "mean": _mean,
    "std": _std,
    "median": _median,
    "iqm": _iqm,
    "optimality_gap": _optimality_gap,
}


def probability_of_improvement(
    ours: Sequence[Sequence[float]], theirs: Sequence[Sequence[float]], resampling: Resampling = DEFAULT
) -> Estimate:
    """How often a run of ours beats one of theirs, ties half: Mann and Whitney's U / (n m), averaged over datasets.

    Args:
        ours: one number per run, dataset by dataset.
        theirs: the same of what they are compared with, of the same datasets in the same order.
        resampling: how the interval is made; both sides are drawn anew.

    Raises:
        BadInput: the two have not the same number of datasets, or one has no run.
    """
    if len(ours) != len(theirs) or len(ours) == 0 or min(map(len, (*ours, *theirs))) == 0:
        raise BadInput("a comparison needs runs of the same datasets on both sides.")
    number = len(ours)

    def share(samples: Sequence[np.ndarray]) -> np.ndarray:
        return np.mean(
            [
                np.mean(0.5 * (np.sign(first[..., :, None] - second[..., None, :]) + 1.0), axis=(-2, -1))
                for first, second in zip(samples[:number], samples[number:], strict=True)
            ],
            axis=0,
        )

    return interval_of([np.asarray(values, dtype=float) for values in (*ours, *theirs)], share, resampling)


def performance_profile(
    strata: Sequence[Sequence[float]], thresholds: Sequence[float], resampling: Resampling = DEFAULT
) -> list[Estimate]:
    """The share of runs that score above each threshold, with intervals: the run-score distribution of rliable.

    Args:
        strata: one number per run, dataset by dataset.
        thresholds: scores, one estimate each.
        resampling: how the intervals are made; each is for its own threshold.
    """
    samples = [np.asarray(values, dtype=float) for values in strata]
    return [
        interval_of(
            samples,
            lambda drawn, threshold=threshold: np.mean(np.concatenate(drawn, axis=-1) > threshold, axis=-1),
            resampling,
        )
        for threshold in thresholds
    ]
