"""A run that goes on from another with a chain of its own (`chain.base`)."""

from collections.abc import Mapping

import numpy as np

from pogo.core.algorithms import load_algorithm
from pogo.core.errors import BadInput
from pogo.core.problem.chain import actor_name, is_of_chain
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import NOT_OF_THE_STATE, is_parameter, network_of, network_of_array
from pogo.core.runs.plan import Plan
from pogo.core.runs.warm_start import SourceRun


def with_own_chain(fresh: Mapping[str, np.ndarray], plan: Plan, source: SourceRun) -> dict[str, np.ndarray]:
    """A fresh learner's snapshot with all that the source has but its chain: later actors begin as its actor 0.

    Random streams begin anew, from the seed and the number of updates.

    Raises:
        BadInput: the source was trained on other data or by another algorithm, is as long as this run is to be, or
            lacks an array that this run has.
    """
    _check(plan, source)
    begun = {}
    for name, array in fresh.items():
        if name.startswith(NOT_OF_THE_STATE):
            continue
        theirs = _taken_from(name, plan.spec)
        if theirs is not None and theirs not in source.arrays:
            raise BadInput(
                f"chain.base={source.run_dir} lacks {theirs}: its networks are not this run's; set algorithm.* and "
                "chain.actors[0] as they were there."
            )
        begun[name] = array if theirs is None else source.arrays[theirs]
    return begun


def _taken_from(name: str, spec: TrainSpec) -> str | None:
    """Which array of the source one of this run begins as; None for one of its own."""
    network = network_of_array(name)
    if not is_of_chain(network):
        return name
    is_as_actor_0 = any(
        network.removeprefix("target_") == actor_name(index) and spec.begins_as_actor_0(index)
        for index in range(1, len(spec.actors))
    )
    if is_as_actor_0 and is_parameter(name):
        return name.replace(network_of(name), actor_name(0), 1)
    return None


def _check(plan: Plan, source: SourceRun) -> None:
    theirs, ours = source.record, plan.config
    differences = []
    if theirs.config.algorithm.name != ours.algorithm.name:
        differences.append(f"algorithm={theirs.config.algorithm.name} there, {ours.algorithm.name} here")
    else:
        here, there = (vars(config.algorithm.hyperparameters) for config in (ours, theirs.config))
        follows_length = load_algorithm(ours.algorithm.name).scheduled(ours.algorithm.hyperparameters)
        differences += [
            f"algorithm.{key}={there[key]!r} there, {value!r} here"
            for key, value in here.items()
            if there[key] != value and key != follows_length
        ]
    if theirs.dataset.sha256 != plan.dataset.sha256:
        differences.append(f"the contents of dataset {theirs.dataset.name} there, of {plan.dataset.name} here")
    if theirs.dataset.view != plan.dataset.view:
        differences.append(f"dataset.view={theirs.dataset.view} there, {plan.dataset.view} here")
    elif theirs.normalisation.to_json() != plan.dataset.normalisation.to_json():  # what actor 0 sees, and what it does
        differences.append("other action bounds or another normalisation there than here (dataset.action_low, ...)")
    if theirs.config.dtype != ours.dtype:
        differences.append(f"dtype={theirs.config.dtype} there, {ours.dtype} here")
    if differences:
        raise BadInput(f"chain.base={source.run_dir} is of another training: {'; '.join(differences)}.")
    if source.step >= ours.train.updates:
        raise BadInput(
            f"chain.base={source.run_dir} has made {source.step} updates, and this run goes on from there to "
            f"train.updates={ours.train.updates}; use a larger one."
        )
