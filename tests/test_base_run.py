"""A chain on a finished run: what it takes over, what it does not, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.problem.chain import is_of_chain
from pogo.core.problem.state import NOT_OF_THE_STATE, network_of_array
from tests.helpers.runs import BACKENDS, arguments, train

UPDATES = 6


def options(run_dir: Path, backend: str = "torch", **changes: Any) -> list[str]:
    return arguments(run_dir, backend, **{"eval__episodes": 0, "train__updates": UPDATES, **changes})


def grown(run_dir: Path, base: Path, backend: str = "torch", **changes: Any) -> list[str]:
    chain = {"chain__begin_at": UPDATES, "chain__freeze": "true", "chain__steps": 0.1}
    return options(run_dir, backend, **{"train__updates": 9, "chain__base": base, **chain, **changes})


def arrays(run_dir: Path, step: int) -> dict[str, np.ndarray]:
    found = CheckpointStore(run_dir).load_newest()
    assert found is not None
    assert found.step == step
    return found.arrays


@pytest.fixture(scope="module", params=BACKENDS)
def base(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    pytest.importorskip(request.param)
    run_dir = tmp_path_factory.mktemp("base") / "run"
    train(*options(run_dir, request.param, chain__num_actors=1)).assert_code(0)
    return request.param, run_dir


def test_all_but_the_chain_is_the_bases_and_stays_so(base: tuple[str, Path], tmp_path: Path) -> None:
    backend, run_dir = base
    before = arrays(run_dir, UPDATES)
    train(*grown(tmp_path / "run", run_dir, backend)).assert_code(0)
    after = arrays(tmp_path / "run", 9)
    for name, value in before.items():
        if not name.startswith(NOT_OF_THE_STATE) and name != "updates":
            assert np.array_equal(after[name], value), name
    own = {network_of_array(name) for name in after if not name.startswith(NOT_OF_THE_STATE) and name not in before}
    assert own == {"actor_1", "actor_2", "w2_weight_1", "w2_weight_2"}
    assert all(is_of_chain(network) for network in own)
    assert after["optimizer/actor_1/count"] == 3
    # They began as actor 0 and are a few of Adam's steps away.
    moved = np.abs(after["actor_1/hidden_0/kernel"] - before["actor_0/hidden_0/kernel"]).max()
    assert 0 < moved < 3 * 3.5e-4


def test_another_chain_begins_as_actor_0_whatever_the_base_has(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    first, second = tmp_path / "first", tmp_path / "second"
    train(*options(first, chain__num_actors=4)).assert_code(0)
    # One update, that of a chain that does not learn: what it began as.
    changes = {"train__updates": 7, "chain__steps": None, "chain__num_actors": 2, "chain__learning_rate": 1e-30}
    train(*grown(second, first, **changes)).assert_code(0)
    found = arrays(second, 7)
    assert np.array_equal(found["actor_1/output/kernel"], found["actor_0/output/kernel"])
    assert not any(name.startswith(("actor_2", "actor_3")) for name in found)


def test_it_resumes_without_its_base(base: tuple[str, Path], tmp_path: Path) -> None:
    backend, run_dir = base
    given = {"checkpoint__every": 1}
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(*grown(whole, run_dir, backend, **given)).assert_code(0)
    train(*grown(parts, run_dir, backend, train__updates=8, **given)).assert_code(0)
    moved = tmp_path / "elsewhere"
    run_dir.rename(moved)
    try:
        train(*grown(parts, run_dir, backend, algorithm__cosine_updates=8, **given)).assert_code(0)
    finally:
        moved.rename(run_dir)
    ours, theirs = arrays(parts, 9), arrays(whole, 9)
    for name, value in theirs.items():
        if not name.startswith("window/"):
            assert np.array_equal(ours[name], value), name


REFUSED = {
    "another algorithm": ({"algorithm": "rebrac"}, "algorithm=iql there, rebrac here"),
    "other hyperparameters": ({"algorithm__beta": 5}, "algorithm.beta=3.0 there, 5.0 here"),
    "another type": ({"dtype": "float64"}, "dtype=float32 there, float64 here"),
    "a view of the data": ({"dataset__view": "full"}, "dataset.view=d4rl there, full here"),
    "another scale of actions": (
        {"env": "none", "dataset__action_low": "[-4]", "dataset__action_high": "[4]"},
        "other action bounds",
    ),
    "no further than it": ({"train__updates": 6, "chain__begin_at": 5}, "use a larger one"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_another_training_is_refused(base: tuple[str, Path], tmp_path: Path, case: str) -> None:
    backend, run_dir = base
    changes, message = REFUSED[case]
    outcome = train(*grown(tmp_path / "run", run_dir, backend, **changes))
    outcome.assert_code(2)
    assert message in outcome.output
    assert not (tmp_path / "run").exists()
