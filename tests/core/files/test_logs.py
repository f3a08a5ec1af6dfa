"""Logs: valid JSON lines, equal for equal runs, cut back on resume, and never lost in silence."""

import contextlib
import json
import logging
import math
import os
import re
import resource
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pogo.core.errors import BadInput, RunFailed
from pogo.core.files.logs import EVALUATION, MESSAGES, TRAIN, RunLog

NO_POSITIONS = {TRAIN: 0, EVALUATION: 0, "update": -1}


def lines(path: Path) -> list[dict]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    return [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]


@contextlib.contextmanager
def no_file_longer_than(size: int) -> Iterator[None]:
    """As a full disk: what would go beyond is refused."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def events(run_dir: Path) -> list[Path]:
    return sorted(run_dir.glob("events.out.tfevents.*"))


def test_lines_are_strict_json_with_sorted_keys(tmp_path: Path) -> None:
    with RunLog(tmp_path / "new" / "run") as log:
        log.train(10, {"q": np.float32(0.1), "critic_loss": math.nan, "count": 3, "actor_1/w2": math.inf})
        log.evaluation(10, {"actors": [{"return_mean": 1.5, "normalized_score": None, "lengths": [3, 4]}]})
        log.train(20, {})
    assert (tmp_path / "new" / "run" / TRAIN).read_text() == (
        '{"update": 10, "actor_1/w2": null, "count": 3, "critic_loss": null, "q": 0.10000000149011612}\n'
        '{"update": 20}\n'
    )
    assert lines(tmp_path / "new" / "run" / EVALUATION) == [
        {"update": 10, "actors": [{"lengths": [3, 4], "normalized_score": None, "return_mean": 1.5}]}
    ]


def test_torch_and_jax_scalars_are_logged(tmp_path: Path) -> None:
    torch, jnp = pytest.importorskip("torch"), pytest.importorskip("jax.numpy")
    with RunLog(tmp_path) as log:
        log.train(1, {"torch": torch.tensor(0.5), "jax": jnp.asarray(0.5), "numpy": np.float64(0.5), "python": 0.5})
    assert lines(tmp_path / TRAIN) == [{"update": 1, "torch": 0.5, "jax": 0.5, "numpy": 0.5, "python": 0.5}]


def test_what_cannot_be_logged_is_refused_by_name(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        with pytest.raises(TypeError, match=r"metric actor_loss must be one real number, got an array of shape \(3,\)"):
            log.train(1, {"critic_loss": 0.1, "actor_loss": np.zeros(3)})
        with pytest.raises(TypeError, match=r"evaluation/actors/0/return must be one real number"):
            log.evaluation(1, {"actors": [{"return": np.zeros(3)}]})
        with pytest.raises(ValueError, match="'update' is the line's own key"):
            log.train(1, {"update": 2})
    assert lines(tmp_path / TRAIN) == lines(tmp_path / EVALUATION) == []


def test_equal_runs_write_equal_lines(tmp_path: Path) -> None:
    for name, order in (("a", 1), ("b", -1)):
        with RunLog(tmp_path / name) as log:
            log.train(1, dict([("x", 1.0), ("y", 2.0)][::order]))
            log.evaluation(1, dict([("x", 1.0), ("y", {"p": 1})][::order]))
    for name in (TRAIN, EVALUATION):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_each_line_is_there_at_once(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        log.train(1, {"x": 1})
        assert lines(tmp_path / TRAIN) == [{"update": 1, "x": 1}]


# Resume.


def test_a_resumed_log_is_cut_back(tmp_path: Path) -> None:
    straight, resumed = tmp_path / "straight", tmp_path / "resumed"
    for run_dir, last in ((straight, 6), (resumed, 5)):
        with RunLog(run_dir) as log:
            positions = NO_POSITIONS
            for update in range(1, last):
                log.train(update, {"loss": update / 7})
                if update % 2 == 0:
                    log.evaluation(update, {"return": update * 10})
                if update == 3:
                    positions = log.positions()
    with (resumed / TRAIN).open("a") as file:
        file.write('{"update": 5, "lo')  # killed in the middle of a line
    with RunLog(resumed, resume_from=positions) as log:
        assert lines(resumed / TRAIN) == [{"update": n, "loss": n / 7} for n in range(1, 4)]
        assert lines(resumed / EVALUATION) == [{"update": 2, "return": 20}]
        for update in range(4, 6):
            log.train(update, {"loss": update / 7})
            if update % 2 == 0:
                log.evaluation(update, {"return": update * 10})
    for name in (TRAIN, EVALUATION):
        assert (resumed / name).read_bytes() == (straight / name).read_bytes()


def test_positions_are_json_of_what_is_on_the_disk(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        assert log.positions() == NO_POSITIONS
        log.train(5, {"x": 1})
        log.evaluation(7, {"x": 1})
        positions = log.positions()
    assert positions == {
        TRAIN: (tmp_path / TRAIN).stat().st_size,
        EVALUATION: (tmp_path / EVALUATION).stat().st_size,
        "update": 7,
    }
    assert json.loads(json.dumps(positions)) == positions


def test_a_start_from_nothing_drops_what_an_unsaved_one_left(tmp_path: Path) -> None:
    for value in (1, 2):
        with RunLog(tmp_path) as log:
            log.train(1, {"x": value})
    assert lines(tmp_path / TRAIN) == [{"update": 1, "x": 2}]


@pytest.mark.parametrize("name", [TRAIN, EVALUATION])
@pytest.mark.parametrize("change", ["missing", "shorter", "other"])
def test_a_log_that_the_checkpoint_does_not_know_is_bad_input(tmp_path: Path, name: str, change: str) -> None:
    with RunLog(tmp_path) as log:
        log.train(1, {"x": 1})
        log.evaluation(1, {"x": 1})
        positions = log.positions()
    path = tmp_path / name
    text = path.read_text()
    path.unlink()
    if change != "missing":
        path.write_text(text[:-1] if change == "shorter" else text[:-1] + " \n")
    with pytest.raises(BadInput, match=f"{re.escape(str(path))} is not the log that the checkpoint was taken with"):
        RunLog(tmp_path, resume_from=positions)


@pytest.mark.parametrize("positions", [{}, {**NO_POSITIONS, TRAIN: -1}, {**NO_POSITIONS, TRAIN: "0"}])
def test_positions_that_cannot_be_are_bad_input(tmp_path: Path, positions: dict) -> None:
    with pytest.raises(BadInput, match=r"log positions have no train\.jsonl"):
        RunLog(tmp_path, resume_from=positions)


def test_tensorboard_shows_the_resumed_run(tmp_path: Path) -> None:
    accumulator_module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with RunLog(tmp_path) as log:
        log.train(1, {"loss": 1.0})
        log.train(2, {"loss": 1.0})
        positions = log.positions()
        log.train(3, {"loss": 1.0})
        log.train(4, {"loss": 1.0})
    with RunLog(tmp_path, resume_from=positions) as log:
        log.train(3, {"loss": 2.0})
        actor = {"index": 0, "return_mean": 5, "returns": [4, 6], "kind": "gaussian"}
        log.evaluation(3, {"actors": [actor], "failed": False})
    accumulator = accumulator_module.EventAccumulator(str(tmp_path))
    accumulator.Reload()
    shown = {tag: [(e.step, e.value) for e in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]}
    assert shown == {"train/loss": [(1, 1.0), (2, 1.0), (3, 2.0)], "eval/actors/0/return_mean": [(3, 5.0)]}


def test_tensorboard_can_be_off(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log:
        log.train(1, {"x": 1})
    assert events(tmp_path) == []


# Messages.


def test_messages_and_warnings_are_kept_with_their_times(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("pogo")
    monkeypatch.setattr(logger, "propagate", False)  # pytest's own capture cannot pass a lone surrogate to xdist
    before = (logger.level, list(logger.handlers))
    for text in ("started", "resumed \ud800"):
        with RunLog(tmp_path) as log:
            log.message(f"{text} at 100 %s")
            logging.getLogger("pogo.core").warning("careful")
    assert (logger.level, logger.handlers) == before
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[+-]\d{4}"
    assert re.fullmatch(
        rf"{stamp} INFO started at 100 %s\n{stamp} WARNING careful\n"
        rf"{stamp} INFO resumed \\ud800 at 100 %s\n{stamp} WARNING careful\n",
        (tmp_path / MESSAGES).read_text(),
    )


def test_a_note_is_in_run_log_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with RunLog(tmp_path / "a") as log, RunLog(tmp_path / "b"), log.own_messages():
        log.note("actor 0: 100 %s")
    assert (tmp_path / "a" / MESSAGES).read_text().endswith(" INFO actor 0: 100 %s\n")
    assert (tmp_path / "b" / MESSAGES).read_text() == ""
    assert not caplog.records


# What cannot be written.


def test_a_full_disk_ends_the_run_and_tears_no_line(tmp_path: Path) -> None:
    with RunLog(tmp_path, tensorboard=False) as log, no_file_longer_than(4096):
        log.train(1, {"a" * 3000: 0.5})
        with pytest.raises(RunFailed, match=rf"{TRAIN} could not be written: .*File too large") as caught:
            log.train(2, {"a" * 3000: 0.5})
        assert isinstance(caught.value.__cause__, OSError)
    assert len(lines(tmp_path / TRAIN)) == 1


def test_a_full_disk_under_the_evaluations_ends_the_run(tmp_path: Path) -> None:
    with (
        RunLog(tmp_path, tensorboard=False) as log,
        no_file_longer_than(4096),
        pytest.raises(RunFailed, match=rf"{EVALUATION} could not be written"),
    ):
        log.evaluation(1, {"text": "x" * 5000})


def test_a_full_disk_under_tensorboard_ends_the_run(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log:
        (path,) = events(tmp_path)
        with no_file_longer_than(4096), pytest.raises(RunFailed, match=rf"{path.name} could not be written"):
            log.evaluation(1, {"a long name" * 9: {str(number): 0 for number in range(70)}})  # the tags repeat it


def test_a_full_disk_under_the_messages_ends_the_run_once(tmp_path: Path) -> None:
    with RunLog(tmp_path) as log, no_file_longer_than(4096):
        with pytest.raises(RunFailed, match=rf"{MESSAGES} could not be written: .*File too large"):
            log.message("x" * 5000)
        log.message("the cause is told to the handlers that are left")


def test_a_failing_flush_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(5, "Input/output error")

    log = RunLog(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", refuse)
        with pytest.raises(RunFailed, match=rf"{TRAIN} could not be written: .*Input/output error"):
            log.positions()
        with pytest.raises(RunFailed, match=TRAIN):
            log.close()
    log.close()


@pytest.mark.parametrize("name", [TRAIN, EVALUATION, MESSAGES])
def test_a_log_that_cannot_be_opened_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    handlers = list(logging.getLogger("pogo").handlers)
    with pytest.raises(RunFailed, match=f"{re.escape(str(tmp_path / name))} could not be written: .*directory"):
        RunLog(tmp_path)
    assert logging.getLogger("pogo").handlers == handlers


def test_a_run_that_fails_keeps_its_cause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(ZeroDivisionError), RunLog(tmp_path):  # noqa: PT012 - the disk fills while the run fails
        monkeypatch.setattr(os, "fsync", refuse)
        raise ZeroDivisionError


# Weights & Biases.


class FakeWandb(types.ModuleType):
    class Error(Exception):
        pass

    def __init__(self) -> None:
        super().__init__("wandb")
        self.settings: list[dict] = []
        self.logged: list[tuple[int, dict]] = []
        self.summary: dict[str, object] = {}
        self.exit_codes: list[int] = []

    def init(self, **settings: object) -> "FakeWandb":
        self.settings.append(settings)
        return self

    def log(self, numbers: dict, step: int) -> None:
        self.logged.append((step, numbers))

    def finish(self, exit_code: int) -> None:
        self.exit_codes.append(exit_code)


def test_wandb_goes_on_with_the_same_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with RunLog(tmp_path, wandb={"project": "p", "id": None}) as log:
        log.train(1, {"x": np.float32(1)})
        log.evaluation(1, {"actors": [{"return_mean": 2}]})
        positions = log.positions()
    RunLog(tmp_path, wandb={"project": "p", "id": None}, resume_from=positions).close()
    RunLog(tmp_path, wandb={"project": "p"}).close()
    first, resumed, fresh = wandb.settings
    assert first["project"] == "p"
    assert first["dir"] == str(tmp_path)
    assert first["id"] == resumed["id"] != fresh["id"]
    assert wandb.logged == [(1, {"train/x": 1.0}), (1, {"eval/actors/0/return_mean": 2})]
    assert wandb.exit_codes == [0, 0, 0]
    assert wandb.summary == {}


def test_wandb_takes_a_late_evaluation_at_a_step_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with RunLog(tmp_path, wandb={"project": "p"}) as log:
        log.train(9, {"x": 1.0})
        log.late_evaluation(3, {"y": 2.0})
        log.late_evaluation(6, {"y": 3.0})
        log.train(10, {"x": 4.0})
        log.train(20, {"x": 5.0})
        assert log.positions()["update"] == 20
    # It drops what comes at a step below its last.
    assert wandb.logged == [
        (9, {"train/x": 1.0}),
        (10, {"eval/y": 2.0, "eval/update": 3}),
        (11, {"eval/y": 3.0, "eval/update": 6}),
        (11, {"train/x": 4.0}),
        (20, {"train/x": 5.0}),
    ]
    assert [line["update"] for line in lines(tmp_path / EVALUATION)] == [3, 6]


def test_wandb_is_told_that_a_run_has_failed_and_that_it_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with RunLog(tmp_path, wandb={"project": "p"}) as log:
        log.fail("update 300: ValueError: no")
        positions = log.positions()
    assert (wandb.summary, wandb.exit_codes) == ({"failed": "update 300: ValueError: no"}, [1])
    RunLog(tmp_path, wandb={"project": "p"}, resume_from=positions).close()
    assert (wandb.summary, wandb.exit_codes) == ({"failed": None}, [1, 0])


def test_missing_wandb_is_bad_input_before_any_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(BadInput, match=re.escape("pip install 'pogo[wandb]'")):
        RunLog(tmp_path / "run", wandb={})
    assert not (tmp_path / "run").exists()


def test_wandb_that_does_not_start_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = FakeWandb()

    def refuse(**_: object) -> None:
        raise wandb.Error("not logged in")

    monkeypatch.setattr(wandb, "init", refuse)
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    with pytest.raises(RunFailed, match="wandb could not be started: not logged in"):
        RunLog(tmp_path, wandb={})


def test_logging_imports_no_framework() -> None:
    command = (
        "import sys, pogo.core.files.logs; assert not {'torch', 'jax', 'wandb', 'tensorflow'} & sys.modules.keys()"
    )
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    subprocess.run([sys.executable, "-c", command], check=True, env=environment)
