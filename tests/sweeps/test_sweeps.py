"""pogo-train -m with each launcher: the same runs to the bit, and what their folders tell of them."""

import json
import os
import shutil
import signal
import time
from pathlib import Path

import pytest

from pogo.core.config.launcher import LocalLauncher
from pogo.core.files.lease import Owner
from pogo.core.sweeps.planning import plan_sweep
from pogo.core.sweeps.records import Launch, cancel, note_end, note_start, write_launch
from pogo.core.sweeps.status import status_of
from tests.helpers.runs import (
    PENDULUM,
    REPOSITORY,
    array_bytes,
    finish,
    newest,
    run_command,
    start,
    stop,
    wait_for,
)
from tests.helpers.slow import quick
from tests.helpers.slurm import slurm, why_no_slurm

SMALL = (
    "backend=torch", "algorithm=iql", "train.updates=40", "train.batch_size=8", "algorithm.hidden_sizes=[16,16]",
    "log.every=10", "checkpoint.every=20", "eval.episodes=1", "threads=1",
)  # fmt: skip


def folders(root: Path) -> list[Path]:
    return sorted(path.parent for path in root.rglob("config.json"))


def launched(name: str, root: Path, tmp_path: Path, *given: str):
    """A sweep by a launcher, to its end."""
    command = ("-m", *SMALL, f"run.root={root}", *given)
    if name == "slurm":
        pytest.importorskip("submitit")
        if (why_not := why_no_slurm()) is not None:
            pytest.skip(why_not)
        with slurm(tmp_path / "slurm") as environment:
            return run_command(*command, "launcher=slurm", **environment)
    if name == "ray":
        pytest.importorskip("ray")
        return run_command(*command, "launcher=ray")
    return run_command(*command, *(("--jobs", "2") if name == "local" else ()))


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each run by itself, without a sweep."""
    pytest.importorskip("torch")
    root = tmp_path_factory.mktemp("straight")
    for seed in range(3):
        run_command(*SMALL, f"run.root={root}", f"seed={seed}").assert_code(0)
    return root


@pytest.mark.parametrize("name", quick(["local", "slurm", "ray"], ["local", "slurm", "ray"]))
def test_four_runs_of_which_one_fails(straight: Path, tmp_path: Path, name: str) -> None:
    """The fourth's data is no file of data, which is found when it starts."""
    root = tmp_path / "runs"
    broken = tmp_path / "broken.hdf5"
    broken.write_bytes(b"not HDF5")
    experiments = tmp_path / "conf" / "experiment"
    experiments.mkdir(parents=True)
    text = f"""# @package _global_
sweep:
  - seed: [0, 1, 2]
  - dataset.path: {broken}
    env: Pendulum-v1
"""
    (experiments / "four.yaml").write_text(text)
    given = (f"--config-dir={tmp_path / 'conf'}", "experiment=four")
    outcome = launched(name, root, tmp_path, *given)
    outcome.assert_code(1)
    assert "3 of 4 runs done" in outcome.output
    assert "exit   2" in outcome.output
    for ours, theirs in zip(folders(root), folders(straight), strict=True):
        assert array_bytes(newest(ours)) == array_bytes(newest(theirs))
    document = json.loads(run_command("-m", *SMALL, f"run.root={root}", *given, "--status", "--json").output)
    assert document["counts"]["done"] == 3
    (failed,) = [run for run in document["runs"] if run["state"] == "failed"]
    assert str(broken) in failed["note"]
    outcome = run_command("-m", *SMALL, f"run.root={root}", *given, "--jobs", "2")
    outcome.assert_code(1)
    assert outcome.output.count("done: ") == 3
    assert "--retry-failed starts it again" in outcome.output
    shutil.copy(PENDULUM, broken)
    run_command("-m", *SMALL, f"run.root={root}", *given, "--jobs", "2", "--retry-failed").assert_code(0)
