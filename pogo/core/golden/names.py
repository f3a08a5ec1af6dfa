"""Where a recorded tensor lives in pogo's canonical tree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pogo.core.errors import BadInput


@dataclass(frozen=True)
class Location:
    """A canonical array, or one member of it."""

    name: str
    member: int | None = None


@dataclass(frozen=True)
class NetworkPlace:
    """The canonical network that a recorded one is, and which of its members where recordings split ensembles."""

    network: str
    member: int | None = None


def locate(recorded: Iterable[str], places: Mapping[str, NetworkPlace]) -> dict[str, Location]:
    """Each recorded tensor's location: `critic_2/dense_0/kernel` is member 1 of `critic/hidden_0/kernel`, say.

    Raises:
        BadInput: a recorded network or tensor has no place in the algorithm.
    """
    names = list(recorded)
    last_dense: dict[str, int] = {}
    for name in names:
        network, _, rest = name.partition("/")
        if rest.startswith("dense_"):
            last_dense[network] = max(last_dense.get(network, 0), int(rest.split("/")[0].removeprefix("dense_")))
    locations = {}
    for name in names:
        network, _, rest = name.partition("/")
        target = network.removeprefix("target_")
        if target not in places:
            raise BadInput(f"golden tensor {name}: network {network} is none of this algorithm's.")
        place = places[target]
        prefix = "target_" if network.startswith("target_") else ""
        layer, _, parameter = rest.partition("/")
        if layer.startswith("dense_"):
            index = int(layer.removeprefix("dense_"))
            rest = f"output/{parameter}" if index == last_dense[network] else f"hidden_{index}/{parameter}"
        canonical = place.network if not prefix else prefix + place.network.removesuffix("_0")
        locations[name] = Location(f"{canonical}/{rest}", place.member)
    return locations


def to_canonical(recorded: Mapping[str, np.ndarray], locations: Mapping[str, Location]) -> dict[str, np.ndarray]:
    """Canonical arrays of recorded ones, members stacked."""
    whole: dict[str, np.ndarray] = {}
    members: dict[str, dict[int, np.ndarray]] = {}
    for name, value in recorded.items():
        location = locations[name]
        if location.member is None:
            whole[location.name] = value
        else:
            members.setdefault(location.name, {})[location.member] = value
    return whole | {name: np.stack([parts[index] for index in sorted(parts)]) for name, parts in members.items()}


def from_canonical(arrays: Mapping[str, np.ndarray], locations: Mapping[str, Location]) -> dict[str, np.ndarray]:
    """The recorded tensors' values in canonical `arrays`."""
    return {
        name: arrays[place.name] if place.member is None else arrays[place.name][place.member]
        for name, place in locations.items()
    }
