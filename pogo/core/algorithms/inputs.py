"""What both backends start from and are fed: drawn and named once, from a training problem alone."""

import numpy as np

from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.actor_critic import critics
from pogo.core.problem.chain import actor_name, chain_noise_spec, initial_weights
from pogo.core.problem.noise import Draw
from pogo.core.problem.parameters import LayerInitialisers, Params, actor_parameters
from pogo.core.problem.probe_critic import (
    HIDDEN_SIZES,
    PROBE_ARRAYS,
    PROBE_CRITIC,
    PROBE_PREFIX,
    TARGET_PROBE_CRITIC,
)
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import fresh_state
from pogo.core.problem.streams import generator


def initial_state(seed: int, spec: TrainSpec) -> dict[str, np.ndarray]:
    """Canonical arrays of a fresh state: networks, targets as copies, zero moments, zero counters.

    Actors 1+ are copies of actor 0 where `chain.init` says so and their configurations match; else they are drawn
    from streams of their own. Values are drawn in float64 and rounded to the run's dtype.
    """
    algorithm = load_algorithm(spec.algorithm)
    networks: dict[str, Params] = dict(algorithm.initial_networks(generator(seed, "networks"), spec))
    for index, config in enumerate(spec.actors):
        name = actor_name(index)
        if index > 0 and spec.begins_as_actor_0(index):
            networks[name] = networks[actor_name(0)]
        else:
            rng = generator(seed, "actor", index)
            networks[name] = actor_parameters(
                rng, config, spec.observation_size, spec.action_size, algorithm.initialisers
            )
    trained = list(networks)
    networks |= {target: networks[source] for target, source in algorithm.targets(spec).items()}
    networks |= initial_weights(spec.chain)
    if spec.probe_critic:
        networks[PROBE_CRITIC] = critics(
            generator(seed, "probe critic"), spec, HIDDEN_SIZES, LayerInitialisers(), members=1
        )
        networks[TARGET_PROBE_CRITIC] = networks[PROBE_CRITIC]
        trained.append(PROBE_CRITIC)
    dtype = np.dtype(spec.dtype)
    rounded = {
        network: {name: np.array(value, dtype=dtype, order="C") for name, value in parameters.items()}
        for network, parameters in networks.items()
    }
    return fresh_state(rounded, trained)


def update_noise_spec(spec: TrainSpec) -> dict[str, Draw]:
    """Every random draw of one update: the algorithm's own and the chain's."""
    own = dict(load_algorithm(spec.algorithm).noise_spec(spec))
    return own | chain_noise_spec(spec.actors, spec.w2, spec.batch_size, spec.action_size)


def row_arrays(spec: TrainSpec) -> tuple[str, ...]:
    """The arrays that the rows of a run's data have: what the algorithm reads, and what the probe's critic does."""
    own = load_algorithm(spec.algorithm).batch_arrays
    return (*own, *(name for name in PROBE_ARRAYS if spec.probe_critic and name not in own))


def batch_arrays(spec: TrainSpec) -> tuple[str, ...]:
    """The arrays of a batch: the algorithm's, and those of the probe's critic, of rows of its own."""
    own = load_algorithm(spec.algorithm).batch_arrays
    return (*own, *(f"{PROBE_PREFIX}{name}" for name in PROBE_ARRAYS if spec.probe_critic))
