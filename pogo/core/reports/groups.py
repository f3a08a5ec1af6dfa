"""Runs that differ only in their seed, put together."""

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pogo.core.reports.results import Labels, Run
from pogo.core.setting import Values

logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class Group:
    """Runs that differ only in their seed, one of each."""

    labels: Labels
    settings: Values  # those that tell the groups of the same labels apart
    runs: Sequence[Run]
    told: Values = field(default_factory=dict)  # those that its command gave, where other groups have other values


def group_runs(runs: Sequence[Run]) -> list[Group]:
    """Put together what differs only in its seed; of two runs with one seed the newest is kept, with a warning."""
    alike: dict[Labels, dict[str, list[Run]]] = defaultdict(lambda: defaultdict(list))
    for run in runs:
        alike[run.labels][json.dumps(run.settings, sort_keys=True)].append(run)
    groups = []
    for labels, members in sorted(alike.items()):
        settings = _differences([runs[0].settings for runs in members.values()])
        siblings = [
            Group(labels, differing, _newest_of_each_seed(runs))
            for differing, runs in zip(settings, members.values(), strict=True)
        ]
        groups += sorted(siblings, key=lambda group: [_order(value) for value in group.settings.values()])
    return [replace(group, told=told) for group, told in zip(groups, _told_apart(groups), strict=True)]


def _told_apart(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """What tells groups apart over datasets and algorithms: settings that some of them were told, and not all alike.

    A group that was not told one has it by default, which counts where groups of its algorithm were told it. What a
    dataset brings, such as settings published for it, is no difference, and neither are its file and environment.
    """
    runs = [group.runs[0] for group in groups]
    asked: dict[str, set[str]] = defaultdict(set)  # by algorithm; of any, where it is a setting of all
    for run in runs:
        for key in run.told:
            asked[run.labels.algorithm if key.startswith("algorithm.") else ""].add(key)

    def told(run: Run) -> dict[str, Any]:
        keys = (asked[run.labels.algorithm] | asked[""]) - (run.of_dataset - run.told)
        return {key: run.settings[key] for key in sorted(keys) if key in run.settings and not _is_said(key)}

    found = [told(run) for run in runs]
    values: dict[str, set[str]] = defaultdict(set)
    for run, each in zip(runs, found, strict=True):
        for key in asked[run.labels.algorithm] | asked[""]:
            if key in run.settings:
                values[key].add(json.dumps(each[key], sort_keys=True) if key in each else "of its dataset")
    return [{key: value for key, value in each.items() if len(values[key]) > 1} for each in found]


def _is_said(key: str) -> bool:
    """Whether a row says it anyway: by its dataset, or by how many steps or weights its chain has."""
    return key in ("env", "chain.num_actors") or key.startswith("dataset.")


def _differences(settings: Sequence[Values]) -> list[dict[str, Any]]:
    """What is not the same in all; every result has the same keys, in the same order, None for what is not set."""
    keys = sorted({key for each in settings for key in each})
    # As text, for which true is not 1.
    differing = [key for key in keys if len({json.dumps(each.get(key), sort_keys=True) for each in settings}) > 1]
    return [{key: each.get(key) for key in differing} for each in settings]


def _order(value: object) -> tuple[int, float, str]:
    """Numbers by value, before all else."""
    return (0, value, "") if isinstance(value, int | float) else (1, 0.0, json.dumps(value))


def _newest_of_each_seed(runs: Sequence[Run]) -> list[Run]:
    by_seed: dict[int, list[Run]] = defaultdict(list)
    for run in sorted(runs, key=lambda run: (run.written, run.path)):
        by_seed[run.seed].append(run)
    for seed, (*older, newest) in by_seed.items():
        if older:
            others = ", ".join(str(run.path) for run in older)
            logger.warning(
                "seed %d of %s is there %d times: %s is the newest and kept, %s left out.",
                *(seed, newest.labels, len(older) + 1, newest.path, others),
            )
    return [by_seed[seed][-1] for seed in sorted(by_seed)]


def settings_in_words(settings: Values) -> str:
    """As on the command line."""
    return " ".join(
        f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in settings.items()
    )
