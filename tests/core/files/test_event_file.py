"""TensorBoard event files: what TensorBoard itself reads back."""

import math
import os
import resource
from pathlib import Path

import pytest

from pogo.core.files import event_file
from pogo.core.files.event_file import EventFile


def read_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """As TensorBoard shows them."""
    accumulator_module = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    accumulator = accumulator_module.EventAccumulator(str(folder))
    accumulator.Reload()
    return {
        tag: [(event.step, event.value) for event in accumulator.Scalars(tag)] for tag in accumulator.Tags()["scalars"]
    }


def write(folder: Path, purge_from: int, updates: range, value: float) -> Path:
    events = EventFile(folder, purge_from)
    for update in updates:
        events.scalars(update, {"train/loss": value, "train/q": -value})
    events.sync()
    events.close()
    return events.path


def test_the_checksum_is_crc_32c() -> None:
    # RFC 3720, appendix B.4: 32 zero bytes give 8A9136AA; then TensorFlow's mask.
    crc = 0x8A9136AA
    masked = ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF
    assert event_file._masked_crc(bytes(32)) == masked.to_bytes(4, "little")


def test_tensorboard_reads_it(tmp_path: Path) -> None:
    events = EventFile(tmp_path, 0)
    events.scalars(0, {"a": 0.5})
    events.scalars(2**40, {"a": math.inf, "é b": -1e300, "large": 10**400})
    events.scalars(2**40 + 1, {"a": math.nan})
    events.close()
    scalars = read_scalars(tmp_path)
    assert scalars["a"][:2] == [(0, 0.5), (2**40, math.inf)]
    assert math.isnan(scalars["a"][2][1])
    assert scalars["é b"] == [(2**40, -math.inf)]
    assert scalars["large"] == [(2**40, math.inf)]


def test_a_resumed_file_wins(tmp_path: Path) -> None:
    """Within one second too, where file names by time alone would collide."""
    first = write(tmp_path, 0, range(10), 1.0)
    second = write(tmp_path, 5, range(5, 8), 2.0)
    assert first != second
    assert read_scalars(tmp_path)["train/loss"] == [(step, 1.0 if step < 5 else 2.0) for step in range(8)]
    write(tmp_path, 0, range(2), 3.0)
    assert read_scalars(tmp_path)["train/loss"] == [(0, 3.0), (1, 3.0)]


def test_a_full_disk_is_told_at_once(tmp_path: Path) -> None:
    events = EventFile(tmp_path, 0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            events.scalars(1, {"a" * 5000: 1.0})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        events.close()
    assert os.path.getsize(events.path) == 4096
