"""Training problems for parity: every registered algorithm on small networks."""

import dataclasses
from typing import Any

from pogo.core.algorithms import load_algorithm
from pogo.core.problem.actors import resolve_actors
from pogo.core.problem.chain import ChainConfig
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import W2Config

OBS, ACT, B = 5, 2, 32
WIDTH = 32
SAME_KIND: tuple[dict[str, Any], ...] = ()
CHAINS: dict[str, tuple[dict[str, Any], ...]] = {
    "as published": SAME_KIND,
    "gaussian, stochastic, tanh_gaussian": ({"kind": "gaussian"}, {"kind": "stochastic"}, {"kind": "tanh_gaussian"}),
    "stochastic, deterministic, gaussian": ({"kind": "stochastic"}, {"kind": "deterministic"}, {"kind": "gaussian"}),
    "tanh_gaussian, gaussian, stochastic": ({"kind": "tanh_gaussian"}, {"kind": "gaussian"}, {"kind": "stochastic"}),
    "all stochastic": ({"kind": "stochastic"},),
    "deterministic, stochastic, deterministic": (
        {"kind": "deterministic"},
        {"kind": "stochastic"},
        {"kind": "deterministic"},
    ),
}


def problem(
    algorithm: str,
    dtype: str = "float64",
    actors: tuple[dict[str, Any], ...] = SAME_KIND,
    w2: W2Config | None = None,
    hyperparameters: dict[str, Any] | None = None,
    num_actors: int = 3,
    **chain: Any,
) -> TrainSpec:
    """A training problem with an algorithm's networks at width 32, whatever its width option is called."""
    shared = load_algorithm(algorithm)
    names = {field.name for field in dataclasses.fields(shared.Hyperparameters)}
    small: dict[str, Any] = {}
    for name in names:
        if name.endswith("hidden_sizes"):
            small[name] = (WIDTH,) * len(getattr(shared.Hyperparameters(), name))
        elif name.endswith("hidden_size"):
            small[name] = WIDTH
    if "flow_steps" in names:
        small["flow_steps"] = 2  # each is another copy of the flow in the compiled program
    hp = shared.for_run(dataclasses.replace(shared.Hyperparameters(), **small | (hyperparameters or {})), 100)
    return TrainSpec(
        algorithm=algorithm,
        observation_size=OBS,
        action_size=ACT,
        batch_size=B,
        actors=resolve_actors(actors, num_actors, shared.default_actor(hp)),
        chain=ChainConfig(num_actors=num_actors, w2_weights=(10.0,) * (num_actors - 1), **chain),
        w2=w2 or W2Config(),
        hyperparameters=hp,
        dtype=dtype,
    )
