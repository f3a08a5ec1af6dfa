"""The state of a training and the names of its arrays: their one owner.

A snapshot is a flat mapping: `critic/hidden_0/kernel` (network, then parameter), `optimizer/critic/mu/hidden_0/kernel`
and `.../nu/...` (Adam's moments), `optimizer/critic/count` (its steps), `updates`; and beside the state itself, under
the prefixes below, what only going on with a run needs.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from pogo.core.errors import BadInput

UPDATES = "updates"
_OPTIMIZER = "optimizer/"
_MOMENTS = ("mu", "nu")
STREAM_PREFIX = "stream/"
WINDOW_PREFIX = "window/"  # window/start, and window/<group>/<metric>: sums of the metrics of an open window
WINDOW_START = "window/start"
REPLAY_PREFIX = "replay/"  # the replay buffer of a run that collects its own data
COLLECTOR_PREFIX = "collector/"  # and where its episodes are
NOT_OF_THE_STATE = (STREAM_PREFIX, WINDOW_PREFIX, REPLAY_PREFIX, COLLECTOR_PREFIX)  # only what goes on training needs


def damaged(name: str, expected: str) -> BadInput:
    """The error of a checkpoint's array that this run cannot have written."""
    return BadInput(f"checkpoint's {name} is missing or not {expected}: it is damaged; use an older checkpoint.")


def check_snapshot(expected: Mapping[str, np.ndarray], given: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The snapshot's arrays of the state alone, after a look at names, shapes and types.

    Raises:
        BadInput: an array is missing, unknown, or of another shape or type than the run's configuration makes it.
    """
    arrays = {name: value for name, value in given.items() if not name.startswith(NOT_OF_THE_STATE)}
    mend = "the checkpoint is of another algorithm, chain or dataset; use its own configuration or another run.dir"
    for name in expected:
        if name not in arrays:
            raise BadInput(f"checkpoint lacks {name}: {mend}.")
    for name, value in arrays.items():
        if name not in expected:
            raise BadInput(f"checkpoint holds an unknown {name}: {mend}.")
        want = expected[name]
        if value.shape != want.shape or value.dtype != want.dtype:
            raise BadInput(
                f"checkpoint's {name} is {value.dtype}{list(value.shape)}, this run needs "
                f"{want.dtype}{list(want.shape)}: {mend}."
            )
    return {name: arrays[name] for name in expected}


class AdamState(NamedTuple):
    """One network's Adam moments, each shaped as its parameters, and the number of steps taken."""

    count: Any
    mu: dict[str, Any]
    nu: dict[str, Any]


class TrainState(NamedTuple):
    """All that an update changes. A state that went into an update may not be used again (its memory is reused)."""

    networks: dict[str, dict[str, Any]]  # by name: actor_0, actor_1, ..., critic, target_critic, ...
    optimizers: dict[str, AdamState]  # one per trained network, under the network's name
    updates: Any  # how many updates made this state


def nested(arrays: Mapping[str, Any]) -> TrainState:
    """The state that a snapshot's arrays of the state alone describe, with those arrays as they are."""
    networks = by_network({name: value for name, value in arrays.items() if is_parameter(name)})
    optimizers = {}
    for network, parameters in networks.items():
        prefix = f"{_OPTIMIZER}{network}/"
        if f"{prefix}count" in arrays:
            mu, nu = ({name: arrays[f"{prefix}{moment}/{name}"] for name in parameters} for moment in _MOMENTS)
            optimizers[network] = AdamState(arrays[f"{prefix}count"], mu, nu)
    return TrainState(networks, optimizers, arrays[UPDATES])


def flat(state: TrainState) -> dict[str, Any]:
    """A snapshot's arrays of the state alone: the inverse of `nested`."""
    arrays = {}
    for network, parameters in state.networks.items():
        arrays |= {f"{network}/{parameter}": value for parameter, value in parameters.items()}
    for network, optimizer in state.optimizers.items():
        for moment, values in zip(_MOMENTS, (optimizer.mu, optimizer.nu), strict=True):
            arrays |= {f"{_OPTIMIZER}{network}/{moment}/{parameter}": value for parameter, value in values.items()}
        arrays[f"{_OPTIMIZER}{network}/count"] = optimizer.count
    return {**arrays, UPDATES: state.updates}


def fresh_state(networks: Mapping[str, Mapping[str, np.ndarray]], trained: Iterable[str]) -> dict[str, np.ndarray]:
    """Canonical arrays of these networks before their first update: zero moments of those that are trained."""
    zero = np.zeros((), dtype=np.int32)
    optimizers = {}
    for network in trained:
        mu, nu = ({name: np.zeros_like(value) for name, value in networks[network].items()} for _ in _MOMENTS)
        optimizers[network] = AdamState(zero, mu, nu)
    return flat(TrainState({name: dict(parameters) for name, parameters in networks.items()}, optimizers, zero))


def by_network(parameters: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What canonical names of parameters map to, network by network."""
    networks: dict[str, dict[str, Any]] = {}
    for name, value in parameters.items():
        network, parameter = name.split("/", 1)
        networks.setdefault(network, {})[parameter] = value
    return networks


def is_parameter(name: str) -> bool:
    """Whether a snapshot's array is a parameter of a network: no moment, no count, no stream."""
    return name != UPDATES and not name.startswith((_OPTIMIZER, *NOT_OF_THE_STATE))


def network_of(parameter: str) -> str:
    """The network that a parameter is of, by its canonical name."""
    return parameter.split("/", 1)[0]


def network_of_array(name: str) -> str:
    """The network that a parameter, a moment or a count is of."""
    return network_of(name.removeprefix(_OPTIMIZER))
