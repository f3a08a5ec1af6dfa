"""One owner of a folder at a time, whoever dies, sleeps or comes at the same moment."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from pogo.core.files import lease as module
from pogo.core.files.lease import SILENT_SECONDS, InUse, Lease, LeaseLost, Owner, owner_of
from tests.helpers.runs import environment

ELSEWHERE = dataclasses.replace(Owner.this_process(), host="node7", boot="another", pid=4711)


def left_by(folder: Path, owner: Owner, silent: float = 0.0, number: int = 1) -> Path:
    """A lease as another machine's process has left it."""
    path = folder / f"lease.{number}.json"
    path.write_text(json.dumps(dataclasses.asdict(owner)))
    age(path, silent)
    return path


def age(path: Path, silent: float) -> None:
    last = time.time() - silent
    os.utime(path, (last, last))


def test_a_folder_is_held_until_it_is_released(tmp_path: Path) -> None:
    held, former = Lease.take(tmp_path)
    assert former is None
    found = owner_of(tmp_path)
    assert found is not None
    assert found[0] is not None
    assert found[0].pid == os.getpid()
    with pytest.raises(InUse) as refused:
        Lease.take(tmp_path)
    assert refused.value.owner.pid == os.getpid()
    held.check()
    held.release()
    assert os.listdir(tmp_path) == []
    assert owner_of(tmp_path) is None
    Lease.take(tmp_path)[0].release()


def test_a_killed_process_is_known_to_have_ended(tmp_path: Path) -> None:
    take = "import sys, time; from pathlib import Path; from pogo.core.files.lease import Lease\n"
    take += "held = Lease.take(Path(sys.argv[1])); print('held', flush=True); time.sleep(100)"
    process = subprocess.Popen(
        [sys.executable, "-c", take, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment()
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(InUse):
        Lease.take(tmp_path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    held, former = Lease.take(tmp_path)
    assert former is not None
    assert (former.pid, former.has_ended) == (process.pid, True)
    assert os.listdir(tmp_path) == ["lease.2.json"]
    held.release()


def test_a_pid_that_another_process_has_now_is_another_process() -> None:
    us = Owner.this_process()
    assert not us.has_ended
    assert dataclasses.replace(us, began=us.began - 1).has_ended
    assert not dataclasses.replace(us, began=us.began - 1, namespace="pid:[1]").has_ended  # a container's: who knows
    assert not dataclasses.replace(us, began=us.began - 1, boot="another").has_ended


@pytest.mark.parametrize("silent", [0.0, SILENT_SECONDS - 20.0])
def test_another_machines_process_is_alive_while_it_gives_signs(tmp_path: Path, silent: float) -> None:
    left_by(tmp_path, ELSEWHERE, silent)
    with pytest.raises(InUse) as refused:
        Lease.take(tmp_path)
    assert refused.value.owner == ELSEWHERE
    assert refused.value.silent == pytest.approx(silent, abs=5.0)


@pytest.mark.parametrize("content", [None, "", "no JSON", '{"host": "node7"}', "[]"])
def test_a_silent_one_is_taken_over(tmp_path: Path, content: str | None) -> None:
    """Also where its file cannot be read: a machine went down as it wrote."""
    path = left_by(tmp_path, ELSEWHERE)
    if content is not None:
        path.write_text(content)
        with pytest.raises(InUse, match="unknown"):
            Lease.take(tmp_path)
    age(path, SILENT_SECONDS + 1.0)
    held, former = Lease.take(tmp_path)
    assert former == (ELSEWHERE if content is None else None)
    assert os.listdir(tmp_path) == ["lease.2.json"]
    held.release()


def test_whoever_was_taken_over_finds_out(tmp_path: Path) -> None:
    held, _ = Lease.take(tmp_path)
    left_by(tmp_path, ELSEWHERE, number=2)
    with pytest.raises(LeaseLost, match=r"lease\.1\.json was taken over by process 4711 on node7 or deleted"):
        held.check()
    held.release()
    assert (tmp_path / "lease.2.json").exists(), "the other's"


def test_whoever_finds_its_lease_deleted_stops_too(tmp_path: Path) -> None:
    held, _ = Lease.take(tmp_path)
    (tmp_path / "lease.1.json").unlink()
    with pytest.raises(LeaseLost, match="nobody"):
        held.check()
    other, _ = Lease.take(tmp_path)
    with pytest.raises(LeaseLost):  # of the same number
        held.check()
    held.release()
    other.check()
    other.release()


def test_it_gives_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.02)
    held, _ = Lease.take(tmp_path)
    path = tmp_path / "lease.1.json"
    os.utime(path, (0.0, 0.0))
    deadline = time.monotonic() + 10.0
    while path.stat().st_mtime < 1.0:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    held.release()


@pytest.mark.parametrize("left", [None, "dead"])
def test_of_many_at_once_one_has_it(tmp_path: Path, left: str | None) -> None:
    for turn in range(20):
        folder = tmp_path / str(turn)
        folder.mkdir()
        if left is not None:
            left_by(folder, ELSEWHERE, SILENT_SECONDS + 1.0)
        gate, held = threading.Barrier(4), []

        def take(gate: threading.Barrier = gate, folder: Path = folder, held: list = held) -> None:
            gate.wait()
            try:
                held.append(Lease.take(folder)[0])
            except InUse:
                pass

        threads = [threading.Thread(target=take) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(held) == 1
        held[0].check()
        held[0].release()
