"""The online training loop: environments, replay buffer and updates in turn.

Haarnoja et al. 2018, arXiv:1801.01290, algorithm 1.
"""

import time
from pathlib import Path

import numpy as np

from pogo.core.errors import RunFailed
from pogo.core.learner.group import LearnerGroup
from pogo.core.online.collector import Collector
from pogo.core.runs.collection import save_replay
from pogo.core.runs.console import RunConsole
from pogo.core.runs.loop import CALL_SECONDS, Loop
from pogo.core.runs.seed_run import SeedRun
from pogo.core.runs.stopwatch import Stopwatch
from pogo.core.system.signals import StopRequest


class OnlineLoop(Loop):
    """Drives one learner that trains on what an actor of its chain collects; counts environment steps."""

    def __init__(
        self,
        run: SeedRun,
        learners: LearnerGroup,
        collector: Collector,
        console: RunConsole,
        stop: StopRequest,
        stopwatch: Stopwatch,
    ) -> None:
        super().__init__([run], learners, console, stop, stopwatch)
        self._collector = collector
        self._train, self._collect = run.plan.config.train, run.plan.config.collect
        self._learner = learners.learners[0]
        self._is_stochastic = run.plan.spec.actors[self._collect.actor].is_stochastic

    def _advance(self) -> None:
        """Environment steps and their updates, for as long as one call may take, none past a boundary."""
        start, compiled = time.perf_counter(), self._learners.compile_seconds
        boundary = self._boundary()
        self._step()
        while self._now < boundary and time.perf_counter() - start < CALL_SECONDS:
            self._step()
        closes = self._now >= self._next_log
        metrics = self._learner.window_means() if closes else {}
        compiled = self._learners.compile_seconds - compiled
        self._count(time.perf_counter() - start, compiled)
        if closes:
            self._log([{**metrics, **_of_episodes(self._collector)}])

    def _finish(self) -> None:
        """Write the replay buffer to the file that is asked for, then as `Loop`.

        While a last evaluation is owed there is no file yet: the command that evaluates again makes it, and would
        refuse one that is there.
        """
        if self._train.save_replay is not None and not self._runs[0].owes_evaluation:
            save_replay(self._runs[0].plan, self._learner, Path(self._train.save_replay).expanduser())
        super()._finish()

    def _step(self) -> None:
        """One step of every environment, and the updates that are due by then."""
        replay = self._learner.replay_buffer
        assert replay is not None
        replay.insert(self._collector.step(self._actions()))
        due = self._train.updates_due(self._now) - self._learner.updates
        if due > 0:
            self._learner.advance(due)

    def _actions(self) -> np.ndarray:
        """Uniform ones at first, then samples of the actor that collects; [n, A]."""
        collector, actor = self._collector, self._collect.actor
        assert self._train.random_steps is not None
        if self._now < self._train.random_steps:
            return collector.random_actions()
        noise = collector.noise()
        if self._is_stochastic:
            actions = self._learner.act(collector.observations, actor, noise)
        else:
            actions = self._learner.act(collector.observations, actor) + self._collect.noise_std * noise
        if not np.isfinite(actions).all():
            self._learner.window_means(close=False)  # names the metric that was the first to diverge
            raise RunFailed(
                f"actor {actor} gives actions that are not finite at environment step {self._now}: its parameters "
                "have diverged; the last good checkpoint is kept."
            )
        return actions


def _of_episodes(collector: Collector) -> dict[str, float]:
    """What the log says of the episodes that have finished since its last line."""
    episodes = collector.take_finished()
    found = {"collect/episodes": float(len(episodes))}
    if episodes:
        returns, lengths = zip(*episodes, strict=True)
        found |= {"collect/return": float(np.mean(returns)), "collect/length": float(np.mean(lengths))}
    return found
