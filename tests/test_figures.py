"""The figures of the documentation show what the run folders hold."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pogo.core.runs.stored_run import StoredRun
from tests.helpers.runs import REPOSITORY, arguments, train

pytest.importorskip("matplotlib")
pytest.importorskip("torch")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "docs" / "figures" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def draw() -> ModuleType:
    return script("draw")


@pytest.fixture(scope="module")
def evidence() -> ModuleType:
    return script("chain_evidence")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folders = [tmp_path_factory.mktemp("seed") / str(seed) for seed in (0, 1)]
    for seed, folder in enumerate(folders):
        train(*arguments(folder, seed=seed, train__updates=4, eval__every=2, log__every=2)).assert_code(0)
    return folders


def test_a_chain_is_drawn_as_it_acts_and_as_far_as_it_logs(draw: ModuleType, runs: list[Path]) -> None:
    above, below = draw.chain_figure({"weights [10, 10]": runs[0]}).axes
    run = StoredRun(runs[0], device="cpu")
    hanging = run.record.normalisation.observations(np.array([[-1.0, 0.0, 0.0]], dtype=np.float32))
    logged = [json.loads(line) for line in (runs[0] / "train.jsonl").read_text().splitlines()]
    for actor in range(3):
        torque = run.record.normalisation.environment_actions(run.learner.act(hanging, actor))[0, 0]
        assert above.lines[actor].get_ydata()[0] == pytest.approx(torque, rel=1e-4, abs=1e-6)
    for actor in (1, 2):
        wanted = [record[f"actor_{actor}/w2_squared"] ** 0.5 for record in logged]
        np.testing.assert_allclose(below.lines[actor - 1].get_ydata(), wanted)


def test_evidence_is_paired_by_episodes(evidence: ModuleType, runs: list[Path]) -> None:
    summary = json.loads((runs[0] / "summary.json").read_bytes())
    rows = {(row.actor, row.mode): row for row in evidence.read(runs[0])}
    assert set(rows) == {(actor, mode) for actor in range(3) for mode in ("deterministic", "stochastic")}
    for actor in summary["actors"]:
        for mode in ("deterministic", "stochastic"):
            row, first = rows[actor["index"], mode], summary["actors"][0][mode]
            differences = [ours - theirs for ours, theirs in zip(actor[mode]["returns"], first["returns"], strict=True)]
            assert row.gain == pytest.approx(np.mean(differences), abs=1e-9)
            # Scores are linear in returns, whichever two they are found by.
            assert row.score_gain == pytest.approx(
                actor[mode]["normalized_score"] - first["normalized_score"], abs=1e-6
            )
    assert rows[0, "deterministic"].weights == "10 10"
    assert "hidden_sizes=[32, 32]" in rows[0, "deterministic"].settings


def test_an_interval_is_over_seeds_or_none(evidence: ModuleType) -> None:
    assert evidence.interval([2.0]) == "+2.0 ± -"
    # Student's t of two degrees of freedom, 4.303, times 1 / sqrt(3).
    assert evidence.interval([1.0, 2.0, 3.0]) == "+2.0 ± 2.5"


def test_the_committed_table_can_be_drawn(evidence: ModuleType) -> None:
    rows = evidence.load()
    assert evidence.figure(rows).axes
    # Its page holds the tables that it gives.
    page = evidence.PAGE.read_text()
    assert evidence.with_tables(page, evidence.tables(rows)) == page


def test_a_table_without_a_place_is_refused(evidence: ModuleType) -> None:
    with pytest.raises(ValueError, match="0 places for the table 'weights'"):
        evidence.with_tables("# A page\n", {"weights": "| a |"})
