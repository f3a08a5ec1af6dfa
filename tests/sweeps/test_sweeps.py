"""pogo-train -m with each launcher: the same runs to the bit, and what their folders tell of them."""

import dataclasses
import json
import shutil
import signal
import time
from pathlib import Path

import pytest

from pogo.cli import train as train_command
from pogo.core.files.lease import SILENT_SECONDS, Owner
from pogo.core.runs.lock import RunLock
from pogo.core.sweeps.cell import Cell
from pogo.core.sweeps.planning import plan_sweep
from pogo.core.sweeps.records import Launch, cancel, note_end, note_start, write_launch
from pogo.core.sweeps.status import STATES, status_of
from tests.helpers.runs import Outcome, assert_same_run, call, finish, run_command, start, steps, wait_for
from tests.helpers.slurm import slurm, why_no_slurm

SMALL = (
    "backend=torch", "algorithm=iql", "train.updates=40", "train.batch_size=8", "algorithm.hidden_sizes=[16,16]",
    "log.every=10", "checkpoint.every=20", "eval.episodes=1", "threads=1",
)  # fmt: skip


def launched(name: str, root: Path, tmp_path: Path, *given: str) -> Outcome:
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


RATES = ("3e-4", "1e-4", "2e-4", "1e30")  # of which the last makes numbers that are not finite


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each run that can be made, by itself, without a sweep."""
    pytest.importorskip("torch")
    made = {rate: tmp_path_factory.mktemp("straight") / "run" for rate in RATES[:3]}
    for rate, folder in made.items():
        run_command(*SMALL, f"run.dir={folder}", f"algorithm.critic_learning_rate={rate}").assert_code(0)
    return made


@pytest.mark.parametrize("name", ["local", "slurm", "ray"])
def test_four_runs_of_which_one_fails(straight: dict[str, Path], tmp_path: Path, name: str) -> None:
    root = tmp_path / "runs"
    given = f"algorithm.critic_learning_rate={','.join(RATES)}"
    outcome = launched(name, root, tmp_path, given)
    outcome.assert_code(1)
    assert "3 of 4 runs done" in outcome.output
    document = json.loads(run_command("-m", *SMALL, f"run.root={root}", given, "--status", "--json").output)
    assert document["counts"] == dict.fromkeys(STATES, 0) | {"done": 3, "failed": 1}
    for run, rate in zip(document["runs"], RATES, strict=True):
        (folder,) = map(Path, run["run_dirs"])
        assert (run["launcher"], run["attempts"]) == (name, 1)
        if rate in straight:
            assert_same_run(folder, straight[rate])
        else:
            assert "not finite" in run["note"]
    outcome = run_command("-m", *SMALL, f"run.root={root}", given)
    outcome.assert_code(1)
    assert outcome.output.count("  done: ") == 3
    assert "--retry-failed starts it again" in outcome.output


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    (cell,) = plan_sweep([*SMALL, f"run.root={tmp_path / 'runs'}"])
    return cell


@pytest.fixture(scope="module")
def finished(straight: dict[str, Path]) -> Path:
    return straight["3e-4"]


ELSEWHERE = dataclasses.replace(Owner.this_process(), host="node7", boot="another", pid=4711)
GONE = dataclasses.replace(Owner.this_process(), began=1)


def launch(detached: bool = False, submitter: Owner = ELSEWHERE) -> Launch:
    return Launch("slurm" if detached else "local", "17_3" if detached else "", submitter, detached, time.time())


def test_a_run_is_planned_queued_running_and_done(cell: Cell, finished: Path) -> None:
    folder = cell.run_dir
    assert status_of(cell).state == "planned"
    write_launch(folder, launch())
    assert status_of(cell).state == "queued"
    note_start(folder, "node7", 4711)
    found = status_of(cell)
    assert (found.state, found.host) == ("running", "node7")
    found = status_of(cell, time.time() + SILENT_SECONDS + 1.0)
    assert (found.state, found.note) == ("preempted", "process 4711 is gone")
    with RunLock(folder) as lock:
        lock.acquire()
        assert status_of(cell).state == "running"
    note_end(folder, 4711, 143, "")
    assert status_of(cell).state == "preempted"
    shutil.copytree(finished, folder, dirs_exist_ok=True)
    note_start(folder, "node8", 4712)
    note_end(folder, 4712, 0, "")
    found = status_of(cell)
    assert (found.state, found.host, found.attempts) == ("done", "node8", 2)


def test_what_nobody_will_start_is_planned(cell: Cell) -> None:
    """A pool of this machine was killed before it came to the run."""
    write_launch(cell.run_dir, launch(submitter=GONE))
    assert status_of(cell).state == "planned"
    write_launch(cell.run_dir, launch(detached=True, submitter=GONE))
    found = status_of(cell)
    assert (found.state, found.note) == ("queued", "by slurm, job 17_3")


def test_a_failed_run_says_why(cell: Cell) -> None:
    write_launch(cell.run_dir, launch())
    note_start(cell.run_dir, "node7", 4711)
    note_end(cell.run_dir, 4711, 2, "pogo-train: no such file")
    found = status_of(cell)
    assert (found.state, found.note) == ("failed", "pogo-train: no such file")


def test_a_run_that_is_killed_again_and_again_has_not_failed(cell: Cell) -> None:
    for code in (-signal.SIGKILL, -signal.SIGTERM, 143):
        note_start(cell.run_dir, "node7", 4711)
        note_end(cell.run_dir, 4711, code, "")
    assert status_of(cell).state == "preempted"


def test_a_cancelled_run_is_started_by_the_next_command_only(cell: Cell) -> None:
    write_launch(cell.run_dir, launch())
    cancel(cell.run_dir)
    assert status_of(cell).state == "cancelled"
    write_launch(cell.run_dir, launch())
    assert status_of(cell).state == "queued"


def test_a_longer_run_is_not_done(cell: Cell, finished: Path) -> None:
    shutil.copytree(finished, cell.run_dir)
    assert status_of(cell).state == "done"
    longer = dataclasses.replace(cell.config, train=dataclasses.replace(cell.config.train, updates=60))
    assert status_of(dataclasses.replace(cell, config=longer)).state == "preempted"
    shorter = dataclasses.replace(cell.config, train=dataclasses.replace(cell.config.train, updates=20))
    assert status_of(dataclasses.replace(cell, config=shorter)).state == "done"


def test_a_run_of_other_settings_is_not_done(cell: Cell, finished: Path) -> None:
    """It is started, and refuses by itself."""
    shutil.copytree(finished, cell.run_dir)
    other = dataclasses.replace(cell.config, train=dataclasses.replace(cell.config.train, batch_size=16))
    assert status_of(dataclasses.replace(cell, config=other)).state != "done"


def test_every_file_may_be_broken(cell: Cell) -> None:
    cell.run_dir.mkdir(parents=True)
    for name in ("launch.json", "attempts.jsonl", "lease.1.json", "summary.json", "config.json", "train.jsonl"):
        (cell.run_dir / name).write_text('[{"event": "started"}\n[]\nno JSON')
    assert status_of(cell).state == "running"  # somebody holds it, whoever that is
    assert status_of(cell, time.time() + SILENT_SECONDS + 1.0).state in ("planned", "preempted")


def test_a_pool_that_is_killed_leaves_no_run_behind(tmp_path: Path) -> None:
    """Its runs save and stop, and the same command goes on with them."""
    given = ("-m", *SMALL[:2], "train.updates=1000000", *SMALL[3:], "seed=0,1", f"run.root={tmp_path}", "eval.every=0")
    cells = plan_sweep([text for text in given if text != "-m"])
    process = start(*given, "--jobs", "2")
    wait_for(lambda: all(steps(each.run_dir) for each in cells), process)
    process.kill()
    finish(process)
    deadline = time.monotonic() + 60.0
    while any(status_of(each).state == "running" for each in cells):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [status_of(each).state for each in cells] == ["preempted", "preempted"]
    for each in cells:
        assert "stopped by a signal" in (each.run_dir / "run.log").read_text()


def test_cancel_ends_what_runs(tmp_path: Path) -> None:
    given = ("-m", *SMALL[:2], "train.updates=1000000", *SMALL[3:], "seed=0,1", f"run.root={tmp_path}", "eval.every=0")
    first, _ = plan_sweep([text for text in given if text != "-m"])
    process = start(*given, "--jobs", "1")
    wait_for(lambda: bool(steps(first.run_dir)), process)
    outcome = run_command(*given, "--cancel")
    outcome.assert_code(0)
    assert "2 of 2 runs cancelled" in outcome.output
    ended = finish(process)
    assert ended.code == 1
    document = json.loads(run_command(*given, "--status", "--json").output)
    assert document["counts"]["cancelled"] == 2


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--status"], "--status is of many runs; add -m."),
        (["-m", "--json"], "--json is of --status; add it."),
        (["-m", "--status", "--cancel"], "one at a time"),
        (["launcher=ray"], "a launcher starts many runs; add -m."),
        (["-m", "launcher=slrm"], "launcher=slrm is unknown. Did you mean 'slurm'?"),
        (["-m", "launcher=slurm", "--jobs", "2"], "--jobs is of launcher=local"),
        (["-m", "launcher.jobs=2", "--jobs", "2"], "say the same"),
        (["-m", "launcher.jobs=0"], "launcher.jobs=0 is too small"),
        (["-m", "launcher.partition=gpu"], "with launcher=local, setting=launcher.partition is unknown"),
        (["-m", "launcher=local,ray"], "one launcher"),
        (["-m", "launcher=ray", "launcher.address=127.0.0.1:1"], "no Ray answers there"),
    ],
    ids=str,
)
def test_refused(tmp_path: Path, given: list[str], message: str) -> None:
    if "launcher=ray" in given and "-m" in given:
        pytest.importorskip("ray")
    outcome = call(train_command.main, *given, *SMALL, f"run.root={tmp_path}")
    assert outcome.code == 2
    assert message in outcome.output
    assert outcome.output.count("\n") == 1
    assert not list(tmp_path.iterdir())
