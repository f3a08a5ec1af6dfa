"""A run's folder: starting it, resuming it, and what a checkpoint records beside the learner's arrays."""

import dataclasses
import fcntl
import importlib.metadata
import json
import logging
import os
import platform
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pogo.core.algorithms import load_algorithm
from pogo.core.chain import actor_name
from pogo.core.config.plan import Plan, spec_of_run
from pogo.core.config.provenance import SOURCES
from pogo.core.config.schema import Config, meaning, meanings
from pogo.core.data.sources import DatasetConfig
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, reading
from pogo.core.files.checkpoint import Checkpoint, CheckpointStore, load_newest_common, lost
from pogo.core.files.durable import make_folder
from pogo.core.files.logs import TRAIN

logger = logging.getLogger("pogo")

SUMMARY = "summary.json"
CONFIG = "config.json"
# What the resolved config leaves to the algorithm.
_OF_ACTORS = ("chain.actors", "chain.learning_rate")
_PACKAGES = {"torch": ("torch", "geomloss"), "jax": ("jax", "jaxlib", "optax", "ott-jax")}


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
    """Where runs begin that are trained together."""

    checkpoints: tuple[Checkpoint, ...]  # one per run, all of one update; none: update 0
    finished: bool = False  # nothing is left to do in any of them
    begins_again: bool = False  # some hold a first checkpoint, and some were killed before theirs


def find_start(plans: Sequence[Plan], stores: Sequence[CheckpointStore]) -> Start:
    """Decide by `resume` and by what the run folders hold: the newest update that all of them have.

    Raises:
        BadInput: `resume` contradicts a folder, no checkpoint is good, the config has changed, or the folders have no
            update in common.
    """
    for plan, store in zip(plans, stores, strict=True):
        _check_resume_mode(plan, store.steps())
        _check_not_lost(plan, store)
    begun = [plan for plan, store in zip(plans, stores, strict=True) if store.steps()]
    fresh = [plan for plan, store in zip(plans, stores, strict=True) if not store.steps()]
    if begun and fresh:
        # Nothing is lost by that: what was computed up to a first checkpoint is computed once more, to the same bits.
        if all(store.holds_first_alone() for store in stores if store.steps()):
            return Start((), begins_again=True)
        raise BadInput(
            f"{_folders(begun)} hold a run, {_folders(fresh)} none: seeds are trained together from one update. "
            f"Train the others by themselves ({_alone(fresh)}), or name another run.root."
        )
    checkpoints = load_newest_common(stores)
    if checkpoints is None:
        if begun:
            have = "; ".join(f"{store.run_dir} has {', '.join(map(str, store.steps())) or 'none'}" for store in stores)
            raise BadInput(
                f"the runs have no update in common to go on from ({have}): go on with each by itself "
                f"({_alone(plans)})."
            )
        return Start(())
    for plan, checkpoint in zip(plans, checkpoints, strict=True):
        with reading(f"{plan.run_dir}: the record of checkpoint {checkpoint.step}", name_refusals=False):
            check_unchanged(plan, checkpoint)
            check_schedule(plan, checkpoint)
            _check_progress(checkpoint)
    finished = all(
        checkpoint.step >= plan.length and _is_summed_up(plan, checkpoint)
        for plan, checkpoint in zip(plans, checkpoints, strict=True)
    )
    return Start(tuple(checkpoints), finished)


def _check_not_lost(plan: Plan, store: CheckpointStore) -> None:
    """Refuse a folder whose checkpoints have been deleted, also where a pogo that left no mark of them has run.

    Raises:
        BadInput: the run had come further than its first checkpoint, and holds none.
    """
    if store.steps() or store.damaged_folder.exists():
        return
    store.check_not_lost()
    if (plan.run_dir / SUMMARY).exists():
        raise BadInput(lost(plan.run_dir))
    try:
        every = json.loads((plan.run_dir / CONFIG).read_bytes())["checkpoint"]["every"]
        *_, last = (plan.run_dir / TRAIN).read_bytes().splitlines()
        logged = json.loads(last)[plan.clock.unit]
        is_beyond = 0 < every < logged  # the line at its update is written before a checkpoint
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # not begun, or killed as it wrote
        return
    if is_beyond:
        raise BadInput(lost(plan.run_dir))


def _check_progress(checkpoint: Checkpoint) -> None:
    """Refuse a record of the run's progress that a loop could not go on from."""
    progress = checkpoint.records["progress"]
    seconds = [progress[f"{name}_seconds"] for name in ("train", "compile", "wall")]
    is_right = all(isinstance(number, int | float) and not isinstance(number, bool) for number in seconds)
    if not is_right or not isinstance(progress["owes_evaluation"], bool):
        raise TypeError("its seconds are no numbers, or owes_evaluation is neither true nor false")
    if not isinstance(progress["log_positions"], dict) or not isinstance(progress["evaluation"], dict | None):
        raise TypeError("log_positions or evaluation is no mapping")


def begin_again(plans: Sequence[Plan], stores: Sequence[CheckpointStore]) -> None:
    """Let seeds that are trained together start from their beginning, some having saved once and some not."""
    for plan, store in zip(plans, stores, strict=True):
        if store.steps():
            logger.warning(
                "%s begins again: a seed that is trained with it was killed before its first checkpoint.", plan.run_dir
            )
            store.begin_again()


def go_back(store: CheckpointStore, checkpoint: Checkpoint) -> None:
    """Make a run that had come further than others go on from the update that all of them have."""
    newer = [step for step in store.steps() if step > checkpoint.step]
    if newer:
        logger.warning(
            "%s goes back from update %d to %d, the newest that every seed has.",
            store.run_dir, newer[-1], checkpoint.step,
        )  # fmt: skip
        store.drop_newer(checkpoint.step)


def _check_resume_mode(plan: Plan, committed: Sequence[int]) -> None:
    mode = plan.resolved["resume"]
    if mode == "never" and committed:
        raise BadInput(
            f"resume=never, but {plan.run_dir} holds checkpoints up to {plan.clock.words(committed[-1])}; "
            "use another run.dir, or resume=auto to go on."
        )
    if mode == "must" and not committed:
        raise BadInput(f"resume=must, but {plan.run_dir} holds no checkpoint; check run.dir, or use resume=auto.")


def _folders(plans: Sequence[Plan]) -> str:
    return ", ".join(str(plan.run_dir) for plan in plans)


def _alone(plans: Sequence[Plan]) -> str:
    return f"pogo-train -m seed={','.join(str(plan.resolved['seed']) for plan in plans)} without train.num_seeds"


def _is_summed_up(plan: Plan, checkpoint: Checkpoint) -> bool:
    """Whether the summary is of this checkpoint's state: a shorter run may have left one, before it was extended."""
    if checkpoint.records["progress"]["owes_evaluation"]:
        return False
    try:
        return json.loads((plan.run_dir / SUMMARY).read_bytes())[plan.clock.units] == checkpoint.step
    except (OSError, ValueError, LookupError, TypeError, RecursionError):  # missing or torn: it is written anew
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
    """The algorithm's section as first resolved, with the schedule's length that a longer run gives."""
    section = dict(checkpoint.records["run"]["resolved"]["algorithm"])
    key = _schedule_of(plan)
    given = None if key is None else plan.asked["algorithm"][key]
    return section if key is None or given is None else section | {key: given}


def check_schedule(plan: Plan, checkpoint: Checkpoint) -> None:
    """Refuse to make a run longer than the schedule that ended with it, unless it is said what becomes of that.

    Raises:
        BadInput: a learning rate would be 0 from where the shorter run was to end, and the options do not say whether
            that is meant.
    """
    key, recorded = _schedule_of(plan), checkpoint.records["run"]
    if key is None:
        return
    before, given = recorded["resolved"]["algorithm"][key], plan.asked["algorithm"][key]
    if given is None and before < plan.length:
        raise BadInput(
            f"{plan.run_dir}: its learning rate is 0 after {before} updates, where the run was to end, and "
            f"train.{plan.length_key}={plan.length} goes on; say what is meant: algorithm.{key}={before} leaves it at "
            f"0, algorithm.{key}=N goes on by a schedule of N updates in all."
        )
    if given is not None and given != before:
        logger.info("algorithm.%s: the schedule is of %d updates from here on, and was of %d.", key, given, before)
    if (given or before) < plan.length:
        logger.info("algorithm.%s: a learning rate is 0 from update %d on.", key, given or before)


def _schedule_of(plan: Plan) -> str | None:
    """The option of the plan's algorithm that is the length of a schedule."""
    return load_algorithm(plan.spec.algorithm).scheduled(plan.spec.hyperparameters)


def check_unchanged(plan: Plan, checkpoint: Checkpoint) -> None:
    """Refuse to go on from a checkpoint with another config than the run was begun with.

    Raises:
        BadInput: naming every setting that differs.
    """
    recorded = checkpoint.records["run"]
    before, now = _effective(recorded, run_record(plan))
    length_before = recorded["resolved"]["train"].get(plan.length_key)
    schedule = f"algorithm.{_schedule_of(plan)}"
    is_longer = length_before is not None and plan.length > length_before
    if is_longer and recorded["asked"]["algorithm"].get(schedule.partition(".")[2], "") is None:
        before[schedule] = now[schedule]  # `check_schedule` has its say
    changes = [
        f"{key}: {before.get(key)!r} -> {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if length_before is not None and plan.length < length_before:  # none: it was no run of this kind
        changes.append(f"train.{plan.length_key}: {length_before} -> {plan.length}")
    if recorded["dataset"]["name"] != plan.dataset.name:
        changes.append(f"the dataset's name: {recorded['dataset']['name']!r} -> {plan.dataset.name!r}")
    if recorded["dataset"]["sha256"] != plan.dataset.sha256:
        changes.append("the dataset's contents")
    if changes:
        raise BadInput(
            f"{plan.run_dir} was begun with another config ({'; '.join(changes)}); a larger "
            f"train.{plan.length_key} and where and how it runs (backend, device, threads, logger), and how often "
            "it is logged, evaluated and saved may change: restore these, or use another run.dir."
        )


def _effective(recorded: Mapping[str, Any], record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a recorded run and of one that would go on from it, each as what it comes to.

    A value written out where it would be the same anyway is then no difference.
    """
    before, now = _comparable(recorded["asked"]), _comparable(record["asked"])
    # What an older pogo had no setting for was as it is by default.
    before = _default_settings(record["asked"], now) | before
    resolved_before, resolved_now = _comparable(recorded["resolved"]), _comparable(record["resolved"])
    for key in before.keys() & now.keys() & resolved_before.keys() & resolved_now.keys():
        # A schedule that is given no length follows the run's, and a longer run keeps the one that it began with.
        follows_length = key.startswith("algorithm.") and before[key] is None and now[key] is None
        if not follows_length:
            before[key], now[key] = resolved_before[key], resolved_now[key]
    if _as_written_now(recorded["environment"]) == record["environment"]:  # by its name, or the dataset's own
        before["env"] = now["env"]
    if any(before[key] != now[key] for key in _OF_ACTORS):
        theirs, ours = _actors(recorded["resolved"]), _actors(record["resolved"])
        before |= {key: now[key] for key in _OF_ACTORS if theirs[key] == ours[key]}
    return before, now


def _as_written_now(environment: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """A recorded environment with what an older pogo did not write of it."""
    return None if environment is None else EnvironmentSpec.from_json(environment).to_json()


def _actors(resolved: Mapping[str, Any]) -> dict[str, Any]:
    """What a recorded config leaves to the algorithm where it says nothing of them."""
    spec = spec_of_run(resolved, 0, 0)
    rates = load_algorithm(spec.algorithm).learning_rates(spec.hyperparameters)
    return {
        "chain.actors": spec.actors,
        "chain.learning_rate": spec.chain.learning_rate or rates[actor_name(0)],
    }


def _default_settings(asked: Mapping[str, Any], keys: Collection[str]) -> dict[str, Any]:
    """The defaults of these settings, of the dataset's and of the algorithm's section too."""
    hyperparameters = load_algorithm(asked["algorithm"]["name"]).Hyperparameters()
    defaults = dataclasses.asdict(Config()) | {
        "dataset": dataclasses.asdict(DatasetConfig()),
        "algorithm": dataclasses.asdict(hyperparameters),
    }
    found = {key: value for key, value in _comparable(defaults).items() if key in keys}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}


def _comparable(asked: Mapping[str, Any]) -> dict[str, Any]:
    flat = {}
    for section, value in asked.items():
        if section == SOURCES:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{section}.{key}": entry for key, entry in value.items()}
        else:
            flat[section] = value
    if flat.get("resume_from") is not None:  # one folder, however it is spelled
        flat["resume_from"] = str(Path(flat["resume_from"]).expanduser().absolute())
    return {key: value for key, value in flat.items() if meaning(key).on_resume == "fixed"}


def changes_from_here(plan: Plan, checkpoint: Checkpoint) -> list[str]:
    """What the plan changes from the checkpoint on, of what a resumed run may change and computes by: a line each."""
    recorded, found = checkpoint.records["run"]["resolved"], []
    for key, entry in meanings().items():
        if entry.on_resume == "from_here":
            section, _, name = key.rpartition(".")
            before, now = recorded[section].get(name), plan.resolved[section][name]
            if before != now:
                found.append(f"{key}={now} from {plan.clock.words(checkpoint.step)} on; it was {before}.")
    return found


def warn_of_other_bits(plan: Plan, checkpoint: Checkpoint, machine: Mapping[str, str]) -> None:
    """Say what differs from where the checkpoint was written and may change the last bits of what follows."""
    recorded = checkpoint.records["run"]
    where = ("device", "threads")
    before = {key: recorded["resolved"][key] for key in where} | recorded["versions"] | recorded.get("machine", {})
    now = {key: plan.resolved[key] for key in where} | versions(plan.backend) | dict(machine)
    if recorded["resolved"]["backend"]["name"] != plan.backend:
        return  # its streams start anew: other bits are expected
    changes = [f"{key} {before[key]} -> {now[key]}" for key in now if key in before and before[key] != now[key]]
    if changes:
        logger.warning("resumed elsewhere (%s): results may differ in the last bits.", ", ".join(changes))
