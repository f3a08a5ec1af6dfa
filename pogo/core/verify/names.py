"""Where a recorded tensor lives in pogo's canonical tree."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from pogo.core.errors import BadInput

HEADS = ("mu", "log_sigma")  # of a Gaussian whose mean and log_std have a head each
DENSE = re.compile(r"dense_(0|[1-9]\d{0,3})")


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
        BadInput: a recorded network or tensor has no place in the algorithm, or two have the same one.
    """
    names = list(recorded)
    last_dense = _last_dense(names)
    two_headed = {name.split("/")[0] for name in names if name.split("/")[1:2] == [HEADS[0]]}
    locations: dict[str, Location] = {}
    taken: dict[Location, str] = {}
    for name in names:
        network, _, rest = name.partition("/")
        target = network.removeprefix("target_")
        if target not in places:
            known = ", ".join(sorted(places))
            raise BadInput(f"init/{name}: network {network} is none of this algorithm's; known are {known}.")
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
        location = Location(f"{canonical}/{rest}", place.member, half)
        if location in taken:
            raise BadInput(f"init/{name} and init/{taken[location]} are the same tensor; store it once.")
        taken[location] = name
        locations[name] = location
    return locations


def _last_dense(names: Iterable[str]) -> dict[str, int]:
    """The index of each network's last dense layer."""
    found: dict[str, set[int]] = {}
    for name in names:
        network, _, rest = name.partition("/")
        if rest.startswith("dense_"):
            dense = DENSE.fullmatch(rest.split("/")[0])
            if dense is None:
                raise BadInput(f"init/{name}: number the layers dense_0, dense_1, ... from the input on.")
            found.setdefault(network, set()).add(int(dense[1]))
    for network, indices in found.items():
        gaps = set(range(len(indices))) - indices
        if gaps:
            raise BadInput(
                f"init/{network} has no dense_{min(gaps)} below its dense_{max(indices)}; store every layer."
            )
    return {network: max(indices) for network, indices in found.items()}


def to_canonical(recorded: Mapping[str, np.ndarray], locations: Mapping[str, Location]) -> dict[str, np.ndarray]:
    """Canonical arrays of recorded ones: members stacked, heads side by side.

    Raises:
        BadInput: members or heads that make up one array are incomplete or of different shapes.
    """
    parts: dict[str, dict[str, Location]] = {}
    for name in recorded:
        parts.setdefault(locations[name].name, {})[name] = locations[name]
    arrays = {}
    for canonical, found in parts.items():
        names = sorted(found, key=lambda name: (found[name].member or 0, found[name].half or 0))
        _check_parts(canonical, {name: recorded[name].shape for name in names}, [found[name] for name in names])
        values = [recorded[name] for name in names]
        if found[names[0]].half is not None:
            arrays[canonical] = np.concatenate(values, axis=-1)
        else:
            arrays[canonical] = np.stack(values) if found[names[0]].member is not None else values[0]
    return arrays


def _check_parts(canonical: str, shapes: Mapping[str, tuple[int, ...]], places: list[Location]) -> None:
    listed = " and ".join(f"init/{name} {list(shape)}" for name, shape in shapes.items())
    members, halves = [place.member for place in places], [place.half for place in places]
    whole = members == [None] and halves == [None]
    stacked = halves == [None] * len(places) and members == list(range(len(places)))
    side_by_side = members == [None] * len(HEADS) and halves == list(range(len(HEADS)))
    if not (whole or stacked or side_by_side):
        raise BadInput(f"{listed} do not make up all of {canonical}; store every member and head, once.")
    if len(set(shapes.values())) > 1 or (side_by_side and () in shapes.values()):
        raise BadInput(f"{listed} make up {canonical} and have to be of one shape; record them again.")


def from_canonical(arrays: Mapping[str, np.ndarray], locations: Mapping[str, Location]) -> dict[str, np.ndarray]:
    """The recorded tensors' values in canonical `arrays`."""
    found = {}
    for name, place in locations.items():
        value = arrays[place.name]
        if place.half is not None:
            value = np.split(value, len(HEADS), axis=-1)[place.half]
        found[name] = value if place.member is None else value[place.member]
    return found
