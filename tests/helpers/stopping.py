"""Signals at chosen moments of a run."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def signalled(owner: type, method: str, number: signal.Signals, when: Callable[..., bool]) -> Iterator[None]:
    """Send this process a signal inside the first call of a method for which `when` holds."""
    original, sent = getattr(owner, method), []

    def interrupted(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not sent and when(self, *args, **kwargs):
            sent.append(True)
            os.kill(os.getpid(), number)
        return original(self, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, interrupted)
        yield
    assert sent, "the moment never came"


def at_update(number: int) -> Callable[..., bool]:
    return lambda loop, *_: loop._learners.updates >= number
