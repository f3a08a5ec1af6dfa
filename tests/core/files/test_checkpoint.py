"""Checkpoints: whole or absent, whatever is killed, cut or flipped."""

import errno
import json
import logging
import math
import os
import random
import resource
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pogo.core.errors import BadInput, RunFailed
from pogo.core.files import checkpoint as checkpoint_module
from pogo.core.files.checkpoint import (
    ARRAYS,
    MANIFEST,
    RECORDS,
    CheckpointDamaged,
    CheckpointStore,
    NoGoodCheckpoint,
    load_newest_common,
)

FILES = (ARRAYS, RECORDS, MANIFEST)


def example_arrays(step: int) -> dict[str, np.ndarray]:
    return {
        "critic/hidden_0/kernel": np.random.default_rng(step).normal(size=(4, 3)).astype(np.float32),
        "adam/count": np.array(step, dtype=np.int32),
    }


def example_records(step: int) -> dict[str, object]:
    return {"counters": {"update": step, "rate": 0.1 + step}, "log": {"train.jsonl": 3 * step}}


def store_with(run_dir: Path, *steps: int, keep: int = 3) -> CheckpointStore:
    store = CheckpointStore(run_dir, keep=keep)
    for step in steps:
        store.save(step, example_arrays(step), example_records(step))
    return store


def assert_is_example(store: CheckpointStore, step: int) -> None:
    loaded = store.load(step)
    assert loaded.records == example_records(step)
    assert_same_arrays(loaded.arrays, example_arrays(step))


def assert_same_arrays(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    assert ours.keys() == theirs.keys()
    for name, array in theirs.items():
        assert ours[name].dtype == array.dtype.newbyteorder("="), name
        assert ours[name].shape == array.shape, name
        assert ours[name].tobytes() == np.asarray(array, dtype=ours[name].dtype).tobytes(), name


def names_below(run_dir: Path) -> list[str]:
    found = (str(path.relative_to(run_dir)) for path in run_dir.rglob("*"))
    return sorted(name for name in found if name != ".checkpointed")


# What goes in comes out.


def test_arrays_of_every_kind_come_back(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    arrays = {
        'weird "name"\n/\\é\x00 ☃': np.ones(2),
        "": np.zeros(1),
        "a/b": np.zeros(1),
        "../../escape": np.zeros(1),
        "scalar": np.array(1.5),
        "scalar_bool": np.array(True),
        "bool": np.array([True, False]),
        "bytes": rng.integers(0, 256, 7).astype(np.uint8),
        "int32": np.array([-(2**31), 2**31 - 1], np.int32),
        "int64": np.array([-(2**63), 2**63 - 1], np.int64),
        "uint64": np.array([2**64 - 1], np.uint64),
        "float16": rng.normal(size=3).astype(np.float16),
        "float32": rng.normal(size=(2, 3, 4)).astype(np.float32),
        "float64": np.array([math.nan, math.inf, -math.inf, -0.0, 5e-324]),
        "empty": np.zeros((0, 3), np.float32),
        "transposed": np.arange(6.0).reshape(2, 3).T,
        "strided": np.arange(10, dtype=np.int64)[::-2],
        "broadcast": np.broadcast_to(np.float32(2), (2, 2)),
        "big_endian": np.arange(4, dtype=">f4"),
        "big_endian_scalar": np.array(7, dtype=">i8"),
    }
    store = CheckpointStore(tmp_path)
    store.save(0, arrays, {})
    loaded = store.load(0).arrays
    assert_same_arrays(loaded, arrays)
    assert all(array.flags.writeable for array in loaded.values())


def test_no_arrays_and_no_records_come_back(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(0, {}, {})
    assert (store.load(0).arrays, store.load(0).records) == ({}, {})


def test_records_come_back_exactly(tmp_path: Path) -> None:
    records = {
        "floats": [0.1, 1 / 3, 5e-324, -0.0, 1e308, 2.0],
        "integers": [0, -1, 2**128 + 1],
        "others": {"none": None, "true": True, "text": 'é☃"\n\ud800', "": []},
        "non finite": [math.inf, -math.inf],
    }
    store = CheckpointStore(tmp_path)
    store.save(0, {}, records | {"nan": math.nan, "numpy": np.float32(0.1), "count": np.int64(3)})
    loaded = store.load(0).records
    assert math.isnan(loaded.pop("nan"))
    assert loaded.pop("numpy") == float(np.float32(0.1))
    assert loaded.pop("count") == 3
    assert loaded == records
    assert math.copysign(1, loaded["floats"][3]) == -1
    assert isinstance(loaded["floats"][5], float)


def test_records_are_strict_json(tmp_path: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is not JSON")

    path = CheckpointStore(tmp_path).save(0, {}, {"a": math.nan})
    json.loads((path / RECORDS).read_text(), parse_constant=refuse)


def test_equal_contents_are_equal_bytes(tmp_path: Path) -> None:
    arrays, records = example_arrays(1) | {f"n{i}": np.full(2, i) for i in range(50)}, example_records(1)
    first = CheckpointStore(tmp_path / "a").save(5, arrays, records)
    second = CheckpointStore(tmp_path / "b").save(5, dict(reversed(arrays.items())), dict(reversed(records.items())))
    for name in FILES:
        assert (first / name).read_bytes() == (second / name).read_bytes()


@pytest.mark.parametrize(
    ("arrays", "records", "error", "match"),
    [
        ({"a": np.array([object()])}, {}, TypeError, "'a' has dtype object"),
        ({"a": np.array(["x"])}, {}, TypeError, "'a' has dtype"),
        ({"a": np.zeros(1, np.longdouble)}, {}, TypeError, "'a' has dtype"),
        ({"__metadata__": np.zeros(1)}, {}, ValueError, "__metadata__"),
        ({"\ud800": np.zeros(1)}, {}, ValueError, "cannot be stored"),
        ({}, {"rng": {"key": np.zeros(2)}}, TypeError, "records/rng/key must be one real number, got an array"),
        ({}, {"rng": {1: 2}}, TypeError, "records/rng has the key 1"),
        ({}, {"rng": [{"$float": "nan"}]}, ValueError, "\\$float"),
        ({}, {"rng": b"raw"}, TypeError, "records/rng"),
    ],
)
def test_what_has_no_form_in_the_file_is_refused(
    tmp_path: Path, arrays: dict, records: dict, error: type[Exception], match: str
) -> None:
    with pytest.raises(error, match=match):
        CheckpointStore(tmp_path).save(0, arrays, records)
    assert names_below(tmp_path) == []


@pytest.mark.parametrize("step", [-1, 10**9])
def test_steps_outside_nine_digits_are_refused(tmp_path: Path, step: int) -> None:
    with pytest.raises(ValueError, match="checkpoint step"):
        CheckpointStore(tmp_path).save(step, {}, {})


def test_keep_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="at least 1"):
        CheckpointStore(tmp_path, keep=0)


# The folder.


def test_the_newest_are_kept_and_nothing_else_is_left(tmp_path: Path) -> None:
    store = store_with(tmp_path, 10, 20, 30, 40, keep=2)
    assert store.steps() == [30, 40]
    assert names_below(tmp_path) == [
        "checkpoints",
        *(f"checkpoints/0000000{step}{name}" for step in (30, 40) for name in ("", *(f"/{f}" for f in sorted(FILES)))),
    ]
    newest = store.load_newest()
    assert newest is not None
    assert newest.step == 40
    assert newest.path == tmp_path / "checkpoints" / "000000040"


def test_the_saved_one_is_kept_although_newer_ones_exist(tmp_path: Path) -> None:
    store_with(tmp_path, 30, 40)
    store = store_with(tmp_path, 10, keep=1)
    assert store.steps() == [10, 40]


def test_a_step_is_replaced(tmp_path: Path) -> None:
    store = store_with(tmp_path, 10, 20)
    store.save(20, example_arrays(7), example_records(7))
    assert_same_arrays(store.load(20).arrays, example_arrays(7))
    assert store.steps() == [10, 20]
    assert sorted(os.listdir(tmp_path)) == [".checkpointed", "checkpoints"]


@pytest.mark.parametrize("kill_at", [1, 2, 3, 4])
def test_replacing_is_safe_at_every_rename(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int) -> None:
    class Killed(BaseException):
        pass

    store_with(tmp_path, 20)
    moves = 0
    move = os.rename

    def rename(source: Path, target: Path) -> None:
        nonlocal moves
        moves += 1
        if moves == kill_at:
            raise Killed
        move(source, target)

    monkeypatch.setattr(os, "rename", rename)
    store = CheckpointStore(tmp_path, keep=1)
    try:
        store.save(20, example_arrays(7), example_records(7))
    except Killed:
        assert kill_at < 4
    else:
        assert kill_at == 4, "a replacement takes three renames"
    monkeypatch.undo()
    after = CheckpointStore(tmp_path, keep=1)
    assert after.steps() == [20]
    assert_same_arrays(after.load(20).arrays, example_arrays(20 if kill_at < 3 else 7))
    after.save(30, example_arrays(30), example_records(30))
    assert names_below(tmp_path)[:2] == ["checkpoints", "checkpoints/000000030"]
    assert sorted(os.listdir(tmp_path)) == [".checkpointed", "checkpoints"]


def test_nothing_committed_is_none(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path).load_newest() is None
    assert CheckpointStore(tmp_path / "missing").load_newest() is None
    (tmp_path / "checkpoints").mkdir()
    assert CheckpointStore(tmp_path).load_newest() is None
    assert CheckpointStore(tmp_path).steps() == []


def test_other_names_are_not_checkpoints(tmp_path: Path) -> None:
    store = store_with(tmp_path, 10)
    for name in ("latest", "10", "0000000100", "000000020.new-00000000", "٠٠٠٠٠٠٠٢٠"):
        (tmp_path / "checkpoints" / name).mkdir()
    assert store.steps() == [10]


def test_a_missing_step_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no checkpoint 5\. It has: 10, 20"):
        store_with(tmp_path, 10, 20).load(5)


# Damage.


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[logging.LogRecord]]:
    records: list[logging.LogRecord] = []
    handler = logging.Handler(logging.WARNING)
    monkeypatch.setattr(handler, "emit", records.append)
    logging.getLogger("pogo").addHandler(handler)
    yield records
    logging.getLogger("pogo").removeHandler(handler)


def assert_falls_back(store: CheckpointStore, warnings: list[logging.LogRecord], bad: int, good: int) -> None:
    """The damaged newest one is set aside with one warning, and the previous one loads; then it is put back."""
    warnings.clear()
    loaded = store.load_newest()
    assert loaded is not None
    assert loaded.step == good
    assert len(warnings) == 1, [record.getMessage() for record in warnings]
    assert f"{bad:09d} is damaged" in warnings[0].getMessage()
    assert f"{bad:09d}" not in os.listdir(store.folder)
    (aside,) = store.damaged_folder.iterdir()
    aside.rename(store.folder / f"{bad:09d}")


@pytest.mark.parametrize("name", FILES)
def test_every_flipped_byte_is_caught(tmp_path: Path, warnings: list[logging.LogRecord], name: str) -> None:
    store = store_with(tmp_path, 10, 20)
    path = store.folder / "000000020" / name
    whole = path.read_bytes()
    for index in range(len(whole)):
        for flip in (1 << index % 8, 0xFF):
            path.write_bytes(whole[:index] + bytes([whole[index] ^ flip]) + whole[index + 1 :])
            assert_falls_back(store, warnings, bad=20, good=10)
    path.write_bytes(whole)
    assert_is_example(store, 20)


@pytest.mark.parametrize("name", FILES)
def test_every_truncation_is_caught(tmp_path: Path, warnings: list[logging.LogRecord], name: str) -> None:
    store = store_with(tmp_path, 10, 20)
    path = store.folder / "000000020" / name
    whole = path.read_bytes()
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        assert_falls_back(store, warnings, bad=20, good=10)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("tail", [b" ", b"\n", b"\x00", b"x" * 100_000])
def test_appended_bytes_are_caught(tmp_path: Path, warnings: list[logging.LogRecord], name: str, tail: bytes) -> None:
    store = store_with(tmp_path, 10, 20)
    with (store.folder / "000000020" / name).open("ab") as file:
        file.write(tail)
    assert_falls_back(store, warnings, bad=20, good=10)


@pytest.mark.parametrize("rewritten", ["indented", "unsorted", "other digits"])
def test_a_manifest_that_says_the_same_in_other_bytes_is_caught(tmp_path: Path, rewritten: str) -> None:
    store = store_with(tmp_path, 10)
    path = store.folder / "000000010" / MANIFEST
    document = json.loads(path.read_text())
    text = {
        "indented": json.dumps(document, indent=1, sort_keys=True),
        "unsorted": json.dumps(dict(reversed(document.items())), separators=(",", ":")),
        "other digits": path.read_text().replace('"step":10', '"step":1e1'),
    }[rewritten]
    path.write_text(text + "\n" * (not text.endswith("\n")))
    with pytest.raises(CheckpointDamaged, match=MANIFEST):
        store.load(10)


@pytest.mark.parametrize("name", FILES)
def test_missing_and_extra_files_are_caught(tmp_path: Path, warnings: list[logging.LogRecord], name: str) -> None:
    store = store_with(tmp_path, 10, 20)
    path = store.folder / "000000020" / name
    path.rename(tmp_path / "away")
    assert_falls_back(store, warnings, bad=20, good=10)
    (tmp_path / "away").rename(path)
    (path.parent / "extra").touch()
    assert_falls_back(store, warnings, bad=20, good=10)


def test_an_empty_folder_and_a_file_in_its_place_are_caught(tmp_path: Path, warnings: list[logging.LogRecord]) -> None:
    store = store_with(tmp_path, 10)
    (store.folder / "000000030").mkdir()
    assert_falls_back(store, warnings, bad=30, good=10)
    (store.folder / "000000030").rmdir()
    (store.folder / "000000030").write_text("not a folder")
    assert_falls_back(store, warnings, bad=30, good=10)


def test_a_folder_under_another_step_is_caught(tmp_path: Path, warnings: list[logging.LogRecord]) -> None:
    store = store_with(tmp_path, 10, 20)
    (store.folder / "000000020").rename(store.folder / "000000030")
    assert_falls_back(store, warnings, bad=30, good=10)


def test_files_of_two_checkpoints_mixed_are_caught(tmp_path: Path, warnings: list[logging.LogRecord]) -> None:
    store = store_with(tmp_path, 10, 20, 30)
    shutil.copy(store.folder / "000000020" / ARRAYS, store.folder / "000000030" / ARRAYS)
    assert_falls_back(store, warnings, bad=30, good=20)


@pytest.mark.parametrize("name", FILES)
def test_symbolic_links_are_refused(tmp_path: Path, warnings: list[logging.LogRecord], name: str) -> None:
    store = store_with(tmp_path, 10, 20)
    path = store.folder / "000000020" / name
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")  # the right bytes, reached through a link
    assert_falls_back(store, warnings, bad=20, good=10)


def test_a_linked_folder_is_refused(tmp_path: Path, warnings: list[logging.LogRecord]) -> None:
    store = store_with(tmp_path, 10, 20)
    (store.folder / "000000020").rename(tmp_path / "elsewhere")
    (store.folder / "000000020").symlink_to(tmp_path / "elsewhere")
    assert_falls_back(store, warnings, bad=20, good=10)
    assert sorted(os.listdir(tmp_path / "elsewhere")) == sorted(FILES)


def test_clearing_up_does_not_follow_links(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "000000001.new-00000000").mkdir(parents=True)
    store = store_with(tmp_path / "run", 10)
    (tmp_path / "run" / "partial").symlink_to(precious)
    with pytest.raises(RunFailed, match="symbolic link"):
        store.save(20, {}, {})
    assert (precious / "000000001.new-00000000").is_dir()
    assert_is_example(store, 10)


def test_a_pipe_in_a_files_place_does_not_hang(tmp_path: Path, warnings: list[logging.LogRecord]) -> None:
    store = store_with(tmp_path, 10, 20)
    path = store.folder / "000000020" / ARRAYS
    path.unlink()
    os.mkfifo(path)
    assert_falls_back(store, warnings, bad=20, good=10)


def test_pickled_arrays_are_not_read(tmp_path: Path) -> None:
    """A well-sealed checkpoint whose arrays are a pickle: its digest is right, its form is not."""
    store = store_with(tmp_path, 10)
    folder = store.folder / "000000010"
    contents = {ARRAYS: b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00", RECORDS: (folder / RECORDS).read_bytes()}
    (folder / ARRAYS).write_bytes(contents[ARRAYS])
    (folder / MANIFEST).write_bytes(checkpoint_module._manifest_bytes(10, contents))
    with pytest.raises(CheckpointDamaged, match="000000010"):
        store.load(10)


def test_another_format_is_not_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint_module, "FORMAT_VERSION", 2)
    store = store_with(tmp_path, 10)
    monkeypatch.undo()
    with pytest.raises(BadInput, match="resume with the version that wrote it") as caught:
        store.load_newest()
    assert not isinstance(caught.value, CheckpointDamaged)
    assert store.steps() == [10]


def test_none_good_is_an_error_also_the_next_time(tmp_path: Path, warnings: list[logging.LogRecord]) -> None:
    store = store_with(tmp_path, 10, 20)
    for step in (10, 20):
        (store.folder / f"{step:09d}" / MANIFEST).unlink()
    with pytest.raises(NoGoodCheckpoint, match="none is good"):
        store.load_newest()
    assert len(warnings) == 2
    assert sorted(os.listdir(store.damaged_folder)) == ["000000010", "000000020"]
    with pytest.raises(NoGoodCheckpoint, match="none is good"):  # never a silent fresh start
        CheckpointStore(tmp_path).load_newest()


def test_a_step_may_be_damaged_twice(tmp_path: Path) -> None:
    for _ in range(3):
        store = store_with(tmp_path, 10, 20)
        (store.folder / "000000020" / RECORDS).write_bytes(b"")
        newest = store.load_newest()
        assert newest is not None
        assert newest.step == 10
    assert sorted(os.listdir(tmp_path / "damaged")) == ["000000020", "000000020.2", "000000020.3"]


def test_a_reader_moves_nothing(tmp_path: Path, warnings: list[logging.LogRecord]) -> None:
    store = store_with(tmp_path, 10, 20)
    (store.folder / "000000020" / RECORDS).write_bytes(b"")
    before = names_below(tmp_path)
    newest = store.load_newest(set_aside=False)
    assert newest is not None
    assert newest.step == 10
    assert names_below(tmp_path) == before
    assert len(warnings) == 1


def test_a_reader_follows_a_run_that_deletes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: list[logging.LogRecord]
) -> None:
    store = store_with(tmp_path, 10, keep=1)
    verified = checkpoint_module._verified_contents

    def overtaken(path: Path, step: int) -> dict[str, bytes]:
        if step == 10:
            store_with(tmp_path, 20, keep=1)
        return verified(path, step)

    monkeypatch.setattr(checkpoint_module, "_verified_contents", overtaken)
    newest = store.load_newest(set_aside=False)
    assert newest is not None
    assert newest.step == 20
    assert not warnings


def test_an_unreadable_checkpoint_is_not_moved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = store_with(tmp_path, 10, 20)

    def refuse(*_: object) -> dict[str, bytes]:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), MANIFEST)

    monkeypatch.setattr(checkpoint_module, "_verified_contents", refuse)
    with pytest.raises(RunFailed, match=r"could not be read: .*Too many open files"):
        store.load_newest()
    assert store.steps() == [10, 20]


# Failed saves.


def test_a_full_disk_leaves_the_earlier_ones(tmp_path: Path) -> None:
    store = store_with(tmp_path, 10, 20)
    before = names_below(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))  # the 4097th byte of a file is refused
    try:
        with pytest.raises(RunFailed, match=r"000000030 could not be written: .*File too large") as caught:
            store.save(30, {"a": np.zeros(1000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert isinstance(caught.value.__cause__, OSError)
    assert names_below(tmp_path) == before
    assert_is_example(store, 20)


@pytest.mark.parametrize("step", [20, 30])
@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync", "rename"])
def test_a_save_that_fails_anywhere_leaves_the_earlier_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, step: int
) -> None:
    original = getattr(os, call)
    for failing in range(1, 40):
        run_dir = tmp_path / str(failing)
        store = store_with(run_dir, 10, 20)
        calls = 0

        def sometimes(*args: object, failing: int = failing, **kwargs: object) -> object:
            nonlocal calls
            calls += 1
            if calls == failing:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return original(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(os, call, sometimes)
            saved = True
            try:
                store.save(step, example_arrays(7), example_records(7))
            except RunFailed as exc:
                assert "No space left" in str(exc)  # noqa: PT017 - the last round raises nothing
                saved = "older ones could not be removed" in str(exc)
        assert {*store.steps()} >= ({10, 20, step} if saved else {10, 20})
        assert all(name.isdigit() for name in os.listdir(store.folder))
        for other in store.steps():
            # A save that failed after its last rename has left the new one, whole.
            allowed = {7} if other == step and saved else {other, 7} if other == step else {other}
            assert store.load(other).records in [example_records(number) for number in allowed]
        if calls < failing:
            assert failing > 1, f"a save never calls os.{call}"
            return
    raise AssertionError(f"a save calls os.{call} without end")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_without_permission_is_named(tmp_path: Path) -> None:
    store = store_with(tmp_path, 10)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(RunFailed, match="Permission denied"):
            store.save(20, {}, {})
    finally:
        tmp_path.chmod(0o700)
    assert_is_example(store, 10)


def test_leftovers_of_a_killed_write_are_cleared_by_the_next(tmp_path: Path) -> None:
    leftover = tmp_path / "partial" / "000000030.new-0123abcd"
    leftover.mkdir(parents=True)
    (leftover / ARRAYS).write_bytes(b"half")
    (tmp_path / "partial" / "notes.txt").write_text("the user's")
    store = store_with(tmp_path, 30)
    assert os.listdir(tmp_path / "partial") == ["notes.txt"]
    assert_is_example(store, 30)


# Kill -9.


def save_until_killed(run_dir: Path) -> None:
    store = CheckpointStore(run_dir, keep=2)
    step = (store.steps() or [0])[-1]
    while True:
        store.save(step, example_arrays(step), example_records(step))  # on a second start this one is replaced
        sys.stdout.write(f"{step}\n")
        sys.stdout.flush()
        step += 1


def kill_while_saving(run_dir: Path, delay: float) -> int:
    """Save in another process, kill it `delay` seconds after its first checkpoint, return the last step it reported."""
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[3])}
    command = [sys.executable, __file__, str(run_dir)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        reported = [first, *process.stdout.readlines()]
    whole = [line for line in reported if line.endswith("\n")]
    return int(whole[-1])


def assert_survives_kills(run_dir: Path, kills: int) -> None:
    rng = random.Random(0)
    for _ in range(kills):
        reported = kill_while_saving(run_dir, delay=rng.uniform(0, 0.05))
        store = CheckpointStore(run_dir, keep=2)
        for name in os.listdir(store.folder):
            assert len(name) == 9
            assert name.isdigit()
            assert_is_example(store, int(name))
        newest = store.load_newest()
        assert newest is not None
        assert newest.step >= reported, "a checkpoint that was reported as saved is lost"
        assert newest.records == example_records(newest.step)
        assert not store.damaged_folder.exists()


def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    assert_survives_kills(tmp_path, kills=8)


@pytest.mark.slow
def test_many_kill_9_lose_nothing(tmp_path: Path) -> None:
    assert_survives_kills(tmp_path, kills=300)


if __name__ == "__main__":
    save_until_killed(Path(sys.argv[1]))


# What is not there any more, and what is no checkpoint.


@pytest.mark.parametrize("how", ["deleted", "emptied"])
def test_checkpoints_that_are_gone_are_not_taken_for_none_made_yet(tmp_path: Path, how: str) -> None:
    store = store_with(tmp_path, 1, 2)
    shutil.rmtree(store.folder)
    if how == "emptied":
        store.folder.mkdir()
    for read in (store.load_newest, store.check_not_lost, lambda: load_newest_common([store])):
        with pytest.raises(
            NoGoodCheckpoint, match="has had checkpoints, and checkpoints/ is gone or empty: put it back"
        ):
            read()
    assert CheckpointStore(tmp_path / "new").load_newest() is None


def test_a_run_that_begins_again_has_had_none(tmp_path: Path) -> None:
    store = store_with(tmp_path, 1, 2)
    store.begin_again()
    assert store.steps() == []
    assert store.load_newest() is None


def test_an_older_checkpoint_stays_until_it_is_to_go(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    for step in (1, 2):
        store.save(step, example_arrays(step), example_records(step), prune=False)
    assert store.steps() == [1, 2]
    store.prune()
    assert store.steps() == [2]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["folder", "pipe", "link", "socket"])
def test_what_is_no_file_in_a_files_place_is_damage(tmp_path: Path, name: str, kind: str) -> None:
    store = store_with(tmp_path, 1, 2)
    path = store.folder / "000000002" / name
    path.unlink()
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to("/dev/zero")
    else:
        os.mknod(path, 0o600 | stat.S_IFSOCK)
    with pytest.raises(CheckpointDamaged):
        store.load(2)
    loaded = store.load_newest()
    assert loaded is not None
    assert loaded.step == 1
    assert store.steps() == [1]


@pytest.mark.parametrize(
    "name", ["0000030", "000000030 ", "000000030.bak", "00000003\N{ARABIC-INDIC DIGIT TWO}", "+00000030"]
)
def test_a_folder_of_another_name_is_no_checkpoint(tmp_path: Path, name: str) -> None:
    store = store_with(tmp_path, 1, 2)
    shutil.copytree(store.folder / "000000002", store.folder / name)
    assert store.steps() == [1, 2]
    with pytest.raises(BadInput, match="has no checkpoint 30"):
        store.load(30)
    loaded = store.load_newest()
    assert loaded is not None
    assert loaded.step == 2
    for step in (3, 4, 5):
        store.save(step, example_arrays(step), example_records(step))
    assert store.steps() == [3, 4, 5]
    assert (store.folder / name).is_dir()  # whatever it is, it is not pogo's to delete
