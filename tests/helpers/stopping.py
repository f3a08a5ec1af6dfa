"""Signals at chosen moments of a run."""

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest


@contextmanager
def signalled(
    owner: object, method: str, number: signal.Signals, when: Callable[..., bool], times: int = 1
) -> Iterator[None]:
    """Send this process a signal, or several within 10 ms, inside the first call of a method for which `when` holds."""
    original, sent = getattr(owner, method), []

    def interrupted(*args: Any, **kwargs: Any) -> Any:
        if not sent and when(*args, **kwargs):
            sent.append(True)
            for _ in range(times):
                os.kill(os.getpid(), number)
        return original(*args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, method, interrupted)
        yield
    assert sent, "the moment never came"


def at_update(number: int) -> Callable[..., bool]:
    return lambda loop, *_: loop._learners.updates >= number
