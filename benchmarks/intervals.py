"""How often pogo-report's 95 % intervals hold the true value: scores of known distributions, drawn again and again.

python benchmarks/intervals.py
python benchmarks/intervals.py --seeds 3 5 --experiments 4000
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import trim_mean

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pogo.core.reports.statistics import Resampling, Statistic, estimate

Draw = Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]
SCORES: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(60.0, 10.0, shape),
    "a tail of bad seeds": lambda generator, shape: 90.0 - generator.exponential(15.0, shape),
    "good or bad seeds": lambda generator, shape: (
        np.where(generator.random(shape) < 0.3, 20.0, 80.0) + generator.normal(0.0, 5.0, shape)
    ),
}


def coverage(scores: Draw, statistic: Statistic, num_seeds: int, num_datasets: int, experiments: int) -> list[float]:
    """The share of intervals that hold the statistic of all scores there could be, of each method."""
    generator = np.random.default_rng(0)
    all_scores = scores(generator, (1_000_000,))
    truth = float(trim_mean(all_scores, 0.25) if statistic == "iqm" else all_scores.mean())
    shares = []
    for method in ("percentile", "expanded"):
        resampling = Resampling(method=method, resamples=2000)
        draws = scores(np.random.default_rng(1), (experiments, num_datasets, num_seeds))
        found = [estimate(list(strata), statistic, resampling) for strata in draws]
        bounds = [(each.low, each.high) for each in found if each.low is not None and each.high is not None]
        shares.append(float(np.mean([low <= truth <= high for low, high in bounds])))
    return shares


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[3, 5, 10])
    parser.add_argument("--datasets", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--experiments", type=int, default=1000)
    options = parser.parse_args()
    print("| scores | statistic | seeds | datasets | percentile | expanded |")
    print("|---|---|---:|---:|---:|---:|")
    for name, scores in SCORES.items():
        statistics: tuple[Statistic, ...] = ("mean", "iqm")
        for statistic in statistics:
            for num_seeds in options.seeds:
                for num_datasets in options.datasets:
                    shares = coverage(scores, statistic, num_seeds, num_datasets, options.experiments)
                    cells = [f"{100 * share:.1f} %" for share in shares]
                    print(f"| {name} | {statistic} | {num_seeds} | {num_datasets} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
