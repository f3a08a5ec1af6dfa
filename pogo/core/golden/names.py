"""Where a recorded tensor lives in pogo's canonical tree."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pogo.core.errors import BadInput

HEADS = ("mu", "log_sigma")  # of a Gaussian whose mean and log_std have a head each


@dataclass(frozen=True)
class Location:
    """A canonical array, or one member of it, or one half of its columns (two heads that were recorded apart)."""

    name: str
    member: int | None = None
    half: int | None = None


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
    two_headed = {name.split("/")[0] for name in names if name.split("/")[1:2] == [HEADS[0]]}
    locations = {}
    for name in names:
        network, _, rest = name.partition("/")
        target = network.removeprefix("target_")
        if target not in places:
            raise BadInput(f"golden tensor {name}: network {network} is none of this algorithm's.")
        place = places[target]
        prefix = "target_" if network.startswith("target_") else ""
        half = None
        layer, _, parameter = rest.partition("/")
        if not rest:  # a trained scalar of its own
            rest = network
        if layer in HEADS:
            half, rest = HEADS.index(layer), f"output/{parameter}"
        if layer.startswith("dense_"):
            index = int(layer.removeprefix("dense_"))
            is_output = index == last_dense[network] and network not in two_headed
            rest = f"output/{parameter}" if is_output else f"hidden_{index}/{parameter}"
        canonical = place.network if not prefix else prefix + place.network.removesuffix("_0")
        locations[name] = Location(f"{canonical}/{rest}", place.member, half)
    return locations


def to_canonical(recorded: Mapping[str, np.ndarray], locations: Mapping[str, Location]) -> dict[str, np.ndarray]:
    """Canonical arrays of recorded ones: members stacked, heads side by side."""
    parts: dict[str, dict[Location, np.ndarray]] = {}
    for name, value in recorded.items():
        parts.setdefault(locations[name].name, {})[locations[name]] = value
    arrays = {}
    for name, found in parts.items():
        places = sorted(found, key=lambda place: (place.member or 0, place.half or 0))
        values = [found[place] for place in places]
        if places[0].half is not None:
            arrays[name] = np.concatenate(values, axis=-1)
        else:
            arrays[name] = np.stack(values) if places[0].member is not None else values[0]
    return arrays


def from_canonical(arrays: Mapping[str, np.ndarray], locations: Mapping[str, Location]) -> dict[str, np.ndarray]:
    """The recorded tensors' values in canonical `arrays`."""
    found = {}
    for name, place in locations.items():
        value = arrays[place.name]
        if place.half is not None:
            value = np.split(value, len(HEADS), axis=-1)[place.half]
        found[name] = value if place.member is None else value[place.member]
    return found
