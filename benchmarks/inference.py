"""Actions per second of a two-layer actor, beside stable-baselines3's and d3rlpy's `predict`, in turns on one core.

    python benchmarks/inference.py                     # 17 observations, 6 actions, two layers of 256
    python benchmarks/inference.py --rounds 9 --json inference.json

Each library acts deterministically on float32 observations in numpy and gives numpy actions, as its user calls it. The
libraries take turns, so that a noisy machine is noisy for all; a figure is the median of the rounds. What is not
installed is left out: pip install 'pogo[benchmark]'; d3rlpy pins a gymnasium of its own, and needs no more of it than
pip install --no-deps d3rlpy, and pip install gym structlog colorama dataclasses-json scikit-learn.
"""

import argparse
import importlib.util
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ["MKL_NUM_THREADS"] = "1"  # before any framework is imported
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import gymnasium
import numpy as np

import pogo

OBSERVATION_SIZE, ACTION_SIZE, HIDDEN = 17, 6, (256, 256)
BATCHES = (1, 256)
SECONDS = 0.5  # of one library in one round
Act = Callable[[np.ndarray], np.ndarray]


def of_pogo(backend: str, folder: Path) -> Act:
    """IQL's actor of a run of one update."""
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((300, OBSERVATION_SIZE), dtype=np.float32)
    actions, ends = rng.uniform(-1, 1, (300, ACTION_SIZE)), np.arange(300) % 100 == 99
    rewards = rng.standard_normal(300)
    dataset = pogo.Dataset.from_arrays(rows, actions, rewards, ends, np.zeros(300), action_low=-1.0, action_high=1.0)
    overrides = {"train.updates": 1, "run.dir": folder / backend, "chain.num_actors": 1}
    return pogo.train("iql", backend=backend, dataset=dataset, overrides=overrides, progress=False).policy(0)


def of_stable_baselines3() -> Act:
    """TD3's actor, a deterministic network of the same sizes."""
    from stable_baselines3 import TD3

    class Sizes(gymnasium.Env):
        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (OBSERVATION_SIZE,), np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION_SIZE,), np.float32)

    model = TD3("MlpPolicy", Sizes(), policy_kwargs={"net_arch": list(HIDDEN)}, device="cpu", buffer_size=1)
    return lambda observations: model.predict(observations, deterministic=True)[0]


def of_d3rlpy() -> Act:
    """IQL's actor; a single observation is a batch of one there."""
    import d3rlpy

    model = d3rlpy.algos.IQLConfig().create(device=False)
    model.create_impl((OBSERVATION_SIZE,), ACTION_SIZE)
    return lambda observations: model.predict(observations.reshape(-1, OBSERVATION_SIZE))


def libraries(folder: Path) -> Iterator[tuple[str, Act]]:
    """Those that are installed."""
    for backend in ("torch", "jax"):
        if importlib.util.find_spec(backend) is not None:
            yield f"pogo, {backend}", of_pogo(backend, folder)
    if importlib.util.find_spec("stable_baselines3") is not None:
        yield "stable-baselines3", of_stable_baselines3()
    if importlib.util.find_spec("d3rlpy") is not None:
        yield "d3rlpy", of_d3rlpy()


def rate(act: Act, observations: np.ndarray) -> float:
    """Actions per second."""
    count, start = 0, time.perf_counter()
    while time.perf_counter() - start < SECONDS:
        act(observations)
        count += 1
    return count * (len(observations) if observations.ndim == 2 else 1) / (time.perf_counter() - start)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the results here")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rng = np.random.default_rng(1)
    rows = {size: rng.standard_normal((size, OBSERVATION_SIZE), dtype=np.float32) for size in BATCHES}
    inputs = {size: values[0] if size == 1 else values for size, values in rows.items()}
    with tempfile.TemporaryDirectory() as folder:
        acts = dict(libraries(Path(folder)))
        rates: dict[str, dict[int, list[float]]] = {name: {size: [] for size in BATCHES} for name in acts}
        for act in acts.values():
            for values in inputs.values():
                act(values)  # compiled, where it is
        for _ in range(options.rounds):
            for name, act in acts.items():
                for size, values in inputs.items():
                    rates[name][size].append(rate(act, values))
    medians = {name: {size: statistics.median(found) for size, found in each.items()} for name, each in rates.items()}
    print("| actions per second | " + " | ".join(f"batch {size}" for size in BATCHES) + " |")
    print("|---|" + "---|" * len(BATCHES))
    for name, each in medians.items():
        print(f"| {name} | " + " | ".join(f"{each[size]:,.0f}".replace(",", " ") for size in BATCHES) + " |")
    if options.json is not None:
        options.json.write_text(json.dumps(medians, indent=2) + "\n")


if __name__ == "__main__":
    main()
