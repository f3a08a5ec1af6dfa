"""One seed's side of a training: its evaluations, logs, checkpoints and summary, in its own folder."""

import dataclasses
import logging
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pogo.core.environments.checks import in_one_line
from pogo.core.errors import BadInput, RunFailed, reading
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.files.documents import as_text
from pogo.core.files.evaluation_queue import EvaluationQueue
from pogo.core.files.logs import WALL_SECONDS, RunLog
from pogo.core.files.summary import CONFIG, FAILED, SUMMARY, read_summary, write_json_atomically
from pogo.core.learner.interface import Learner, Pair
from pogo.core.learner.metrics import check_parameters
from pogo.core.learner.probe import Probe
from pogo.core.online.collector import Collector
from pogo.core.runs.console import RunConsole
from pogo.core.runs.diagnosis import below_data, measures_by_actor, setbacks
from pogo.core.runs.evaluation import (
    ActorEvaluation,
    Evaluator,
    evaluation_document,
    failures,
    failures_in_words,
    rows_of,
)
from pogo.core.runs.listener import NOBODY, Callback, Event, Listener
from pogo.core.runs.lock import RunLock
from pogo.core.runs.plan import Plan
from pogo.core.runs.record import Progress, ResumePoint, notes
from pogo.core.runs.resume import changes_from_here
from pogo.core.runs.stopwatch import Spent, Stopwatch
from pogo.core.runs.video import CLIP_SIZE, VideoRecorder
from pogo.core.setting import Values
from pogo.core.system.signals import StopRequest

logger = logging.getLogger("pogo")


class _Stopped(Exception):
    """A signal came during an evaluation, which is given up and made anew after the resume."""


class SeedRun:
    """What one learner's run leaves in its folder, while its log is open."""

    def __init__(
        self,
        plan: Plan,
        lock: RunLock,
        learner: Learner,
        probe: Probe,
        store: CheckpointStore,
        log: RunLog,
        point: ResumePoint | None,
        stop: StopRequest,
        stopwatch: Stopwatch,
        evaluator: Evaluator | None = None,
        collector: Collector | None = None,
        listener: Listener = NOBODY,
    ) -> None:
        self.plan, self.learner, self._evaluator, self._collector = plan, learner, evaluator, collector
        self._lock, self._probe, self._store, self._log, self._stop = lock, probe, store, log, stop
        self._listener = listener
        self._record = plan.record(learner.machine)
        progress = Progress({}) if point is None else point.progress
        self._stopwatch = stopwatch
        self._before = Spent(  # by earlier processes of this run
            progress.train_seconds, progress.compile_seconds, progress.wall_seconds
        )
        self._evaluation: Values | None = progress.evaluation
        self.owes_evaluation = progress.owes_evaluation
        self._failure: str | None = None  # of the latest evaluation that this process has tried
        self._saved_at = None if point is None else point.step
        self._is_summed_up = False
        self._queue = EvaluationQueue(plan.run_dir, plan.config.clock.unit)
        self._description: tuple[tuple[int, int], Mapping[str, float]] | None = None  # and what it is of
        self._changes = [] if point is None else changes_from_here(plan, point)

    @property
    def seed(self) -> int:
        """The run's seed."""
        return self.plan.config.seed

    @property
    def position(self) -> int:
        """How far the run is, by its plan's clock."""
        return self.learner.updates if self._collector is None else self._collector.env_steps

    @property
    def failure(self) -> str | None:
        """Why the run's last evaluation, which is owed for that, gave no results or not all; in one line."""
        if not self.owes_evaluation or self.position < self.plan.config.length:
            return None
        return self._failure

    @property
    def is_saved(self) -> bool:
        """Whether the present state is in a checkpoint."""
        return self._saved_at == self.position

    def begin(self) -> None:
        """Write config.json, and say where the run starts."""
        self._lock.check()
        self._forget_failure()
        # Of a course that the run does not take: it goes on from an earlier checkpoint, or begins anew.
        self._queue.drop([step for step in self._queue.steps() if self._saved_at is None or step > self._saved_at])
        said = self.plan.config.to_json() | notes(self.plan.command, self.learner.machine)
        write_json_atomically(self.plan.run_dir / CONFIG, said, as_text)
        with self._log.own_messages():
            where, length = self._position_in_words(self._saved_at or 0), self.plan.config.length
            if self._saved_at is None:
                logger.info("starting from %s of %d in %s.", where, length, self.plan.run_dir)
            else:
                logger.info("resuming %s from %s of %d.", self.plan.run_dir, where, length)
            for change in self._changes:
                logger.info("%s", change)

    def end(self, finished: bool) -> None:
        """Say how the run ends, all being saved."""
        with self._log.own_messages():
            if finished:
                logger.info("done: %s", self.plan.run_dir)
            else:
                where = self._position_in_words(self.position)
                logger.info("stopped by %s at %s; saved. The same command goes on.", self._stop.reason, where)

    @property
    def _spent(self) -> Spent:
        """What the run has taken by now, in all its processes."""
        return self._before + self._stopwatch.spent

    def log_training(self, metrics: Mapping[str, float]) -> None:
        """One line of the log."""
        self._lock.check()
        described = {**metrics, **self._described()}
        described[WALL_SECONDS] = self._spent.wall
        if self._collector is not None:
            described["updates"] = self.learner.updates
        self._log.train(self.position, described)
        self._tell(self._listener.on_log, metrics=described)

    def evaluate(self, console: RunConsole, among_others: bool) -> None:
        """Evaluate every actor, or owe it where a signal has come; a last evaluation that fails stays owed."""
        self.owes_evaluation = self._evaluator is not None
        if self._evaluator is None:
            return
        position, where = self.position, self._position_in_words(self.position)
        self._failure, rows = None, []
        with self._log.own_messages():
            try:
                rows = self._measured(self._evaluator.evaluate(self._act, self.seed, position, console.evaluating))
            except _Stopped:
                return
            except Exception as error:  # noqa: BLE001 - whatever broke, it is no score, and training goes on
                logger.error("evaluation at %s failed:\n%s", where, traceback.format_exc())
                self._evaluation = {"failed": f"{type(error).__name__}: {error}"}
                self._failure = in_one_line(error)
            else:
                traces: set[str] = set()
                for fault in failures(rows):
                    logger.error("evaluation at %s: %s", where, fault.message)
                    if fault.trace and fault.trace not in traces:  # one of many that say the same
                        logger.error("%s", fault.trace.rstrip())
                    traces.add(fault.trace)
                for line in (line for row in rows for line in row.in_words()):  # the console has them in a table
                    self._log.note(f"{where}: {line}")
                self._failure = failures_in_words(rows)
                self._evaluation = evaluation_document(rows)
                console.evaluation_table(self._title(where, among_others), rows, self._behaviour())
                self._show_chain(console, rows)
        self._lock.check()
        self.owes_evaluation = self._failure is not None and position == self.plan.config.length
        self._log.evaluation(position, {**self._evaluation, WALL_SECONDS: self._spent.wall})
        self._show_clip()
        self._tell(self._listener.on_evaluation, actors=rows)

    def take_over(self) -> None:
        """Log the evaluations of earlier checkpoints that `pogo-eval --watch` has made beside the run.

        One that the run owes is its own to make.
        """
        for step in self._queue.steps():
            if step in self._log.evaluated or (step == self.position and self.owes_evaluation):
                continue
            with self._log.own_messages():
                try:
                    document = self._queue.read(step)
                    with reading(f"the evaluation {step} that waits in {self._queue.folder}"):
                        rows = rows_of(document)
                except BadInput as error:
                    logger.warning("%s It is deleted.", error)
                    self._queue.drop([step])
                    continue
                for line in (line for row in rows for line in row.in_words()):
                    self._log.note(f"{self._position_in_words(step)}, evaluated beside the run: {line}")
                self._diagnose(rows, step)
            if step > max(self._log.evaluated, default=-1):
                self._evaluation = document
            self._log.late_evaluation(step, document)

    def _measured(self, rows: Sequence[ActorEvaluation]) -> list[ActorEvaluation]:
        """The rows with what the log says of their actors, now."""
        measures = measures_by_actor(self._described())
        return [dataclasses.replace(row, measures=measures[row.index]) for row in rows]

    def _described(self) -> Mapping[str, float]:
        """What the probe says of the actors; asked once where a line of the log and a checkpoint fall together."""
        now = self.position, self.learner.updates
        if self._description is None or self._description[0] != now:
            self._description = now, self.learner.describe(self._probe)
        return self._description[1]

    def _show_chain(self, console: RunConsole, rows: Sequence[ActorEvaluation]) -> None:
        """At the last evaluation what each actor has done; at any, which are far below actor 0 and why."""
        neighbours = self._probe.neighbours
        if self.position == self.plan.config.length and len(rows) > 1:
            steps = self.plan.spec.chain.steps
            console.chain_table(rows, steps, None if neighbours is None else neighbours.own_distance)
        self._diagnose(rows, self.position)

    def _diagnose(self, rows: Sequence[ActorEvaluation], position: int) -> None:
        """Say which actors are far below actor 0 and why.

        In the run's second half also which are below the data: in the first they are still on their way up from where
        they began.
        """
        chain, reference = self.plan.spec.chain, self.plan.dataset.reference_returns
        for setback in setbacks(rows, chain, None if reference is None else reference[0]):
            logger.warning("%s", setback)
        below = below_data(rows, self.plan.dataset.behaviour)
        if below is not None and 2 * position >= self.plan.config.length:
            logger.warning("%s", below)

    def _behaviour(self) -> tuple[float, float, float | None] | None:
        """Mean, spread and score of the data's own returns; none where it has no complete episode."""
        dataset = self.plan.dataset
        mean, std = dataset.behaviour.return_mean, dataset.behaviour.return_std
        return None if mean is None or std is None else (mean, std, dataset.normalized_score(mean))

    def _show_clip(self) -> None:
        """Log a clip of the last actor, if one is asked for; what fails there is said, and costs nothing else."""
        dataset, config = self.plan.dataset, self.plan.config
        if not config.logger.video or dataset.environment is None:
            return
        recorder = VideoRecorder(self._act, dataset.environment, dataset.normalisation, self.seed, self.position)
        try:
            gif = recorder.clip(Pair(len(self.plan.spec.actors) - 1, "deterministic"), config.eval.episodes)
        except _Stopped:
            return
        except Exception as error:  # noqa: BLE001 - a simulator may raise anything
            logger.warning("no clip at %s: %s.", self._position_in_words(self.position), in_one_line(error))
            return
        self._log.clip(self.position, gif, (CLIP_SIZE, CLIP_SIZE))

    def _title(self, where: str, among_others: bool) -> str:
        environment = self.plan.dataset.environment
        limit = "" if environment is None else environment.limit_words
        return ", ".join(part for part in (f"seed {self.seed}" if among_others else "", where, limit) if part)

    def _position_in_words(self, position: int) -> str:
        return self.plan.config.clock.words(position)

    def _act(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        if self._stop.requested:
            raise _Stopped
        return self.learner.act_pairs(observations, pairs, noise)

    def save(self, prune: bool = True) -> None:
        """Commit a checkpoint; with `prune`, delete older ones than are kept.

        Raises:
            RunFailed: a parameter is not finite, or it cannot be written.
        """
        self._lock.check()
        self.take_over()
        total = self._spent
        arrays = self.learner.snapshot()
        check_parameters(self.learner.updates, arrays)
        measures = measures_by_actor(self._described())
        progress = Progress(
            log_positions=self._log.positions(),
            train_seconds=total.train,
            compile_seconds=total.compile,
            wall_seconds=total.wall,
            evaluation=self._evaluation,
            owes_evaluation=self.owes_evaluation,
            measures={str(actor): measures.get(actor, {}) for actor in range(len(self.plan.spec.actors))},
        )
        records = {"run": self._record.to_json(), "progress": dataclasses.asdict(progress)}
        if self._collector is not None:
            arrays |= self._collector.snapshot()
        folder = self._store.save(self.position, arrays, records, prune=prune)
        self._saved_at = self.position
        self._queue.drop(self._log.evaluated.intersection(self._queue.steps()))
        self._tell(self._listener.on_checkpoint, checkpoint=folder)

    def _tell(self, callback: Callback | None, **news: Any) -> None:
        self._listener.tell(callback, Event(self.position, self.seed, self.plan.run_dir, **news), self._stop)

    def prune(self) -> None:
        """Delete older checkpoints than are kept."""
        self._store.prune()

    def write_summary(self) -> None:
        """Write summary.json: the run is complete."""
        self._lock.check()
        write_json_atomically(self.plan.run_dir / SUMMARY, self._summary())
        self._is_summed_up = True

    def fail(self, reason: str) -> None:
        """Leave in summary.json, beside what is known by now, and in wandb why the run ends before its time.

        The summary of a run that is complete stays: what has failed then is its last evaluation, which it says.
        """
        self._log.fail(reason)
        if self._is_summed_up:
            return
        try:
            write_json_atomically(self.plan.run_dir / SUMMARY, self._summary() | {FAILED: reason})
        except RunFailed as error:  # of a full disk, say: why the run has failed is the greater news
            logger.error("%s", error)

    def _forget_failure(self) -> None:
        """Take away the summary of an earlier process that failed: the run goes on."""
        if FAILED in read_summary(self.plan.run_dir):
            (self.plan.run_dir / SUMMARY).unlink()

    def _summary(self) -> dict[str, Any]:
        dataset, total = self.plan.dataset, self._spent
        evaluation = self._evaluation or {}
        actors = evaluation.get("actors") or [
            {"index": index, "kind": actor.kind, "deterministic": None, "stochastic": None}
            for index, actor in enumerate(self.plan.spec.actors)
        ]
        summary = {
            "backend": self.plan.config.backend.name,
            "algorithm": self.plan.spec.algorithm,
            "dataset": dataset.name,
            "environment": dataset.environment.env_id if dataset.environment is not None else None,
            "seed": self.seed,
            "updates": self.learner.updates,
            **{self.plan.config.clock.units: self.position},
            f"{self.plan.config.clock.units}_per_second": self.position / total.train if total.train else None,
            "compile_seconds": total.compile,
            WALL_SECONDS: total.wall,
            "threads": self.plan.config.threads,
            **self.learner.machine,
            "w2_weights": list(self.plan.spec.chain.w2_weights),
            "actors": actors,
            "measures": evaluation.get("measures", {}),
            "behaviour": dataclasses.asdict(dataset.behaviour),
            "reference_returns": None if dataset.reference_returns is None else list(dataset.reference_returns),
            "versions": dict(self._record.versions),
        }
        return summary | ({"evaluation_failed": evaluation["failed"]} if "failed" in evaluation else {})
