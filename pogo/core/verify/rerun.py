"""Replaying a recording with pogo's own algorithm, and the comparison."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.inputs import batch_arrays
from pogo.core.errors import BadInput
from pogo.core.problem.chain import actor_name
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import by_network, fresh_state, network_of
from pogo.core.problem.w2 import W2Config
from pogo.core.registry import load_backend
from pogo.core.verify.adapters import actor_as_recorded, adapter_of
from pogo.core.verify.checks import batch_sizes, check_batches, check_metrics, check_networks, named_noise
from pogo.core.verify.hyperparameters import read_hyperparameters
from pogo.core.verify.names import Location, from_canonical, locate, to_canonical
from pogo.core.verify.recording import Recording

# dtype: (rtol of the movement, atol per square root of entries, relative and absolute tolerance of metrics)
# Actors 1+ and their targets feel the accuracy of the Sinkhorn solver that recorded them.
CHAIN_RTOL = {"float64": 1e-4, "float32": 2e-2}
CHAIN_NETWORK = re.compile(r"(target_)?actor_[1-9]")
TOLERANCES = {"float64": (1e-8, 1e-13, 1e-9, 1e-11), "float32": (5e-3, 1e-7, 1e-3, 1e-4)}


@dataclass
class Comparison:
    """What a replay found, all in 2-norms."""

    dtype: str
    errors: dict[int, dict[str, tuple[float, float, int]]] = field(
        default_factory=dict
    )  # difference, movement, entries
    metrics: dict[int, dict[str, tuple[float, float]]] = field(default_factory=dict)  # mine, golden
    scales: dict[str, float] = field(default_factory=dict)  # largest entry of each tensor at the start

    def shares(self) -> dict[str, float]:
        """The share of its tolerance that each tensor's and metric's difference takes up: past 1 it fails."""
        rtol, atol, metric_rtol, metric_atol = TOLERANCES[self.dtype]
        shares = {}
        for step, tensors in self.errors.items():
            for name, (difference, movement, entries) in tensors.items():
                floor = atol * (max(1.0, self.scales[name]) if self.dtype == "float32" else 1.0)
                share = CHAIN_RTOL[self.dtype] if CHAIN_NETWORK.match(name) else rtol
                shares[f"update {step}, {name}"] = difference / (share * movement + floor * math.sqrt(entries))
        for step, values in self.metrics.items():
            for name, (mine, golden) in values.items():
                share = max(metric_rtol, CHAIN_RTOL[self.dtype]) if CHAIN_NETWORK.match(name) else metric_rtol
                shares[f"update {step}, metric {name}"] = abs(mine - golden) / (share * abs(golden) + metric_atol)
        return shares

    def failures(self) -> list[str]:
        """One line per tensor and metric past its tolerance (a NaN is); empty if all is well."""
        return [
            f"{where}: {share:.3g} times its tolerance" for where, share in self.shares().items() if not share <= 1.0
        ]

    def largest_error(self) -> tuple[float, str]:
        """The largest difference of a tensor as a share of how far the recorded one moved, and where it is.

        Of tensors that moved too little for the share to be their yardstick, nothing is said: that is rounding.
        """
        rtol, atol, *_ = TOLERANCES[self.dtype]
        found = {
            f"update {step}, {name}": difference / movement
            for step, tensors in self.errors.items()
            for name, (difference, movement, entries) in tensors.items()
            if rtol * movement > atol * math.sqrt(entries)
        }
        if not found:
            return 0.0, "no tensor moved far enough"
        where = max(found, key=lambda key: found[key] if found[key] == found[key] else math.inf)
        return found[where], where

    def worst(self) -> tuple[float, str]:
        """The largest share of a tolerance, and where it is."""
        shares = self.shares()
        where = max(shares, key=lambda key: shares[key] if shares[key] == shares[key] else math.inf)
        return shares[where], where


def recorded_problem(recording: Recording) -> tuple[TrainSpec, dict[str, np.ndarray], dict[str, Location]]:
    """The training problem, the canonical starting state and the tensors' locations of a recording.

    Raises:
        BadInput: the recording does not hold a run of its algorithm.
    """
    adapter = adapter_of(recording)
    sizes = batch_sizes(recording)
    chain = adapter.chain(recording)
    hyperparameters = read_hyperparameters(recording, adapter, sizes.action)
    locations = locate(recording.init, adapter.places)
    networks = {name: value.astype(recording.dtype) for name, value in to_canonical(recording.init, locations).items()}
    algorithm = load_algorithm(recording.algorithm)
    default = replace(algorithm.default_actor(hyperparameters), **adapter.actor)
    spec = TrainSpec(
        algorithm=recording.algorithm,
        observation_size=sizes.observation,
        action_size=sizes.action,
        batch_size=sizes.batch,
        actors=tuple(actor_as_recorded(default, networks, actor_name(index)) for index in range(chain.num_actors)),
        chain=chain,
        w2=W2Config(noise="independent"),
        hyperparameters=hyperparameters,
        dtype=recording.dtype,
    )
    trained = {*algorithm.learning_rates(hyperparameters), *(actor_name(index) for index in range(chain.num_actors))}
    wanted = {*trained, *algorithm.targets(spec)}
    networks = {name: value for name, value in networks.items() if network_of(name) in wanted}
    locations = {name: place for name, place in locations.items() if place.name in networks}
    check_batches(recording, spec)
    check_networks(spec, networks, locations)
    check_metrics(recording, adapter)
    recorded = by_network(networks)
    return spec, fresh_state(recorded, [name for name in recorded if name in trained]), locations


def rerun(recording: Recording, backend: str) -> Comparison:
    """Feed a recording's start, batches and draws to pogo's algorithm on `backend` and compare.

    Raises:
        BadInput: the recording does not hold a run of its algorithm, or nothing to compare for some update.
    """
    steps = range(1, recording.steps + 1)
    with recording.naming_file():
        adapter = adapter_of(recording)
        spec, arrays, locations = recorded_problem(recording)
        noise = {step: named_noise(recording, adapter, spec, step) for step in steps}
    updates = load_backend(backend, "single_updates").SingleUpdates(spec, arrays)
    comparison = Comparison(recording.dtype)
    comparison.scales = {name: float(np.abs(value).max()) for name, value in recording.init.items()}
    mine = {}
    for step in steps:
        batch = recording.batch(step)
        mine[step] = updates.step({name: batch[name] for name in batch_arrays(spec)}, noise[step])
        if step in recording.param_steps:
            # What an option leaves untrained (a multiplier without Lagrange) is no part of pogo's state: it stays.
            found = recording.init | from_canonical(updates.arrays(), locations)
            comparison.errors[step] = {
                name: _difference(found[name], value, recording.init[name])
                for name, value in recording.params(step).items()
            }
    with recording.naming_file():
        comparison.metrics = _paired_metrics(mine, {step: recording.metrics(step) for step in steps}, adapter.metrics)
    return comparison


def _paired_metrics(
    mine: Mapping[int, Mapping[str, float]], golden: Mapping[int, Mapping[str, float]], names: Mapping[str, str]
) -> dict[int, dict[str, tuple[float, float]]]:
    """Pogo's metric and the recorded one, by update and recorded name; NaN, a failure, where only one side has it."""
    shared = {
        name: ours.removeprefix("-")
        for name, ours in names.items()
        if any(name in found for found in golden.values())
        and any(ours.removeprefix("-") in found for found in mine.values())
    }
    pairs: dict[int, dict[str, tuple[float, float]]] = {}
    for step in golden:
        pairs[step] = {}
        for name, ours in shared.items():
            if ours in mine[step] or name in golden[step]:
                sign = -1.0 if names[name].startswith("-") else 1.0
                pairs[step][name] = sign * mine[step].get(ours, math.nan), golden[step].get(name, math.nan)
        if not pairs[step]:
            raise BadInput(f"metrics/{step} holds none that pogo computes there; record what the update returned.")
    return pairs


def _difference(mine: np.ndarray, golden: np.ndarray, start: np.ndarray) -> tuple[float, float, int]:
    mine, golden, start = (np.asarray(value, dtype=np.float64).reshape(golden.shape) for value in (mine, golden, start))
    return float(np.linalg.norm(mine - golden)), float(np.linalg.norm(golden - start)), golden.size
