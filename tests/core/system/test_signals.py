"""Stopping on request: the first signal asks, what repeats it changes nothing, what insists ends at once."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pogo.core.system.signals import STOP_SIGNALS, StopRequest, ended_by_signals

EXIT_CODES = [(number, 130 if number == signal.SIGINT else 143) for number in STOP_SIGNALS]


@pytest.mark.parametrize(("number", "code"), EXIT_CODES)
def test_the_first_signal_is_a_request(number: signal.Signals, code: int) -> None:
    with StopRequest() as stop:
        assert (stop.requested, stop.signal_number, stop.exit_code) == (False, None, 0)
        os.kill(os.getpid(), number)
        assert (stop.requested, stop.signal_number, stop.exit_code) == (True, number, code)
    assert stop.exit_code == code


def test_the_earlier_handlers_come_back() -> None:
    def handlers() -> list[object]:
        return [signal.getsignal(number) for number in STOP_SIGNALS]

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
    earlier = signal.signal(signal.SIGWINCH, lambda *_: None)
    try:
        with StopRequest() as stop:
            for _ in range(3):
                os.kill(os.getpid(), signal.SIGWINCH)
            time.sleep(0.05)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGWINCH, earlier)


def test_nohup_is_left_alone() -> None:
    earlier = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGHUP)
            time.sleep(0.05)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, earlier)


def test_what_a_program_does_with_its_own_signals_stays() -> None:
    """Within another program, that is: `pogo.train`."""
    seen: list[int] = []
    earlier = signal.signal(signal.SIGUSR1, lambda number, _: seen.append(number))
    try:
        with StopRequest(ends_process=False) as stop:
            os.kill(os.getpid(), signal.SIGUSR1)
            assert (seen, stop.requested) == ([signal.SIGUSR1], False)
            os.kill(os.getpid(), signal.SIGUSR2)  # that it does nothing with
            assert stop.requested
    finally:
        signal.signal(signal.SIGUSR1, earlier)


def test_within_a_program_a_second_ctrl_c_interrupts_and_repeats_do_not() -> None:
    with StopRequest(ends_process=False):
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("number", "code"), EXIT_CODES)
def test_a_command_with_nothing_to_save_ends_once(number: signal.Signals, code: int) -> None:
    ended: list[int] = []
    with ended_by_signals(restore=True):
        try:
            os.kill(os.getpid(), number)
        except SystemExit as error:
            ended.append(int(str(error.code)))
        except KeyboardInterrupt:
            ended.append(130)
        if number != signal.SIGINT:  # a second Ctrl-C would end this process
            os.kill(os.getpid(), number)
    assert ended == [code]


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

    def __init__(self, body: str, repeat_seconds: float = 5.0) -> None:
        program = (
            "import hashlib, os, signal, sys, time\n"
            "from pogo.core.system import signals\n"
            "from pogo.core.system.signals import StopRequest\n"
            f"signals.REPEAT_SECONDS = {repeat_seconds}\n"
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
        def __init__(self, body: str, repeat_seconds: float = 5.0) -> None:
            super().__init__(body, repeat_seconds)
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


BODIES = ["time.sleep(100); time.sleep(100)", COMPILED]


@pytest.mark.parametrize(("number", "code"), EXIT_CODES)
@pytest.mark.parametrize("body", BODIES)
def test_a_later_signal_exits_at_once(start: type[Child], number: signal.Signals, code: int, body: str) -> None:
    process = start(body, repeat_seconds=0.2).process
    process.send_signal(signal.SIGTERM)
    time.sleep(0.5)
    assert process.poll() is None, "one signal is a request"
    process.send_signal(number)
    assert process.wait(timeout=10) == code


@pytest.mark.parametrize("body", BODIES)
def test_a_second_ctrl_c_exits_at_once(start: type[Child], body: str) -> None:
    process = start(body).process
    process.send_signal(signal.SIGINT)
    time.sleep(0.1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130


@pytest.mark.parametrize("second", STOP_SIGNALS)
@pytest.mark.parametrize(("first", "code"), EXIT_CODES)
def test_what_follows_at_once_is_a_repeat(
    start: type[Child], first: signal.Signals, code: int, second: signal.Signals
) -> None:
    """As schedulers and their wrappers send them, to every process of a job."""
    if first == second == signal.SIGINT:
        pytest.skip("a second Ctrl-C")
    process = start(
        "while not stop.requested: time.sleep(0.01)\n    time.sleep(0.1); print('saved', flush=True)"
    ).process
    process.send_signal(first)
    time.sleep(0.005)
    process.send_signal(second)
    output, _ = process.communicate(timeout=10)
    # Of two that come before the first is seen, the system gives the lower number first.
    assert (process.returncode, output) in ((code, "saved\n"), (dict(EXIT_CODES)[second], "saved\n"))


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
