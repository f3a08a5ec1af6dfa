"""What tells the lines and panels of a figure apart: names for `--by`, `--facet` and `--over`, and their values."""

import json
from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from pogo.core.config.schema import meaning, shared_settings
from pogo.core.errors import BadInput, check_name
from pogo.core.reports.quantities import Course

DATASET, ALGORITHM, BACKEND, ACTOR, MODE, SEED = "dataset", "algorithm", "backend", "actor", "mode", "seed"
CHAIN, WEIGHTS, STEPS = "chain", "w2_weights", "steps"  # the first is the steps where there are some, else the weights
DIMENSIONS = (DATASET, ALGORITHM, BACKEND, ACTOR, MODE, SEED, CHAIN, WEIGHTS, STEPS)
LAST_WEIGHT = "chain.last_w2_weight"
_FULL_NAMES = {
    "algorithm.name": ALGORITHM,
    "backend.name": BACKEND,
    "dataset.name": DATASET,
    "chain.w2_weights": WEIGHTS,
    "chain.steps": STEPS,
}
_OF_ALGORITHM = "algorithm."


def dimension(option: str, name: str) -> str:
    """The dimension that a name is of, which may be the full name of a setting.

    Raises:
        BadInput: there is no such setting, or runs are not told apart by it.
    """
    if name in _FULL_NAMES:
        return _FULL_NAMES[name]
    if name in DIMENSIONS or name == LAST_WEIGHT or name.startswith(_OF_ALGORITHM):  # checked once runs are read
        return name
    check_name(option, name, {*DIMENSIONS, *shared_settings()})
    if not meaning(name).identity:
        raise BadInput(
            f"{option}={name}: runs that differ in it alone are one group, so it tells none apart; use a setting that "
            f"changes what is computed, or {', '.join(DIMENSIONS)}."
        )
    return name


def check_known(option: str, name: str, courses: Sequence[Course]) -> None:
    """Refuse a setting of an algorithm that no run has.

    Raises:
        BadInput: naming those that there are.
    """
    if name.startswith(_OF_ALGORITHM):
        settings = {key for course in courses for key in course.run.settings if key.startswith(_OF_ALGORITHM)}
        check_name(option, name, settings)


def value(course: Course, name: str) -> Hashable:
    """What a course has of a dimension; None for a setting that is not set."""
    labels = course.run.labels
    match name:
        case "actor":
            return course.actor
        case "mode":
            return course.mode
        case "seed":
            return course.run.seed
        case "chain":
            if labels.steps:
                return written(STEPS, labels.steps)
            return written(WEIGHTS, labels.w2_weights) if labels.w2_weights else "no chain"
        case "chain.last_w2_weight":
            return labels.w2_weights[-1] if labels.w2_weights and not labels.steps else None  # steps set the weights
        case "dataset" | "algorithm" | "backend" | "w2_weights" | "steps":
            return getattr(labels, name)
    found: Any = course.run.settings.get(name)
    return _hashable(found)


def key(course: Course, names: Sequence[str]) -> tuple[Hashable, ...]:
    """What a course has of each of several dimensions."""
    return tuple(value(course, name) for name in names)


def written(name: str, found: Hashable) -> str:
    """A value of a dimension in a legend or title."""
    short = name.rpartition(".")[2]
    if found is None:
        return f"no {short}"
    match name:
        case "actor":
            return f"actor {found}" if isinstance(found, int) else f"{found} actor"
        case "seed":
            return f"seed {found}"
        case "dataset" | "algorithm" | "backend" | "mode" | "chain":
            return str(found)
        case "w2_weights":
            return f"weights {_plain(found)}"
        case "steps":
            return f"steps {_plain(found)}" if found else "no steps"
    return f"{short}={_plain(found)}"


def plainly(found: Hashable) -> str:
    """A value at a tick or in a table, beside its dimension's name."""
    return "" if found is None else _plain(found)


def in_order(found: Hashable) -> tuple[int, Any, str]:
    """What values are sorted by: numbers by size, before lists of numbers, before text, before none."""
    if isinstance(found, int | float):
        return (0, [found], "")
    if isinstance(found, tuple) and all(isinstance(each, int | float) for each in found):
        return (1, list(found), "")
    return (3, [], "") if found is None else (2, [], _plain(found))


def what_else_differs(courses: Sequence[Course], names: Sequence[str], *, pooled: bool) -> list[str]:
    """The dimensions to add to `names`, so that no number is made of runs that differ in more than their seed.

    Args:
        courses: all that are to be drawn.
        names: the dimensions that already tell them apart.
        pooled: whether runs on different datasets may be put together.
    """
    added: list[str] = []
    while (alike := _mixed(courses, [*names, *added], pooled)) is not None:
        telling = (name for name in _candidates(alike) if len({value(each, name) for each in alike}) > 1)
        if (name := next(telling, None)) is None:  # written differently, and the same: 3 and 3.0
            break
        added.append(name)
    return added


def _mixed(courses: Sequence[Course], names: Sequence[str], pooled: bool) -> list[Course] | None:
    """Courses that would be put together, and are of several groups of runs, actors or modes; None: there are none."""
    cells: dict[tuple[Hashable, ...], list[Course]] = {}
    for course in courses:
        cell = key(course, names)
        cells.setdefault((*cell, course.run.labels.dataset) if pooled else cell, []).append(course)
    for alike in cells.values():
        if len({(course.group, course.actor, course.mode) for course in alike}) > 1:
            return alike
    return None


def _candidates(alike: Sequence[Course]) -> Iterator[str]:
    yield from (DATASET, ALGORITHM, BACKEND, CHAIN, WEIGHTS, ACTOR, MODE)
    yield from sorted({name for course in alike for name in course.run.settings})


def _hashable(found: Any) -> Hashable:
    if isinstance(found, list | tuple):
        return tuple(_hashable(each) for each in found)
    return json.dumps(found, sort_keys=True) if isinstance(found, dict) else found


def _plain(found: Hashable) -> str:
    if isinstance(found, tuple):
        return f"[{', '.join(map(_plain, found))}]"
    if isinstance(found, bool):
        return json.dumps(found)
    return f"{found:g}" if isinstance(found, float) else str(found)
