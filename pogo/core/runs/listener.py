"""What a Python program is told of its runs while they go on, and how it stops them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pogo.core.runs.evaluation import ActorEvaluation
from pogo.core.system.signals import StopRequest


@dataclass(frozen=True)
class Event:
    """Something that a run has just done.

    Attributes:
        step: how far the run is: updates made, or environment steps of an online run.
        seed: the run's.
        run_dir: the run's folder.
        metrics: of a line of the log: the means of the window that ends here, by name.
        actors: of an evaluation: the results of every actor, in the chain's order; none where it failed altogether.
        checkpoint: the folder of a checkpoint that has been committed.
    """

    step: int
    seed: int
    run_dir: Path
    metrics: Mapping[str, float] = field(default_factory=dict)
    actors: Sequence[ActorEvaluation] = ()
    checkpoint: Path | None = None


Callback = Callable[[Event], bool | None]


class CallbackRaised(Exception):
    """A callback has raised `error`, which is its program's own."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass(frozen=True)
class Listener:
    """The program's callbacks. One that gives False asks for a stop: the run saves a checkpoint and ends."""

    on_log: Callback | None = None
    on_evaluation: Callback | None = None
    on_checkpoint: Callback | None = None
    show: bool = True  # whether progress and results are shown

    def tell(self, callback: Callback | None, event: Event, stop: StopRequest) -> None:
        """Call back, where there is something to call.

        Raises:
            CallbackRaised: the callback has raised something.
        """
        if callback is None:
            return
        try:
            answer = callback(event)
        except Exception as error:
            raise CallbackRaised(error) from error
        if answer is False:
            stop.request()


NOBODY = Listener()
