"""Means of metrics over a window of updates, and the check that they are finite."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from pogo.core.errors import RunFailed
from pogo.core.problem.chain import Moves
from pogo.core.problem.state import REPLAY_PREFIX, WINDOW_PREFIX, WINDOW_START

_MEND = "the last good checkpoint is kept, if there is one. Lower the learning rates, or look at the rewards' scale."


def window_means(sums: Mapping[str, float], updates: Iterable[Moves]) -> dict[str, float]:
    """Each metric's mean over the updates that compute it: a window's, by what each of them moves."""
    kinds = Counter(updates)
    means = {}
    for name in sorted(sums):
        count = sum(number for moves, number in kinds.items() if moves.includes(name))
        if count:
            means[name] = sums[name] / count
    return means


def check_finite(first_bad: Mapping[str, int]) -> None:
    """Stop on the first update with a metric that is not finite.

    Args:
        first_bad: for each metric the number of the first update (from 1) where it was not finite, or -1.

    Raises:
        RunFailed: naming that update and the metrics.
    """
    if found := _not_finite(first_bad):
        where, _, names = found.partition(": ")
        raise RunFailed(f"{where}: {_each(names)} is not finite; {_MEND}")


def check_seeds_finite(first_bad: Mapping[int, Mapping[str, int]]) -> None:
    """`check_finite` of several seeds.

    Raises:
        RunFailed: naming each seed that has such a metric, its update and the metrics.
    """
    found = {seed: _not_finite(metrics) for seed, metrics in first_bad.items()}
    if any(found.values()):
        where = "; ".join(f"seed {seed}, {text}" for seed, text in found.items() if text)
        are = "are" if "," in where.rpartition(": ")[2] else "is"
        raise RunFailed(f"{where} {are} not finite; {_MEND}")


def _not_finite(first_bad: Mapping[str, int]) -> str:
    bad = {name: update for name, update in first_bad.items() if update >= 0}
    if not bad:
        return ""
    first = min(bad.values())
    return f"update {first}: " + ", ".join(sorted(name for name, update in bad.items() if update == first))


def _each(names: str) -> str:
    return f"each of {names}" if "," in names else names


def check_parameters(update: int, arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse to save a state with a parameter or moment that is not finite.

    A step can overflow whose losses were finite: they are computed before it. Saved, it would be the checkpoint that
    every resume starts from.

    Raises:
        RunFailed: naming the update and the arrays.
    """
    bad = [
        name
        for name, array in sorted(arrays.items())
        if not name.startswith((WINDOW_PREFIX, REPLAY_PREFIX))
        and array.dtype.kind == "f"
        and not np.isfinite(array).all()
    ]
    if bad:
        names = ", ".join(bad[:3]) + (f" and {len(bad) - 3} more" if len(bad) > 3 else "")
        raise RunFailed(f"update {update}: {_each(names)} is not finite after it; {_MEND}")


def window_arrays(start: int, groups: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The snapshot's part for an open window: its first update and the sums of each group of metrics."""
    arrays = {WINDOW_START: np.asarray(start, dtype=np.int32)}
    for index, sums in enumerate(groups):
        arrays |= {f"{WINDOW_PREFIX}{index}/{name}": value for name, value in sums.items()}
    return arrays


def window_groups(arrays: Mapping[str, np.ndarray]) -> list[dict[str, np.ndarray]]:
    """The sums that `window_arrays` put into a snapshot, group by group."""
    groups: dict[str, dict[str, np.ndarray]] = {}
    for name in sorted(arrays):
        if name.startswith(WINDOW_PREFIX) and name != WINDOW_START:
            index, metric = name.removeprefix(WINDOW_PREFIX).split("/", 1)
            groups.setdefault(index, {})[metric] = arrays[name]
    return list(groups.values())
