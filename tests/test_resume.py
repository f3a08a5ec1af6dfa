"""Nothing lost: a run that is stopped, killed or damaged goes on to the bits of one that was left alone."""

import hashlib
import itertools
import json
import logging
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pogo
from pogo.cli import evaluate
from pogo.core.config import compose
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.files.logs import RunLog
from pogo.core.reports.results import read_runs
from pogo.core.runs import plan, training
from pogo.core.runs.lock import RunLock
from pogo.core.runs.loop import TrainingLoop
from pogo.core.runs.record import Progress
from pogo.core.runs.seed_run import SeedRun
from pogo.core.system.checkout import commit
from pogo.core.system.machine import processor_name
from pogo.core.system.signals import STOP_SIGNALS
from tests.helpers.runs import (
    ALGORITHMS,
    BACKENDS,
    PENDULUM,
    array_bytes,
    arrays,
    assert_same_run,
    call,
    fingerprint,
    finish,
    lines,
    newest,
    shared_folder,
    start,
    steps,
    stop,
    summary,
    train,
    wait_for,
)
from tests.helpers.runs import arguments as small_arguments
from tests.helpers.slow import quick
from tests.helpers.stopping import at_update, signalled

UPDATES = 40
# A log window that is open at every checkpoint, and an evaluation that falls on one.
INTERVALS = {"log__every": 7, "eval__every": 20, "checkpoint__every": 5, "eval__episodes": 1}
# JAX compiles for longer than these tests run; `make test-slow` has them too.
TORCH_QUICKLY = ["torch", pytest.param("jax", marks=pytest.mark.slow)]
CODES = {number: 130 if number == signal.SIGINT else 143 for number in STOP_SIGNALS}
SIGNALS = [(number, code) for number, code in CODES.items() if number in (signal.SIGTERM, signal.SIGINT)]


def arguments(run_dir: Path, backend: str = "torch", algorithm: str = "iql", **changes: Any) -> list[str]:
    return small_arguments(run_dir, backend, algorithm, **{"train__updates": UPDATES, **INTERVALS, **changes})


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, str], Path]:
    """An uninterrupted run per backend and algorithm."""

    def make(backend: str, algorithm: str = "iql") -> Path:
        pytest.importorskip(backend)
        with shared_folder(tmp_path_factory, f"whole_{algorithm}_{backend}") as folder:
            run_dir = folder / "run"
            if not run_dir.exists():
                train(*arguments(run_dir, backend, algorithm)).assert_code(0)
            return run_dir

    return make


def at_step_of_evaluation(number: int, update: int) -> Callable[..., bool]:
    """All actors and modes take a step at once."""
    steps = itertools.count()
    return lambda run, *_: run.position == update and next(steps) == number


MOMENTS: dict[str, tuple[type, str, Callable[[], Callable[..., bool]]]] = {
    "update": (TrainingLoop, "_advance", lambda: at_update(23)),
    "evaluation": (SeedRun, "_act", lambda: at_step_of_evaluation(70, 20)),
    "last evaluation": (SeedRun, "_act", lambda: at_step_of_evaluation(0, UPDATES)),
    "save": (CheckpointStore, "save", lambda: lambda _, step, *rest, **more: step == 25),
}


@pytest.mark.parametrize(("number", "code"), quick(SIGNALS, SIGNALS[:1]), ids=["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_signal_saves_and_the_resume_gives_the_same_bits(
    whole: Callable, tmp_path: Path, backend: str, moment: str, number: signal.Signals, code: int
) -> None:
    if backend == "jax" and (number == signal.SIGINT or moment == "last evaluation"):
        pytest.skip("it differs in core only")
    reference, run_dir = whole(backend), tmp_path / "run"
    owner, method, when = MOMENTS[moment]
    with signalled(owner, method, number, when()):
        train(*arguments(run_dir, backend)).assert_code(code)
    assert not (run_dir / "summary.json").exists()
    assert "stopped by a signal" in (run_dir / "run.log").read_text()
    train(*arguments(run_dir, backend)).assert_code(0)
    assert_same_run(run_dir, reference)
    assert summary(run_dir)["actors"] == summary(reference)["actors"]


# Before anything is saved, while everything is done already, and what lies between; `MOMENTS` has the rest.
STAGES: dict[str, tuple[object, str, Callable[[], Callable[..., bool]], int | None]] = {
    "options": (compose, "compose_config", lambda: lambda *_: True, None),
    "data": (plan, "_load", lambda: lambda *_: True, None),
    "networks": (training, "make_learner_group", lambda: lambda *_: True, None),
    "config.json": (SeedRun, "begin", lambda: lambda *_: True, None),
    "first update": (TrainingLoop, "_advance", lambda: at_update(0), None),
    **{name: (*moment, None) for name, moment in MOMENTS.items()},
    "summary": (SeedRun, "write_summary", lambda: lambda *_: True, 0),
    "end": (SeedRun, "end", lambda: lambda *_: True, 0),
}


@pytest.mark.parametrize(
    ("stage", "number"),
    quick(
        list(itertools.product(STAGES, STOP_SIGNALS)), list(zip(STAGES, itertools.cycle(STOP_SIGNALS), strict=False))
    ),
)
def test_every_signal_twice_at_every_stage(whole: Callable, tmp_path: Path, stage: str, number: signal.Signals) -> None:
    """As schedulers send them, two within 10 ms; not Ctrl-C, of which a second one insists."""
    reference, run_dir = whole("torch"), tmp_path / "run"
    owner, method, when, code = STAGES[stage]
    with signalled(owner, method, number, when(), times=1 if number == signal.SIGINT else 2):
        train(*arguments(run_dir)).assert_code(CODES[number] if code is None else code)
    train(*arguments(run_dir)).assert_code(0)
    assert_same_run(run_dir, reference)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_many_restarts_give_the_same_bits(whole: Callable, tmp_path: Path, backend: str, algorithm: str) -> None:
    reference, run_dir = whole(backend, algorithm), tmp_path / "run"
    for update in (1, 8, 20, 33):
        with signalled(TrainingLoop, "_advance", signal.SIGTERM, at_update(update)):
            train(*arguments(run_dir, backend, algorithm)).assert_code(143)
    train(*arguments(run_dir, backend, algorithm)).assert_code(0)
    assert_same_run(run_dir, reference)


def test_a_later_signal_ends_at_once(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    # An update that takes for ever.
    (tmp_path / "slow.py").write_text(
        "import time, pogo.core.runs.loop as loop, pogo.core.system.signals as signals\n"
        "signals.REPEAT_SECONDS = 0.2\n"
        "loop.TrainingLoop._advance = lambda self: (print('here', flush=True), time.sleep(1000))\n"
        "from pogo.cli.train import main\n"
    )
    repository = Path(__file__).resolve().parents[1]
    process = start(*arguments(tmp_path / "run"), module="slow", PYTHONPATH=f"{tmp_path}{os.pathsep}{repository}")
    assert process.stdout is not None
    while "here" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    time.sleep(0.3)
    assert process.poll() is None
    stop(process, signal.SIGTERM).assert_code(143)  # while the update still sleeps


@pytest.mark.parametrize(("number", "code"), SIGNALS, ids=["SIGTERM", "SIGINT"])
def test_a_process_ends_with_the_signals_code(tmp_path: Path, number: signal.Signals, code: int) -> None:
    pytest.importorskip("torch")
    process = start(*arguments(tmp_path / "run", train__updates=10**6, eval__every=0))
    wait_for(lambda: bool(steps(tmp_path / "run")), process)
    outcome = stop(process, number)
    outcome.assert_code(code)
    assert "saved. The same command goes on." in outcome.output


def kill_again_and_again(run_dir: Path, given: list[str], kills: int, rng: random.Random) -> int:
    """Start and kill -9 a run, each time after it came further; returns how many kills fell into a write."""
    writing = 0
    for _ in range(kills):
        before = steps(run_dir)[-1:]
        process = start(*given)
        wait_for(lambda before=before: steps(run_dir)[-1:] > before, process)
        time.sleep(rng.uniform(0.0, 0.1))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it was through before the kill: give it more updates"
        writing += any((run_dir / "partial").glob("*")) if (run_dir / "partial").exists() else 0
        assert not (run_dir / "damaged").exists()
    return writing


def assert_kills_lose_nothing(tmp_path: Path, backend: str, kills: int, updates: int) -> None:
    pytest.importorskip(backend)
    changes: dict[str, Any] = {
        "train__updates": updates,
        "checkpoint__every": 5,
        "eval__every": updates // 2,
        "log__every": 7,
    }
    train(*arguments(tmp_path / "whole", backend, **changes)).assert_code(0)
    run_dir = tmp_path / "run"
    given = arguments(run_dir, backend, **changes)
    writing = kill_again_and_again(run_dir, given, kills, random.Random(backend))
    finish(start(*given)).assert_code(0)
    assert_same_run(run_dir, tmp_path / "whole")
    assert not (run_dir / "damaged").exists()
    assert not (run_dir / "partial").exists()
    print(f"{backend}: {kills} kills, {writing} of them during a write")  # noqa: T201 - what pytest -s is asked for


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_kill_9_loses_nothing(tmp_path: Path, backend: str) -> None:
    assert_kills_lose_nothing(tmp_path, backend, kills=3, updates=400)


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_twenty_kills_lose_nothing(tmp_path: Path, backend: str) -> None:
    assert_kills_lose_nothing(tmp_path, backend, kills=20, updates=1500)


def test_a_run_killed_before_its_first_checkpoint_starts_again(whole: Callable, tmp_path: Path) -> None:
    reference, run_dir = whole("torch"), tmp_path / "run"
    changes: dict[str, Any] = {"checkpoint__every": 0}

    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CheckpointStore, "save", kill)
        with pytest.raises(Killed):
            train(*arguments(run_dir, **changes))
    assert lines(run_dir / "train.jsonl")
    train(*arguments(run_dir, resume="must", **changes)).assert_code(2)
    train(*arguments(run_dir, **changes)).assert_code(0)
    assert_same_run(run_dir, reference)
    assert (run_dir / "run.log").read_text().count("starting from update 0") == 2


def stopped_at(run_dir: Path, update: int, backend: str = "torch", **changes: Any) -> Path:
    """A run that was stopped when it had made so many updates."""
    with signalled(TrainingLoop, "_advance", signal.SIGTERM, at_update(update)):
        train(*arguments(run_dir, backend, **changes)).assert_code(143)
    return run_dir


def flip(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    data[min(int(share * len(data)), len(data) - 1)] ^= 0x01
    path.write_bytes(data)


def cut(path: Path, share: float) -> None:
    os.truncate(path, int(share * path.stat().st_size))


@pytest.mark.parametrize("damage", [flip, cut])
@pytest.mark.parametrize("share", [0.0, 0.5, 0.999])
@pytest.mark.parametrize("name", ["arrays.safetensors", "records.json", "manifest.json"])
def test_a_damaged_checkpoint_is_set_aside(
    whole: Callable,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
    share: float,
    damage: Callable[[Path, float], None],
) -> None:
    reference = whole("torch")
    run_dir = stopped_at(tmp_path / "run", 25)
    damaged = newest(run_dir).name
    damage(newest(run_dir) / name, share)
    caplog.clear()
    train(*arguments(run_dir)).assert_code(0)
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert damaged in warnings[0]
    assert "damaged" in warnings[0]
    assert [path.name for path in (run_dir / "damaged").iterdir()] == [damaged]
    assert_same_run(run_dir, reference)


def test_jax_goes_on_from_the_checkpoint_before_a_damaged_one(whole: Callable, tmp_path: Path) -> None:
    reference = whole("jax")
    run_dir = stopped_at(tmp_path / "run", 25, "jax")
    flip(newest(run_dir) / "arrays.safetensors", 0.7)
    train(*arguments(run_dir, "jax")).assert_code(0)
    assert_same_run(run_dir, reference)


def test_without_a_good_checkpoint_nothing_is_begun_anew(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run_dir = stopped_at(tmp_path / "run", 25)
    for path in (run_dir / "checkpoints").iterdir():
        flip(path / "arrays.safetensors", 0.5)
    for _ in range(2):  # also when an earlier try has set them all aside
        outcome = train(*arguments(run_dir))
        outcome.assert_code(2)
        assert "none is good" in outcome.output
        assert outcome.output.count("\n") == 1
    assert steps(run_dir) == []


@pytest.mark.parametrize("mode", ["auto", "must"])
def test_a_finished_run_is_left_alone(whole: Callable, mode: str) -> None:
    run_dir = whole("torch")
    before = fingerprint(run_dir)
    train(*arguments(run_dir, resume=mode)).assert_code(0)
    assert fingerprint(run_dir) == before


def test_resume_never_and_must(whole: Callable, tmp_path: Path) -> None:
    run_dir = whole("torch")
    before = fingerprint(run_dir)
    outcome = train(*arguments(run_dir, resume="never"))
    outcome.assert_code(2)
    assert f"resume=never, but {run_dir} holds checkpoints up to update {UPDATES}" in outcome.output
    assert fingerprint(run_dir) == before
    outcome = train(*arguments(tmp_path / "run", resume="must"))
    outcome.assert_code(2)
    assert "holds no checkpoint" in outcome.output
    assert not (tmp_path / "run").exists()


CHANGES = {
    "algorithm.beta: 3.0 -> 4.0": {"algorithm__beta": 4},
    "train.batch_size: 32 -> 16": {"train__batch_size": 16},
    "seed: 0 -> 1": {"seed": 1},
    "chain.w2_weights: [10.0, 10.0] -> [1.0, 2.0]": {"chain__w2_weights": "[1,2]"},
    "chain.w2_weights: [10.0, 10.0] -> [10.0, 5.0]": {"chain__last_w2_weight": 5},
    "env: None -> 'none'": {"env": "none"},
    "chain.learning_rate: None -> 0.001": {"chain__learning_rate": 1e-3},
    "chain.actors: [] -> [{'kind': 'stochastic'}]": {"chain__actors": "[{kind: stochastic}]"},
    "algorithm.cosine_updates: 40 -> 50": {"algorithm__cosine_updates": 50},
    "w2.blur: 0.05 -> 0.1": {"w2__blur": 0.1},
    "chain.carry: False -> True; chain.steps: [] -> [0.1, 0.1]": {"chain__steps": 0.1},
    "chain.begin_at: 0 -> 20": {"chain__begin_at": 20},
    "dtype: 'float32' -> 'float64'": {"dtype": "float64"},
    "train.updates: 40 -> 39": {"train__updates": 39},
    "dataset.view: 'd4rl' -> 'full'": {"dataset__view": "full"},
}


@pytest.mark.parametrize("difference", CHANGES)
def test_a_changed_config_is_listed(whole: Callable, difference: str) -> None:
    run_dir = whole("torch")
    before = fingerprint(run_dir)
    outcome = train(*arguments(run_dir, **CHANGES[difference]))
    outcome.assert_code(2)
    assert f"({difference});" in outcome.output
    assert "a larger train.updates and where and how it runs" in outcome.output
    assert outcome.output.count("\n") == 1
    assert fingerprint(run_dir) == before


WRITTEN_OUT = [
    {"chain__last_w2_weight": 10},
    {"chain__w2_weights": "[10,10]"},
    {"chain__w2_weights": "[10,3]", "chain__last_w2_weight": 10},
    {"chain__init": "copy"},
    {"chain__learning_rate": 3e-4},
    {"chain__actors": "[{kind: gaussian}]"},
    {"algorithm__cosine_updates": UPDATES},
    {"env": "Pendulum-v1"},
    {"dataset__sha256": hashlib.sha256(PENDULUM.read_bytes()).hexdigest()},
]


@pytest.mark.parametrize("options", WRITTEN_OUT, ids=str)
def test_a_value_written_out_that_it_has_anyway_is_no_change(whole: Callable, options: dict) -> None:
    run_dir = whole("torch")
    before = fingerprint(run_dir)
    train(*arguments(run_dir, **options)).assert_code(0)
    assert fingerprint(run_dir) == before


def test_published_values_and_schedules_written_out_are_no_change(tmp_path: Path) -> None:
    """They go on as they began, where what becomes of a longer run's schedule is said."""
    pytest.importorskip("torch")
    given = {"train__batch_size": None, "train__updates": 4, "eval__episodes": 0, "checkpoint__every": 0}
    train(*arguments(tmp_path / "run", **given)).assert_code(0)
    written_out = {**given, "train__batch_size": 256}
    train(*arguments(tmp_path / "run", **written_out)).assert_code(0)
    outcome = train(*arguments(tmp_path / "run", **written_out, algorithm__cosine_updates=8))
    outcome.assert_code(2)
    assert "(algorithm.cosine_updates: 4 -> 8);" in outcome.output
    longer = {**written_out, "train__updates": 8}
    train(*arguments(tmp_path / "run", **longer, algorithm__cosine_updates=4)).assert_code(0)
    assert steps(tmp_path / "run")[-1] == 8


@pytest.mark.parametrize("options", [{"threads": 1}, {"device": "cpu"}, {"logger__wandb_project": "other"}], ids=str)
def test_a_finished_run_is_finished_however_it_would_run(whole: Callable, options: dict) -> None:
    run_dir = whole("torch")
    before = fingerprint(run_dir)
    train(*arguments(run_dir, **options)).assert_code(0)
    assert fingerprint(run_dir) == before


def test_where_simulators_are_may_change_and_changes_nothing(whole: Callable, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with signalled(SeedRun, "_act", signal.SIGTERM, at_step_of_evaluation(70, 20)):
        train(*arguments(run_dir, eval__processes=2)).assert_code(143)
    assert "stopped by a signal" in (run_dir / "run.log").read_text()
    with signalled(TrainingLoop, "_advance", signal.SIGTERM, at_update(23)):
        train(*arguments(run_dir, eval__processes=2)).assert_code(143)
    train(*arguments(run_dir, eval__processes=0)).assert_code(0)
    assert_same_run(run_dir, whole("torch"))


def test_how_often_a_run_is_logged_evaluated_and_saved_may_change(tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    with signalled(TrainingLoop, "_advance", signal.SIGTERM, at_update(23)):
        train(*arguments(run_dir)).assert_code(143)
    changes: dict[str, Any] = {
        "log__every": 3,
        "eval__every": 15,
        "eval__episodes": 3,
        "checkpoint__every": 4,
        "dataset__max_gib": 2,
    }
    train(*arguments(run_dir, **changes, checkpoint__keep=100)).assert_code(0)
    told = (run_dir / "run.log").read_text()
    for change in (
        "log.every=3 from update 25 on; it was 7.",
        "eval.every=15 from update 25 on; it was 20.",
        "eval.episodes=3 from update 25 on; it was 1.",
        "checkpoint.every=4 from update 25 on; it was 5.",
        "dataset.max_gib=2.0 from update 25 on; it was 8.0.",
    ):
        assert change in told
    logged = [line["update"] for line in lines(run_dir / "train.jsonl")]
    assert logged == [7, 14, 21, 27, 30, 33, 36, 39, 40]
    evaluations = lines(run_dir / "eval.jsonl")
    assert [line["update"] for line in evaluations] == [20, 30, 40]
    assert [len(line["actors"][0]["deterministic"]["returns"]) for line in evaluations] == [1, 3, 3]
    assert steps(run_dir)[-4:] == [28, 32, 36, 40]


def test_every_difference_is_listed(whole: Callable) -> None:
    outcome = train(*arguments(whole("torch"), "torch", "rebrac"))
    outcome.assert_code(2)
    assert "algorithm.name: 'iql' -> 'rebrac'" in outcome.output
    assert "algorithm.expectile: 0.7 -> None" in outcome.output


def test_other_data_is_a_change(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import h5py

    data = tmp_path / "mine.hdf5"
    shutil.copy(PENDULUM, data)
    given = arguments(tmp_path / "run", dataset__path=data, env="Pendulum-v1", eval__episodes=0)
    train(*given).assert_code(0)
    moved = tmp_path / "elsewhere" / "mine.hdf5"  # the same data may lie elsewhere
    moved.parent.mkdir()
    shutil.move(data, moved)
    given = arguments(tmp_path / "run", dataset__path=moved, env="Pendulum-v1", eval__episodes=0)
    train(*given).assert_code(0)
    with h5py.File(moved, "a") as file:
        file["rewards"][0] += 1.0  # type: ignore[index]
    outcome = train(*given)
    outcome.assert_code(2)
    assert "the dataset's contents" in outcome.output


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_a_longer_run_goes_on(whole: Callable, tmp_path: Path, backend: str, caplog: pytest.LogCaptureFixture) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(whole(backend), run_dir)
    outcome = train(*arguments(run_dir, backend, train__updates=60))
    outcome.assert_code(2)
    assert f"its learning rate is 0 after {UPDATES} updates" in outcome.output
    with caplog.at_level("INFO"):
        train(*arguments(run_dir, backend, train__updates=60, algorithm__cosine_updates=UPDATES)).assert_code(0)
    assert f"algorithm.cosine_updates: a learning rate is 0 from update {UPDATES} on." in caplog.text
    assert steps(run_dir)[-1] == 60
    assert summary(run_dir)["updates"] == 60
    # A run that had the cosine's length from its start gives the same bits: actor 0 stands still from there.
    assert np.array_equal(arrays(run_dir)["actor_0/output/bias"], arrays(whole(backend))["actor_0/output/bias"])
    whole_dir = tmp_path / "whole"
    train(*arguments(whole_dir, backend, train__updates=60, algorithm__cosine_updates=UPDATES)).assert_code(0)
    assert array_bytes(run_dir) == array_bytes(whole_dir)
    outcome = train(*arguments(run_dir, backend, train__updates=UPDATES, algorithm__cosine_updates=UPDATES))
    outcome.assert_code(2)
    assert "train.updates: 60 -> 40" in outcome.output


def test_a_longer_run_may_have_a_longer_schedule(
    whole: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """From there on; and the same command again, or one that is stopped on the way, goes on with it."""
    run_dir = tmp_path / "run"
    shutil.copytree(whole("torch"), run_dir)
    longer = arguments(run_dir, train__updates=60, algorithm__cosine_updates=80)
    with caplog.at_level("INFO"), signalled(TrainingLoop, "_advance", signal.SIGTERM, lambda *_: True):
        train(*longer).assert_code(143)
    assert f"the schedule is of 80 updates from here on, and was of {UPDATES}" in caplog.text
    train(*longer).assert_code(0)
    assert not np.array_equal(arrays(run_dir)["actor_0/output/bias"], arrays(whole("torch"))["actor_0/output/bias"])
    train(*longer).assert_code(0)
    other = train(*arguments(run_dir, train__updates=60, algorithm__cosine_updates=70))
    other.assert_code(2)
    assert "algorithm.cosine_updates: 80 -> 70" in other.output


def test_a_summary_of_a_shorter_run_does_not_finish_the_longer_one(whole: Callable, tmp_path: Path) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(whole("torch"), run_dir)
    longer = arguments(run_dir, train__updates=60, algorithm__cosine_updates=UPDATES)
    with signalled(SeedRun, "_act", signal.SIGTERM, at_step_of_evaluation(70, 60)):
        train(*longer).assert_code(143)
    assert summary(run_dir)["updates"] == UPDATES
    train(*longer).assert_code(0)
    assert summary(run_dir)["updates"] == 60
    assert [line["update"] for line in lines(run_dir / "eval.jsonl")] == [20, 40, 60]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_the_other_backend_takes_over(whole: Callable, tmp_path: Path, backend: str, algorithm: str) -> None:
    other = next(name for name in BACKENDS if name != backend)
    pytest.importorskip(other)
    run_dir = tmp_path / "run"
    shutil.copytree(whole(backend, algorithm), run_dir)
    before = arrays(run_dir)
    schedule = {"algorithm__cosine_updates": UPDATES} if algorithm == "iql" else {}
    with signalled(TrainingLoop, "_advance", signal.SIGTERM, lambda *_: True):
        train(*arguments(run_dir, other, algorithm, train__updates=60, **schedule)).assert_code(143)
    after = arrays(run_dir)
    own = {name for name in before if not name.startswith(("stream/", "window/"))}
    assert own == {name for name in after if not name.startswith(("stream/", "window/"))}
    assert f"stream/{other}" in after
    assert after["updates"] > UPDATES
    train(*arguments(run_dir, other, algorithm, train__updates=60, **schedule)).assert_code(0)
    assert summary(run_dir)["backend"] == other
    train(*arguments(run_dir, backend, algorithm, train__updates=70, **schedule)).assert_code(0)
    assert summary(run_dir)["backend"] == backend


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_the_other_backend_takes_over_is_exact(whole: Callable, backend: str) -> None:
    from pogo.core.runs.stored_run import StoredRun

    other = next(name for name in BACKENDS if name != backend)
    pytest.importorskip(other)
    run = StoredRun(whole(backend), backend=other)
    taken = run.learner.snapshot()
    for name, value in arrays(whole(backend)).items():
        if not name.startswith(("stream/", "window/")):
            assert taken[name].dtype == value.dtype
            np.testing.assert_array_equal(taken[name], value, err_msg=name)


@pytest.mark.parametrize("call", ["write_new_file", "sync_folder"])
def test_a_failed_save_ends_the_run_with_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    pytest.importorskip("torch")
    run_dir = stopped_at(tmp_path / "run", 10)
    before = array_bytes(run_dir)

    def full(path: Path, *_: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(f"pogo.core.files.checkpoint.{call}", full)
        outcome = train(*arguments(run_dir))
    outcome.assert_code(1)
    log = (run_dir / "run.log").read_text()
    assert "could not be written" in log
    assert "No space left on device" in log
    assert str(run_dir / "checkpoints" / "000000015") in log
    assert array_bytes(run_dir) == before
    train(*arguments(run_dir)).assert_code(0)


def test_a_log_that_cannot_be_written_ends_the_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (run_dir / "train.jsonl").symlink_to("/dev/full")
    outcome = train(*arguments(run_dir))
    outcome.assert_code(1)
    (run_dir / "train.jsonl").unlink()

    def full(self: RunLog, update: int, *_: object) -> None:
        from pogo.core.errors import RunFailed

        raise RunFailed(f"log {run_dir}/train.jsonl could not be written: No space left on device.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunLog, "train", full)
        train(*arguments(run_dir)).assert_code(1)
    assert "train.jsonl could not be written" in (run_dir / "run.log").read_text()


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    run_dir = tmp_path / "run"
    process = start(*arguments(run_dir, train__updates=10**6, eval__every=0))
    wait_for(lambda: bool(steps(run_dir)), process)
    outcome = train(*arguments(run_dir, train__updates=10**6, eval__every=0))
    process.kill()
    process.communicate()
    outcome.assert_code(2)
    assert f"{run_dir} is in use: process {process.pid} on {socket.gethostname()} is training in it" in outcome.output
    with signalled(TrainingLoop, "_advance", signal.SIGTERM, lambda *_: True):
        train(*arguments(run_dir, train__updates=10**6, eval__every=0)).assert_code(143)


def test_a_second_process_waits_and_goes_on(whole: Callable, tmp_path: Path) -> None:
    reference, run_dir = whole("torch"), tmp_path / "run"
    with RunLock(run_dir) as held:
        held.acquire()
        process = start(*arguments(run_dir, run__wait="true"))
        assert process.stdout is not None
        line = process.stdout.readline()
        assert f"{run_dir} is in use: waiting for process {os.getpid()}" in line
    finish(process).assert_code(0)
    assert_same_run(run_dir, reference)


def test_a_process_that_waits_can_be_stopped(tmp_path: Path) -> None:
    with RunLock(tmp_path) as held:
        held.acquire()
        with signalled(RunLock, "acquire", signal.SIGUSR1, lambda *_, **__: True):
            train(*arguments(tmp_path, run__wait="true")).assert_code(143)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("moment", [moment for moment in MOMENTS if moment != "save"])
def test_a_process_whose_folder_was_taken_over_writes_nothing_more(
    whole: Callable, tmp_path: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was paused, say, for so long that another machine's process took it for dead."""
    reference, run_dir = whole("torch"), tmp_path / "run"
    owner, method, when = MOMENTS[moment]
    original, is_due = getattr(owner, method), when()
    left: list[dict[str, tuple[str, int]]] = []

    def taken_over(*args: Any, **kwargs: Any) -> Any:
        if not left and is_due(*args, **kwargs):
            (run_dir / "lease.2.json").write_text("{}")
            left.append(fingerprint(run_dir))
        return original(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(owner, method, taken_over)
        outcome = train(*arguments(run_dir))
    outcome.assert_code(1)
    assert "is no longer held by this process" in outcome.output
    now = fingerprint(run_dir)
    written = {name for name in now if now[name] != left[0].get(name)}
    assert written <= {".", "run.log"} | {name for name in now if "tfevents" in name}, "messages at most"
    (run_dir / "lease.2.json").unlink()
    train(*arguments(run_dir)).assert_code(0)
    assert_same_run(run_dir, reference)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_is_not_finite_ends_the_run(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    # Grows by a factor at every update, and overflows after some.
    changes: dict[str, Any] = {"algorithm__critic_learning_rate": 1e9, "chain__num_actors": 1, "eval__every": 0}
    run_dir = tmp_path / "run"
    outcome = train(*arguments(run_dir, backend, **changes))
    outcome.assert_code(1)
    log = (run_dir / "run.log").read_text()
    message = next(line for line in log.splitlines() if " ERROR " in line)
    assert "is not finite" in message
    assert "the last good checkpoint is kept" in message
    named = int(message.split("update ", 1)[1].split(":")[0])
    assert summary(run_dir)["failed"] == message.split(" ERROR ")[1]
    # One update per call finds the same one.
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pogo.core.runs.loop.CALL_SECONDS", 0.0)
        train(*arguments(tmp_path / "single", backend, **changes)).assert_code(1)
    single = (tmp_path / "single" / "run.log").read_text()
    assert f"update {named}:" in single
    for folder in (run_dir, tmp_path / "single"):
        for step in steps(folder):
            assert step < named
        if steps(folder):
            kept = arrays(folder)
            assert all(np.isfinite(value).all() for value in kept.values() if value.dtype.kind == "f")


@pytest.mark.parametrize("update", [7, 23])  # before and after a checkpoint
def test_a_run_that_fails_says_so_until_it_goes_on(whole: Callable, tmp_path: Path, update: int) -> None:
    """What is known by then is kept, reports take the run for unfinished, and the same command goes on."""
    reference, run_dir = whole("torch"), tmp_path / "run"
    advance = TrainingLoop._advance

    def break_down(self: TrainingLoop) -> None:
        advance(self)
        if self._now >= update:
            raise ValueError("no\nway")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TrainingLoop, "_advance", break_down)
        outcome = train(*arguments(run_dir))
    outcome.assert_code(1)
    found = summary(run_dir)
    assert found["failed"] == f"update {found['updates']}: ValueError: no way"
    assert update <= found["updates"] < UPDATES
    assert (found["actors"][0]["deterministic"] is None) == (update < 20), "no evaluation before update 20"
    (read,) = read_runs(run_dir)
    assert (read.is_finished, read.failed) == (False, found["failed"])
    assert not pogo.load(run_dir).is_finished
    with signalled(TrainingLoop, "_advance", signal.SIGTERM, at_update(30)):
        train(*arguments(run_dir)).assert_code(143)
    assert not (run_dir / "summary.json").exists(), "it has not failed any more"
    train(*arguments(run_dir)).assert_code(0)
    assert "failed" not in summary(run_dir)
    assert_same_run(run_dir, reference)


def test_a_run_that_fails_at_its_very_end_is_not_finished(whole: Callable, tmp_path: Path) -> None:
    reference, run_dir = whole("torch"), tmp_path / "run"

    def break_down(_: SeedRun) -> None:
        raise OSError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(SeedRun, "write_summary", break_down)
        train(*arguments(run_dir)).assert_code(1)
    assert (summary(run_dir)["failed"], summary(run_dir)["updates"]) == (f"update {UPDATES}: OSError: no", UPDATES)
    assert not pogo.load(run_dir).is_finished
    train(*arguments(run_dir)).assert_code(0)
    assert "failed" not in summary(run_dir)
    assert summary(run_dir)["actors"] == summary(reference)["actors"]
    assert_same_run(run_dir, reference)


FAILING = """
import gymnasium
from gymnasium.envs.classic_control.pendulum import PendulumEnv

class Failing(PendulumEnv):
    steps = 0
    def step(self, action):
        Failing.steps += 1
        if Failing.steps > 250:
            raise RuntimeError("the simulator broke")
        return super().step(action)

gymnasium.register("FailingPendulum-v0", entry_point=Failing, max_episode_steps=200)
"""


def test_a_failing_evaluation_is_no_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training goes on past it; where it was the last, the run says so, and the same command makes it again."""
    pytest.importorskip("torch")
    (tmp_path / "failing_pendulum.py").write_text(FAILING)
    monkeypatch.syspath_prepend(tmp_path)
    run_dir = tmp_path / "run"
    outcome = train(*arguments(run_dir, env="failing_pendulum:FailingPendulum-v0"))
    outcome.assert_code(1)
    assert [line["update"] for line in lines(run_dir / "train.jsonl")][-1] == UPDATES
    why = "env=failing_pendulum:FailingPendulum-v0 failed: RuntimeError: the simulator broke"
    first, last = lines(run_dir / "eval.jsonl")
    assert why in first["failed"]
    assert last["update"] == UPDATES
    assert last["failed"].startswith("actor 0 (gaussian), deterministic, at update 40, episode 1 of 1, step 1: env=")
    assert why in last["failed"]
    found = summary(run_dir)
    assert found["evaluation_failed"] == last["failed"]
    assert "failed" not in found, "the training is complete"
    for actor in found["actors"]:
        assert actor["deterministic"] is None
        assert why in actor["failed"]["deterministic"]
    log = (run_dir / "run.log").read_text()
    assert "Traceback" in log
    assert "evaluation at update 20: actor 0" in log
    (message,) = [line for line in log.splitlines() if "the training is complete and saved" in line]
    assert why in message
    assert message.endswith("The same command evaluates again.")
    assert "done: " not in log
    told = call(evaluate.main, str(run_dir), "--episodes", "1", "--actor", "0", "--json")
    told.assert_code(1)
    assert why in told.output
    kept, trained = arrays(run_dir), lines(run_dir / "train.jsonl")
    monkeypatch.setattr(sys.modules["failing_pendulum"].Failing, "steps", -(10**9))  # mended
    train(*arguments(run_dir, env="failing_pendulum:FailingPendulum-v0")).assert_code(0)
    assert "evaluation_failed" not in summary(run_dir)
    assert all(actor["deterministic"] is not None and "failed" not in actor for actor in summary(run_dir)["actors"])
    assert lines(run_dir / "train.jsonl") == trained
    for name, array in arrays(run_dir).items():
        np.testing.assert_array_equal(array, kept[name], err_msg=name)
    found = (run_dir / "eval.jsonl").read_bytes()
    train(*arguments(run_dir, env="failing_pendulum:FailingPendulum-v0")).assert_code(0)  # nothing is left to do
    assert (run_dir / "eval.jsonl").read_bytes() == found


@pytest.mark.parametrize("how", ["deleted", "emptied", "deleted, by an older pogo", "unfinished, by an older pogo"])
def test_a_run_whose_checkpoints_are_gone_is_not_begun_anew(whole: Callable, tmp_path: Path, how: str) -> None:
    run_dir = tmp_path / "run"
    shutil.copytree(whole("torch"), run_dir)
    shutil.rmtree(run_dir / "checkpoints")
    if how == "emptied":
        (run_dir / "checkpoints").mkdir()
    if how.endswith("older pogo"):
        (run_dir / ".checkpointed").unlink()
    if how.startswith("unfinished"):
        (run_dir / "summary.json").unlink()
    before = fingerprint(run_dir)
    outcome = train(*arguments(run_dir))
    outcome.assert_code(2)
    assert "has had checkpoints, and checkpoints/ is gone or empty: put it back to go on" in outcome.output
    assert outcome.output.count("\n") == 1
    assert fingerprint(run_dir) == before


def test_the_machine_and_the_command_stand_in_what_a_run_leaves(whole: Callable) -> None:
    run_dir = whole("torch")
    config = json.loads((run_dir / "config.json").read_text())
    found, record = summary(run_dir), CheckpointStore(run_dir).load_newest()
    assert record is not None
    assert (
        config["machine"]
        == record.records["run"]["machine"]
        == {
            "device": "cpu",
            "device_name": processor_name(),
        }
    )
    assert (found["device"], found["device_name"]) == ("cpu", processor_name())
    assert config["command"] == ["pogo-train", *arguments(run_dir, "torch")]
    assert config["pogo"] == {"version": pogo.__version__, "commit": commit()}
    assert processor_name()
    assert "flax" not in found["versions"]


def test_a_resumed_run_adds_to_the_time_that_it_has_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    train(*arguments(tmp_path / "run", train__updates=20)).assert_code(0)
    read = Progress.from_json
    monkeypatch.setattr(Progress, "from_json", lambda values: read({**values, "wall_seconds": 1e6}))
    train(*arguments(tmp_path / "run", train__updates=25, algorithm__cosine_updates=25)).assert_code(0)
    found = CheckpointStore(tmp_path / "run").load_newest()
    assert found is not None
    for said in (found.records["progress"], summary(tmp_path / "run")):
        assert 1e6 < said["wall_seconds"] < 1e6 + 1e4
    for name in ("train.jsonl", "eval.jsonl"):
        logged = [json.loads(line) for line in (tmp_path / "run" / name).read_text().splitlines()]
        assert {line["update"] <= 20 for line in logged} == {True, False}
        assert [line["wall_seconds"] < 1e4 for line in logged] == [line["update"] <= 20 for line in logged]
        assert logged[-1]["wall_seconds"] <= summary(tmp_path / "run")["wall_seconds"]
