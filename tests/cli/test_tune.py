"""pogo-tune: what it refuses, and one study of real runs from its beginning to the command that it recommends."""

import json
import shlex
from pathlib import Path

import pytest

from pogo.cli import tune
from tests.helpers.runs import call, run_command, train

STUDY = """\
name: small
options:
  - backend=jax
  - algorithm=iql
  - train.updates=20
  - train.batch_size=16
  - algorithm.hidden_sizes=[16]
  - eval.every=10
  - eval.episodes=1
space:
  algorithm.beta: {float: [0.3, 10], log: true}
seeds: [0, 1]
trials: 2
pruner: none
"""


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "study.yaml"
    file.write_text(STUDY)
    return Path("study.yaml")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("none.yaml",), "none.yaml cannot be read: No such file or directory; give a study's YAML file."),
        (("study.yaml", "--workers", "0"), "--workers 0: use a whole number of at least 1."),
        (("study.yaml", "--json"), "--json is of --report; add it."),
        (("study.yaml", "--out", "report"), "--out is of --report; add it."),
        (("study.yaml", "--report", "--workers", "2"), "--report starts no workers; drop --workers."),
        (("study.yaml", "algorithm.beta=3"), "algorithm.beta=3: options of the runs stand in study.yaml"),
        (("study.yaml", "launcher.jobs=3"), "launcher.jobs=3: workers that run side by side are --workers N."),
        (("study.yaml", "launcher=slrm"), "launcher=slrm is unknown. Did you mean 'slurm'?"),
        (("study.yaml", "launcher.partition=gpu"), "launcher.partition is unknown"),
        (("study.yaml", "--report"), "holds no study yet; pogo-tune study.yaml begins it."),
        ((), "the following arguments are required: STUDY.yaml"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_done_is_refused_in_a_line(study: Path, given: tuple[str, ...], message: str) -> None:
    pytest.importorskip("optuna")
    outcome = call(tune.main, *given)
    assert outcome.code == 2
    assert message in outcome.output
    assert len(outcome.output.splitlines()) == 1
    assert not Path("runs").exists()


def test_a_file_that_is_wrong_starts_nothing(study: Path) -> None:
    study.write_text(STUDY.replace("algorithm.beta:", "algorithm.bta:"))
    outcome = call(tune.main, str(study))
    assert outcome.code == 2
    assert "study.yaml: " in outcome.output
    assert "Did you mean 'algorithm.beta'?" in outcome.output
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_study_of_real_runs(study: Path, tmp_path: Path) -> None:
    pytest.importorskip("jax")
    pytest.importorskip("optuna")
    run_command(str(study), "--workers", "2", module="pogo.cli.tune", cwd=tmp_path).assert_code(0)
    told = call(tune.main, str(study), "--report", "--json")
    told.assert_code(0)
    report = json.loads(told.output)
    assert report["counts"]["complete"] == 2
    best = report["best"]
    assert best["value"] == pytest.approx(sum(best["by_seed"].values()) / 2)
    folder = Path(f"runs/tuning/small/trials/{best['number']:04d}/seed_1")
    summary = json.loads((folder / "summary.json").read_text())
    assert best["by_seed"]["1"] == summary["actors"][-1]["deterministic"]["normalized_score"]
    # The command that is recommended makes the same run.
    again = tmp_path / "again"
    train(*shlex.split(best["command"])[1:], "seed=1", f"run.dir={again}", "threads=1").assert_code(0)
    ours = json.loads((again / "summary.json").read_text())
    assert ours["actors"][-1]["deterministic"] == summary["actors"][-1]["deterministic"]
