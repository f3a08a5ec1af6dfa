"""Recorded tensors that have no place, or that do not make up what pogo has."""

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.verify.adapters import ADAPTERS
from pogo.core.verify.names import from_canonical, locate, to_canonical

TWINS = {
    f"critic_{index}/dense_0/{part}": shape for index in (1, 2) for part, shape in (("kernel", (3, 1)), ("bias", (1,)))
}
HEADS = {"actor/dense_0/bias": (4,), "actor/mu/kernel": (4, 2), "actor/log_sigma/kernel": (4, 2)}


def round_trip(algorithm, shapes):
    recorded = {name: np.random.default_rng(0).normal(size=shape) for name, shape in shapes.items()}
    locations = locate(recorded, ADAPTERS[algorithm].places)
    found = from_canonical(to_canonical(recorded, locations), locations)
    assert all((found[name] == value).all() for name, value in recorded.items())


def test_there_and_back():
    round_trip("td3_bc", TWINS)
    round_trip("sac_n", HEADS)


@pytest.mark.parametrize(
    ("algorithm", "shapes", "message"),
    [
        ("iql", {"policy/dense_0/bias": (1,)}, "network policy is none of this algorithm's"),
        ("iql", {"value/dense_x/bias": (1,)}, "init/value/dense_x/bias: number the layers dense_0, dense_1"),
        ("iql", {"value/dense_01/bias": (1,)}, "init/value/dense_01/bias: number the layers"),
        (
            "iql",
            {"value/dense_0/bias": (1,), "value/dense_2/bias": (1,)},
            "init/value has no dense_1 below its dense_2",
        ),
        ("iql", {"value/dense_0/bias": (1,), "value/output/bias": (1,)}, "are the same tensor; store it once"),
        ("rebrac", TWINS | {"critic/dense_0/bias": (2, 1)}, "do not make up all of critic/output/bias"),
        ("td3_bc", {"critic_2/dense_0/bias": (1,)}, "init/critic_2/dense_0/bias .* do not make up all of critic/"),
        ("td3_bc", TWINS | {"critic_2/dense_0/bias": (2,)}, "init/critic_2/dense_0/bias .* have to be of one shape"),
        ("sac_n", HEADS | {"actor/mu/bias": (2,)}, "init/actor/mu/bias .* do not make up all of actor_0/output/bias"),
        ("sac_n", HEADS | {"actor/mu/kernel": (4, 3)}, "init/actor/mu/kernel .* have to be of one shape"),
        ("sac_n", HEADS | {"actor/mu/bias": (), "actor/log_sigma/bias": ()}, "have to be of one shape"),
    ],
)
def test_refused(algorithm, shapes, message):
    with pytest.raises(BadInput, match=message):
        round_trip(algorithm, shapes)
