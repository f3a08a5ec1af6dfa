import math

import pytest

from pogo.core.errors import BadInput
from pogo.core.problem.actors import ACTOR_KINDS, ActorConfig
from pogo.core.problem.w2 import W2Config, check_divergence, check_samples, sinkhorn_schedule, w2_method

METHODS = {
    ("gaussian", "gaussian"): "closed_form",
    ("gaussian", "tanh_gaussian"): "sinkhorn",
    ("gaussian", "stochastic"): "sinkhorn",
    ("gaussian", "deterministic"): "l2",
    ("tanh_gaussian", "tanh_gaussian"): "sinkhorn",
    ("tanh_gaussian", "stochastic"): "sinkhorn",
    ("tanh_gaussian", "deterministic"): "l2",
    ("stochastic", "stochastic"): "sinkhorn",
    ("stochastic", "deterministic"): "l2",
    ("deterministic", "deterministic"): "l2",
}


@pytest.mark.parametrize("kind", ACTOR_KINDS)
@pytest.mark.parametrize("ref_kind", ACTOR_KINDS)
def test_method_is_fixed_by_the_two_kinds(kind, ref_kind):
    expected = METHODS.get((kind, ref_kind)) or METHODS[ref_kind, kind]
    assert w2_method(ActorConfig(kind), ActorConfig(ref_kind)) == expected


def test_defaults():
    assert W2Config() == W2Config(solver="fused", noise="common", num_samples=4, blur=0.05, exact_points=False)


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"solver": "fusde"}, "w2.solver=fusde is unknown. Did you mean 'fused'?"),
        ({"noise": "comon"}, "w2.noise=comon is unknown. Did you mean 'common'?"),
        ({"num_samples": 1}, "w2.num_samples=1: a cloud needs at least 2 samples"),
        ({"num_samples": 2.5}, "w2.num_samples=2.5"),
        ({"num_samples": True}, "w2.num_samples=True"),
        ({"blur": 0.0}, "w2.blur=0.0"),
        ({"blur": -0.1}, "w2.blur=-0.1"),
        ({"blur": math.inf}, "w2.blur=inf"),
        ({"blur": math.nan}, "w2.blur=nan"),
        ({"blur": "wide"}, "w2.blur=wide is not a number"),
        ({"exact_points": "yes"}, "w2.exact_points=yes"),
        ({"scaling": 0.9}, "w2.scaling=0.9 is read by w2.solver=geomloss alone, and this is fused; drop it."),
        ({"solver": "geomloss", "scaling": 1.0}, "w2.scaling=1.0 is no ratio"),
        ({"solver": "geomloss", "backend": "onlin"}, "w2.backend=onlin is unknown. Did you mean 'online'?"),
        ({"solver": "geomloss", "epsilon_decay": 0.5}, "w2.epsilon_decay=0.5 is read by w2.solver=ott alone"),
        ({"solver": "ott", "epsilon_init": 0.5}, "w2.epsilon_init=0.5: cooling begins"),
        ({"solver": "ott", "epsilon_decay": math.nan}, "w2.epsilon_decay=nan is no ratio"),
    ],
)
def test_bad_settings_are_named_in_one_line(setting, says):
    with pytest.raises(BadInput) as caught:
        W2Config(**setting)
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shapes", "dtypes"),
    [
        (((8, 4, 3), (8, 5, 3)), ("float32", "float32")),
        (((8, 4, 3), (9, 4, 3)), ("float32", "float32")),
        (((8, 4, 3), (8, 4)), ("float32", "float32")),
        (((8, 4), (8, 4)), ("float32", "float32")),
        (((8, 1, 3), (8, 1, 3)), ("float32", "float32")),
        (((0, 4, 3), (0, 4, 3)), ("float32", "float32")),
        (((8, 4, 3), (8, 4, 3)), ("float32", "float64")),
        (((8, 4, 3), (8, 4, 3)), ("float16", "float16")),
        (((8, 4, 3), (8, 4, 3)), ("int32", "int32")),
    ],
)
def test_clouds_that_cannot_be_compared_name_both_actors(shapes, dtypes):
    with pytest.raises(BadInput) as caught:
        check_samples(shapes[0], shapes[1], dtypes[0], dtypes[1], "actor 2 (stochastic)", "actor 1 (gaussian)")
    assert "actor 2 (stochastic)" in str(caught.value)
    assert "actor 1 (gaussian)" in str(caught.value)


def test_comparable_clouds_pass():
    check_samples((8, 4, 3), (8, 4, 3), "float64", "float64")
    check_divergence(0.05, "fused")


@pytest.mark.parametrize("arguments", [(0.0, "fused"), (math.nan, "fused"), (math.inf, "fused"), (0.05, "emd")])
def test_a_divergence_needs_lengths_and_a_known_solver(arguments):
    with pytest.raises(BadInput):
        check_divergence(*arguments)


def test_schedule_follows_from_sizes_and_blur_only():
    schedule = sinkhorn_schedule(8, 6, 0.05)
    assert schedule.epsilon == pytest.approx(0.005)
    assert schedule.epsilon * 2**schedule.halvings >= 6  # starts at A or above
    assert schedule.epsilon * 2 ** (schedule.halvings - 1) < 6
    assert sinkhorn_schedule(8, 6, 0.01).halvings > schedule.halvings
    assert sinkhorn_schedule(64, 6, 0.05).following_steps > schedule.following_steps


def test_grid_leaves_sums_of_potentials_exact():
    schedule = sinkhorn_schedule(64, 32, 0.01)
    grid = schedule.grid(mantissa_bits=23)
    assert math.log2(grid) == int(math.log2(grid))
    assert schedule.largest_potential / grid <= 2**23
