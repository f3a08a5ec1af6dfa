"""Several seeds of one training problem, trained in step. One seed alone is a group of one."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

from typing_extensions import override

from pogo.core.learner.interface import Learner


class LearnerGroup(ABC):
    """What the training loop drives: a learner per seed, all at the same update and trained by one call.

    A member acts, is described, saved and restored as a learner of its own; only the group trains it.
    """

    learners: Sequence[Learner]

    @property
    def updates(self) -> int:
        """How many updates each member has made."""
        return self.learners[0].updates

    @property
    @abstractmethod
    def compile_seconds(self) -> float:
        """Spent on compilation since the group was made."""

    def watch_compilation(self, on_compile: Callable[[], None]) -> None:
        """Have this called as a compilation begins."""
        for learner in self.learners:
            learner.on_compile = on_compile

    @abstractmethod
    def train(self, num_updates: int, close_window: bool = True) -> list[dict[str, float]]:
        """`Learner.train` for every member; gives each one's means, in the members' order.

        Raises:
            RunFailed: a metric of a member is not finite; the message names its seed too.
        """


class GroupOfOne(LearnerGroup):
    """A learner by itself."""

    def __init__(self, learner: Learner) -> None:
        self.learners = (learner,)

    @property
    @override
    def compile_seconds(self) -> float:
        return self.learners[0].compile_seconds

    @override
    def train(self, num_updates: int, close_window: bool = True) -> list[dict[str, float]]:
        return [self.learners[0].train(num_updates, close_window)]
