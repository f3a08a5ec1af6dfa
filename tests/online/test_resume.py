"""Online runs that are stopped, killed, made longer or damaged: nothing of them is lost."""

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.config.compose import compose_config
from pogo.core.config.schema import CollectSection
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.online.collector import Collector
from pogo.core.runs.learners import make_learner
from pogo.core.runs.online_loop import OnlineLoop
from pogo.core.runs.plan import make_plans
from pogo.core.runs.record import RunRecord
from pogo.core.runs.resume import check_unchanged
from tests.helpers.online_runs import TORCH_QUICKLY, arguments
from tests.helpers.runs import (
    BACKENDS,
    array_bytes,
    arrays,
    assert_same_run,
    start,
    steps,
    summary,
    train,
    wait_for,
)
from tests.helpers.runs import arguments as small_arguments


@pytest.mark.parametrize("at", [30, 133, 200])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_stopped_run_resumes_to_the_same_bits(whole: Callable, tmp_path: Path, backend: str, at: int) -> None:
    if backend == "jax" and at != 133:
        pytest.skip("it differs in core only")
    reference, run_dir = whole(backend), tmp_path / "run"
    original, sent = OnlineLoop._step, []

    def interrupted(self: OnlineLoop) -> None:
        if not sent and self._now >= at:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)
            while not self._stop.requested:
                time.sleep(0.001)
        original(self)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OnlineLoop, "_step", interrupted)
        patch.setattr("pogo.core.runs.online_loop.CALL_SECONDS", 0.0)  # the stop is looked at after every step
        train(*arguments(run_dir, backend)).assert_code(143)
    assert sent
    assert steps(run_dir)[-1] == at + 1
    train(*arguments(run_dir, backend)).assert_code(0)
    assert_same_run(run_dir, reference)
    assert summary(run_dir)["actors"] == summary(reference)["actors"]


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_a_killed_run_resumes_to_the_same_bits(whole: Callable, tmp_path: Path, backend: str) -> None:
    reference, run_dir = whole(backend), tmp_path / "run"
    for checkpoint in (50, 150):
        process = start(*arguments(run_dir, backend))
        wait_for(lambda enough=checkpoint: bool(steps(run_dir)) and steps(run_dir)[-1] >= enough, process)
        process.kill()
        process.communicate()
    train(*arguments(run_dir, backend)).assert_code(0)
    assert_same_run(run_dir, reference)


def test_a_longer_run_goes_on_where_the_shorter_ended(
    whole: Callable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """And with the schedule given, to the bits of one that was long from the start."""
    run_dir = tmp_path / "run"
    options: dict[str, Any] = {"algorithm__schedule_updates": 200}  # what train.env_steps=260 makes it
    train(*arguments(run_dir, **options, train__env_steps=150)).assert_code(0)
    train(*arguments(run_dir, **options)).assert_code(0)
    assert array_bytes(run_dir) == array_bytes(whole("torch"))
    shorter = train(*arguments(run_dir, **options, train__env_steps=200))
    shorter.assert_code(2)
    assert "train.env_steps: 260 -> 200" in shorter.output
    train(*arguments(run_dir, **options)).assert_code(0)
    assert "is finished at env step 260; nothing to do" in caplog.text


@pytest.mark.parametrize(("first", "second"), [("torch", "jax"), ("jax", "torch")])
def test_the_other_backend_goes_on_with_buffer_and_episodes(tmp_path: Path, first: str, second: str) -> None:
    for backend in BACKENDS:
        pytest.importorskip(backend)
    run_dir = tmp_path / "run"
    train(*arguments(run_dir, first, train__env_steps=150)).assert_code(0)
    before = arrays(run_dir)
    train(*arguments(run_dir, second, train__env_steps=200)).assert_code(0)
    after = arrays(run_dir)
    np.testing.assert_array_equal(after["replay/rows"][:150], before["replay/rows"])
    np.testing.assert_array_equal(after["replay/rows"][150, :3], before["replay/rows"][149, 5:8])  # the episode goes on
    assert int(after["updates"]) == 140


DAMAGE: dict[str, Callable[[np.ndarray], np.ndarray | None]] = {
    "replay/rows missing": lambda _: None,
    "replay/rows narrow": lambda rows: rows[:, :-1],
    "replay/rows short": lambda rows: rows[:-1],
    "replay/rows long": lambda rows: np.concatenate([rows, rows]),
    "replay/inserted negative": lambda _: np.asarray(-5, dtype=np.int64),
    "replay/inserted fewer": lambda _: np.asarray(100, dtype=np.int64),
    "collector/env_steps missing": lambda _: None,
    "collector/episodes of others": lambda _: np.zeros(3, dtype=np.int64),
    "collector/lengths of others": lambda lengths: lengths + 1,
    "collector/lengths negative": lambda lengths: -lengths,
    "collector/actions wide": lambda actions: np.repeat(actions, 2, axis=1),
    "collector/observations flat": lambda observations: observations[0],
    "collector/finished flat": lambda finished: finished.ravel(),
}


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_arrays_are_named(whole: Callable, damage: str, backend: str) -> None:
    """Arrays that a manifest vouches for and no run of pogo has written."""
    given = arrays(whole(backend))
    name = damage.split(" ")[0]
    changed = DAMAGE[damage](given.pop(name))
    if changed is not None:
        given[name] = changed
    plan = make_plans(compose_config(arguments(whole(backend), backend)))[0]
    assert plan.dataset.environment is not None
    learner = make_learner(plan)
    with Collector(plan.dataset.environment, 1, plan.dataset.normalisation, 0) as collector:
        restore = learner.restore if name.startswith("replay/") else collector.restore
        with pytest.raises(BadInput, match=r"checkpoint's (replay|collector)/\w+ is missing or not .*: it is damaged"):
            restore(given)


def test_counts_that_contradict_each_other_are_damage(whole: Callable, tmp_path: Path) -> None:
    """The buffer, the environments and the checkpoint count the same steps."""
    run_dir = tmp_path / "run"
    train(*arguments(run_dir, train__env_steps=100)).assert_code(0)
    store = CheckpointStore(run_dir)
    found = store.load_newest()
    assert found is not None
    store.save(150, found.arrays, found.records)
    outcome = train(*arguments(run_dir))
    outcome.assert_code(2)
    assert "checkpoint's collector/env_steps is missing or not 150" in outcome.output


def test_a_record_of_an_older_pogo_is_compared_by_its_defaults() -> None:
    """It has no word of settings that came later, and those that are asked for count as changes all the same."""
    plan = make_plans(compose_config(small_arguments(Path("run"), train__updates=4)))[0]
    values = json.loads(json.dumps(plan.record().to_json()))
    for config in (values["asked"], values["resolved"]):
        del config["collect"], config["resume_from"]
        for key in ("env_steps", "num_envs", "learning_starts", "replay_capacity"):
            del config["train"][key]
    older = RunRecord.from_json(values)
    check_unchanged(plan, older)
    collect = CollectSection(actor=1)
    changed = dataclasses.replace(
        plan,
        asked={**plan.asked, "collect": dataclasses.asdict(collect)},
        config=dataclasses.replace(plan.config, collect=collect),
    )
    with pytest.raises(BadInput, match=r"collect.actor: 0 -> 1"):
        check_unchanged(changed, older)
