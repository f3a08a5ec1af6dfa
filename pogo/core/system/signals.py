"""Stopping on request: the first signal lets the run finish its update and save; one that insists ends it at once."""

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Self

from pogo.core.errors import EXIT_DONE

# Who asks a program to end: `kill`, Ctrl-C, the schedulers of clusters (some by USR1, some by USR2), a closed terminal.
STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP)
# A scheduler signals every process of a job, and a wrapper there passes the same or another one on: what comes so soon
# after the first is that, and nobody's impatience.
REPEAT_SECONDS = 5.0

# The option of every command that says that its input is a pipe of whoever started it, and ends with that.
PARENT_PIPE = "--parent-pipe"

_END = b"\x00"  # no signal has this number


def exit_code_of(number: int) -> int:
    """The exit code of a command that a signal has stopped: 130 for a Ctrl-C, 143 for every other."""
    return 128 + (signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)


class _Urgency:
    """Tells what repeats a request from what insists: a second Ctrl-C, or a signal five seconds after the first."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._interrupts = 0

    def insists(self, number: int, at: float) -> bool:
        """Note a signal and the second at which it came; whether it wants the end at once."""
        self._interrupts += number == signal.SIGINT
        if self._first is None:
            self._first = at
            return False
        return (number == signal.SIGINT and self._interrupts > 1) or at - self._first >= REPEAT_SECONDS


class StopRequest:
    """While entered, a signal asks for a stop instead of ending the process, and so does `request`.

    The signals are those of `STOP_SIGNALS`, but for SIGHUP where it is ignored, as `nohup` has it. The handlers are the
    main thread's: entered in another thread, this leaves the signals alone. A forked child gets the earlier handlers
    back, so that it can be terminated.
    """

    def __init__(self, ends_process: bool = True) -> None:
        """Nothing is asked for yet.

        Args:
            ends_process: whether a signal that insists ends the process at once; else it raises KeyboardInterrupt, as
                is due in a program that is not pogo's own. Such a program's own handlers of SIGUSR1, SIGUSR2 and SIGHUP
                stay as well: what these mean is for it to say.
        """
        self.signal_number: int | None = None
        self._ends_process = ends_process
        self._reason: str | None = None
        self._handled = _Urgency()  # as handlers run
        self._arrived: dict[int, float] = {}  # when the watching thread last saw each signal
        self._taken: frozenset[signal.Signals] = frozenset()
        self._earlier: dict[signal.Signals, object] = {}
        self._earlier_wakeup = -1
        self._pipe: tuple[int, int] | None = None
        self._watcher: threading.Thread | None = None

    @property
    def requested(self) -> bool:
        """Whether a stop is asked for."""
        return self._reason is not None or self.signal_number is not None

    def request(self, reason: str = "a callback") -> None:
        """Ask for a stop, without a signal; `reason` is who does, in words."""
        self._reason = reason

    @property
    def reason(self) -> str:
        """Who asks for a stop, in words."""
        return self._reason if self.signal_number is None and self._reason is not None else "a signal"

    @property
    def exit_code(self) -> int:
        """130 after SIGINT, 143 after another signal, 0 where none has come."""
        return EXIT_DONE if self.signal_number is None else exit_code_of(self.signal_number)

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        # Python runs a handler between two bytecodes of the main thread, which may be minutes away inside a compiled
        # update. The wake-up descriptor gets a byte at once, so a thread that reads it can act on a second signal.
        self._taken = frozenset(filter(self._takes, STOP_SIGNALS))
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._watcher = threading.Thread(target=self._watch, args=(self._pipe[0],), name="pogo-signals", daemon=True)
        self._watcher.start()
        self._earlier_wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._earlier = {number: signal.signal(number, self._handle) for number in self._taken}
        _ENTERED.append(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._pipe is None or self._watcher is None:
            return
        _ENTERED.remove(self)
        self._restore()
        os.write(self._pipe[1], _END)
        self._watcher.join()
        self._close_pipe()

    def _takes(self, number: signal.Signals) -> bool:
        """Whether a signal is a request here."""
        if number in (signal.SIGTERM, signal.SIGINT):
            return True
        present = signal.getsignal(number)
        if number == signal.SIGHUP and present == signal.SIG_IGN:
            return False
        return self._ends_process or present == signal.SIG_DFL

    def _close_pipe(self) -> None:
        for descriptor in self._pipe or ():
            os.close(descriptor)
        self._pipe = None

    def _restore(self) -> None:
        for number, handler in self._earlier.items():
            # None: installed by something that is not Python, which cannot be put back from here.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)  # pyright: ignore[reportArgumentType]
        signal.set_wakeup_fd(self._earlier_wakeup)

    def _handle(self, number: int, _: FrameType | None) -> None:
        self._note(number)
        # Long after it came, where the main thread was inside compiled code meanwhile.
        came = self._arrived.get(number, time.monotonic())
        if self._handled.insists(number, came) and not self._ends_process:
            raise KeyboardInterrupt

    def _note(self, number: int) -> None:
        if self.signal_number is None:
            self.signal_number = number

    def _watch(self, descriptor: int) -> None:
        urgency = _Urgency()
        while (byte := os.read(descriptor, 1)) != _END:
            number = byte[0]
            if number not in self._taken:  # another handler's signal
                continue
            self._arrived[number] = time.monotonic()
            self._note(number)
            if urgency.insists(number, self._arrived[number]) and self._ends_process:
                os._exit(exit_code_of(number))


_ENTERED: list[StopRequest] = []


@contextlib.contextmanager
def ended_by_signals(restore: bool) -> Iterator[None]:
    """A command that has nothing to save, or has not begun: a signal ends it, with the exit code that it has elsewhere.

    `StopRequest` takes over while there is something to save.

    Args:
        restore: whether the earlier handlers come back afterwards. A process that ends with the command wants none of
            them: a signal to an interpreter that is being taken down would end it by another code.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    urgency = _Urgency()

    def end(number: int, _: FrameType | None) -> None:
        if urgency.insists(number, time.monotonic()):
            os._exit(exit_code_of(number))
        for each in earlier:  # what repeats the first must not interrupt what it has begun
            signal.signal(each, repeat)
        raise KeyboardInterrupt if number == signal.SIGINT else SystemExit(exit_code_of(number))

    def repeat(number: int, _: FrameType | None) -> None:
        if urgency.insists(number, time.monotonic()):
            os._exit(exit_code_of(number))

    defaults = (signal.SIG_DFL, signal.default_int_handler)
    earlier = {number: signal.getsignal(number) for number in STOP_SIGNALS if signal.getsignal(number) in defaults}
    for number in earlier:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler if restore else repeat)


def end_with_parent() -> None:
    """Stop as by SIGTERM once the standard input ends: whoever held the pipe's other end is gone, however it went."""

    def watch() -> None:
        with contextlib.suppress(OSError):
            while os.read(0, 1):
                pass
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="pogo-parent", daemon=True).start()


def _forget_in_child() -> None:
    for stop in reversed(_ENTERED):
        stop._restore()
        stop._close_pipe()
    _ENTERED.clear()


os.register_at_fork(after_in_child=_forget_in_child)
