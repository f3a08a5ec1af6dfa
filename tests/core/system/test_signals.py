"""Stopping on request: once politely, twice at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pogo.core.system.signals import StopRequest

EXIT_CODES = [(signal.SIGTERM, 143), (signal.SIGINT, 130)]


@pytest.mark.parametrize(("number", "code"), EXIT_CODES)
def test_the_first_signal_is_a_request(number: signal.Signals, code: int) -> None:
    with StopRequest() as stop:
        assert (stop.requested, stop.signal_number, stop.exit_code) == (False, None, 0)
        os.kill(os.getpid(), number)
        assert (stop.requested, stop.signal_number, stop.exit_code) == (True, number, code)
    assert stop.exit_code == code


def test_the_earlier_handlers_come_back() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]

    before, threads = handlers(), threading.active_count()
    with StopRequest():
        inside = handlers()
        with StopRequest() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
            assert inner.requested
        assert handlers() == inside
    assert handlers() == before
    assert threading.active_count() == threads
    wakeup = signal.set_wakeup_fd(-1)
    assert wakeup == -1


def test_other_signals_are_not_requests() -> None:
    earlier = signal.signal(signal.SIGUSR1, lambda *_: None)
    try:
        with StopRequest() as stop:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGUSR1)
            time.sleep(0.05)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGUSR1, earlier)


def test_another_thread_leaves_the_signals_alone() -> None:
    seen = []

    def enter() -> None:
        with StopRequest() as stop:
            seen.append((signal.getsignal(signal.SIGTERM), stop.requested))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [(before, False)]


class Child:
    """A process that enters a StopRequest, says so, and runs `body`."""

    def __init__(self, body: str) -> None:
        program = (
            "import hashlib, os, signal, sys, time\n"
            "from pogo.core.system.signals import StopRequest\n"
            f"with StopRequest() as stop:\n    print('ready', flush=True)\n    {body}\nsys.exit(stop.exit_code)\n"
        )
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
        self.process = subprocess.Popen(
            [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "ready\n"


@pytest.fixture
def start() -> Iterator[type[Child]]:
    children: list[Child] = []

    class Started(Child):
        def __init__(self, body: str) -> None:
            super().__init__(body)
            children.append(self)

    yield Started
    for child in children:
        child.process.kill()
        child.process.communicate()


# Compiled code that gives no other bytecode its turn for minutes.
COMPILED = "hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)"


@pytest.mark.parametrize(("number", "code"), EXIT_CODES)
def test_the_run_ends_with_the_signals_code(start: type[Child], number: signal.Signals, code: int) -> None:
    process = start("while not stop.requested: time.sleep(0.01)").process
    process.send_signal(number)
    assert process.wait(timeout=10) == code


@pytest.mark.parametrize(("number", "code"), EXIT_CODES)
@pytest.mark.parametrize("body", ["time.sleep(100); time.sleep(100)", COMPILED])
def test_a_second_signal_exits_at_once(start: type[Child], number: signal.Signals, code: int, body: str) -> None:
    process = start(body).process
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    assert process.poll() is None, "one signal is a request"
    process.send_signal(number)
    assert process.wait(timeout=10) == code


def test_a_forked_child_can_be_terminated(start: type[Child]) -> None:
    body = """
    child = os.fork()
    if child == 0:
        time.sleep(100)
        os._exit(0)
    time.sleep(0.2)
    os.kill(child, signal.SIGTERM)
    time.sleep(0.2)
    ended, status = os.waitpid(child, os.WNOHANG)
    assert ended == child and os.waitstatus_to_exitcode(status) == -signal.SIGTERM
    assert not stop.requested
"""
    process = start(body.strip()).process
    assert process.wait(timeout=10) == 0
