"""What users' own files hold that D4RL's do not: other orders of rows, end flags, precisions, bounds and shapes."""

import fcntl
import logging
import os
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from pogo.core.algorithms import rebrac
from pogo.core.config.compose import compose_config
from pogo.core.data.config import DatasetConfig
from pogo.core.data.dataset import Dataset, dataset_from_arrays
from pogo.core.data.loading import load_dataset
from pogo.core.data.preprocessing import STATE_EPSILON, Normalisation, Preprocessing
from pogo.core.data.write_hdf5 import rows_of_buffer
from pogo.core.errors import BadInput

ROWS = 40  # four episodes of ten
Arrays = dict[str, np.ndarray]


def arrays(seed: int = 0, size: int = 2) -> Arrays:
    """Two episodes that end by a time-out and two by a true end, one after another."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(4, 11, size)).cumsum(axis=1)
    last = np.arange(ROWS) % 10 == 9
    return {
        "observations": steps[:, :-1].reshape(ROWS, size).astype(np.float32),
        "next_observations": steps[:, 1:].reshape(ROWS, size).astype(np.float32),
        "actions": rng.uniform(-2, 2, (ROWS, 1)).astype(np.float32),
        "rewards": rng.normal(size=ROWS).astype(np.float32),
        "terminals": last & (np.arange(ROWS) >= 20),
        "timeouts": last & (np.arange(ROWS) < 20),
    }


def save(folder: Path, content: Arrays, **metadata: Any) -> str:
    path = folder / "mine.hdf5"
    with h5py.File(path, "w") as file:
        for key, array in content.items():
            file[key] = array
        file.create_group("metadata").attrs.update(metadata)
    return str(path)


def load(path: str, preprocessing: Preprocessing | None = None, **options: Any) -> Dataset:
    bounds: dict[str, Any] = {"action_low": [-2.0], "action_high": [2.0]}
    return load_dataset(DatasetConfig(path=path, **bounds | options), preprocessing or Preprocessing(), "none")


def interleaved() -> Arrays:
    order = np.arange(ROWS).reshape(4, 10).T.ravel()
    return {key: array[order] for key, array in arrays().items()}


def test_rows_of_environments_side_by_side_are_refused_in_the_view_that_would_cross_them(tmp_path: Path) -> None:
    path = save(tmp_path, interleaved())
    message = r"next_observations of 36 of 36 rows inside episodes \(100 %\) are not .*; dataset\.view=full takes"
    with pytest.raises(BadInput, match=message):
        load(path)
    with pytest.raises(BadInput, match=message):
        dataset_from_arrays(**interleaved(), action_bounds=([-2.0], [2.0]))  # type: ignore[arg-type]


def test_their_own_next_observations_and_their_episodes_returns_are_right_in_the_full_view(tmp_path: Path) -> None:
    dataset, in_order = load(save(tmp_path, interleaved()), view="full"), arrays()
    np.testing.assert_array_equal(dataset.transitions.next_observations, interleaved()["next_observations"])
    returns = in_order["rewards"].reshape(4, 10).sum(axis=1, dtype=np.float64)
    assert dataset.behaviour.episodes == 4
    assert dataset.behaviour.return_mean == pytest.approx(returns.mean(), rel=1e-6)
    assert dataset.behaviour.return_min == pytest.approx(returns.min(), rel=1e-6)


@pytest.mark.parametrize(
    ("preprocessing", "message"),
    [
        (
            rebrac.DEFINITION.preprocessing(rebrac.Hyperparameters(), "mine"),
            "learns from the action after each; save one env",
        ),
        (
            Preprocessing(reward_scaling="return_range"),
            "returns of trajectories; use algorithm.normalize_rewards=false",
        ),
    ],
)
def test_what_else_needs_the_order_of_time_is_refused(
    tmp_path: Path, preprocessing: Preprocessing, message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        load(save(tmp_path, interleaved()), preprocessing, view="full")


def test_one_reset_that_nothing_marks_is_found(tmp_path: Path) -> None:
    content = arrays()
    content["timeouts"][9] = False
    with pytest.raises(BadInput, match=r"next_observations of 1 of 37 rows inside episodes \(2\.7 %\)"):
        load(save(tmp_path, content))
    assert len(load(save(tmp_path, content), view="full").transitions) == ROWS


def test_next_observations_of_less_precision_are_still_those_of_the_next_row(tmp_path: Path) -> None:
    content = arrays()
    content["next_observations"] = content["next_observations"].astype(np.float16).astype(np.float32)
    assert len(load(save(tmp_path, content)).transitions) == ROWS - 3


def test_a_row_marked_as_both_ends_is_a_true_end(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = arrays()
    expected = load(save(tmp_path, content)).transitions
    content["timeouts"] = content["timeouts"] | content["terminals"]
    with caplog.at_level(logging.WARNING):
        found = load(save(tmp_path, content)).transitions
    np.testing.assert_array_equal(found.terminals, expected.terminals)
    np.testing.assert_array_equal(found.observations, expected.observations)
    assert [record.getMessage() for record in caplog.records if "taken for true ends" in record.getMessage()] == [
        f"{tmp_path}/mine.hdf5: 2 rows are marked as a true end and as a time-out; they are taken for true ends."
    ]


def test_d4rls_own_files_keep_d4rls_rule(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = arrays()
    content["timeouts"] = content["timeouts"] | content["terminals"]
    with caplog.at_level(logging.WARNING):
        transitions = load(save(tmp_path, content), name="hopper-medium-v2").transitions
    assert not transitions.terminals.any()
    assert "2 rows are marked as a true end and as a time-out; as D4RL reads them, they are dropped" in caplog.text


@pytest.mark.parametrize("normalize", [False, True])
def test_metres_of_a_map_keep_their_digits_in_training_and_in_evaluation(tmp_path: Path, normalize: bool) -> None:
    content = arrays()
    easting = 5_300_000.0 + np.random.default_rng(1).normal(0, 0.02, ROWS).cumsum()
    content["observations"] = np.column_stack([content["observations"].astype(np.float64), easting])
    del content["next_observations"]
    dataset = load(save(tmp_path, content), Preprocessing(normalize_states=normalize))
    rows = np.flatnonzero(~content["timeouts"][:-1])
    seen = dataset.transitions.observations[:, 2]
    std = easting[rows].std() + STATE_EPSILON if normalize else 1.0
    np.testing.assert_allclose(seen * std, easting[rows] - easting[rows].mean() + (seen * std).mean(), atol=1e-7)
    at_evaluation = dataset.normalisation.observations(content["observations"])[rows]
    np.testing.assert_allclose(at_evaluation, dataset.transitions.observations, rtol=1e-6, atol=1e-6)
    restored = Normalisation.from_json(dataset.normalisation.to_json())
    np.testing.assert_array_equal(restored.observations(content["observations"])[rows], at_evaluation)
    # What a policy saw is written back without loss, and columns that float32 can hold are as they always were.
    back = dataset.normalisation.raw_observations(at_evaluation)
    np.testing.assert_allclose(back[:, 2], easting[rows], atol=1e-6)
    if not normalize:
        np.testing.assert_array_equal(dataset.transitions.observations[:, :2], arrays()["observations"][rows])


def test_a_column_that_no_offset_saves_is_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = arrays()
    content["observations"] = content["observations"].astype(np.float64)
    content["observations"][:, 1] = np.where(np.arange(ROWS) % 2, 1e12, -1e12) + np.arange(ROWS)
    del content["next_observations"]
    with caplog.at_level(logging.WARNING):
        load(save(tmp_path, content))
    assert "tells apart less than half of the values in these observation columns: 1;" in caplog.text


@pytest.mark.parametrize("normalize", [False, True])
def test_a_constant_column_is_held_at_its_value(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, normalize: bool
) -> None:
    content = arrays()
    content["observations"][:, 1] = content["next_observations"][:, 1] = 7.0
    with caplog.at_level(logging.WARNING):
        dataset = load(save(tmp_path, content), Preprocessing(normalize_states=normalize))
    assert "these observation columns are constant: 1 (7)." in caplog.text
    same, other = np.array([[0.5, 7.0]]), np.array([[0.5, 7.02]])
    np.testing.assert_array_equal(dataset.normalisation.observations(other), dataset.normalisation.observations(same))
    assert dataset.normalisation.observations(other)[0, 1] == dataset.transitions.observations[0, 1]
    restored = Normalisation.from_json(dataset.normalisation.to_json())
    np.testing.assert_array_equal(restored.observations(other), dataset.normalisation.observations(same))
    kept = load(save(tmp_path, content), Preprocessing(normalize_states=normalize), constant_columns="keep")
    expected = 0.02 / STATE_EPSILON if normalize else 7.02
    assert kept.normalisation.observations(other)[0, 1] == pytest.approx(expected, rel=1e-4)
    named = load(save(tmp_path, content), Preprocessing(normalize_states=normalize), name="hopper-medium-v2")
    assert not named.normalisation.held


def test_a_record_without_held_columns_is_an_older_runs(tmp_path: Path) -> None:
    record = load(save(tmp_path, arrays())).normalisation.to_json()
    del record["held"]
    assert Normalisation.from_json(record).held == {}


def test_rows_of_one_number_need_no_second_axis(tmp_path: Path) -> None:
    content = arrays(size=1)
    expected = load(save(tmp_path, content)).transitions
    flat = {key: array.reshape(ROWS) for key, array in content.items()}
    np.savez(tmp_path / "mine.npz", **flat)  # type: ignore[arg-type]
    for found in (
        load(save(tmp_path, flat)).transitions,
        dataset_from_arrays(**flat, action_bounds=([-2.0], [2.0])).transitions,  # type: ignore[arg-type]
    ):
        np.testing.assert_array_equal(found.actions, expected.actions)
        np.testing.assert_array_equal(found.observations, expected.observations)
    assert load(str(tmp_path / "mine.npz")).transitions.actions.shape == (ROWS, 1)


def test_a_file_that_is_being_written_is_said_to_be_locked(tmp_path: Path) -> None:
    path = save(tmp_path, arrays())
    with open(path, "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # as HDF5 does where it writes
        with pytest.raises(BadInput, match="another process has it open for writing; let it close the file first"):
            load(path)


def test_bounds_can_be_given(tmp_path: Path) -> None:
    path = save(tmp_path, arrays())
    with pytest.raises(BadInput, match=r"no action bounds; .*dataset\.action_low=\[\.\.\.\]"):
        load(path, action_low=None, action_high=None)
    with pytest.raises(BadInput, match=r"action_low=\[-2\.0\], dataset\.action_high=None: give both"):
        load(path, action_high=None)
    with pytest.raises(BadInput, match=r"do not fit actions of size 1"):
        load(path, action_low=[-2.0, -2.0])
    found = load(path, action_low=[-2.0], action_high=[6.0])
    kept = np.flatnonzero(~arrays()["timeouts"][:-1])
    np.testing.assert_allclose(found.transitions.actions, (arrays()["actions"][kept] - 2) / 4, atol=1e-6)


def test_actions_may_be_scaled_already(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = arrays()
    content["actions"] = np.clip(content["actions"], -1, 1)
    kept = np.flatnonzero(~content["timeouts"][:-1])
    with caplog.at_level(logging.WARNING):
        load(save(tmp_path, content))
    assert "if they are stored in units of the bounds, say so by dataset.actions_scaled=true" in caplog.text
    caplog.clear()
    dataset = load(save(tmp_path, content), actions_scaled=True)
    assert not caplog.records
    np.testing.assert_array_equal(dataset.transitions.actions, content["actions"][kept])
    assert dataset.normalisation.environment_actions(np.ones((1, 1))).item() == 2.0
    narrow: dict[str, Any] = {"action_low": [-0.1], "action_high": [0.1]}
    with pytest.raises(BadInput, match=r"outside the environment's bounds .*dataset\.actions_scaled=true"):
        load(save(tmp_path, content), **narrow)
    load(save(tmp_path, content), actions_scaled=True, **narrow)


def test_actions_that_only_lie_within_one_are_not_taken_for_scaled(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = arrays()
    content["actions"] = content["actions"] * np.float32(0.4)
    with caplog.at_level(logging.WARNING):
        load(save(tmp_path, content))
    assert not caplog.records


@pytest.mark.parametrize("kind", ["pipe", "device"])
def test_what_is_no_regular_file_is_refused_without_being_read(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "pipe.hdf5" if kind == "pipe" else Path("/dev/zero")
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(BadInput, match=r"not a regular file"):
        load(str(path))


def test_a_name_of_an_environment_is_one_line(tmp_path: Path) -> None:
    path = save(tmp_path, arrays(), env_id="Pendulum-v1\nand more")
    with pytest.raises(BadInput, match=r"env_id = 'Pendulum-v1\\nand more' is no name of an environment"):
        load(path)


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"masks": np.ones(ROWS)}, "timeouts is D4RL's, .* masks is OGBench's"),
        ({"valids": np.ones(ROWS)}, "timeouts is D4RL's, .* valids is OGBench's"),
    ],
)
def test_archives_whose_keys_contradict_each_other_are_refused(tmp_path: Path, extra: Arrays, message: str) -> None:
    np.savez(tmp_path / "mine.npz", **arrays(), **extra)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match=message):
        load(str(tmp_path / "mine.npz"))


def test_masks_that_say_the_same_as_terminals_are_taken(tmp_path: Path) -> None:
    content = arrays()
    np.savez(tmp_path / "mine.npz", **content, masks=1.0 - content["terminals"])  # type: ignore[arg-type]
    np.testing.assert_array_equal(load(str(tmp_path / "mine.npz")).transitions.terminals, content["terminals"])


def test_the_options_are_reached_from_the_command_line() -> None:
    asked = compose_config(
        ["dataset.path=mine.hdf5", "dataset.action_low=[-2]", "dataset.action_high=[2]", "dataset.actions_scaled=true"]
    )
    config = DatasetConfig(**asked["dataset"])
    assert (config.action_low, config.action_high, config.actions_scaled) == ([-2.0], [2.0], True)


def test_a_replay_of_such_a_column_is_written_with_its_digits() -> None:
    normalisation = Normalisation(np.array([5_300_000.0, 0.0]), np.ones(2), 1.0, 0.0, np.array([-1.0]), np.array([1.0]))
    raw = np.array([[5_300_000.125, 0.5], [5_300_000.25, 0.75]])
    seen = normalisation.observations(raw)

    class Buffer:
        inserted = 2

        def __len__(self) -> int:
            return 2

        def transitions(self) -> Arrays:
            zeros = np.zeros(2, np.float32)
            return {
                "observations": seen,
                "next_observations": seen,
                "actions": np.zeros((2, 1), np.float32),
                "rewards": zeros,
                "terminals": zeros,
                "timeouts": zeros,
            }

    collected = rows_of_buffer(Buffer(), 1, normalisation)  # type: ignore[arg-type]
    np.testing.assert_array_equal(collected.raw.observations, raw)
