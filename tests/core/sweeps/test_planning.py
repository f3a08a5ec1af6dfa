"""Runs of a sweep are planned from what they have in common as they would be one by one."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pogo.core.config import bases, compose
from pogo.core.errors import BadInput
from pogo.core.sweeps import planning
from pogo.core.sweeps.planning import plan_sweep
from tests.helpers.random_sweeps import random_sweep, write_files

NUM_SWEEPS, NUM_QUICK = 200, 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's own groups."""
    path = tmp_path_factory.mktemp("user") / "my groups"
    write_files(path)
    return path


def planned(arguments: list[str], one_by_one: bool) -> Any:
    """All that planning makes of a sweep: what each run asks for and its cell, or the refusal."""
    asked = []

    def recorded(*given: Any, **options: Any) -> dict[str, Any]:
        if one_by_one:
            options["bases"] = None
        asked.append(compose.compose_config(*given, **options))
        return asked[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "compose_config", recorded)
        try:
            cells = plan_sweep(arguments)
        except BadInput as error:
            return asked, str(error)
    return asked, [(cell.arguments, cell.run_dirs, cell.label, cell.save_replay, cell.config) for cell in cells]


def check(sweeps: Iterator[list[str]]) -> None:
    refused = 0
    for arguments in sweeps:
        together, alone = planned(arguments, one_by_one=False), planned(arguments, one_by_one=True)
        assert together == alone, arguments
        refused += isinstance(alone[1], str)
        assert [[type(value) for value in each.values()] for each in together[0]] == [
            [type(value) for value in each.values()] for each in alone[0]
        ], arguments
    assert refused  # bad ones are among them, and so are good ones


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_random_sweeps_are_planned_as_run_by_run(folder: Path) -> None:
    draw = random.Random(0)
    check(random_sweep(draw, folder) for _ in range(NUM_SWEEPS))


def test_some_random_sweeps_are_planned_as_run_by_run(folder: Path) -> None:
    draw = random.Random(1)
    check(random_sweep(draw, folder) for _ in range(NUM_QUICK))


def test_hydra_composes_once_for_each_choice_of_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each of the 32 runs: neither what they have in common, nor, for want of that, the whole of each."""
    composed = []

    def counted(primary: str, arguments: list[str]) -> Any:
        composed.append(tuple(arguments))
        return original(primary, arguments)

    original = bases.compose
    for module in (bases, compose):
        monkeypatch.setattr(module, "compose", counted)
    cells = plan_sweep(["algorithm=iql,td3_bc", "seed=range(0,8)", "chain.w2_weights=[1,1],[2,2]"])
    assert len(cells) == 32
    assert composed == [("algorithm=iql",), ("algorithm=td3_bc",)]


def test_one_runs_values_are_not_anothers() -> None:
    """A mapping that one run sets stays with it."""
    cells = plan_sweep(["chain.actors=[{kind: stochastic}],[]", "logger={tensorboard: false}", "seed=0,1"])
    assert [cell.config.actors[0].kind for cell in cells] == ["stochastic"] * 2 + ["gaussian"] * 2
