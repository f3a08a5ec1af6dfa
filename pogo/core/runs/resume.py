"""What a resumed run may change, and what it is told of that."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pogo.core.algorithms import load_algorithm
from pogo.core.config.provenance import COMMAND_LINE
from pogo.core.config.published import GROUP
from pogo.core.config.schema import (
    SOURCES,
    AlgorithmSection,
    Config,
    known_settings,
    meaning,
    shared_settings,
    value_at,
)
from pogo.core.errors import BadInput
from pogo.core.problem.chain import actor_name
from pogo.core.runs.plan import Plan
from pogo.core.runs.record import ResumePoint, RunRecord
from pogo.core.setting import Values

logger = logging.getLogger("pogo")

_TUNED = f"conf/{GROUP}/"  # the source of settings that pogo tunes to a dataset
_OF_ACTORS = ("chain.actors", "chain.learning_rate")  # which the composed config leaves to the algorithm


def check_unchanged(plan: Plan, recorded: RunRecord) -> None:
    """Refuse to go on from a checkpoint with another config than the run was begun with.

    Raises:
        BadInput: naming every setting that differs.
    """
    before, now = _settings_compared(recorded, plan)
    is_of_this_kind = recorded.config.is_online == plan.config.is_online
    length_before = recorded.config.length if is_of_this_kind else None
    schedule = _schedule_of(plan)
    if length_before is not None and plan.config.length > length_before and schedule is not None:
        key = f"algorithm.{schedule}"
        if recorded.asked["algorithm"].get(schedule) is None:
            before[key] = now[key]  # `check_schedule` has its say
    changes = [
        f"{key}: {before.get(key)!r} -> {now.get(key)!r}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
    if length_before is not None and plan.config.length < length_before:
        changes.append(f"{plan.length_key}: {length_before} -> {plan.config.length}")
    if recorded.dataset.name != plan.dataset.name:
        changes.append(f"the dataset's name: {recorded.dataset.name!r} -> {plan.dataset.name!r}")
    if recorded.dataset.sha256 != plan.dataset.sha256:
        changes.append("the dataset's contents")
    if changes:
        raise BadInput(
            f"{plan.run_dir} was begun with another config ({'; '.join(changes)}); a larger "
            f"{plan.length_key} and where and how it runs (backend, device, threads, logger), and how often "
            "it is logged, evaluated and saved may change: restore these, or name another folder by run.variant=NAME."
        )


def _settings_compared(recorded: RunRecord, plan: Plan) -> tuple[dict[str, Any], dict[str, Any]]:
    """The settings of a recorded run and of one that would go on from it, each as what it comes to.

    A value written out where it would be the same anyway is then no difference.
    """
    before, now = comparable(recorded.asked), comparable(plan.asked)
    # What an older pogo had no setting for was as it is by default.
    defaults = known_settings(plan.config.algorithm.name)
    before = {key: entry.default for key, entry in defaults.items() if key in now} | before
    resolved_before, resolved_now = comparable(recorded.config.to_json()), comparable(plan.config.to_json())
    for key in before.keys() & now.keys() & resolved_before.keys() & resolved_now.keys():
        # A schedule that is given no length follows the run's, and a longer run keeps the one that it began with.
        follows_length = key.startswith("algorithm.") and before[key] is None and now[key] is None
        if not follows_length:
            before[key], now[key] = resolved_before[key], resolved_now[key]
    if recorded.to_json()["environment"] == plan.record().to_json()["environment"]:  # by its name, or the dataset's own
        before["env"] = now["env"]
    before |= {key: now[key] for key in _retuned(plan, recorded)}
    if any(before[key] != now[key] for key in _OF_ACTORS):
        theirs, ours = _actors(recorded.config), _actors(plan.config)
        before |= {key: now[key] for key in _OF_ACTORS if theirs[key] == ours[key]}
    return before, now


def _retuned(plan: Plan, recorded: RunRecord) -> list[str]:
    """Settings that neither command gave, and that pogo tunes to the dataset otherwise than when the run was begun.

    A run keeps those that it began with.
    """
    if recorded.config.algorithm.name != plan.config.algorithm.name:
        return []
    theirs, ours = recorded.asked.get(SOURCES, {}), plan.asked[SOURCES]
    return [
        key
        for key, source in ours.items()
        if key.startswith("algorithm.")
        and source.startswith(_TUNED)
        and theirs.get(key) != COMMAND_LINE
        and value_at(recorded.config.to_json(), key) != value_at(plan.config.to_json(), key)
    ]


def comparable(config: Values) -> dict[str, Any]:
    """The settings of a composed or recorded config that a resumed run may not change, by dotted key."""
    flat = {}
    for section, value in config.items():
        if section == SOURCES:
            continue
        if isinstance(value, Mapping):
            flat |= {f"{section}.{key}": entry for key, entry in value.items()}
        else:
            flat[section] = value
    for key in ("resume_from", "chain.base"):
        if flat.get(key) is not None:  # one folder, however it is spelled
            flat[key] = str(Path(flat[key]).expanduser().absolute())
    return {key: value for key, value in flat.items() if meaning(key).on_resume == "fixed"}


def _actors(config: Config) -> dict[str, Any]:
    """What a config leaves to the algorithm where it says nothing of its actors."""
    rates = load_algorithm(config.algorithm.name).learning_rates(config.algorithm.hyperparameters)
    rate = config.chain.learning_rate or rates[actor_name(0)]
    return dict(zip(_OF_ACTORS, (config.actors, rate), strict=True))


def _schedule_of(plan: Plan) -> str | None:
    """The option of the plan's algorithm that is the length of a schedule."""
    algorithm = plan.config.algorithm
    return load_algorithm(algorithm.name).scheduled(algorithm.hyperparameters)


def check_schedule(plan: Plan, recorded: RunRecord) -> None:
    """Refuse to make a run longer than the schedule that ended with it, unless it is said what becomes of that.

    Raises:
        BadInput: a learning rate would be 0 from where the shorter run was to end, and the options do not say whether
            that is meant.
    """
    key = _schedule_of(plan)
    if key is None:
        return
    before, given = getattr(recorded.config.algorithm.hyperparameters, key), plan.asked["algorithm"][key]
    length = plan.config.length
    if given is None and before < length:
        raise BadInput(
            f"{plan.run_dir}: its learning rate is 0 after {before} updates, where the run was to end, and "
            f"{plan.length_key}={length} goes on; say what is meant: algorithm.{key}={before} leaves it at "
            f"0, algorithm.{key}=N goes on by a schedule of N updates in all."
        )
    if given is not None and given != before:
        logger.info("algorithm.%s: the schedule is of %d updates from here on, and was of %d.", key, given, before)
    if (given or before) < length:
        logger.info("algorithm.%s: a learning rate is 0 from update %d on.", key, given or before)


def with_recorded_hyperparameters(plans: Sequence[Plan], points: Sequence[ResumePoint]) -> list[Plan]:
    """The plans with what their runs began with: schedules, but for a length that is given now, and what pogo tunes.

    Raises:
        BadInput: the runs began with different schedules.
    """
    recorded = points[0].record.config.to_json()
    for key in _retuned(plans[0], points[0].record):
        logger.info("%s=%s as the run began; pogo now has another for this dataset.", key, value_at(recorded, key))
    section = _recorded_algorithm(plans[0], points[0])
    for plan, point in zip(plans, points, strict=True):
        if (other := _recorded_algorithm(plan, point)) != section:
            ours, theirs = vars(section.hyperparameters), vars(other.hyperparameters)
            changes = [f"algorithm.{key}: {ours[key]!r}, {theirs[key]!r}" for key in ours if ours[key] != theirs[key]]
            raise BadInput(
                f"{plans[0].run_dir} and {plan.run_dir} were begun with different schedules ({'; '.join(changes)}): "
                "go on with each by itself, without train.num_seeds."
            )
    spec = replace(plans[0].spec, hyperparameters=section.hyperparameters)
    return [replace(plan, config=replace(plan.config, algorithm=section), spec=spec) for plan in plans]


def _recorded_algorithm(plan: Plan, point: ResumePoint) -> AlgorithmSection:
    """The algorithm's section as first resolved, with the schedule's length that is given now."""
    section, key = point.record.config.algorithm, _schedule_of(plan)
    given = None if key is None else plan.asked["algorithm"][key]
    if key is None or given is None:
        return section
    return replace(section, hyperparameters=replace(section.hyperparameters, **{key: given}))


def changes_from_here(plan: Plan, point: ResumePoint) -> list[str]:
    """What the plan changes from the checkpoint on, of what a resumed run may change and computes by: a line each."""
    recorded, planned, found = point.record.config.to_json(), plan.config.to_json(), []
    for key, entry in shared_settings().items():
        if entry.meaning.on_resume == "from_here":
            before, now = value_at(recorded, key), value_at(planned, key)
            if before != now:
                found.append(f"{key}={now} from {plan.config.clock.words(point.step)} on; it was {before}.")
    return found


def warn_of_other_bits(plan: Plan, recorded: RunRecord, machine: Mapping[str, str]) -> None:
    """Say what differs from where the checkpoint was written and may change the last bits of what follows."""
    if recorded.config.backend.name != plan.config.backend.name:
        return  # its streams start anew: other bits are expected
    before, now = _where(recorded), _where(plan.record(machine))
    changes = [f"{key} {before[key]} -> {now[key]}" for key in now if key in before and before[key] != now[key]]
    if changes:
        logger.warning("resumed elsewhere (%s): results may differ in the last bits.", ", ".join(changes))


def _where(record: RunRecord) -> dict[str, Any]:
    config = record.config
    return {"device": config.device, "threads": config.threads, **record.versions, **record.machine}
