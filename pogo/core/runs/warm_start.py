"""Offline to online: a new run that begins with another run's actors and critics."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pogo.core.algorithms import load_algorithm
from pogo.core.errors import BadInput, reading
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.problem.chain import actor_name
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import is_parameter, network_of
from pogo.core.runs.record import RunRecord

_CRITICS = ("critic", "target_critic")
_TUNED = ("temperature",)  # goes on where both have it


@dataclass(frozen=True)
class SourceRun:
    """The newest good checkpoint of a run that a new one begins with."""

    run_dir: Path
    step: int
    record: RunRecord
    arrays: Mapping[str, np.ndarray]

    @property
    def networks(self) -> dict[str, np.ndarray]:
        """Parameters by canonical name, without moments."""
        return {name: array for name, array in self.arrays.items() if is_parameter(name)}


def read_source(key: str, run_dir: str) -> SourceRun:
    """The run that the setting `key` names, `resume_from` or `chain.base`; nothing in its folder changes.

    Raises:
        BadInput: no such folder, or no good checkpoint in it.
    """
    folder = Path(run_dir).expanduser()
    store = CheckpointStore(folder)
    if not folder.is_dir() or not store.steps():
        raise BadInput(
            f"{key}={run_dir} holds no checkpoints; give a run's own folder, which has checkpoints/. "
            "A run that has begun with it goes on without it, its own folder named by run.dir."
        )
    found = store.load_newest(set_aside=False)
    assert found is not None  # there are steps, and none good is an error
    with reading(f"{key}={run_dir}: the record of checkpoint {found.step}"):
        return SourceRun(folder, found.step, RunRecord.from_json(found.records["run"]), found.arrays)


def warm_started(fresh: Mapping[str, np.ndarray], spec: TrainSpec, source: SourceRun) -> dict[str, np.ndarray]:
    """A fresh learner's snapshot with the parameters of the source's actors and critics.

    Optimizers and schedules begin anew: their moments and counts are of another loss.

    Raises:
        BadInput: networks that do not match, each with what it is there and here.
    """
    theirs = source.record.spec
    differences = _actor_differences(spec, theirs) + _critic_differences(fresh, spec, source.networks, theirs)
    if differences:
        raise BadInput(
            f"resume_from={source.run_dir}: its networks are not this run's: {'; '.join(differences)}. "
            "Set algorithm.* and chain.* so that they are."
        )
    names = [*(actor_name(index) for index in range(len(spec.actors))), *_CRITICS]
    names += [name for name in _TUNED if _shapes(fresh, name) == _shapes(source.networks, name)]
    taken = {
        name: source.networks[name].astype(array.dtype) for name, array in fresh.items() if network_of(name) in names
    }
    return {**fresh, **taken}


def _actor_differences(ours: TrainSpec, theirs: TrainSpec) -> list[str]:
    if len(ours.actors) != len(theirs.actors):
        return [f"{len(theirs.actors)} actors there, {len(ours.actors)} here (chain.num_actors)"]
    found = []
    for index, (here, there) in enumerate(zip(ours.actors, theirs.actors, strict=True)):
        options = {name: (value, getattr(here, name)) for name, value in vars(there).items()}
        differing = [f"{name} {old} there, {new} here" for name, (old, new) in options.items() if old != new]
        if differing:
            found.append(f"{actor_name(index)} has {', '.join(differing)}")
    return found


def _critic_differences(
    fresh: Mapping[str, np.ndarray], ours: TrainSpec, networks: Mapping[str, np.ndarray], theirs: TrainSpec
) -> list[str]:
    found = []
    for critic in _CRITICS:
        here, there = _shapes(fresh, critic), _shapes(networks, critic)
        if here != there:
            found.append(f"{critic} is {_text(there)} there, {_text(here)} here")
            break  # a slow copy is what its critic is
    # Every algorithm's critics have the activation of its default actor.
    here, there = (load_algorithm(spec.algorithm).default_actor(spec.hyperparameters) for spec in (ours, theirs))
    if here.activation != there.activation:
        found.append(f"critic has activation {there.activation} there, {here.activation} here")
    return found


def _shapes(arrays: Mapping[str, np.ndarray], network: str) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in arrays.items() if network_of(name) == network}


def _text(shapes: Mapping[str, Sequence[int]]) -> str:
    kernels = [list(shape) for name, shape in sorted(shapes.items()) if name.endswith("kernel")]
    others = sorted({name.split("/")[-2] for name in shapes if "norm" in name})
    return f"{kernels}" + (f" with {', '.join(others)}" if others else "") if shapes else "missing"
