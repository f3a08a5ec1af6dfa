"""What only Linux has is hidden, as on another system, and pogo runs all the same."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pogo.core.runs.lock import RunLock
from pogo.core.system import machine
from tests.helpers.runs import BACKENDS, arguments, environment, summary

TRAIN_ELSEWHERE = """
import os, sys

class NoFcntl:
    def find_spec(self, name, path=None, target=None):
        if name == "fcntl":
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.modules.pop("fcntl", None)
sys.meta_path.insert(0, NoFcntl())
for name in ("sched_getaffinity", "sched_setaffinity", "sysconf"):
    delattr(os, name)

from pogo.cli.train import main

sys.exit(main())
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_needs_nothing_that_only_linux_has(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    given = arguments(tmp_path / "run", backend=backend, threads=1, train__updates=2)
    done = subprocess.run(
        [sys.executable, "-c", TRAIN_ELSEWHERE, *given],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert summary(tmp_path / "run")["updates"] == 2


@pytest.mark.parametrize(("count", "cpus"), [(6, 6), (None, 1)])
def test_all_cpus_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch, count: int | None, cpus: int) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: count)
    assert machine.available_cpus() == cpus


def test_memory_is_unknown_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    known = machine.memory_bytes()
    assert known is None or known > 2**28
    monkeypatch.delattr(os, "sysconf", raising=False)
    assert machine.memory_bytes() is None


def test_a_pool_is_made_on_few_cpus_and_runs_on_all() -> None:
    before = machine.available_cpus()
    with machine.on_few_cpus(1):
        inside = machine.available_cpus()
    assert inside == (1 if hasattr(os, "sched_setaffinity") else before)
    assert machine.available_cpus() == before


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    with RunLock(tmp_path) as first, RunLock(tmp_path) as second:
        first.reserve()
        with pytest.raises(ValueError, match="is in use: another process is training in it; let it end"):
            second.reserve()
        assert os.listdir(tmp_path) == []
        assert first.acquire()
        assert os.listdir(tmp_path) == ["lease.1.json"]
        with pytest.raises(ValueError, match=rf"is in use: process {os.getpid()} on .* is training in it; let it end"):
            second.acquire()
