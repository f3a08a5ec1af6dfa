"""A run's folder: starting it, resuming it, and what a checkpoint records beside the learner's arrays."""

import importlib.metadata
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pogo.core.checkpoint import Checkpoint, CheckpointStore
from pogo.core.config.plan import Plan
from pogo.core.errors import BadInput

SUMMARY = "summary.json"
CONFIG = "config.json"
# What a resumed run may change: where it runs and how it is watched; train.updates may grow.
_FREE_SECTIONS = ("backend", "run", "resume")
_PACKAGES = {"torch": ("torch", "geomloss"), "jax": ("jax", "jaxlib", "flax", "optax", "ott-jax")}


@dataclass(frozen=True)
class Start:
    """Where a run begins."""

    checkpoint: Checkpoint | None  # none: update 0
    finished: bool = False  # nothing is left to do


def find_start(plan: Plan, store: CheckpointStore) -> Start:
    """Decide by `resume` and by what the run folder holds.

    Raises:
        BadInput: `resume` contradicts the folder, no checkpoint is good, or the config has changed.
    """
    mode = plan.resolved["resume"]
    if plan.run_dir.exists() and not plan.run_dir.is_dir():
        raise BadInput(f"run.dir={plan.run_dir} is a file; name a folder.")
    committed = store.steps()
    if mode == "never" and committed:
        raise BadInput(
            f"resume=never, but {plan.run_dir} holds checkpoints up to update {committed[-1]}; "
            "use another run.dir, or resume=auto to go on."
        )
    if mode == "must" and not committed:
        raise BadInput(f"resume=must, but {plan.run_dir} holds no checkpoint; check run.dir, or use resume=auto.")
    checkpoint = store.load_newest()
    if checkpoint is None:
        return Start(None)
    _check_unchanged(plan, checkpoint)
    finished = checkpoint.step >= plan.updates and (plan.run_dir / SUMMARY).is_file()
    return Start(checkpoint, finished)


def run_record(plan: Plan) -> dict[str, Any]:
    """What every checkpoint says of the run that wrote it: enough to act, evaluate and resume without the data."""
    dataset = plan.dataset
    return {
        "asked": plan.asked,
        "resolved": plan.resolved,
        "observation_size": plan.spec.observation_size,
        "action_size": plan.spec.action_size,
        "normalisation": dataset.normalisation.to_json(),
        "environment": dataset.environment.to_json() if dataset.environment is not None else None,
        "reference_returns": list(dataset.reference_returns) if dataset.reference_returns is not None else None,
        "dataset": {"name": dataset.name, "sha256": dataset.sha256, "view": dataset.view, "rows": dataset.raw_rows},
        "versions": versions(plan.backend),
    }


def versions(backend: str) -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for name in ("pogo", "numpy", "gymnasium", "mujoco", *_PACKAGES[backend]):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def adopt_schedule(plan: Plan, checkpoint: Checkpoint) -> dict[str, Any]:
    """The algorithm's section as first resolved: a longer run keeps the schedules that it began with."""
    return dict(checkpoint.records["run"]["resolved"]["algorithm"])


def _check_unchanged(plan: Plan, checkpoint: Checkpoint) -> None:
    recorded = checkpoint.records["run"]
    before, now = _comparable(recorded["asked"]), _comparable(plan.asked)
    updates_before = recorded["resolved"]["train"]["updates"]
    changes = [
        f"{key}: {before.get(key)!r} -> {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if plan.updates < updates_before:
        changes.append(f"train.updates: {updates_before} -> {plan.updates}")
    if recorded["dataset"]["sha256"] != plan.dataset.sha256:
        changes.append("the dataset's contents")
    if changes:
        raise BadInput(
            f"{plan.run_dir} was begun with another config ({'; '.join(changes)}); only a larger train.updates may "
            "change: restore these, or use another run.dir."
        )


def _comparable(asked: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for section, value in asked.items():
        if section in _FREE_SECTIONS:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{section}.{key}": entry for key, entry in value.items()}
        else:
            flat[section] = value
    flat.pop("train.updates", None)
    return flat
