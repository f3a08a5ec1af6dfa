"""A test-only algorithm with a known Q, -(h/2) |a - c|^2, lambda = 1 and a frozen actor 0, on both backends."""

import importlib
import sys

import pytest

from pogo.core import registry

NAME = "quadratic"


def register(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the registries find it for the length of a test."""
    monkeypatch.setattr(registry, "ALGORITHMS", (*registry.ALGORITHMS, NAME))
    monkeypatch.setitem(sys.modules, f"pogo.core.algorithms.{NAME}", importlib.import_module("tests.quadratic.core"))
    for backend in registry.BACKENDS:
        monkeypatch.setitem(sys.modules, f"pogo.{backend}_backend.algorithms.{NAME}", _Late(backend))


class _Late:
    """A backend's half, imported when it is used: the other framework may be absent."""

    __spec__ = None

    def __init__(self, backend: str) -> None:
        self._backend = backend

    @property
    def Algorithm(self):  # noqa: N802 - the class that algorithm modules offer
        return importlib.import_module(f"tests.quadratic.{self._backend}_half").Algorithm
