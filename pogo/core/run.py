"""A run's folder: starting it, resuming it, and what a checkpoint records beside the learner's arrays."""

import fcntl
import importlib.metadata
import json
import logging
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pogo.core.checkpoint import Checkpoint, CheckpointStore
from pogo.core.config.plan import Plan
from pogo.core.config.provenance import SOURCES
from pogo.core.durable import make_folder
from pogo.core.errors import BadInput

logger = logging.getLogger("pogo")

SUMMARY = "summary.json"
CONFIG = "config.json"
# What a resumed run may change: where it runs and how it is watched; train.updates may grow.
_FREE_SECTIONS = ("backend", "run", "resume", SOURCES)
# Where the data is found: its name and digest are compared instead.
_FREE_KEYS = ("train.updates", "dataset.path", "dataset.offline", "dataset.mirrors", "dataset.cache_dir")
_PACKAGES = {"torch": ("torch", "geomloss"), "jax": ("jax", "jaxlib", "flax", "optax", "ott-jax")}


class RunLock:
    """Lets one process train in a run folder at a time.

    The lock is on the folder itself, so that it leaves no file, and the system frees it when the process ends, however
    it ends.
    """

    def __init__(self, run_dir: Path) -> None:
        self._run_dir = run_dir
        self._descriptor: int | None = None

    def acquire(self, make: bool) -> bool:
        """Lock the folder, made if need be and `make` says so; returns whether it was unlocked and is locked now.

        Raises:
            BadInput: it cannot be made or opened, or another process trains in it.
        """
        if self._descriptor is not None:
            return False
        try:
            self._check_is_folder()
            if make:
                make_folder(self._run_dir)
            elif not self._run_dir.exists():
                return False
            self._descriptor = os.open(self._run_dir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise BadInput(
                f"run.dir={self._run_dir} cannot be used: {error}; name a folder that can be written."
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise BadInput(
                f"{self._run_dir} is in use: another process is training in it; let it end, or use another run.dir."
            ) from None
        except OSError as error:  # some network file systems lock no folders
            logger.warning("%s cannot be locked (%s): start no second run in it.", self._run_dir, error.strerror)
        return True

    def release(self) -> None:
        """Free the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()

    def _check_is_folder(self) -> None:
        nearest = next(path for path in (self._run_dir, *self._run_dir.absolute().parents) if path.exists())
        if not nearest.is_dir():
            raise BadInput(f"run.dir={self._run_dir}: {nearest} is a file; name a folder.")


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
    return Start(checkpoint, finished=checkpoint.step >= plan.updates and _is_summed_up(plan, checkpoint))


def _is_summed_up(plan: Plan, checkpoint: Checkpoint) -> bool:
    """Whether the summary is of this checkpoint's state: a shorter run may have left one, before it was extended."""
    if checkpoint.records["progress"]["owes_evaluation"]:
        return False
    try:
        return json.loads((plan.run_dir / SUMMARY).read_bytes())["updates"] == checkpoint.step
    except (OSError, ValueError, LookupError, TypeError):  # missing or torn: it is written anew
        return False


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
    if recorded["dataset"]["name"] != plan.dataset.name:
        changes.append(f"the dataset's name: {recorded['dataset']['name']!r} -> {plan.dataset.name!r}")
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
    return {key: value for key, value in flat.items() if key not in _FREE_KEYS}


def warn_of_other_bits(plan: Plan, checkpoint: Checkpoint) -> None:
    """Say what differs from where the checkpoint was written and may change the last bits of what follows."""
    recorded = checkpoint.records["run"]
    before = {"threads": recorded["resolved"]["threads"], **recorded["versions"]}
    now = {"threads": plan.resolved["threads"], **versions(plan.backend)}
    if recorded["resolved"]["backend"]["name"] != plan.backend:
        return  # its streams start anew: other bits are expected
    changes = [f"{key} {before[key]} -> {now[key]}" for key in now if key in before and before[key] != now[key]]
    if changes:
        logger.warning("resumed elsewhere (%s): results may differ in the last bits.", ", ".join(changes))
