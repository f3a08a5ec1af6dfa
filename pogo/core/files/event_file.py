"""TensorBoard event files, written at once, by the thread that logs.

tensorboardX's SummaryWriter writes from a thread of its own: on a full disk that thread dies and the next calls wait
for it for ever; and importing tensorboardX imports torch wherever it is installed, on a JAX run too. Scalars and images
need five protobuf messages, so they are encoded here (tensorflow/core/util/event.proto, framework/summary.proto, and
the record format of tensorflow/core/lib/io/record_writer.h).
"""

import os
import re
import socket
import struct
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from pogo.core.files.durable import write_all

_NAME = re.compile(r"events[.]out[.]tfevents[.]([0-9]{10})[.](.*)")
_VARINT, _EIGHT_BYTES, _BYTES, _FOUR_BYTES = 0, 1, 2, 5  # protobuf wire types
_SESSION_START = 1
_RGB = 3  # channels


def host_of(names: Iterable[str]) -> str | None:
    """The machine that wrote the newest of these files, of a run's folder; None where none is an event file."""
    found = [(found[1], found[2]) for name in names if (found := _NAME.fullmatch(name))]
    return max(found)[1] if found else None


class EventFile:
    """One new event file in a folder. Its every method may raise OSError."""

    def __init__(self, folder: Path, purge_from: int) -> None:
        """Open a file after those already there, and have TensorBoard drop their events from update `purge_from` on.

        TensorBoard reads the files of a folder in the order of their names, which begin with a time in seconds: one
        that starts within the second of the last gets the next.
        """
        earlier = [int(found[1]) for name in os.listdir(folder) if (found := _NAME.fullmatch(name))]
        started = max([int(time.time()), *(second + 1 for second in earlier)])
        self.path = folder / f"events.out.tfevents.{started:010d}.{socket.gethostname()}"
        self._descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._write(_field(3, _BYTES, b"brain.Event:2"))
        if earlier:
            start = _field(1, _VARINT, _varint(_SESSION_START))
            self._write(_field(2, _VARINT, _varint(purge_from)) + _field(7, _BYTES, start))

    def scalars(self, update: int, values: Mapping[str, float]) -> None:
        """Add one event with a scalar per tag; beyond float32's range they are infinite."""
        summary = b""
        for tag, value in values.items():
            encoded = _field(1, _BYTES, tag.encode(errors="backslashreplace")) + _field(2, _FOUR_BYTES, _float32(value))
            summary += _field(1, _BYTES, encoded)
        self._write(_field(2, _VARINT, _varint(update)) + _field(5, _BYTES, summary))

    def image(self, update: int, tag: str, encoded: bytes, size: tuple[int, int]) -> None:
        """Add one event with an encoded image (PNG, or a GIF that moves) of this height and width."""
        numbers = _field(1, _VARINT, _varint(size[0])) + _field(2, _VARINT, _varint(size[1]))
        numbers += _field(3, _VARINT, _varint(_RGB))
        value = _field(1, _BYTES, tag.encode()) + _field(4, _BYTES, numbers + _field(4, _BYTES, encoded))
        self._write(_field(2, _VARINT, _varint(update)) + _field(5, _BYTES, _field(1, _BYTES, value)))

    def sync(self) -> None:
        """Flush to the disk."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        """Close without flushing to the disk: `sync` does that."""
        os.close(self._descriptor)

    def _write(self, event: bytes) -> None:
        event = _field(1, _EIGHT_BYTES, struct.pack("<d", time.time())) + event
        length = struct.pack("<Q", len(event))
        write_all(self._descriptor, length + _masked_crc(length) + event + _masked_crc(event))


def _field(number: int, wire_type: int, value: bytes) -> bytes:
    length = _varint(len(value)) if wire_type == _BYTES else b""
    return _varint(number << 3 | wire_type) + length + value


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _float32(value: float) -> bytes:
    try:
        with np.errstate(over="ignore"):
            return np.array(value, dtype="<f8").astype("<f4").tobytes()
    except OverflowError:  # an integer beyond float64
        return struct.pack("<f", np.inf if value > 0 else -np.inf)


def _crc_of_byte(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)  # CRC-32C, reflected
    return byte


_CRC_TABLE = [_crc_of_byte(byte) for byte in range(256)]


def _masked_crc(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC_TABLE[(crc ^ byte) & 0xFF]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)
