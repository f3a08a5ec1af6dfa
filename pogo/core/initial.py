"""The state that a seed starts both backends from, drawn once, with numpy."""

import numpy as np

from pogo.core.algorithms import load_algorithm
from pogo.core.chain import actor_name
from pogo.core.interface import TrainSpec
from pogo.core.parameters import Params, actor_parameters, flatten
from pogo.core.streams import generator


def initial_state(seed: int, spec: TrainSpec) -> dict[str, np.ndarray]:
    """Canonical arrays of a fresh state: networks, targets as copies, zero moments, zero counters.

    Actors 1+ are copies of actor 0 where `chain.init` says so and their configurations match; else they are drawn
    from streams of their own. Values are drawn in float64 and rounded to the run's dtype.
    """
    algorithm = load_algorithm(spec.algorithm)
    networks: dict[str, Params] = dict(algorithm.initial_networks(generator(seed, "networks"), spec))
    for index, config in enumerate(spec.actors):
        name = actor_name(index)
        if index > 0 and spec.chain.init == "copy" and config == spec.actors[0]:
            networks[name] = networks[actor_name(0)]
        else:
            rng = generator(seed, "actor", index)
            networks[name] = actor_parameters(
                rng, config, spec.observation_size, spec.action_size, algorithm.initialisers
            )
    trained = list(networks)
    networks |= {target: networks[source] for target, source in algorithm.targets(spec).items()}
    dtype = np.dtype(spec.dtype)
    flat = {name: np.array(value, dtype=dtype, order="C") for name, value in flatten(networks).items()}
    for name in trained:
        for parameter, value in networks[name].items():
            for moment in ("mu", "nu"):
                flat[f"optimizer/{name}/{moment}/{parameter}"] = np.zeros(value.shape, dtype=dtype)
        flat[f"optimizer/{name}/count"] = np.zeros((), dtype=np.int32)
    flat["updates"] = np.zeros((), dtype=np.int32)
    return flat
