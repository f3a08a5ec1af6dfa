"""The training loop: updates, logs, evaluations and checkpoints, once for both backends."""

import dataclasses
import logging
import time
import traceback
from typing import Any

import numpy as np

from pogo.core.checkpoint import Checkpoint, CheckpointStore
from pogo.core.config.plan import Plan
from pogo.core.console import RunConsole
from pogo.core.evaluation import Evaluator
from pogo.core.interface import Learner
from pogo.core.logs import RunLog
from pogo.core.metrics import check_parameters
from pogo.core.probe import Probe
from pogo.core.run import SUMMARY, run_record
from pogo.core.signals import StopRequest
from pogo.core.summary import write_json_atomically

CALL_SECONDS = 0.5  # aim of one call into the learner: how long a signal or the progress bar may wait

logger = logging.getLogger("pogo")


class _Stopped(Exception):  # noqa: N818
    """A signal came during an evaluation, which is given up and made anew after the resume."""


class TrainingLoop:
    """Drives one learner from where it stands to the run's last update."""

    def __init__(
        self,
        plan: Plan,
        learner: Learner,
        probe: Probe,
        store: CheckpointStore,
        log: RunLog,
        console: RunConsole,
        stop: StopRequest,
        checkpoint: Checkpoint | None,
    ) -> None:
        self._plan = plan
        self._learner = learner
        self._probe = probe
        self._store = store
        self._log = log
        self._console = console
        self._stop = stop
        self._record = run_record(plan)
        self._config = plan.resolved
        self._began = time.perf_counter()
        progress = checkpoint.records["progress"] if checkpoint is not None else {}
        # Of earlier processes of this run.
        self._train_seconds: float = progress.get("train_seconds", 0.0)
        self._wall_seconds: float = progress.get("wall_seconds", 0.0)
        self._compile_seconds: float = progress.get("compile_seconds", 0.0)
        self._evaluation: dict[str, Any] | None = progress.get("evaluation")
        self._owes_evaluation: bool = progress.get("owes_evaluation", False)
        self._saved_at = checkpoint.step if checkpoint is not None else None
        self._chunk = 1
        self._window = (self._learner.updates, 0.0)  # first update and seconds of the log's open window

    def run(self) -> bool:
        """Train to the end, or to a requested stop, which saves first.

        Returns:
            Whether the run is finished.

        Raises:
            RunFailed: a metric or a parameter is not finite, or a log or checkpoint cannot be written.
        """
        evaluator = self._make_evaluator()
        try:
            if self._owes_evaluation:
                self._evaluate(evaluator)
            while self._learner.updates < self._plan.updates and not self._stop.requested:
                self._advance()
                self._at_boundary(evaluator)
        finally:
            if evaluator is not None:
                evaluator.close()
        finished = self._learner.updates >= self._plan.updates and not self._owes_evaluation
        if self._saved_at != self._learner.updates or finished:
            self._save()
        if finished:
            write_json_atomically(self._plan.run_dir / SUMMARY, self._summary())
        return finished

    def _advance(self) -> None:
        """One call into the learner: as many updates as fit the time aimed at, none past a boundary."""
        update = self._learner.updates
        boundary = min(self._next(every) for every in self._intervals())
        count = min(self._chunk, boundary - update)
        compiled, start = self._learner.compile_seconds, time.perf_counter()
        closes = update + count == self._next(self._config["log"]["every"])
        metrics = self._learner.train(count, close_window=closes)
        compiled = self._learner.compile_seconds - compiled
        seconds = max(time.perf_counter() - start - compiled, 1e-9)
        self._train_seconds += seconds
        self._compile_seconds += compiled
        self._window = (self._window[0], self._window[1] + seconds)
        self._chunk = max(1, min(int(count / seconds * CALL_SECONDS), 2 * count))
        self._console.leave_out(compiled)
        self._console.advance(self._learner.updates)
        if closes:
            first, seconds = self._window
            speed = (self._learner.updates - first) / seconds
            with self._console.pause():
                metrics |= self._learner.describe(self._probe)
            self._log.train(self._learner.updates, metrics | {"updates_per_second": speed})
            self._window = (self._learner.updates, 0.0)

    def _at_boundary(self, evaluator: Evaluator | None) -> None:
        last = self._learner.updates == self._plan.updates
        if last or self._is_due("eval"):
            self._evaluate(evaluator)
        if not last and self._is_due("checkpoint"):
            self._save()

    def _evaluate(self, evaluator: Evaluator | None) -> None:
        self._owes_evaluation = evaluator is not None
        if evaluator is None:
            return
        update = self._learner.updates
        compiled = self._learner.compile_seconds
        try:
            with self._console.pause():
                rows = evaluator.evaluate(self._act, update)
        except _Stopped:
            return
        except Exception as error:  # noqa: BLE001 - whatever broke, it is no score, and training goes on
            logger.error("evaluation at update %d failed:\n%s", update, traceback.format_exc())
            self._evaluation = {"failed": f"{type(error).__name__}: {error}"}
        else:
            self._evaluation = {"actors": [row.to_json() for row in rows]}
            self._console.evaluation_table(update, rows)
        self._compile_seconds += self._learner.compile_seconds - compiled
        self._owes_evaluation = False
        self._log.evaluation(update, self._evaluation)

    def _act(self, observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
        if self._stop.requested:
            raise _Stopped
        return self._learner.act(observations, actor, noise)

    def _save(self) -> None:
        with self._console.pause():
            records = {
                "run": self._record,
                "progress": {
                    "log_positions": self._log.positions(),
                    "train_seconds": self._train_seconds,
                    "compile_seconds": self._compile_seconds,
                    "wall_seconds": self._wall(),
                    "evaluation": self._evaluation,
                    "owes_evaluation": self._owes_evaluation,
                },
            }
            arrays = self._learner.snapshot()
            check_parameters(self._learner.updates, arrays)
            self._store.save(self._learner.updates, arrays, records)
        self._saved_at = self._learner.updates

    def _make_evaluator(self) -> Evaluator | None:
        dataset, episodes = self._plan.dataset, self._config["eval"]["episodes"]
        if dataset.environment is None or episodes == 0:
            return None
        return Evaluator(
            self._plan.spec.actors,
            dataset.environment,
            dataset.normalisation,
            dataset.reference_returns,
            episodes,
            self._config["seed"],
        )

    def _intervals(self) -> list[int]:
        return [self._config[section]["every"] for section in ("log", "eval", "checkpoint")] + [0]

    def _next(self, every: int) -> int:
        """The first multiple of `every` after the present update, or the run's end."""
        end = self._plan.updates
        return end if every == 0 else min(end, (self._learner.updates // every + 1) * every)

    def _is_due(self, section: str) -> bool:
        every = self._config[section]["every"]
        return every > 0 and self._learner.updates % every == 0

    def _wall(self) -> float:
        return self._wall_seconds + time.perf_counter() - self._began

    def _summary(self) -> dict[str, Any]:
        dataset = self._plan.dataset
        evaluation = self._evaluation or {}
        actors = evaluation.get("actors") or [
            {"index": index, "kind": actor.kind, "deterministic": None, "stochastic": None}
            for index, actor in enumerate(self._plan.spec.actors)
        ]
        summary = {
            "backend": self._plan.backend,
            "algorithm": self._plan.spec.algorithm,
            "dataset": dataset.name,
            "environment": dataset.environment.env_id if dataset.environment is not None else None,
            "seed": self._config["seed"],
            "updates": self._learner.updates,
            "updates_per_second": self._learner.updates / self._train_seconds if self._train_seconds else None,
            "compile_seconds": self._compile_seconds,
            "wall_seconds": self._wall(),
            "threads": self._config["threads"],
            "w2_weights": list(self._plan.spec.chain.w2_weights),
            "actors": actors,
            "behaviour": dataclasses.asdict(dataset.behaviour),
            "versions": self._record["versions"],
        }
        return summary | ({"evaluation_failed": evaluation["failed"]} if "failed" in evaluation else {})
