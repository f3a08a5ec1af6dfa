"""The training loop: updates, logs, evaluations and checkpoints, once for both backends and any number of seeds."""

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence

from pogo.core.errors import RunFailed
from pogo.core.learner.group import LearnerGroup
from pogo.core.runs.console import RunConsole
from pogo.core.runs.course import next_commands, show_course
from pogo.core.runs.seed_run import SeedRun
from pogo.core.runs.stopwatch import Stopwatch
from pogo.core.system.signals import StopRequest

CALL_SECONDS = 0.5  # aim of one call into the learners: how long a signal or the progress bar may wait


class Loop(ABC):
    """Drives learners of one problem, one per seed, from where they stand to the run's end, by the run's clock."""

    def __init__(
        self,
        runs: Sequence[SeedRun],
        learners: LearnerGroup,
        console: RunConsole,
        stop: StopRequest,
        stopwatch: Stopwatch,
    ) -> None:
        self._runs = runs  # in the order of the learners
        self._learners = learners
        self._console = console
        self._stop = stop
        learners.watch_compilation(console.compiling)
        # What the runs differ in is their seed and their folder.
        config = runs[0].plan.config
        self._every = {"log": config.log.every, "eval": config.eval.every, "checkpoint": config.checkpoint.every}
        self._clock = config.clock
        self._last = config.length
        self._stopwatch = stopwatch
        self._seen = self._now  # the last boundaries up to here are done with
        self._window = (self._now, 0.0)  # where the log's open window began, and its seconds

    def run(self) -> bool:
        """Train to the end, or to a requested stop, which saves first.

        Returns:
            Whether the runs are finished.

        Raises:
            RunFailed: a metric or a parameter is not finite, or a log or checkpoint cannot be written; or, all being
                trained and saved, the last evaluation failed.
        """
        self._evaluate([run for run in self._runs if run.owes_evaluation])
        while self._now < self._last and not self._stop.requested:
            self._advance()
            self._at_boundary()
        failed = {run: run.failure for run in self._runs if run.failure is not None}
        finished = self._now >= self._last and not any(run.owes_evaluation and run not in failed for run in self._runs)
        if finished or not all(run.is_saved for run in self._runs):
            self._save()
        if finished:
            self._finish()
            if failed:
                raise RunFailed(_last_evaluation_failed(failed))
        return finished

    def _finish(self) -> None:
        """Write the summaries, and say what has come of it and what to do next; the last state is saved."""
        for run in self._runs:
            run.write_summary()
        plan = self._runs[0].plan
        if len(self._runs) == 1:
            show_course(plan, self._console)
        for command in next_commands(plan):
            self._console.message(f"next: {command}")

    @property
    def _now(self) -> int:
        """How far the runs are."""
        return self._runs[0].position

    @abstractmethod
    def _advance(self) -> None:
        """Train for a while, not past the next boundary, and log where a window of the log ends."""

    def _boundary(self) -> int:
        """The next position at which the log, an evaluation or a checkpoint is due, or the run ends."""
        return min(self._next(every) for every in self._intervals())

    @property
    def _next_log(self) -> int:
        """The position at which the open window of the log ends."""
        return self._next(self._every["log"])

    def _count(self, seconds: float, compiled: float) -> None:
        """Note what a call took, of which `compiled` was compilation."""
        seconds = max(seconds - compiled, 1e-9)
        self._stopwatch.add(seconds, compiled)
        self._window = (self._window[0], self._window[1] + seconds)
        self._console.leave_out(compiled)
        self._console.advance(self._now)

    def _log(self, metrics: Sequence[Mapping[str, float]]) -> None:
        """One line of each run's log, which closes the window."""
        first, seconds = self._window
        speed = {f"{self._clock.units}_per_second": (self._now - first) / seconds}
        with self._console.pause():
            for run, means in zip(self._runs, metrics, strict=True):
                run.log_training({**means, **speed})
        self._window = (self._now, 0.0)

    def _at_boundary(self) -> None:
        last = self._now == self._last
        if any(map(self._is_due, self._every)):
            for run in self._runs:
                run.take_over()
        if last or self._is_due("eval"):
            self._evaluate(self._runs)
        if not last and self._is_due("checkpoint"):
            self._save()
        self._seen = self._now

    def _evaluate(self, runs: Sequence[SeedRun]) -> None:
        with self._counting_compilation(), self._console.pause():
            for run in runs:
                run.evaluate(self._console, among_others=len(self._runs) > 1)

    @contextlib.contextmanager
    def _counting_compilation(self) -> Iterator[None]:
        compiled = self._learners.compile_seconds
        yield
        self._stopwatch.add(compile=self._learners.compile_seconds - compiled)

    def _save(self) -> None:
        with self._counting_compilation(), self._console.pause():
            for run in self._runs:
                try:
                    run.save(prune=False)
                except RunFailed as error:
                    if len(self._runs) == 1:
                        raise
                    raise RunFailed(f"seed {run.seed}, {error}") from error
            # Once all have this state: until then an older one is what they have in common.
            for run in self._runs:
                run.prune()

    def _intervals(self) -> list[int]:
        return [*self._every.values(), 0]

    def _next(self, every: int) -> int:
        """The first multiple of `every` after what is done with, or the run's end."""
        return self._last if every == 0 else min(self._last, (self._seen // every + 1) * every)

    def _is_due(self, section: str) -> bool:
        every = self._every[section]
        return every > 0 and self._now // every > self._seen // every


def _last_evaluation_failed(failed: Mapping[SeedRun, str | None]) -> str:
    """What is done, what is not, and how to do it."""
    causes = " ".join(
        f"{cause}" if len(failed) == 1 else f"seed {run.seed}: {cause}" for run, cause in failed.items()
    ).rstrip(".")
    return (
        f"the training is complete and saved, but its last evaluation failed: {causes}. "
        "The same command evaluates again."
    )


class TrainingLoop(Loop):
    """The loop of runs on a dataset, which counts updates."""

    _chunk = 1

    def _advance(self) -> None:
        """One call into the learners: as many updates as fit the time aimed at, none past a boundary."""
        count = min(self._chunk, self._boundary() - self._now)
        compiled, start = self._learners.compile_seconds, time.perf_counter()
        closes = self._now + count == self._next_log
        metrics = self._learners.train(count, close_window=closes)
        seconds, compiled = time.perf_counter() - start, self._learners.compile_seconds - compiled
        self._count(seconds, compiled)
        self._chunk = max(1, min(int(count / max(seconds - compiled, 1e-9) * CALL_SECONDS), 2 * count))
        if closes:
            self._log(metrics)
