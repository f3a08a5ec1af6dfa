"""Means of a window, and what may be saved, by hand."""

import numpy as np
import pytest

from pogo.core.errors import RunFailed
from pogo.core.learner.metrics import check_parameters, window_means
from pogo.core.problem.chain import Moves


def test_metrics_of_actors_are_means_over_the_updates_that_move_them() -> None:
    sums = {"q": 12.0, "actor_0/loss": 12.0, "actor_10/loss": 12.0}
    due, not_due = Moves(base=True, actor_0=True, chain=True), Moves(base=True, actor_0=False, chain=False)
    before, frozen = due._replace(chain=False), Moves(base=False, actor_0=False, chain=True)
    of_all = {"q": 2.0, "actor_0/loss": 4.0, "actor_10/loss": 4.0}
    assert window_means(sums, [due, not_due] * 3) == of_all
    assert window_means(sums, [not_due] * 6) == {"q": 2.0}
    assert window_means(sums, [before] * 3 + [not_due] * 2 + [due]) == of_all | {
        "actor_0/loss": 3.0,
        "actor_10/loss": 12.0,
    }
    assert window_means(sums, [frozen] * 4) == {"actor_10/loss": 3.0}


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_parameter_that_is_not_finite_is_not_saved(value: float) -> None:
    arrays = {"critic/output/bias": np.array([0.0, value]), "updates": np.array(7)}
    with pytest.raises(RunFailed, match=r"update 7: critic/output/bias is not finite"):
        check_parameters(7, arrays)
    check_parameters(7, {**arrays, "critic/output/bias": np.zeros(2)})
