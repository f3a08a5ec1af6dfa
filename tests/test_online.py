"""Online runs as a user starts them: what they count, what they collect, and that nothing of it is lost."""

import dataclasses
import errno
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import h5py
import numpy as np
import pytest

from pogo.cli import collect, evaluate, report
from pogo.core.checkpoint import Checkpoint, CheckpointStore
from pogo.core.collector import Collector
from pogo.core.config.compose import compose_config
from pogo.core.config.plan import make_plans
from pogo.core.errors import BadInput
from pogo.core.online_loop import OnlineLoop
from pogo.core.run import check_unchanged, run_record
from pogo.core.streams import generator, stream
from pogo.core.sweep import plan_sweep
from pogo.core.warm_start import read_source
from tests.run_helpers import (
    BACKENDS,
    PENDULUM,
    array_bytes,
    arrays,
    assert_same_run,
    call,
    fingerprint,
    lines,
    shared_folder,
    start,
    steps,
    summary,
    train,
    wait_for,
)
from tests.run_helpers import arguments as small_arguments

ENV_STEPS, LEARNING_STARTS = 260, 60
# A log window that is open at the checkpoints, which fall into the middle of episodes.
ONLINE = {
    "env": "Pendulum-v1",
    "train__env_steps": ENV_STEPS,
    "train__learning_starts": LEARNING_STARTS,
    "log__every": 70,
    "eval__every": 100,
    "eval__episodes": 1,
    "checkpoint__every": 50,
    "chain__num_actors": 2,
}
COUNTING = "tests.environments:Counting-v0"
# What JAX does as torch does, in core: `make test-slow` has it too.
TORCH_QUICKLY = ["torch", pytest.param("jax", marks=pytest.mark.slow)]


def arguments(run_dir: Path, backend: str = "torch", **changes: Any) -> list[str]:
    return small_arguments(run_dir, backend, "sac", **{**ONLINE, **changes})


@pytest.fixture
def whole(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """An uninterrupted run per backend."""

    def make(backend: str) -> Path:
        pytest.importorskip(backend)
        with shared_folder(tmp_path_factory, f"online_{backend}") as folder:
            run_dir = folder / "run"
            if not run_dir.exists():
                train(*arguments(run_dir, backend)).assert_code(0)
            return run_dir

    return make


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
        patch.setattr("pogo.core.online_loop.CALL_SECONDS", 0.0)  # the stop is looked at after every step
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


def test_environments_side_by_side_are_told_apart(tmp_path: Path) -> None:
    """In the buffer by turns, in the file one after another, with ends where the environment made them."""
    run_dir, file = tmp_path / "run", tmp_path / "replay.hdf5"
    changes = {
        "env": COUNTING,
        "train__num_envs": 3,
        "train__env_steps": 300,
        "train__save_replay": file,
        "eval__episodes": 0,
        "log__every": 60,
    }
    train(*arguments(run_dir, **changes)).assert_code(0)
    with h5py.File(file) as stored:
        rows = {name: stored[name][()] for name in stored if name != "metadata"}
        metadata = dict(stored["metadata"].attrs)
    check_counting(rows, held=300)
    assert metadata["num_transitions"] == 300
    assert metadata["env_id"] == COUNTING
    finished = sum(line["collect/episodes"] for line in lines(run_dir / "train.jsonl"))
    assert metadata["num_episodes"] == finished
    ends = rows["terminals"] | rows["timeouts"]
    assert ends.sum() - finished <= 3  # what was cut at the end


def test_a_buffer_that_lost_its_oldest_rows_is_saved_in_order(tmp_path: Path) -> None:
    file = tmp_path / "replay.hdf5"
    changes = {"env": COUNTING, "train__num_envs": 3, "train__env_steps": 300, "train__replay_capacity": 100}
    changes |= {"train__save_replay": file, "eval__episodes": 0}
    train(*arguments(tmp_path / "run", **changes)).assert_code(0)
    with h5py.File(file) as stored:
        rows = {name: stored[name][()] for name in stored if name != "metadata"}
        episodes = stored["metadata"].attrs["num_episodes"]
    check_counting(rows, held=100)
    ends = rows["terminals"] | rows["timeouts"]
    assert 0 < episodes < ends.sum()
    by_hand = call(collect.main, str(tmp_path / "run"), "--replay", "--out", str(tmp_path / "again.hdf5"))
    by_hand.assert_code(0)
    with h5py.File(tmp_path / "again.hdf5") as stored:
        for name, array in rows.items():
            np.testing.assert_array_equal(stored[name][()], array, err_msg=name)


def check_counting(rows: dict[str, np.ndarray], held: int) -> None:
    """Rows of `Counting`, in time order within each episode, no two episodes joined."""
    assert len(rows["rewards"]) == held
    ends = rows["terminals"] | rows["timeouts"]
    assert ends[-1]
    within = ~ends[:-1]
    np.testing.assert_array_equal(rows["observations"][1:][within], rows["next_observations"][:-1][within])
    np.testing.assert_array_equal(rows["terminals"], rows["next_observations"][:, 2] > 2.5)
    np.testing.assert_allclose(
        rows["rewards"], rows["actions"][:, 0] + rows["observations"][:, 0], rtol=1e-6
    )  # actions in the environment's units, [-1, 3]
    np.testing.assert_allclose(
        rows["next_observations"][:, 2] - rows["observations"][:, 2], rows["actions"][:, 0], atol=1e-5
    )


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


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_an_offline_run_goes_on_online(tmp_path: Path, backend: str) -> None:
    """Same networks: SAC-N's critics and actors, its tanh density aside; then the parameters are carried over."""
    pytest.importorskip(backend)
    source, run_dir = tmp_path / "source", tmp_path / "run"
    offline = {"env": None, "train__env_steps": None, "train__learning_starts": None, "train__updates": 20}
    train(*arguments(source, backend, **offline)).assert_code(0)
    options = {"env": None, "resume_from": source, "train__env_steps": 61, "algorithm__critic_learning_rate": 1e-30}
    options |= {"algorithm__actor_learning_rate": 1e-30, "eval__episodes": 0, "checkpoint__every": 0}
    train(*arguments(run_dir, backend, **options)).assert_code(0)
    assert summary(run_dir)["environment"] == "Pendulum-v1"
    before, after = arrays(source), arrays(run_dir)
    for name, array in before.items():
        if name.split("/")[0] in ("critic", "target_critic", "actor_0", "actor_1"):
            np.testing.assert_allclose(after[name], array, atol=1e-2 if "target" in name else 1e-6, err_msg=name)
    assert int(after["updates"]) == 1
    train(*arguments(run_dir, backend, **options)).assert_code(0)  # finished: nothing to do


def test_a_run_that_has_begun_needs_its_source_no_more(tmp_path: Path) -> None:
    source, reference, run_dir = tmp_path / "source", tmp_path / "reference", tmp_path / "run"
    offline = {"env": None, "train__env_steps": None, "train__learning_starts": None, "train__updates": 2}
    train(*arguments(source, **offline, eval__episodes=0)).assert_code(0)
    options = {"env": None, "resume_from": source, "eval__episodes": 0, "algorithm__schedule_updates": 200}
    train(*arguments(reference, **options, train__env_steps=90)).assert_code(0)
    train(*arguments(run_dir, **options, train__env_steps=70)).assert_code(0)
    source.rename(tmp_path / "elsewhere")
    gone = train(*arguments(tmp_path / "other", **options))
    gone.assert_code(2)
    assert "its own folder named by run.dir" in gone.output
    train(*arguments(run_dir, **options, train__env_steps=90)).assert_code(0)
    assert array_bytes(run_dir) == array_bytes(reference)


def test_networks_that_do_not_match_are_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    train(*small_arguments(source, algorithm="iql", train__updates=2, eval__episodes=0)).assert_code(0)
    options = {"env": None, "resume_from": source, "chain__num_actors": 3}
    refused = train(*arguments(tmp_path / "run", **options))
    refused.assert_code(2)
    for fragment in (
        "actor_0 has kind gaussian there, tanh_gaussian here",
        "hidden_sizes (32, 32) there, (16, 16) here",
        "critic is [[2, 4, 32], [2, 32, 32], [2, 32, 1]] there, [[1, 4, 16], [1, 16, 16], [1, 16, 1]] here",
        "critic has activation relu there, tanh here",
    ):
        assert fragment in refused.output
    assert not (tmp_path / "run").exists()
    matching = {"algorithm__hidden_size": 32, "algorithm__num_critics": 2, "algorithm__activation": "relu"}
    actors = "[{kind: gaussian, hidden_sizes: [32, 32], log_std: free, std: exp, tanh_mean: true, activation: relu}]"
    matching |= {"chain__actors": actors, "train__env_steps": 61, "eval__episodes": 0}
    train(*arguments(tmp_path / "run", **options | matching)).assert_code(0)


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_what_is_collected_trains(whole: Callable, tmp_path: Path, backend: str) -> None:
    out = tmp_path / "collected.hdf5"
    collected = call(
        collect.main, str(whole(backend)), "--actor", "1", "--transitions", "500", "--num-envs", "2", "--out", str(out),
        "--best-return", "-131.8",
    )  # fmt: skip
    collected.assert_code(0)
    assert "600 transitions, 3 whole episodes" in collected.output or "800 transitions, 4" in collected.output
    with h5py.File(out) as stored, h5py.File(PENDULUM) as shipped:
        assert set(stored) == set(shipped)
        for name in stored:
            if name != "metadata":
                assert (stored[name].dtype, stored[name].shape[1:]) == (shipped[name].dtype, shipped[name].shape[1:])
        metadata = stored["metadata"].attrs
        common = {"env_id", "action_low", "action_high", "max_episode_steps", "return_mean", "ref_min_score"}
        assert common < set(metadata) & set(shipped["metadata"].attrs)
        assert metadata["mode"] == "sampled"
        assert "actor_1 (tanh_gaussian), sampled, of sac after 260 environment steps" in metadata["behavior_policy"]
        assert metadata["ref_max_score"] == -131.8
        assert -1400 < metadata["ref_min_score"] < -1000  # random: -1263 over 100 other episodes
        returns = stored["rewards"][()].reshape(-1, 200).sum(axis=1)
        np.testing.assert_allclose(metadata["return_mean"], returns.mean(), rtol=1e-5)
    trained = train(*small_arguments(tmp_path / "run", **{"dataset__path": out, "train__updates": 3}))
    trained.assert_code(0)
    assert summary(tmp_path / "run")["actors"][0]["deterministic"]["normalized_score"] is not None


def test_a_buffer_and_then_an_actors_episodes(whole: Callable, tmp_path: Path) -> None:
    out = tmp_path / "both.hdf5"
    call(
        collect.main, str(whole("torch")), "--replay", "--transitions", "200", "--num-envs", "1", "--out", str(out)
    ).assert_code(0)
    held = arrays(whole("torch"))["replay/rows"]
    with h5py.File(out) as stored:
        np.testing.assert_array_equal(stored["observations"][:ENV_STEPS], held[:, :3])
        assert len(stored["rewards"]) == ENV_STEPS + 200
        np.testing.assert_array_equal(np.flatnonzero(stored["timeouts"]), [199, 259, 459])
        assert stored["metadata"].attrs["num_episodes"] == 2  # the buffer's second is cut
        assert stored["metadata"].attrs["behavior_policy"].startswith("the replay buffer then actor_0 (tanh_gaussian)")


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


REFUSED = {
    "no environment": ({"env": None, "dataset": "online"}, "dataset=online collects its own data; name where: env=ID"),
    "of a dataset": ({"dataset": "pendulum-medium-replay"}, "train.env_steps=260 is of online runs"),
    "updates": ({"train__updates": 10}, "train.updates=10 is of runs on a dataset"),
    "seeds": ({"train__num_seeds": 2}, "train.num_seeds=2: an online run is one seed per program"),
    "no updates": ({"train__learning_starts": 260}, "train.env_steps=260 ends before the first update"),
    "uneven": ({"train__num_envs": 3}, "train.env_steps=260 is no multiple of train.num_envs=3"),
    "capacity": ({"train__num_envs": 4, "train__replay_capacity": 3}, "train.replay_capacity=3 holds less than one"),
    "environments": ({"train__num_envs": 0}, "train.num_envs=0 is out of range"),
    "ratio": ({"train__updates_per_step": -1}, "train.updates_per_step=-1.0 is out of range"),
    "random": ({"train__random_steps": -1}, "train.random_steps=-1 is out of range"),
    "noise": ({"collect__noise_std": -0.1}, "collect.noise_std=-0.1 is out of range"),
    "actor": ({"collect__actor": 2}, "collect.actor=2: the chain has actors 0 to 1"),
    "states": (
        {"algorithm__normalize_states": True},
        "algorithm.normalize_states=true takes its numbers from a dataset",
    ),
    "rewards": ({"algorithm__normalize_rewards": True}, "algorithm.normalize_rewards=true takes its numbers"),
    "environment": ({"env": "Pendulm-v1"}, "env=Pendulm-v1 cannot be made"),
    "source": ({"resume_from": "nowhere"}, "resume_from=nowhere holds no checkpoints"),
    "no folder": (
        {"train__save_replay": "no/such/file.hdf5"},
        "train.save_replay=no/such/file.hdf5: there is no folder",
    ),
    "file": ({"train__save_replay": PENDULUM}, "pendulum-medium-replay.hdf5 exists; name another file"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    outcome = train(*arguments(tmp_path / "run", **changes))
    outcome.assert_code(2)
    assert message in outcome.output
    assert outcome.output.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_other_algorithms_do_not_collect(tmp_path: Path) -> None:
    outcome = train(*small_arguments(tmp_path / "run", algorithm="iql", dataset="online", env="Pendulum-v1"))
    outcome.assert_code(2)
    assert "algorithm=iql learns from a dataset; online learns algorithm=sac." in outcome.output
    offline = train(*small_arguments(tmp_path / "run", algorithm="iql", resume_from="runs"))
    offline.assert_code(2)
    assert "resume_from=runs begins an online run" in offline.output


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--transitions", "5"), "--out FILE is missing"),
        (("--out", "c.hdf5", "--actor", "2"), "--actor 2: the run has actors 0 to 1."),
        (("--out", "c.hdf5", "--transitions", "0"), "--transitions 0: use a whole number of at least 1."),
        (("--out", "c.hdf5", "--num-envs", "0"), "--num-envs 0: use a whole number of at least 1."),
        (("--out", "c.hdf5", "--seed", "-1"), "--seed -1: use a whole number"),
        (("--out", "c.hdf5", "--checkpoint", "7"), "has no checkpoint 7; it has 200, 250, 260."),
        (("--out", "c.hdf5", "--env", "Hopper-v5"), "env=Hopper-v5 has 11"),
        (("--out", str(PENDULUM)), "exists; name another file"),
    ],
    ids=["no file", "actor", "transitions", "environments", "seed", "checkpoint", "other sizes", "file is there"],
)
def test_collect_refuses(
    whole: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...], message: str
) -> None:
    run_dir = whole("torch")
    monkeypatch.chdir(tmp_path)
    outcome = call(collect.main, str(run_dir), *options)
    outcome.assert_code(2)
    assert message in outcome.output
    assert not list(tmp_path.iterdir())


def test_a_finished_run_writes_no_file_that_it_is_asked_for_late(whole: Callable, tmp_path: Path) -> None:
    late = tmp_path / "late.hdf5"
    before = fingerprint(whole("torch"))
    outcome = train(*arguments(whole("torch"), train__save_replay=late))
    outcome.assert_code(2)
    assert f"is finished, so train.save_replay={late} is not written" in outcome.output
    assert "pogo-collect" in outcome.output
    assert fingerprint(whole("torch")) == before


def test_a_run_whose_file_cannot_be_written_is_not_finished(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run_dir, file = tmp_path / "run", tmp_path / "replay.hdf5"
    options = {"train__save_replay": file, "train__env_steps": 70, "eval__episodes": 0}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pogo.core.data.recording.write_new_file", no_space)
        failed = train(*arguments(run_dir, **options))
    failed.assert_code(1)
    assert f"{file} could not be written: No space left on device." in caplog.text
    assert not list(tmp_path.glob("*.hdf5*"))
    assert not (run_dir / "summary.json").exists()
    train(*arguments(run_dir, **options)).assert_code(0)
    assert file.exists()


def no_space(path: Path, data: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_sweep_of_online_runs(tmp_path: Path) -> None:
    common = [argument for argument in arguments(tmp_path) if not argument.startswith(("run.dir", "env="))]
    common += [f"run.root={tmp_path}", "algorithm=sac"]
    cells = plan_sweep([*common, "env=Pendulum-v1,tests.environments:Counting-v0", "seed=0,1"])
    assert sorted(str(cell.run_dir.relative_to(tmp_path)) for cell in cells) == [
        f"{env}/sac_torch/w2_10/seed_{seed}" for env in ("Counting-v0", "Pendulum-v1") for seed in (0, 1)
    ]
    with pytest.raises(BadInput, match="one file for several runs"):
        plan_sweep([*common, "env=Pendulum-v1", "seed=0,1", f"train.save_replay={tmp_path / 'one.hdf5'}"])


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
    learner = plan.make_learner()
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


def test_an_environment_that_fails_is_named(tmp_path: Path) -> None:
    outcome = train(*arguments(tmp_path / "run", env="tests.environments:Diverging-v0", eval__episodes=0))
    outcome.assert_code(1)
    assert "env=tests.environments:Diverging-v0 gave a reward that is not finite at environment step" in outcome.output


def test_an_environment_that_raises_is_bad_input(tmp_path: Path) -> None:
    outcome = train(*arguments(tmp_path / "run", env="tests.environments:Failing-v0", eval__episodes=0))
    outcome.assert_code(2)
    assert "env=tests.environments:Failing-v0 failed: ZeroDivisionError: a joint is gone" in outcome.output
    assert not (tmp_path / "run").exists()


def test_a_run_goes_on_in_the_environment_of_its_source(tmp_path: Path) -> None:
    """With the settings that the source's file gave it, which its name alone does not say."""
    source = tmp_path / "source"
    offline = {"env": None, "train__env_steps": None, "train__learning_starts": None, "train__updates": 2}
    train(*arguments(source, **offline, eval__episodes=0)).assert_code(0)
    record = read_source(str(source))
    spec = dataclasses.replace(record.environment, kwargs={"g": 5.0})  # type: ignore[type-var]
    record = dataclasses.replace(record, record={**record.record, "environment": spec.to_json()})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pogo.core.config.plan.read_source", lambda _: record)
        found = make_plans(compose_config(arguments(tmp_path / "run", env=None, resume_from=source)))[0]
    assert found.dataset.environment == spec


def test_a_record_of_an_older_pogo_is_compared_by_its_defaults() -> None:
    """It has no word of settings that came later, and those that are asked for count as changes all the same."""
    plan = make_plans(compose_config(small_arguments(Path("run"), train__updates=4)))[0]
    record = json.loads(json.dumps({**run_record(plan), "resolved": {"train": {"updates": 4}}}))
    del record["asked"]["collect"], record["asked"]["resume_from"]
    for key in ("env_steps", "num_envs", "learning_starts", "replay_capacity"):
        del record["asked"]["train"][key]
    older = Checkpoint(4, Path("run"), {}, {"run": record})
    check_unchanged(plan, older)
    changed = dataclasses.replace(plan, asked={**plan.asked, "collect": {"actor": 1, "noise_std": 0.1}})
    with pytest.raises(BadInput, match=r"collect.actor: 0 -> 1"):
        check_unchanged(changed, older)
