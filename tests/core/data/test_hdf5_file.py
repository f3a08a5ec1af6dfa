import math
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pogo.core.data.hdf5_file import read_hdf5
from pogo.core.errors import BadInput

ROWS = 10
Edit = Callable[[h5py.File], object]


@pytest.fixture
def make_file(tmp_path: Path) -> Callable[..., Path]:
    def make(edit: Edit | None = None, **replaced: object) -> Path:
        rng = np.random.default_rng(0)
        arrays = {
            "observations": rng.normal(size=(ROWS, 3)).astype(np.float32),
            "next_observations": rng.normal(size=(ROWS, 3)).astype(np.float32),
            "actions": rng.uniform(-1, 1, (ROWS, 2)).astype(np.float32),
            "rewards": np.arange(ROWS, dtype=np.float32),
            "terminals": np.arange(ROWS) == 4,
            "timeouts": np.arange(ROWS) == 9,
        }
        path = tmp_path / "data.hdf5"
        with h5py.File(path, "w") as file:
            for key, array in (arrays | replaced).items():
                if array is not None:
                    file[key] = array
            if edit is not None:
                edit(file)
        return path

    return make


@pytest.mark.parametrize("float_type", ["float32", "float64", "float16", ">f4"])
@pytest.mark.parametrize("flag_type", ["bool", "uint8", "float32", "float64", "int64"])
@pytest.mark.parametrize("columns", [False, True])
@pytest.mark.parametrize("compression", [None, "gzip"])
def test_every_variant_of_the_layout_reads_the_same(
    tmp_path: Path, float_type: str, flag_type: str, columns: bool, compression: str | None
) -> None:
    rng = np.random.default_rng(0)
    floats = {key: rng.normal(size=shape) for key, shape in {"observations": (ROWS, 3), "actions": (ROWS, 2)}.items()}
    floats["rewards"] = rng.normal(size=(ROWS, 1) if columns else ROWS)
    flags = {"terminals": np.arange(ROWS) % 4 == 3, "timeouts": np.arange(ROWS) == 5}
    with h5py.File(tmp_path / "data.hdf5", "w") as file:
        for key, array in floats.items():
            file.create_dataset(key, data=array.astype(float_type), compression=compression)
        for key, array in flags.items():
            shaped = array.reshape(-1, 1) if columns else array
            file.create_dataset(key, data=shaped.astype(flag_type), compression=compression)
        file["infos/qpos"] = np.zeros((3, 3))  # lengths of what is not read do not matter
        file["metadata/algorithm"] = "SAC"
    raw, _ = read_hdf5(tmp_path / "data.hdf5", 1.0, with_next_observations=True)
    for key, array in floats.items():
        expected = array.astype(float_type).astype(np.float32)
        np.testing.assert_array_equal(getattr(raw, key), expected.reshape(-1) if key == "rewards" else expected)
        assert getattr(raw, key).dtype == np.float32
    for key, array in flags.items():
        np.testing.assert_array_equal(getattr(raw, key), array)
        assert getattr(raw, key).dtype == np.bool_
    assert raw.next_observations is None


def test_next_observations_are_read_only_when_asked_for(make_file: Callable[..., Path]) -> None:
    path = make_file()
    assert read_hdf5(path, 1.0, with_next_observations=False)[0].next_observations is None
    assert read_hdf5(path, 1.0, with_next_observations=True)[0].next_observations is not None


def test_a_file_without_timeouts_has_none(make_file: Callable[..., Path]) -> None:
    assert read_hdf5(make_file(timeouts=None), 1.0, with_next_observations=False)[0].timeouts is None


def test_metadata_is_read_and_what_is_unknown_ignored(make_file: Callable[..., Path]) -> None:
    def edit(file: h5py.File) -> None:
        attributes = file.create_group("metadata").attrs
        attributes["env_id"] = "Pendulum-v1"
        attributes["action_low"] = np.array([-2.0, -1.0], dtype=np.float32)
        attributes["ref_min_score"] = -5.5
        attributes["max_episode_steps"] = np.int64(200)
        attributes["note"] = "x" * 100

    metadata = read_hdf5(make_file(edit), 1.0, with_next_observations=False)[1]
    assert (metadata.env_id, metadata.action_low, metadata.action_high) == ("Pendulum-v1", (-2.0, -1.0), None)
    assert (metadata.ref_min_score, metadata.ref_max_score, metadata.max_episode_steps) == (-5.5, None, 200)


def with_value(array: np.ndarray, index: tuple[int, ...] | int, value: float) -> np.ndarray:
    array = array.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"rewards": None}, r"no rewards; it holds actions, next_observations, observations, terminals, timeouts\. D4"),
        ({"rewards": None, "reward": np.zeros(ROWS)}, r"no rewards; it holds actions, .*reward, terminals"),
        ({"rewards": np.zeros(9)}, r"rewards has shape \(9,\), but observations has 10 rows"),
        ({"rewards": np.zeros((ROWS, 2))}, r"rewards has shape \(10, 2\), expected \(10,\) or \(10, 1\)"),
        ({"timeouts": np.zeros(11)}, r"timeouts has shape \(11,\), but observations has 10 rows"),
        ({"actions": np.zeros((ROWS, 2, 1))}, r"actions has shape \(10, 2, 1\), expected \[rows, size\]"),
        ({"actions": np.zeros((ROWS, 0))}, r"actions has shape \(10, 0\), expected \[rows, size\]"),
        ({"observations": np.zeros((ROWS, 3, 3))}, r"observations has shape \(10, 3, 3\), expected \[rows, size\]"),
        ({"observations": np.float32(1)}, r"observations has shape \(\): no rows"),
        ({"observations": np.zeros((0, 3))}, r"observations has shape \(0, 3\): no rows"),
        ({"next_observations": np.zeros((ROWS, 4))}, r"next_observations has shape \(10, 4\), but obs"),
        ({"rewards": with_value(np.zeros(ROWS), 3, math.nan)}, r"rewards holds nan at row 3 \(1 such values\)"),
        ({"observations": with_value(np.zeros((ROWS, 3)), (7, 1), -math.inf)}, r"observations holds -inf at row 7"),
        ({"actions": with_value(np.zeros((ROWS, 2)), (2, 0), 1e300)}, r"actions holds inf at row 2"),
        ({"terminals": with_value(np.zeros(ROWS), 6, 0.5)}, r"terminals holds 0.5 at row 6; it marks ends with 0 or 1"),
        ({"terminals": with_value(np.zeros(ROWS), 6, math.nan)}, r"terminals holds nan at row 6"),
        ({"timeouts": np.full(ROWS, 2, np.uint8)}, r"timeouts holds 2 at row 0"),
        ({"rewards": np.full(ROWS, b"abc")}, r"rewards has type \|S3, expected plain numbers"),
        ({"rewards": np.zeros(ROWS, complex)}, r"rewards has type complex128, expected plain numbers"),
        ({"rewards": np.zeros(ROWS, [("a", "f4"), ("b", "i4")])}, r"rewards has type .*expected plain numbers"),
        ({"rewards": h5py.Empty("f4")}, r"rewards is empty, expected an array"),
        ({"rewards": h5py.SoftLink("/actions")}, r"rewards is a link, which could point to any file"),
        ({"rewards": h5py.ExternalLink("/etc/passwd", "/x")}, r"rewards is a link, which could point to any file"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_name(
    make_file: Callable[..., Path], replaced: dict, message: str
) -> None:
    path = make_file(**replaced)
    with pytest.raises(BadInput, match=rf"data\.hdf5: {message}") as caught:
        read_hdf5(path, 1.0, with_next_observations=True)
    assert "\n" not in str(caught.value)


def text_of_any_length(file: h5py.File) -> None:
    file.create_dataset("rewards", shape=(ROWS,), dtype=h5py.string_dtype())


def objects(file: h5py.File) -> None:
    file.create_dataset("rewards", shape=(ROWS,), dtype=h5py.ref_dtype)


def values_in_another_file(file: h5py.File) -> None:
    file.create_dataset("rewards", shape=(ROWS,), dtype="f4", external=[("/etc/passwd", 0, 4 * ROWS)])


def values_of_another_dataset(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(ROWS,), dtype="f4")
    layout[:] = h5py.VirtualSource("other.hdf5", "x", shape=(ROWS,))
    file.create_virtual_dataset("rewards", layout)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (text_of_any_length, "rewards has type object"),
        (objects, "rewards has type object"),
        (values_in_another_file, "rewards keeps its values in other files"),
        (values_of_another_dataset, "rewards keeps its values in other files"),
        (lambda file: file.create_group("rewards"), "rewards is a group, expected an array"),
    ],
)
def test_hostile_datasets_are_refused(make_file: Callable[..., Path], edit: Edit, message: str) -> None:
    with pytest.raises(BadInput, match=message):
        read_hdf5(make_file(edit, rewards=None), 1.0, with_next_observations=False)


def test_sizes_are_checked_before_reading(make_file: Callable[..., Path]) -> None:
    def edit(file: h5py.File) -> None:  # 4 TiB on paper, a few bytes on disk
        for key, size in {"observations": 1000, "actions": 1}.items():
            file.create_dataset(key, shape=(10**9, size), dtype="f4", chunks=(1000, 1), compression="gzip")
        for key in ("rewards", "terminals"):
            file.create_dataset(key, shape=(10**9,), dtype="f4", chunks=(1000,))

    empty = dict.fromkeys(["observations", "next_observations", "actions", "rewards", "terminals", "timeouts"])
    path = make_file(edit, **empty)
    with pytest.raises(BadInput, match=r"data.hdf5: 3.74e\+03 GiB is above the limit dataset.max_gib=8"):
        read_hdf5(path, 8.0, with_next_observations=False)


def test_chunks_larger_than_the_array_count(make_file: Callable[..., Path]) -> None:
    def edit(file: h5py.File) -> None:
        file.create_dataset("rewards", shape=(ROWS,), maxshape=(None,), dtype="f4", chunks=(2**29,), compression="gzip")

    with pytest.raises(BadInput, match="GiB is above the limit"):
        read_hdf5(make_file(edit, rewards=None), 1.0, with_next_observations=False)


def test_files_that_are_not_hdf5_are_refused(tmp_path: Path, make_file: Callable[..., Path]) -> None:
    with pytest.raises(BadInput, match=r"nothing.hdf5: no such file; check dataset.path"):
        read_hdf5(tmp_path / "nothing.hdf5", 1.0, with_next_observations=False)
    with pytest.raises(BadInput, match="not a readable HDF5 file"):
        read_hdf5(tmp_path, 1.0, with_next_observations=False)
    text = tmp_path / "text.hdf5"
    text.write_text("<html>404</html>")
    with pytest.raises(BadInput, match=r"text.hdf5: not a readable HDF5 file .*fetch it again"):
        read_hdf5(text, 1.0, with_next_observations=False)
    whole = make_file().read_bytes()
    for share in (0.05, 0.5, 0.95):
        cut = tmp_path / "cut.hdf5"
        cut.write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(BadInput, match=r"cut.hdf5: .*fetch it again"):
            read_hdf5(cut, 1.0, with_next_observations=False)


def test_flipped_bytes_never_escape_as_another_error(tmp_path: Path, make_file: Callable[..., Path]) -> None:
    """Damage gives BadInput or passes unseen (the digest's part); it never crashes."""
    whole = make_file().read_bytes()
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for position in rng.integers(0, len(whole), 3):
            damaged[position] ^= 1 << int(rng.integers(8))
        path = tmp_path / "damaged.hdf5"
        path.write_bytes(damaged)
        try:
            read_hdf5(path, 1.0, with_next_observations=True)
        except BadInput:
            refused += 1
    assert refused > 30


def test_metadata_of_a_wrong_type_is_refused(make_file: Callable[..., Path]) -> None:
    def edit(file: h5py.File) -> None:
        file.create_group("metadata").attrs["ref_min_score"] = "low"

    with pytest.raises(BadInput, match="metadata attribute ref_min_score = 'low' is not of the expected type"):
        read_hdf5(make_file(edit), 1.0, with_next_observations=False)


def test_settings_of_the_environment_are_read(make_file: Callable[..., Path]) -> None:
    def edit(file: h5py.File) -> None:
        file.create_group("metadata").attrs["env_kwargs"] = '{"use_contact_forces": true, "frame_skip": 5}'

    metadata = read_hdf5(make_file(edit), 1.0, with_next_observations=False)[1]
    assert metadata.env_kwargs == {"use_contact_forces": True, "frame_skip": 5}


@pytest.mark.parametrize("text", ["no JSON", "[1]", '{"xml_file": "/etc/passwd"}', '{"a": {"b": 1}}', '{"a": null}'])
def test_other_settings_of_the_environment_are_refused(make_file: Callable[..., Path], text: str) -> None:
    """A text could name a file for the simulator to load."""

    def edit(file: h5py.File) -> None:
        file.create_group("metadata").attrs["env_kwargs"] = text

    with pytest.raises(BadInput, match="metadata attribute env_kwargs"):
        read_hdf5(make_file(edit), 1.0, with_next_observations=False)


def test_metadata_behind_a_link_is_not_followed(make_file: Callable[..., Path]) -> None:
    def edit(file: h5py.File) -> None:
        file["metadata"] = h5py.ExternalLink("/etc/passwd", "/x")

    assert read_hdf5(make_file(edit), 1.0, with_next_observations=False)[1].env_id is None
