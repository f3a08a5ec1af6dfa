"""Statistics over seeds: beside rliable on stored scores, by known answers, and what intervals cover."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from pogo.core.errors import BadInput
from pogo.core.reports.statistics import (
    STATISTICS,
    Estimate,
    Resampling,
    estimate,
    performance_profile,
    probability_of_improvement,
)

# Made by rliable 1.2.0 with arch 5.5.0: scores, dataset by dataset, and `np.random.seed(seed)` before each interval.
RLIABLE: dict[str, Any] = json.loads(Path(__file__).with_name("rliable.json").read_bytes())
RESAMPLES = RLIABLE["resamples"]


class AsRliable(np.random.Generator):
    """Draws what rliable draws after np.random.seed: for each resample [runs, datasets], one array after the other."""

    def __init__(self, seed: int, *shapes: tuple[int, int]) -> None:
        super().__init__(np.random.PCG64(0))
        legacy = np.random.RandomState(seed)
        drawn = [[legacy.choice(shape[0], shape) for shape in shapes] for _ in range(RESAMPLES)]
        arrays = [np.stack([of_resample[index] for of_resample in drawn]) for index in range(len(shapes))]
        self._strata: Iterator[np.ndarray] = iter(
            [array[:, :, dataset] for array in arrays for dataset in range(array.shape[2])]
        )

    def integers(self, low: int, high: int, size: tuple[int, int], **_: Any) -> np.ndarray:  # type: ignore[override]
        found = next(self._strata)
        assert (low, size) == (0, found.shape)
        assert found.max() < high
        return found


def like_rliable(seed: int, *strata: list[list[float]]) -> Resampling:
    shapes = [(len(each[0]), len(each)) for each in strata]
    return Resampling(method="percentile", resamples=RESAMPLES, seed=AsRliable(seed, *shapes))  # type: ignore[arg-type]


def assert_is(found: Estimate, wanted: dict[str, Any]) -> None:
    low, high = wanted["interval"]
    assert found.value == pytest.approx(wanted["value"], rel=1e-12)
    assert found.low == pytest.approx(low, abs=1e-3 * (high - low))
    assert found.high == pytest.approx(high, abs=1e-3 * (high - low))


def bounds(found: Estimate) -> tuple[float, float]:
    assert found.low is not None
    assert found.high is not None
    return found.low, found.high


@pytest.mark.parametrize("statistic", ["mean", "median", "iqm", "optimality_gap"])
@pytest.mark.parametrize("case", [name for name in RLIABLE["cases"] if name != "one dataset"])
def test_estimates_are_those_of_rliable(case, statistic):
    scores, wanted = RLIABLE["cases"][case]["scores"], RLIABLE["cases"][case]["estimates"][statistic]
    assert_is(estimate(scores, statistic, like_rliable(wanted["seed"], scores)), wanted)


def test_of_one_dataset_too_but_for_the_median():
    """There it is of the runs, where rliable's is of one dataset's mean."""
    case = RLIABLE["cases"]["one dataset"]
    for statistic in ("mean", "iqm", "optimality_gap"):
        wanted = case["estimates"][statistic]
        assert_is(estimate(case["scores"], statistic, like_rliable(wanted["seed"], case["scores"])), wanted)
    assert estimate(case["scores"], "median").value == np.median(case["scores"][0])


def test_improvement_and_profile_are_those_of_rliable():
    wanted = RLIABLE["improvement"]
    ours, theirs = wanted["ours"], wanted["theirs"]
    assert_is(probability_of_improvement(ours, theirs, like_rliable(wanted["seed"], ours, theirs)), wanted)
    wanted = RLIABLE["profile"]
    scores = RLIABLE["cases"][wanted["case"]]["scores"]
    for index, threshold in enumerate(wanted["thresholds"]):
        (found,) = performance_profile(scores, [threshold], like_rliable(wanted["seed"], scores))
        interval = [bounds[index] for bounds in wanted["interval"]]
        assert_is(found, {"value": wanted["values"][index], "interval": interval})


def test_known_answers():
    scores = [[1.0, 2.0, 3.0, 4.0, 90.0, 130.0, 5.0, 6.0]]
    # The middle half of 1 2 3 4 5 6 90 130 is 3 4 5 6; what lacks of 100 is 99 98 97 96 95 94 10 0.
    values = {statistic: estimate(scores, statistic).value for statistic in STATISTICS}
    assert values["iqm"] == 4.5
    assert values["median"] == 4.5
    assert values["optimality_gap"] == pytest.approx(589 / 8)
    assert values["std"] == pytest.approx(np.std(scores[0], ddof=1))
    # Datasets weigh the same, however many runs they have.
    assert estimate([[0.0], [3.0, 5.0]], "mean").value == 2.0
    assert estimate([[0.0, 2.0], [3.0, 5.0]], "std").value == pytest.approx(np.sqrt(2.0))
    assert probability_of_improvement([[1.0, 3.0]], [[2.0, 3.0]]).value == pytest.approx((0 + 0 + 1 + 0.5) / 4)


@pytest.mark.parametrize("statistic", STATISTICS)
def test_one_run_has_no_interval(statistic):
    assert estimate([[5.0]], statistic)[1:] == (None, None)
    assert estimate([[5.0], [1.0, 2.0]], statistic)[1:] == (None, None)
    assert estimate([[5.0, 7.0], [1.0, 2.0]], statistic)[1:] != (None, None)


@pytest.mark.parametrize(("runs", "datasets"), [(5, 1), (5, 4), (10, 1), (10, 4)])
@pytest.mark.parametrize("statistic", ["mean", "iqm"])
def test_intervals_cover_what_they_say(statistic, runs, datasets):
    """95 % intervals of Normal scores, in 400 experiments: their true value lies in 90 to 98 % of them.

    The standard error of such a share is 1 %. rliable's quantiles cover 82 % where there are 5 runs of one dataset.
    """
    draws = np.random.default_rng(3).normal(50.0, 10.0, (400, datasets, runs))
    intervals = [bounds(estimate(list(scores), statistic, Resampling(resamples=1000))) for scores in draws]
    assert 0.90 <= np.mean([low <= 50.0 <= high for low, high in intervals]) <= 0.98


def test_expanded_is_students_interval_of_a_mean_of_many_runs():
    scores = np.random.default_rng(1).normal(50.0, 10.0, (1, 60))
    low, high = bounds(estimate(list(scores), "mean", Resampling(resamples=50_000)))
    half = stats.t.ppf(0.975, 59) * scores.std(ddof=1) / np.sqrt(60)
    assert high - low == pytest.approx(2 * half, rel=0.02)


def test_the_same_seed_gives_the_same_interval():
    scores = [list(np.random.default_rng(5).normal(50.0, 10.0, 20))]
    assert estimate(scores, "iqm") == estimate(scores, "iqm")
    assert estimate(scores, "mean", Resampling(seed=1)) != estimate(scores, "mean", Resampling(seed=2))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(BadInput, match="no runs"):
        estimate([[1.0], []], "mean")
    with pytest.raises(BadInput, match="mode is no statistic; use mean, std"):
        estimate([[1.0]], "mode")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="--interval 100"):
        Resampling(level=100.0).checked()
    with pytest.raises(BadInput, match="20 resamples"):
        Resampling(resamples=20).checked()
    with pytest.raises(BadInput, match="the same datasets on both sides"):
        probability_of_improvement([[1.0]], [[1.0], [2.0]])
