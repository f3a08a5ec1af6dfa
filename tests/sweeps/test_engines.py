"""Each engine runs tasks to their ends, whatever ends them on the way."""

import itertools
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from pogo.core.sweeps.launchers.engine import Engine, Handle
from pogo.core.sweeps.records import cancel, read_attempts
from pogo.core.sweeps.task import Task
from tests.helpers.slow import quick

ENGINES = ("local", "slurm", "ray")
PATIENCE = 200.0


def task(folder: Path, target: int = 3, pause: float = 0.05, *more: str) -> Task:
    folder.mkdir(parents=True, exist_ok=True)
    arguments = (str(folder / "count"), str(target), str(pause), *more)
    return Task(arguments, folder, folder.name, module="tests.helpers.counting")


def wait(engine: Engine, handles: Sequence[Handle], until: Callable[[], bool] | None = None) -> list[int | None]:
    """Follow tasks until they have ended, or until something holds."""
    deadline = time.monotonic() + PATIENCE
    while True:
        engine.look()
        codes = [handle.code() for handle in handles]
        if until() if until is not None else None not in codes:
            return codes
        assert time.monotonic() < deadline, [read_attempts(handle.task.folder) for handle in handles]
        time.sleep(0.1)


def count(each: Task) -> int:
    try:
        return int((each.folder / "count").read_text())
    except FileNotFoundError:
        return 0


def log(each: Task) -> list[str]:
    return (each.folder / "count.log").read_text().split("\n")[:-1]


def assert_never_two_at_once(each: Task) -> None:
    """Whoever begins does so after the one before has ended, or was killed."""
    lines = [line.split() for line in log(each)]
    for (what, pid), (next_what, next_pid) in itertools.pairwise(lines):
        if what == "begins" and next_what == "ends":
            assert pid == next_pid


@pytest.mark.parametrize("name", ENGINES)
def test_four_of_which_one_fails(make: Callable[..., Engine], tmp_path: Path, name: str) -> None:
    tasks = [task(tmp_path / str(number)) for number in range(3)] + [task(tmp_path / "3", 2, 0.05, "fail")]
    with make(name) as engine:
        codes = wait(engine, engine.submit(tasks))
    assert codes == [0, 0, 0, 1]
    assert [count(each) for each in tasks] == [3, 3, 3, 2]
    assert [len(read_attempts(each.folder)) for each in tasks] == [1, 1, 1, 1]
    if name != "local":  # one by one, it is shown
        assert read_attempts(tasks[3].folder)[0].line == "it was to fail"


KILLS = [(name, number) for name in ENGINES for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGUSR2)]


@pytest.mark.parametrize(
    ("name", "number"), quick(KILLS, [("local", signal.SIGUSR2), ("slurm", signal.SIGKILL), ("ray", signal.SIGKILL)])
)
def test_a_run_that_is_killed_is_started_again(
    make: Callable[..., Engine], tmp_path: Path, name: str, number: signal.Signals
) -> None:
    each = task(tmp_path / "run", 30, 0.1)
    again = {"max_requeues": 2} if name == "slurm" else {"max_retries": 2}
    with make(name, **again) as engine:
        handles = engine.submit([each])
        wait(engine, handles, lambda: count(each) > 3)
        os.kill(int(log(each)[-1].split()[1]), number)
        assert wait(engine, handles) == [0]
    assert count(each) == 30
    assert len(read_attempts(each.folder)) == 2
    assert_never_two_at_once(each)


@pytest.mark.parametrize("name", ENGINES)
def test_a_stop_saves_and_starts_nothing_more(make: Callable[..., Engine], tmp_path: Path, name: str) -> None:
    first, second = task(tmp_path / "first", 10**6, 0.05), task(tmp_path / "second", 10**6, 0.05)
    whole_machine = {} if name == "local" else {"cpus": 2}
    with make(name, **whole_machine) as engine:
        handles = engine.submit([first, second])
        wait(engine, handles, lambda: count(first) > 3)
        engine.stop(signal.SIGTERM)
        wait(engine, handles[:1])
        assert handles[0].code() == 143
    assert log(first)[-1].startswith("ends"), "it saved"
    assert not (second.folder / "count").exists()


@pytest.mark.parametrize("name", ENGINES)
def test_a_cancelled_one_stops_and_is_not_started(make: Callable[..., Engine], tmp_path: Path, name: str) -> None:
    """By a mark in its folder alone, as another machine can leave it."""
    each, never = task(tmp_path / "run", 10**6, 0.05), task(tmp_path / "never", 3, 0.05)
    cancel(never.folder)
    with make(name) as engine:
        handles = engine.submit([each, never])
        wait(engine, handles, lambda: count(each) > 3)
        cancel(each.folder)
        assert wait(engine, handles) == [143, 143]
    assert log(each)[-1].startswith("ends")
    assert not (never.folder / "count").exists()


def test_several_runs_share_a_job(make: Callable[..., Engine], tmp_path: Path) -> None:
    tasks = [task(tmp_path / str(number), 3, 0.05) for number in range(5)]
    with make("slurm", runs_per_job=2, cpus=2) as engine:
        handles = engine.submit(tasks)
        assert wait(engine, handles) == [0] * 5
    assert len({handle.job for handle in handles}) == 3


@pytest.mark.slow
def test_a_time_limit_saves_requeues_and_goes_on(make: Callable[..., Engine], tmp_path: Path) -> None:
    """Slurm's shortest limit is a minute, of which the signal comes 40 seconds before the end."""
    each = task(tmp_path / "run", 400, 0.1)
    with make("slurm", timeout_min=1, signal_delay_s=40) as engine:
        handles = engine.submit([each])
        assert wait(engine, handles) == [0]
    assert len(read_attempts(each.folder)) >= 2
    assert count(each) == 400
    assert_never_two_at_once(each)


@pytest.mark.slow
def test_a_preempted_job_goes_on_when_it_is_started_again(make: Callable[..., Engine], tmp_path: Path) -> None:
    each = task(tmp_path / "run", 300, 0.1)
    with make("slurm", partition="low") as engine:
        handles = engine.submit([each])
        wait(engine, handles, lambda: count(each) > 5)
        subprocess.run(
            ["sbatch", "--partition=high", "--exclusive", "--wrap=sleep 1", f"--output={tmp_path}/high"], check=True
        )
        wait(engine, handles, lambda: log(each)[-1].startswith("ends"))
        assert wait(engine, handles) == [0]
    assert len(read_attempts(each.folder)) == 2
    assert count(each) == 300
    assert_never_two_at_once(each)
