"""What an online run does with environments, updates and actors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from pogo.cli import evaluate, report
from pogo.core.errors import BadInput
from pogo.core.problem.streams import generator, stream
from pogo.core.sweeps.planning import plan_sweep
from tests.helpers.framework import Framework
from tests.helpers.online_runs import ENV_STEPS, LEARNING_STARTS, TORCH_QUICKLY, arguments
from tests.helpers.runs import (
    BACKENDS,
    arrays,
    call,
    lines,
    steps,
    summary,
    train,
)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_counts_environment_steps(whole: Callable, backend: str) -> None:
    run_dir = whole(backend)
    found = summary(run_dir)
    assert (found["env_steps"], found["updates"]) == (ENV_STEPS, ENV_STEPS - LEARNING_STARTS)
    assert (found["dataset"], found["environment"]) == ("Pendulum-v1", "Pendulum-v1")
    assert steps(run_dir) == [200, 250, 260]
    logged = lines(run_dir / "train.jsonl")
    assert [line["env_step"] for line in logged] == [70, 140, 210, 260]
    assert [line["updates"] for line in logged] == [10, 80, 150, 200]
    assert [line["collect/episodes"] for line in logged] == [0, 0, 1, 0]  # of 200 steps each
    assert -2000 < logged[2]["collect/return"] < 0
    assert "critic/loss" in logged[0]
    assert [line["env_step"] for line in lines(run_dir / "eval.jsonl")] == [100, 200, 260]


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_a_window_before_the_first_update_has_no_losses(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    changes = {"log__every": 20, "train__env_steps": 70, "eval__episodes": 0}
    train(*arguments(tmp_path / "run", backend, **changes)).assert_code(0)
    first, *_, last = lines(tmp_path / "run" / "train.jsonl")
    assert first["updates"] == 0
    assert not [name for name in first if name.endswith("loss")]
    assert "actor_0/std" in first  # what describes the policies needs no update
    assert "critic/loss" in last


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_stored_is_what_the_environment_did(whole: Callable, backend: str) -> None:
    """The buffer, against the simulator stepped by hand with the actions in it."""
    rows = arrays(whole(backend))["replay/rows"]
    assert rows.shape == (ENV_STEPS, 3 + 1 + 1 + 3 + 1 + 1)
    environment = gymnasium.make("Pendulum-v1")
    observation = np.zeros(3)
    for index, row in enumerate(rows):
        if index % 200 == 0:
            seed = int(stream(0, "training episode", 0, index // 200).generate_state(1)[0])
            observation, _ = environment.reset(seed=seed)
        np.testing.assert_array_equal(row[:3], observation)
        observation, reward, _, truncated, _ = environment.step(2.0 * row[3:4])
        np.testing.assert_array_equal(row[5:8], observation)
        assert row[4] == np.float32(reward)
        assert (row[8], row[9]) == (0.0, float(truncated))
    random = rows[: LEARNING_STARTS // 2, 3]
    assert len(np.unique(random)) == len(random)
    assert np.abs(random).max() > 0.8


def test_both_backends_meet_the_same_starts_and_random_actions(whole: Callable) -> None:
    torch_rows, jax_rows = (arrays(whole(backend))["replay/rows"] for backend in BACKENDS)
    np.testing.assert_array_equal(torch_rows[: LEARNING_STARTS // 2], jax_rows[: LEARNING_STARTS // 2])
    np.testing.assert_array_equal(torch_rows[200, :3], jax_rows[200, :3])
    assert not np.array_equal(torch_rows[-50:, 3], jax_rows[-50:, 3])  # their updates draw from streams of their own


@pytest.mark.parametrize(
    ("changes", "updates"),
    [
        ({"train__updates_per_step": 0.3}, 60),
        ({"train__updates_per_step": 2}, 400),
        ({"train__num_envs": 4, "train__env_steps": 260}, 200),
        ({"train__num_envs": 7, "train__env_steps": 210, "train__updates_per_step": 0.5}, 75),
        ({"train__learning_starts": 0, "train__env_steps": 30, "train__random_steps": 0}, 30),
    ],
    ids=str,
)
def test_updates_to_data(tmp_path: Path, changes: dict[str, Any], updates: int) -> None:
    run_dir = tmp_path / "run"
    train(*arguments(run_dir, **{"eval__episodes": 0, "checkpoint__every": 0, **changes})).assert_code(0)
    found = arrays(run_dir)
    assert int(found["updates"]) == summary(run_dir)["updates"] == updates
    assert len(found["replay/rows"]) == summary(run_dir)["env_steps"]


def test_a_deterministic_actor_collects_with_noise(tmp_path: Path) -> None:
    """At the same state its first action with noise is the one without, and the draw of that step."""
    first, rows = LEARNING_STARTS // 2, {}
    for noise in (0.0, 0.1):
        run_dir = tmp_path / str(noise)
        changes = {"chain__actors": "[{kind: tanh_gaussian}, {kind: deterministic}]", "collect__actor": 1}
        changes |= {"collect__noise_std": noise, "eval__episodes": 0, "checkpoint__every": 0}
        train(*arguments(run_dir, **changes)).assert_code(0)
        rows[noise] = arrays(run_dir)["replay/rows"]
    draws = generator(0, "training draws", 0).standard_normal((1024, 1, 1), dtype=np.float32)
    np.testing.assert_array_equal(rows[0.1][first, :3], rows[0.0][first, :3])
    np.testing.assert_allclose(rows[0.1][first, 3] - rows[0.0][first, 3], 0.1 * draws[first, 0, 0], rtol=1e-4)


def test_the_actor_that_collects_is_the_one_named(tmp_path: Path) -> None:
    """Actor 1's own samples: the first that acts, from the same start and with the same draws, is another actor."""
    rows = {}
    for actor in (0, 1):
        run_dir = tmp_path / str(actor)
        options = {"collect__actor": actor, "chain__init": "independent", "eval__episodes": 0, "train__env_steps": 62}
        train(*arguments(run_dir, **options)).assert_code(0)
        rows[actor] = arrays(run_dir)["replay/rows"]
    first = LEARNING_STARTS // 2
    np.testing.assert_array_equal(rows[0][:first], rows[1][:first])
    assert abs(rows[0][first, 3] - rows[1][first, 3]) > 1e-3


def test_other_commands_know_online_runs(whole: Callable) -> None:
    run_dir = whole("torch")
    evaluated = call(evaluate.main, str(run_dir), "--episodes", "1", "--checkpoint", "200")
    evaluated.assert_code(0)
    assert "env step 200" in evaluated.output
    reported = call(report.main, str(run_dir))
    reported.assert_code(0)
    assert "Pendulum-v1" in reported.output
    curve = call(report.main, str(run_dir), "--curve")
    curve.assert_code(0)
    for step in ("100", "200", "260"):
        assert step in curve.output


def test_a_sweep_of_online_runs(tmp_path: Path) -> None:
    common = [argument for argument in arguments(tmp_path) if not argument.startswith(("run.dir", "env="))]
    common += [f"run.root={tmp_path}", "algorithm=sac"]
    cells = plan_sweep([*common, "env=Pendulum-v1,tests.helpers.environments:Counting-v0", "seed=0,1"])
    parts = [cell.run_dir.relative_to(tmp_path).parts for cell in cells]
    assert sorted((part[0], part[-1]) for part in parts) == [
        (env, f"seed_{seed}") for env in ("Counting-v0", "Pendulum-v1") for seed in (0, 1)
    ]
    assert {part[1:3] for part in parts} == {("sac_torch", "w2_10")}
    assert len({part[3] for part in parts}) == 1  # what makes them small
    with pytest.raises(BadInput, match="one file for several runs"):
        plan_sweep([*common, "env=Pendulum-v1", "seed=0,1", f"train.save_replay={tmp_path / 'one.hdf5'}"])


def test_an_environment_that_fails_is_named(tmp_path: Path) -> None:
    outcome = train(*arguments(tmp_path / "run", env="tests.helpers.environments:Diverging-v0", eval__episodes=0))
    outcome.assert_code(2)  # random actions, which come before the run, meet it
    assert "env=tests.helpers.environments:Diverging-v0 gave a reward that is not finite; mend it" in outcome.output
    assert not (tmp_path / "run").exists()


def test_a_policy_that_diverges_is_not_the_environments_fault(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Framework("torch").module("learner").TorchLearner
    monkeypatch.setattr(learner, "act", lambda self, rows, *_: np.full((len(rows), 1), np.nan, np.float32))
    train(*arguments(tmp_path / "run", eval__episodes=0)).assert_code(1)
    (message,) = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert "actor 0 gives actions that are not finite at environment step" in message


def test_an_environment_that_raises_is_bad_input(tmp_path: Path) -> None:
    outcome = train(*arguments(tmp_path / "run", env="tests.helpers.environments:Failing-v0", eval__episodes=0))
    outcome.assert_code(2)
    assert "env=tests.helpers.environments:Failing-v0 failed: ZeroDivisionError: a joint is gone" in outcome.output
    assert not (tmp_path / "run").exists()
