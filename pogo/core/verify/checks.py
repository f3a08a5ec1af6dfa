"""What has to fit together before a recording is replayed: batches, networks, draws, metrics."""

import re
from collections.abc import Mapping
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from pogo.core.algorithms.inputs import batch_arrays, initial_state, update_noise_spec
from pogo.core.errors import BadInput
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import by_network, is_parameter
from pogo.core.verify.adapters import Adapter
from pogo.core.verify.names import Location
from pogo.core.verify.recording import RecordedDraw, Recording

Shape = tuple[int, ...]
LAYERS = re.compile(r"(hidden_\d+|norm_\d+|output)/")
RECORDED_ARRAYS = {"terminals": "dones"}  # where their name differs from pogo's


class Sizes(NamedTuple):
    """What every batch of a recording has in common."""

    batch: int
    observation: int
    action: int


def batch_sizes(recording: Recording) -> Sizes:
    """The sizes that the first batch's observations and actions have.

    Raises:
        BadInput: `observations` or `actions` is missing, or is no matrix.
    """
    batch = recording.batch(1)
    for name in ("observations", "actions"):
        if name not in batch:
            raise BadInput(f"batch/1/{name} is missing; record it.")
        if batch[name].ndim != 2:
            raise BadInput(f"batch/1/{name} has shape {batch[name].shape}; store one row per transition.")
    length, observation_size = batch["observations"].shape
    return Sizes(length, observation_size, batch["actions"].shape[1])


def check_batches(recording: Recording, spec: TrainSpec) -> None:
    """Refuse a recording without the algorithm's arrays in every batch, all of their shapes.

    Raises:
        BadInput: an array is missing or misshapen.
    """
    size, observations, actions = (spec.batch_size,), (spec.observation_size,), (spec.action_size,)
    rows = {"observations": observations, "actions": actions}
    rows |= {f"next_{name}": row for name, row in rows.items()}
    for step in range(1, recording.steps + 1):
        batch = recording.batch(step)
        for name in batch_arrays(spec):
            where = f"batch/{step}/{RECORDED_ARRAYS.get(name, name)}"
            if name not in batch:
                raise BadInput(f"{where} is missing, which {spec.algorithm} reads; record it.")
            wanted = size + rows.get(name, ())
            if batch[name].shape != wanted:
                raise BadInput(f"{where} has shape {batch[name].shape}; store it as {wanted}.")


def check_networks(spec: TrainSpec, arrays: Mapping[str, np.ndarray], locations: Mapping[str, Location]) -> None:
    """Refuse starting parameters that are not the algorithm's networks; hidden sizes are as recorded.

    Args:
        spec: the recording's problem.
        arrays: canonical arrays of the networks that the algorithm has.
        locations: of the recorded tensors.

    Raises:
        BadInput: a network or a tensor of one is missing, unknown or misshapen.
    """
    drawn = {name: value.shape for name, value in initial_state(0, spec).items() if is_parameter(name)}
    found = by_network({name: value.shape for name, value in arrays.items()})
    recorded: dict[str, list[str]] = {}
    for name, place in locations.items():
        recorded.setdefault(place.name, []).append(f"init/{name}")
    for network, reference in by_network(drawn).items():
        if network not in found:
            raise BadInput(f"init holds no network for pogo's {network}, which {spec.algorithm} has; record it.")
        names = {parameter: recorded[f"{network}/{parameter}"] for parameter in found[network]}
        _check_network(network, found[network], _expected(found[network], reference), names)
    for network in found:
        if network.startswith("target_"):
            source = network.removeprefix("target_")
            online = found.get(source) or found[f"{source}_0"]
            for parameter, shape in found[network].items():
                if online.get(parameter) != shape:
                    name = recorded[f"{network}/{parameter}"][0]
                    raise BadInput(f"{name} has another shape than in its online network; record both alike.")


def _check_network(
    network: str, found: Mapping[str, Shape], expected: Mapping[str, Shape], names: Mapping[str, list[str]]
) -> None:
    for parameter in sorted(expected.keys() - found.keys()):
        beside = next(iter(names.values()))[0]
        raise BadInput(f"init lacks pogo's {network}/{parameter}, in the network of {beside}; record every tensor.")
    for parameter, shape in found.items():
        listed = " and ".join(names[parameter])
        if parameter not in expected:
            raise BadInput(f"{listed} is no part of such a network with these hyperparameters; mend them, or drop it.")
        wanted = expected[parameter]
        is_scalar = shape == () and wanted == (1,) and not LAYERS.match(parameter)
        if shape == wanted or is_scalar:
            continue
        is_ensemble = len(wanted) > (2 if parameter.endswith("kernel") else 1)
        if is_ensemble and shape[1:] == wanted[1:]:
            raise BadInput(f"{listed}: {shape[0]} members where there should be {wanted[0]}; record each.")
        raise BadInput(f"{listed} gives shape {shape}, where {wanted} fits sizes and neighbours; record the right one.")


def _expected(found: Mapping[str, Shape], reference: Mapping[str, Shape]) -> dict[str, Shape]:
    """The shapes that a network of `found`'s hidden sizes has where a seed would draw `reference`."""
    expected = {name: shape for name, shape in reference.items() if not LAYERS.match(name)}
    if "output/kernel" not in reference:
        return expected
    *members, inputs, _ = reference.get("hidden_0/kernel", reference["output/kernel"])
    sizes = [inputs]
    while shape := found.get(f"hidden_{len(sizes) - 1}/bias") or found.get(f"hidden_{len(sizes) - 1}/kernel"):
        sizes.append(shape[-1])
    sizes.append(reference["output/kernel"][-1])
    for index, (fan_in, fan_out) in enumerate(pairwise(sizes)):
        is_output = index == len(sizes) - 2
        layer = "output" if is_output else f"hidden_{index}"
        expected[f"{layer}/kernel"] = (*members, fan_in, fan_out)
        expected[f"{layer}/bias"] = (*members, fan_out)
        if "norm_0/scale" in reference and not is_output:
            expected |= {f"norm_{index}/{part}": (*members, fan_out) for part in ("scale", "bias")}
    return expected


def named_noise(recording: Recording, adapter: Adapter, spec: TrainSpec, step: int) -> dict[str, np.ndarray]:
    """The draws of update `step` by pogo's names; zeros for those that this update has no use for.

    Raises:
        BadInput: the recorded draws are too few or too many, or one is of another law or shape.
    """
    wanted = update_noise_spec(spec)
    names = adapter.draw_names(spec, step)
    draws = recording.draws(step)
    if len(draws) < len(names):
        raise BadInput(f"noise/{step} holds {len(draws)} draws, {spec.algorithm} makes {len(names)} "
                       f"({', '.join(names)}); record each, in call order.")  # fmt: skip
    surplus = draws[len(names) :]
    if len(surplus) > adapter.logged_draws and not all(map(_keeps_all, surplus)):
        raise BadInput(f"noise/{step} holds {len(draws)} draws, {spec.algorithm} makes {len(names)} with these "
                       "hyperparameters; mend them, or leave the others out.")  # fmt: skip
    noise = {name: np.zeros(draw.shape, dtype=recording.dtype) for name, draw in wanted.items()}
    for ordinal, (name, draw) in enumerate(zip(names, draws, strict=False)):
        shape = wanted[name].shape[1:] if name in adapter.draws_of_steps else wanted[name].shape
        _check_draw(f"noise/{step}/{ordinal}_{draw.kind}", name, draw, wanted[name].distribution, shape)
        noise[name] = draw.values.reshape(wanted[name].shape)
    return noise | {name: noise[source].reshape(wanted[name].shape) for name, source in adapter.same_draws.items()}


def _keeps_all(draw: RecordedDraw) -> bool:
    """Whether it is the mask of a dropout that drops nothing."""
    return draw.kind == "bernoulli" and bool((draw.values == 1).all())


def _check_draw(where: str, name: str, draw: RecordedDraw, distribution: str, shape: Shape) -> None:
    if draw.kind != distribution:
        raise BadInput(f"{where} stands where {name} is drawn, a {distribution}; record draws in call order.")
    if draw.values.shape != shape:
        raise BadInput(f"{where} has shape {draw.values.shape}, {name} has {shape}; record each whole draw.")


def check_metrics(recording: Recording, adapter: Adapter) -> None:
    """Refuse a recording of which some update would be compared by fewer metrics than another.

    Metrics of the actors come with the updates that move them: those of one update all or none.

    Raises:
        BadInput: an update lacks a metric.
    """
    actors = {name for name, ours in adapter.metrics.items() if ours.startswith("actor_")}
    stored = {step: adapter.metrics.keys() & recording.metrics(step).keys() for step in range(1, recording.steps + 1)}
    ever = set[str]().union(*stored.values())
    for step, names in stored.items():
        wanted = ever if names & actors else ever - actors
        if not names:
            raise BadInput(f"metrics/{step} holds none of {', '.join(sorted(adapter.metrics))}; record them.")
        for name in sorted(wanted - names):
            raise BadInput(f"metrics/{step}/{name} is missing, which other updates have; record it for every update.")
