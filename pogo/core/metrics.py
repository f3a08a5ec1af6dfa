"""Means of metrics over a window of updates, and the check that they are finite."""

from collections.abc import Mapping

from pogo.core.errors import RunFailed

ACTOR_PREFIX = "actor_"


def window_means(sums: Mapping[str, float], num_updates: int, num_actor_updates: int) -> dict[str, float]:
    """Each metric's mean over the updates that compute it; those of the actors count only updates that move them."""
    means = {}
    for name in sorted(sums):
        count = num_actor_updates if name.startswith(ACTOR_PREFIX) else num_updates
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
    bad = {name: update for name, update in first_bad.items() if update >= 0}
    if bad:
        first = min(bad.values())
        names = ", ".join(sorted(name for name, update in bad.items() if update == first))
        raise RunFailed(
            f"update {first}: {names} is not finite; the last good checkpoint is kept. "
            "Lower the learning rates, or look at the rewards' scale."
        )
