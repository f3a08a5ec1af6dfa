"""Where a setting came from, where that is not plain from the command line."""

from collections.abc import Sequence

import pytest

from pogo.core.config.compose import compose_config
from pogo.core.config.resolution import resolve

WALKER, HOPPER = "walker2d-medium-v2", "hopper-medium-v2"
HOPPERS_FILE = "conf/published/iql.yaml"


@pytest.mark.parametrize(
    ("given", "tau", "source"),
    [
        ([f"dataset={WALKER}", f"dataset={HOPPER}"], 0.001, HOPPERS_FILE),
        ([f"dataset={HOPPER}", f"dataset={WALKER}"], 0.005, "default of iql"),
        ([f"dataset={WALKER}", f"algorithm_dataset=iql_{HOPPER}"], 0.001, HOPPERS_FILE),
        ([f"dataset={HOPPER}", "algorithm.tau=0.1", "algorithm.tau=0.2"], 0.2, "command line"),
    ],
    ids=str,
)
def test_the_last_of_several_choices_is_the_source(given: Sequence[str], tau: float, source: str) -> None:
    resolved = resolve(compose_config(["algorithm=iql", *given])).to_json()
    assert resolved["algorithm"]["tau"] == tau
    assert resolved["sources"]["algorithm.tau"] == source


def test_an_algorithms_own_start_of_the_chain_is_its_default() -> None:
    pogo, iql = (resolve(compose_config([f"algorithm={name}"])).to_json() for name in ("pogo", "iql"))
    assert (pogo["chain"]["init"], pogo["sources"]["chain.init"]) == ("independent", "default of pogo")
    assert (iql["chain"]["init"], iql["sources"]["chain.init"]) == ("copy", "default")
    given = resolve(compose_config(["algorithm=pogo", "chain.init=copy"])).to_json()
    assert (given["chain"]["init"], given["sources"]["chain.init"]) == ("copy", "command line")
