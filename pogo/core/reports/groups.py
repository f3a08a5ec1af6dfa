"""Runs that differ only in their seed, put together."""

import json
import logging
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
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
    return groups


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
