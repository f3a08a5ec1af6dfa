"""Stopping on request: the first signal lets the run finish its update and save, the second ends it at once."""

import os
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from pogo.core.errors import EXIT_DONE

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT)

_END = b"\x00"  # no signal has this number


class StopRequest:
    """While entered, SIGTERM and SIGINT ask for a stop instead of ending the process, and so does `request`.

    The handlers are the main thread's: entered in another thread, this leaves the signals alone. A forked child gets
    the earlier handlers back, so that it can be terminated.
    """

    def __init__(self, ends_process: bool = True) -> None:
        """Nothing is asked for yet.

        Args:
            ends_process: whether a second signal ends the process at once; else it raises KeyboardInterrupt, as is due
                in a program that is not pogo's own.
        """
        self.signal_number: int | None = None
        self._ends_process = ends_process
        self._is_asked = False
        self._handled = 0
        self._earlier: dict[signal.Signals, object] = {}
        self._earlier_wakeup = -1
        self._pipe: tuple[int, int] | None = None
        self._watcher: threading.Thread | None = None

    @property
    def requested(self) -> bool:
        """Whether a stop is asked for."""
        return self._is_asked or self.signal_number is not None

    def request(self) -> None:
        """Ask for a stop, without a signal."""
        self._is_asked = True

    @property
    def reason(self) -> str:
        """Who asks for a stop, in words."""
        return "a callback" if self.signal_number is None else "a signal"

    @property
    def exit_code(self) -> int:
        """143 after SIGTERM, 130 after SIGINT, 0 where no signal has come."""
        return EXIT_DONE if self.signal_number is None else 128 + self.signal_number

    def __enter__(self) -> Self:
        if threading.current_thread() is not threading.main_thread():
            return self
        # Python runs a handler between two bytecodes of the main thread, which may be minutes away inside a compiled
        # update. The wake-up descriptor gets a byte at once, so a thread that reads it can act on a second signal.
        self._pipe = os.pipe()
        os.set_blocking(self._pipe[1], False)
        self._watcher = threading.Thread(target=self._watch, args=(self._pipe[0],), name="pogo-signals", daemon=True)
        self._watcher.start()
        self._earlier_wakeup = signal.set_wakeup_fd(self._pipe[1], warn_on_full_buffer=False)
        self._earlier = {number: signal.signal(number, self._handle) for number in STOP_SIGNALS}
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
        self._handled += 1
        self._note(number)
        if self._handled > 1 and not self._ends_process:
            raise KeyboardInterrupt

    def _note(self, number: int) -> None:
        if self.signal_number is None:
            self.signal_number = number

    def _watch(self, descriptor: int) -> None:
        count = 0
        while (number := os.read(descriptor, 1)) != _END:
            if number[0] not in STOP_SIGNALS:  # another handler's signal
                continue
            count += 1
            if count == 1:
                self._note(number[0])
            elif self._ends_process:
                os._exit(128 + number[0])


_ENTERED: list[StopRequest] = []


def _forget_in_child() -> None:
    for stop in reversed(_ENTERED):
        stop._restore()
        stop._close_pipe()
    _ENTERED.clear()


os.register_at_fork(after_in_child=_forget_in_child)
