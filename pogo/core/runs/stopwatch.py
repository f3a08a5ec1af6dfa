"""How long a run takes: in updates, in compilation, and by the clock on the wall."""

import time
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Spent:
    """The seconds that a run has taken."""

    train: float = 0.0  # in updates
    compile: float = 0.0
    wall: float = 0.0  # all together, evaluations among them

    def __add__(self, other: Self) -> "Spent":
        return Spent(self.train + other.train, self.compile + other.compile, self.wall + other.wall)


class Stopwatch:
    """What one process of a run takes, from when this is made. Seeds that are trained together share one."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._train = self._compile = 0.0

    def add(self, train: float = 0.0, compile: float = 0.0) -> None:
        """Note seconds that have just been spent on updates or on compilation."""
        self._train += train
        self._compile += compile

    @property
    def spent(self) -> Spent:
        """All that it has taken by now."""
        return Spent(self._train, self._compile, time.perf_counter() - self._began)
