"""The files that online runs and pogo-collect leave."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pogo.cli import collect
from pogo.core.files.durable import write_new_file
from tests.helpers.online_runs import COUNTING, ENV_STEPS, TORCH_QUICKLY, arguments
from tests.helpers.runs import (
    PENDULUM,
    arrays,
    call,
    fingerprint,
    lines,
    summary,
    train,
)
from tests.helpers.runs import arguments as small_arguments


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
        patch.setattr("pogo.core.data.write_hdf5.write_new_file", no_space)
        failed = train(*arguments(run_dir, **options))
    failed.assert_code(1)
    assert f"{file} could not be written: No space left on device." in caplog.text
    assert not list(tmp_path.glob("*.hdf5*"))
    assert "could not be written" in summary(run_dir)["failed"]
    train(*arguments(run_dir, **options)).assert_code(0)
    assert file.exists()


def test_a_write_that_was_killed_is_not_in_the_way(tmp_path: Path) -> None:
    """The name is taken once all bytes are on the disk, and what an earlier process has left of its own goes."""
    file = tmp_path / "replay.hdf5"
    (tmp_path / f".{file.name}.{os.getpid()}").write_bytes(b"half")
    seen = []

    def watched(path: Path, data: bytes) -> None:
        seen.append(file.exists())
        write_new_file(path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pogo.core.data.write_hdf5.write_new_file", watched)
        options = {"train__save_replay": file, "train__env_steps": 70, "eval__episodes": 0}
        train(*arguments(tmp_path / "run", **options)).assert_code(0)
    assert seen == [False]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["replay.hdf5", "run"]
    assert h5py.is_hdf5(file)


def test_a_file_that_another_process_makes_meanwhile_stays(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "replay.hdf5"

    def overtaken(path: Path, data: bytes) -> None:
        file.write_bytes(b"another's")
        write_new_file(path, data)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pogo.core.data.write_hdf5.write_new_file", overtaken)
        options = {"train__save_replay": file, "train__env_steps": 70, "eval__episodes": 0}
        failed = train(*arguments(tmp_path / "run", **options))
    failed.assert_code(1)
    assert f"{file} could not be written: File exists." in caplog.text
    assert file.read_bytes() == b"another's"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["replay.hdf5", "run"]


def no_space(path: Path, data: bytes) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
