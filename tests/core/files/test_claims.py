import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from pogo.core.files.claims import REFRESH_EVERY, SILENT_AFTER, Claims

ELSEWHERE = "another.machine"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def write(path: Path, host: str, pid: int) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": host, "pid": pid, "time": 0.0}))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluations" / "000000005.claim"


def test_a_claim_names_its_holder_and_goes_when_it_is_released(path: Path) -> None:
    claims = Claims()
    assert claims.take(path)
    document = json.loads(path.read_bytes())
    assert (document["host"], document["pid"]) == (socket.gethostname(), os.getpid())
    claims.release(path)
    assert not path.exists()


def test_a_living_process_keeps_its_claim(path: Path) -> None:
    write(path, socket.gethostname(), os.getppid())
    before = path.read_bytes()
    assert not Claims().take(path)
    assert path.read_bytes() == before


def test_a_dead_process_has_none(path: Path) -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    write(path, socket.gethostname(), process.pid)
    assert Claims().take(path)
    assert json.loads(path.read_bytes())["pid"] == os.getpid()


def test_one_that_this_very_process_has_not_made_is_of_a_container_that_was_started_again(path: Path) -> None:
    write(path, socket.gethostname(), os.getpid())
    assert Claims().take(path)


@pytest.mark.parametrize("text", [json.dumps({"host": ELSEWHERE, "pid": 1, "time": 0.0}), "", "[1]", "{"])
def test_a_silent_one_of_another_machine_is_taken_over(path: Path, text: str) -> None:
    clock = Clock()
    claims = Claims(clock)
    write(path, ELSEWHERE, 1)
    path.write_text(text)
    os.utime(path, (0, 0))  # its clock may differ: only how long nothing changes counts
    assert not claims.take(path)
    clock.now = SILENT_AFTER - 1
    assert not claims.take(path)
    os.utime(path)
    clock.now = SILENT_AFTER + 1
    assert not claims.take(path), "it has given a sign"
    clock.now = 2 * SILENT_AFTER + 2
    assert claims.take(path)


def test_the_holder_gives_signs(path: Path) -> None:
    clock = Clock()
    claims = Claims(clock)
    claims.take(path)
    os.utime(path, (0, 0))
    clock.now = REFRESH_EVERY - 1
    claims.refresh()
    assert path.stat().st_mtime == 0
    clock.now = REFRESH_EVERY
    claims.refresh()
    assert path.stat().st_mtime > 0
    path.unlink()
    clock.now = 2 * REFRESH_EVERY
    claims.refresh()
    assert not path.exists()
