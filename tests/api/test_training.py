"""`pogo.train`: the same bits as the command's, callbacks, stops, and nothing left behind in the process."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pogo
from pogo.cli.train import main
from pogo.core.config.written import override
from pogo.core.files.checkpoint import CheckpointStore
from tests.helpers.library_runs import HIGH, LOW, random_arrays
from tests.helpers.runs import lines

SHORT = ["train.updates=20", "log.every=10", "checkpoint.every=10", "eval.episodes=0", "train.batch_size=16"]


def state_of(run_dir: Path) -> dict[str, bytes]:
    checkpoint = CheckpointStore(run_dir).load_newest(set_aside=False)
    assert checkpoint is not None
    return {name: array.tobytes() for name, array in checkpoint.arrays.items()}


def test_python_and_the_command_train_to_the_same_bits(framework: Any, tmp_path: Path) -> None:
    backend, runs = framework.name, (tmp_path / "python", tmp_path / "command")
    run = pogo.train("iql", backend=backend, overrides=[*SHORT, f"run.dir={runs[0]}"], progress=False)
    assert main(["algorithm=iql", f"backend={backend}", *SHORT, f"run.dir={runs[1]}"]) == 0
    assert run.path == runs[0]
    assert state_of(runs[0]) == state_of(runs[1])
    assert lines(runs[0] / "train.jsonl") == lines(runs[1] / "train.jsonl")


def test_torch_and_jax_runs_follow_one_another_in_one_process(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("jax")
    runs = [
        pogo.train("td3_bc", backend=backend, overrides=[*SHORT, f"run.dir={tmp_path / str(number)}"], progress=False)
        for number, backend in enumerate(("torch", "jax", "torch"))
    ]
    assert all(run.is_finished for run in runs)
    assert state_of(runs[0].path) == state_of(runs[2].path)


def test_callbacks_are_told_what_the_run_has_done(tmp_path: Path) -> None:
    told: list[tuple[str, int]] = []
    metrics: list[dict[str, float]] = []

    def on_log(event: Any) -> None:
        told.append(("log", event.step))
        metrics.append(dict(event.metrics))

    def on_evaluation(event: Any) -> None:
        told.append(("evaluation", event.step))
        assert [actor.index for actor in event.actors] == [0, 1, 2]
        assert event.actors[2].deterministic.return_mean < 0

    def on_checkpoint(event: Any) -> None:
        told.append(("checkpoint", event.step))
        assert event.checkpoint.is_dir()

    run = pogo.train(
        "iql",
        overrides=[*SHORT, "eval.episodes=1", "eval.every=20", f"run.dir={tmp_path / 'run'}"],
        on_log=on_log,
        on_evaluation=on_evaluation,
        on_checkpoint=on_checkpoint,
        progress=False,
    )
    assert told == [("log", 10), ("checkpoint", 10), ("log", 20), ("evaluation", 20), ("checkpoint", 20)]
    assert metrics[1]["critic/loss"] == run.metrics["critic/loss"][1]


def test_a_callback_stops_a_run_which_the_same_call_finishes(tmp_path: Path) -> None:
    stopped = pogo.train(
        "iql", overrides=[*SHORT, f"run.dir={tmp_path / 'run'}"], on_log=lambda event: False, progress=False
    )
    assert (stopped.checkpoints, stopped.is_finished) == ([10], False)
    assert "stopped by a callback at update 10; saved" in (tmp_path / "run" / "run.log").read_text()
    finished = pogo.train("iql", overrides=[*SHORT, f"run.dir={tmp_path / 'run'}"], progress=False)
    whole = pogo.train("iql", overrides=[*SHORT, f"run.dir={tmp_path / 'whole'}"], progress=False)
    assert finished.is_finished
    assert state_of(finished.path) == state_of(whole.path)
    assert lines(finished.path / "train.jsonl") == lines(whole.path / "train.jsonl")


def test_what_a_callback_raises_is_raised_as_it_is(tmp_path: Path) -> None:
    class Pruned(Exception):
        pass

    def prune(_: Any) -> None:
        raise Pruned("this trial is no good")

    with pytest.raises(Pruned, match="no good"):
        pogo.train("iql", overrides=[*SHORT, f"run.dir={tmp_path / 'run'}"], on_log=prune, progress=False)


def test_data_is_taken_as_the_program_has_it(tmp_path: Path) -> None:
    arrays = {**random_arrays(), "action_low": LOW, "action_high": HIGH}
    rows = zip(*(arrays[name] for name in ("observations", "actions", "rewards")), strict=True)
    ends = zip(arrays["terminals"], arrays["timeouts"], strict=True)
    following = np.concatenate([arrays["observations"][1:], arrays["observations"][:1]])
    steps = ((*row, after, *end) for row, after, end in zip(rows, following, ends, strict=True))
    bounds = [f"dataset.action_low={list(LOW)}", f"dataset.action_high={list(HIGH)}"]
    runs = [
        pogo.train("td3_bc", dataset=data, overrides=[*SHORT, *bounds, f"run.dir={tmp_path / name}"], progress=False)
        for name, data in (("arrays", {**arrays, "next_observations": following}), ("steps", steps))
    ]
    assert state_of(runs[0].path) == state_of(runs[1].path)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_the_run_and_then_does_what_it_would_have_done(number: signal.Signals, tmp_path: Path) -> None:
    heard: list[int] = []
    before = signal.signal(number, lambda *_: heard.append(number))
    try:
        run = pogo.train(
            "iql",
            overrides=[*SHORT, f"run.dir={tmp_path / 'run'}"],
            on_log=lambda _: signal.raise_signal(number),
            progress=False,
        )
        assert heard == [number]
        assert run.checkpoints == [10]
    finally:
        ours = signal.signal(number, before)
    assert ours is not None
    assert getattr(ours, "__name__", "") == "<lambda>"  # pogo has put back the handler that it found


def test_nothing_is_shown_unless_it_is_asked_for(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pogo.train("iql", overrides=[*SHORT, f"run.dir={tmp_path / 'quiet'}"], progress=False)
    assert capfd.readouterr() == ("", "")
    pogo.train("iql", overrides=[*SHORT, f"run.dir={tmp_path / 'shown'}"])
    assert "update 20/20" in capfd.readouterr().err


def test_a_held_dataset_is_resumed_with_its_own_values_only(tmp_path: Path) -> None:
    bounds: dict[str, Any] = {"action_low": LOW, "action_high": HIGH}
    ours, others = (pogo.Dataset.from_arrays(**random_arrays(seed), **bounds) for seed in (0, 1))
    overrides = [*SHORT, f"run.dir={tmp_path / 'run'}"]
    pogo.train("td3_bc", dataset=ours, overrides=overrides, progress=False)
    overrides.append("train.updates=30")
    with pytest.raises(pogo.BadInput, match="the dataset's contents"):
        pogo.train("td3_bc", dataset=others, overrides=overrides, progress=False)
    longer = pogo.train("td3_bc", dataset=ours, overrides=overrides, progress=False)
    assert longer.checkpoints[-1] == 30
    with pytest.raises(pogo.BadInput, match=r"pogo\.train\(dataset=\.\.\.\) again"):
        pogo.train("td3_bc", overrides=[*overrides, "dataset=custom", "dataset.name=arrays:arrays", "env=none"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"algorithm": "iqll"}, "Did you mean 'iql'?"),
        ({"overrides": {"train.updats": 1}}, "train.updats"),
        ({"overrides": {"seed": 1}, "seed": 2}, "seed is given twice"),
        ({"overrides": "train.updates=1"}, "is one text"),
        ({"overrides": {"train.updates": object()}}, "train.updates is a object"),
        ({"dataset": np.zeros(3)}, "dataset is a ndarray; give a pogo.Dataset, a mapping of arrays"),
        ({"dataset": "hoper-medium-v2"}, "Did you mean 'hopper-medium-v2'?"),
        ({"dataset": "nowhere.hdf5"}, "no such file"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_folder(
    arguments: dict[str, Any], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(pogo.BadInput) as refused:
        pogo.train(**arguments)
    assert message in str(refused.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, "null"),
        (True, "true"),
        (3, "3"),
        (np.float64(0.5), "0.5"),
        (1e-7, "1e-07"),
        ("relu", "relu"),
        ("true", "'true'"),
        ("1", "'1'"),
        ("a b=c,d", "'a b=c,d'"),
        ("it's", "'it\\'s'"),
        ("", "''"),
        (Path("/tmp/x y"), "'/tmp/x y'"),
        ([1, 2.5], "[1, 2.5]"),
        ((True, None), "[true, null]"),
        ([{"kind": "gaussian", "hidden_sizes": [8]}], "[{kind: gaussian, hidden_sizes: [8]}]"),
    ],
)
def test_a_python_value_is_written_as_the_command_reads_it(value: Any, written: str) -> None:
    assert override("key", value) == f"key={written}"
