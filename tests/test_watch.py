"""Checkpoints that are evaluated beside a run: its log is the one that it would have written itself."""

import io
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pogo.cli import evaluate
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.files.evaluation_queue import EvaluationQueue
from pogo.core.files.event_file import host_of
from pogo.core.reports.results import read_runs
from pogo.core.runs import watch
from pogo.core.runs.evaluation import Evaluator
from pogo.core.runs.lock import RunLock
from pogo.core.runs.loop import TrainingLoop
from pogo.core.runs.seed_run import SeedRun
from pogo.core.runs.watch import CheckpointWatch, WatchOptions
from pogo.core.system.signals import StopRequest
from tests.helpers.online_runs import arguments as online_arguments
from tests.helpers.runs import (
    BACKENDS,
    Outcome,
    assert_same_run,
    call,
    finish,
    lines,
    shared_folder,
    start,
    steps,
    stop,
    summary,
    train,
    wait_for,
)
from tests.helpers.runs import arguments as small_arguments
from tests.helpers.stopping import signalled

UPDATES, LONGER = 20, 30
EVERY = {"log__every": 10, "checkpoint__every": 5, "checkpoint__keep": 100, "eval__episodes": 1, "device": "cpu"}
SCHEDULE = {"algorithm__cosine_updates": 1000}  # that a longer run goes on by


def beside(run_dir: Path, backend: str = "torch", **changes: Any) -> list[str]:
    """Arguments of a run that leaves all evaluations but the last to a watcher."""
    given = {"train__updates": UPDATES, **EVERY, **SCHEDULE, "eval__every": 0, **changes}
    return small_arguments(run_dir, backend, **given)


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A run that evaluates every checkpoint itself."""

    def make(backend: str = "torch", updates: int = UPDATES) -> Path:
        pytest.importorskip(backend)
        with shared_folder(tmp_path_factory, f"own_{backend}_{updates}") as folder:
            run_dir = folder / "run"
            if not run_dir.exists():
                train(*beside(run_dir, backend, eval__every=5, train__updates=updates)).assert_code(0)
            return run_dir

    return make


def watched(root: Path, *given: str) -> Outcome:
    """pogo-eval --watch --once in this process."""
    said, logger = io.StringIO(), logging.getLogger("pogo")
    handler = logging.StreamHandler(said)
    logger.addHandler(handler)
    try:
        outcome = call(evaluate.main, "--watch", str(root), "--once", *given)
    finally:
        logger.removeHandler(handler)
    return Outcome(outcome.code, outcome.output + said.getvalue())


def look(root: Path) -> None:
    """One look of a watcher that shares this process with the run."""
    assert CheckpointWatch(root, WatchOptions(), StopRequest()).run(once=True) == 0


@contextmanager
def after_each_save(do: Callable[[SeedRun], object]) -> Iterator[None]:
    """Let something happen whenever a checkpoint has been committed."""
    save = SeedRun.save

    def save_and_do(run: SeedRun, prune: bool = True) -> None:
        save(run, prune)
        do(run)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SeedRun, "save", save_and_do)
        yield


class Killed(BaseException):
    """Leaves the files as a killed process does: nothing catches it to tidy up."""


@contextmanager
def killed_at_save(step: int) -> Iterator[None]:
    """Kill the run once its log has what the checkpoint of this step is to count, and before that is written."""
    save = CheckpointStore.save

    def killed(store: CheckpointStore, at: int, *rest: Any, **more: Any) -> Path:
        if at == step:
            raise Killed
        return save(store, at, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointStore, "save", killed)
        yield


def counts(run_dir: Path) -> list[int]:
    return [line["update"] for line in lines(run_dir / "eval.jsonl")]


def assert_final(run_dir: Path, theirs: Path) -> None:
    """The log is that of the run that evaluated by itself, line by line, and nothing waits."""
    assert_same_run(run_dir, theirs)
    assert not (run_dir / "evaluations").exists()
    assert summary(run_dir)["actors"] == summary(theirs)["actors"]
    (run,), (reference,) = read_runs(run_dir, curve=True), read_runs(theirs, curve=True)
    assert [each.results for each in run.evaluations] == [each.results for each in reference.evaluations]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_watch_after_the_run_gives_the_same_log(own: Callable, tmp_path: Path, backend: str) -> None:
    theirs, run_dir = own(backend), tmp_path / "runs" / "run"
    train(*beside(run_dir, backend)).assert_code(0)
    assert counts(run_dir) == [UPDATES]
    mine = (run_dir / "eval.jsonl").read_bytes()
    outcome = watched(tmp_path / "runs")
    outcome.assert_code(0)
    assert_final(run_dir, theirs)
    assert (run_dir / "eval.jsonl").read_bytes().endswith(mine), "the run's own line is another"
    walls = [json.loads(line)["wall_seconds"] for line in (run_dir / "eval.jsonl").read_text().splitlines()]
    assert walls == sorted(walls)
    assert all(walls)
    before = (run_dir / "eval.jsonl").read_bytes()
    watched(tmp_path / "runs").assert_code(0)
    assert (run_dir / "eval.jsonl").read_bytes() == before


@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_a_run_takes_over_what_is_evaluated_beside_it(own: Callable, tmp_path: Path, backend: str) -> None:
    theirs, run_dir = own(backend), tmp_path / "runs" / "run"
    with after_each_save(lambda _: look(tmp_path / "runs")):
        train(*beside(run_dir, backend)).assert_code(0)
    # The run itself wrote all of them, the last of its own behind those of before.
    assert_final(run_dir, theirs)
    events = b"".join(path.read_bytes() for path in run_dir.glob("events.out.tfevents.*"))
    assert events.count(b"eval/actors/0/deterministic/return_mean") == len(counts(theirs))
    assert "update 5, evaluated beside the run: actor 0" in (run_dir / "run.log").read_text()


@pytest.mark.parametrize("moment", ["before it is saved", "before it is dropped"])
def test_nothing_is_lost_or_doubled_where_the_run_is_killed(own: Callable, tmp_path: Path, moment: str) -> None:
    theirs, run_dir = own(), tmp_path / "runs" / "run"
    if moment == "before it is saved":
        with killed_at_save(15), after_each_save(lambda _: look(tmp_path / "runs")), pytest.raises(Killed):
            train(*beside(run_dir))
        assert counts(run_dir) == [5, 10]
        # 5 is in a checkpoint, and waits no more; 10 is in the log alone, and does.
        assert [path.name for path in (run_dir / "evaluations").iterdir()] == ["000000010.json"]
    else:
        with pytest.MonkeyPatch.context() as patch, after_each_save(lambda _: look(tmp_path / "runs")):
            patch.setattr(EvaluationQueue, "drop", killing_at(run_dir, 10))
            with pytest.raises(Killed):
                train(*beside(run_dir))
        assert counts(run_dir) == [5]
        assert [path.name for path in (run_dir / "evaluations").iterdir()] == ["000000005.json"]
    train(*beside(run_dir)).assert_code(0)
    watched(tmp_path / "runs").assert_code(0)
    assert_final(run_dir, theirs)


def killing_at(run_dir: Path, step: int) -> Callable[..., None]:
    def drop(*_: Any) -> None:
        if (run_dir / "checkpoints" / f"{step:09d}").exists():
            raise Killed

    return drop


def test_a_run_that_goes_back_keeps_what_was_evaluated_before(own: Callable, tmp_path: Path) -> None:
    theirs, run_dir = own(), tmp_path / "runs" / "run"
    with killed_at_save(UPDATES), after_each_save(lambda _: look(tmp_path / "runs")), pytest.raises(Killed):
        train(*beside(run_dir))
    # 15 waits, and 10 is in the log by the count of checkpoint 15, which is damaged.
    assert counts(run_dir) == [5, 10, 15, 20]
    (run_dir / "checkpoints" / "000000015" / "arrays.safetensors").write_bytes(b"")
    train(*beside(run_dir)).assert_code(0)
    assert counts(run_dir) == [5, 10, 20]
    watched(tmp_path / "runs").assert_code(0)
    assert_final(run_dir, theirs)


@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
def test_a_run_is_extended_after_a_watch(own: Callable, tmp_path: Path, backend: str) -> None:
    theirs, run_dir = own(backend, LONGER), tmp_path / "runs" / "run"
    train(*beside(run_dir, backend)).assert_code(0)
    watched(tmp_path / "runs").assert_code(0)
    train(*beside(run_dir, backend, train__updates=LONGER)).assert_code(0)
    assert counts(run_dir) == [5, 10, 15, 20, LONGER]
    watched(tmp_path / "runs").assert_code(0)
    assert_final(run_dir, theirs)
    # From where the log held less than it holds in front of that place by now.
    for step in (LONGER, 25, 20):
        (run_dir / "checkpoints" / f"{step:09d}" / "arrays.safetensors").write_bytes(b"")
    train(*beside(run_dir, backend, train__updates=LONGER)).assert_code(0)
    watched(tmp_path / "runs").assert_code(0)
    assert_final(run_dir, theirs)


def test_an_evaluation_that_the_run_owes_is_its_own(own: Callable, tmp_path: Path) -> None:
    theirs, run_dir = own(), tmp_path / "runs" / "run"
    at_the_end = lambda run, *_: run.position == UPDATES  # noqa: E731
    with signalled(SeedRun, "_act", signal.SIGTERM, at_the_end):
        train(*beside(run_dir)).assert_code(143)
    watched(tmp_path / "runs").assert_code(0)
    assert counts(run_dir) == [5, 10, 15, 20]
    train(*beside(run_dir)).assert_code(0)
    assert_final(run_dir, theirs)


def test_a_stopped_run_is_settled_and_goes_on(own: Callable, tmp_path: Path) -> None:
    theirs, run_dir = own(), tmp_path / "runs" / "run"
    with signalled(TrainingLoop, "_advance", signal.SIGTERM, lambda loop: loop._now >= 12):
        train(*beside(run_dir)).assert_code(143)
    outcome = watched(tmp_path / "runs")
    outcome.assert_code(0)
    assert f"{run_dir}: stopped by a signal" in outcome.output
    stopped = steps(run_dir)[-1]
    assert counts(run_dir) == sorted({5, 10, stopped})
    train(*beside(run_dir)).assert_code(0)
    watched(tmp_path / "runs").assert_code(0)
    found = [line for line in lines(run_dir / "eval.jsonl") if line["update"] % 5 == 0]
    assert found == lines(theirs / "eval.jsonl")


def test_what_waits_of_a_course_that_is_given_up_is_dropped(tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "run"
    (run_dir / "evaluations").mkdir(parents=True)
    (run_dir / "evaluations" / "000000005.json").write_text('{"update": 5, "actors": [], "measures": {}}')
    train(*beside(run_dir)).assert_code(0)
    assert counts(run_dir) == [UPDATES]
    assert not (run_dir / "evaluations").exists()


@pytest.mark.parametrize("text", ["", "{}", '{"update": 5}', '{"update": 10, "actors": [], "measures": {}}'])
def test_what_no_watcher_wrote_is_said_and_made_anew(own: Callable, tmp_path: Path, text: str) -> None:
    run_dir = tmp_path / "runs" / "run"
    train(*beside(run_dir)).assert_code(0)
    (run_dir / "evaluations").mkdir()
    (run_dir / "evaluations" / "000000005.json").write_text(text)
    outcome = watched(tmp_path / "runs")
    assert "It is deleted." in outcome.output
    watched(tmp_path / "runs").assert_code(0)
    assert_final(run_dir, own())


def test_the_log_of_a_run_that_is_training_is_left_to_it(tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "run"
    train(*beside(run_dir)).assert_code(0)
    before = (run_dir / "eval.jsonl").read_bytes()
    with RunLock(run_dir) as lock:
        lock.acquire(make=False)
        watched(tmp_path / "runs").assert_code(0)
        assert (run_dir / "eval.jsonl").read_bytes() == before
        waiting = sorted(path.name for path in (run_dir / "evaluations").iterdir())
        assert waiting == [f"{step:09d}.json" for step in (5, 10, 15)]
    watched(tmp_path / "runs").assert_code(0)
    assert counts(run_dir) == [5, 10, 15, 20]


@pytest.mark.slow
def test_an_online_run_is_evaluated_by_its_steps(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    theirs, run_dir = tmp_path / "own" / "run", tmp_path / "runs" / "run"
    given = {"checkpoint__keep": 100, "device": "cpu"}
    train(*online_arguments(theirs, eval__every=50, **given)).assert_code(0)
    train(*online_arguments(run_dir, eval__every=0, **given)).assert_code(0)
    watched(tmp_path / "runs").assert_code(0)
    assert_final(run_dir, theirs)


@pytest.fixture
def finished(tmp_path: Path) -> Path:
    run_dir = tmp_path / "runs" / "run"
    train(*beside(run_dir)).assert_code(0)
    return run_dir


def claim(run_dir: Path, step: int, pid: int) -> Path:
    path = run_dir / "evaluations" / f"{step:09d}.claim"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": socket.gethostname(), "pid": pid, "time": 0.0}))
    return path


def test_a_claim_of_another_watcher_is_left_alone_and_of_a_dead_one_taken_over(finished: Path) -> None:
    theirs = claim(finished, 10, os.getppid())
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    claim(finished, 15, dead.pid)
    watched(finished).assert_code(0)
    assert counts(finished) == [5, 15, 20]
    assert [path.name for path in (finished / "evaluations").iterdir()] == [theirs.name]
    theirs.unlink()
    watched(finished).assert_code(0)
    assert counts(finished) == [5, 10, 15, 20]
    assert not (finished / "evaluations").exists()


def test_a_checkpoint_that_vanishes_is_passed_over(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opening = watch.open_checkpoint

    def vanishing(run_dir: Path, step: int) -> Any:
        if step == 10:
            shutil.rmtree(run_dir / "checkpoints" / f"{step:09d}")
        return opening(run_dir, step)

    monkeypatch.setattr(watch, "open_checkpoint", vanishing)
    outcome = watched(finished)
    outcome.assert_code(0)
    assert f"{finished}, update 10: the checkpoint was deleted before it could be evaluated" in outcome.output
    assert "checkpoint.keep" in outcome.output
    assert counts(finished) == [5, 15, 20]


def test_a_damaged_checkpoint_is_said_and_the_others_are_evaluated(finished: Path) -> None:
    (finished / "checkpoints" / "000000010" / "arrays.safetensors").write_bytes(b"")
    outcome = watched(finished)
    outcome.assert_code(1)
    assert "update 10 cannot be evaluated: Checkpoint" in outcome.output
    assert counts(finished) == [5, 15, 20]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_the_watch_at_once(finished: Path, number: signal.Signals, code: int) -> None:
    def stops(player: Any, checkpoint: Any, *_: Any) -> bool:
        return checkpoint.step == 10

    with signalled(watch._Player, "play", number, stops):
        watched(finished).assert_code(code)
    assert [path.name for path in (finished / "evaluations").iterdir()] == ["000000005.json"]
    watched(finished).assert_code(0)
    assert counts(finished) == [5, 10, 15, 20]


def test_a_run_without_an_environment_is_said_once(tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "run"
    train(*beside(run_dir, env="none")).assert_code(0)
    outcome = watched(tmp_path / "runs")
    outcome.assert_code(0)
    assert outcome.output.count("without an environment") == 1


def test_a_run_without_episodes_is_evaluated_only_on_demand(own: Callable, tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "run"
    train(*beside(run_dir, eval__episodes=0)).assert_code(0)
    outcome = watched(tmp_path / "runs")
    outcome.assert_code(0)
    assert "--episodes N" in outcome.output
    assert counts(run_dir) == []
    watched(tmp_path / "runs", "--episodes", "1").assert_code(0)
    assert lines(run_dir / "eval.jsonl") == lines(own() / "eval.jsonl")
    for name in ("actors", "measures"):
        assert summary(run_dir)[name] == summary(own())[name]


def test_an_environment_that_is_not_there_leaves_the_run_alone(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise BadInput("it needs mujoco.")

    monkeypatch.setattr(Evaluator, "__init__", refuse)
    outcome = watched(finished)
    outcome.assert_code(1)
    assert outcome.output.count("it needs mujoco.") == 1
    assert counts(finished) == [20]


def test_simulators_are_made_once_for_all_checkpoints(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, make = [], Evaluator.__init__

    def counted(*given: Any) -> None:
        made.append(given)
        make(*given)

    monkeypatch.setattr(Evaluator, "__init__", counted)
    watched(finished).assert_code(0)
    assert len(made) == 1


def test_the_watch_waits_for_the_runs_and_ends_after_them(finished: Path) -> None:
    """Nothing is slept: each look is 20 seconds after the one before."""
    begun = now = max(path.stat().st_mtime for path in finished.iterdir())
    naps: list[float] = []

    def nap(seconds: float) -> None:
        naps.append(seconds)

    def clock() -> float:
        nonlocal now
        now += 20.0
        return now

    code = CheckpointWatch(finished.parent, WatchOptions(), StopRequest(), clock=clock, sleep=nap).run(poll=1.0)
    assert code == 0
    assert counts(finished) == [5, 10, 15, 20]
    assert naps
    assert now > begun + 60.0, "a sweep's next run may have begun within a minute"
    assert host_of(path.name for path in finished.iterdir()) is not None


@pytest.mark.slow
def test_watchers_and_a_killed_run_in_processes_of_their_own(own: Callable, tmp_path: Path) -> None:
    theirs, root = own(updates=60), tmp_path / "runs"
    root.mkdir()
    run_dir = root / "run"
    given = ("--watch", str(root), "--poll", "0.1")
    watchers = [start(*given, module="pogo.cli.evaluate") for _ in range(3)]
    run = start(*beside(run_dir, train__updates=60))
    wait_for(lambda: run_dir.exists() and len(steps(run_dir)) >= 4, run)
    run.send_signal(signal.SIGKILL)
    finish(run)
    stop(watchers[0], signal.SIGKILL)
    finish(start(*beside(run_dir, train__updates=60))).assert_code(0)
    outcomes = [finish(watcher) for watcher in watchers[1:]]
    for outcome in outcomes:
        outcome.assert_code(0)
    assert_final(run_dir, theirs)
    made = re.findall(r"update (\d+): actor 0", "".join(outcome.output for outcome in outcomes))
    assert len(made) == len(set(made)), "two watchers made the same evaluation"
