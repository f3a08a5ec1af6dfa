"""What a replay compares."""

import pytest

from pogo.core.errors import BadInput
from pogo.core.verify.rerun import Comparison, rerun


def drop(arrays, *names):
    for name in names:
        del arrays[name]


def test_the_actors_metrics_come_with_their_updates(changed):
    pytest.importorskip("torch")
    assert rerun(changed("td3_bc_f64", lambda arrays, meta: None), "torch").failures() == []
    silent = rerun(changed("td3_bc_f64", lambda arrays, meta: drop(arrays, "metrics/4/actor_loss")), "torch")
    assert silent.failures() == ["update 4, metric actor_loss: nan times its tolerance"]


def test_metrics_that_pogo_never_computes_are_none(changed):
    pytest.importorskip("torch")

    def change(arrays, meta):
        names = [name for name in arrays if name.startswith("metrics/") and "alpha_prime" not in name]
        drop(arrays, *names)

    with pytest.raises(BadInput, match="metrics/1 holds none that pogo computes there"):
        rerun(changed("cql_f64", change), "torch")


@pytest.mark.parametrize("name", ["log_pi", "cql_qf1_diff", "cql_qf2_diff"])
def test_cql_is_compared_by(changed, name):
    pytest.importorskip("torch")

    def change(arrays, meta):
        arrays[f"metrics/3/{name}"] = arrays[f"metrics/3/{name}"] * (1 + 1e-6)

    (failure,) = rerun(changed("cql_f64", change), "torch").failures()
    assert failure.startswith(f"update 3, metric {name}: ")


def test_nothing_that_moved_has_no_largest_error():
    comparison = Comparison("float64", errors={1: {"critic/dense_0/bias": (0.0, 0.0, 3)}})
    assert comparison.largest_error() == (0.0, "no tensor moved far enough")
