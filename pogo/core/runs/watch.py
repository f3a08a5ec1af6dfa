"""Evaluation of checkpoints beside the runs that write them: what `pogo-eval --watch` does."""

import dataclasses
import logging
import math
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pogo.core.config.clock import Clock
from pogo.core.environments.checks import in_one_line
from pogo.core.environments.simulators import default_processes
from pogo.core.errors import EXIT_DONE, EXIT_FAILED, BadInput, RunFailed, reading
from pogo.core.files.checkpoint import MANIFEST, Checkpoint, CheckpointDamaged, CheckpointStore
from pogo.core.files.claims import Claims
from pogo.core.files.evaluation_queue import EvaluationQueue
from pogo.core.files.line_files import naming, read_lines
from pogo.core.files.logs import EVALUATION, WALL_SECONDS
from pogo.core.learner.interface import Learner, Pair
from pogo.core.reports.live import NEXT_OF_SWEEP, RunState, Watcher
from pogo.core.runs.diagnosis import setbacks
from pogo.core.runs.evaluation import ActorEvaluation, Evaluator, evaluation_document, failures
from pogo.core.runs.lock import RunLock
from pogo.core.runs.record import Progress, RunRecord
from pogo.core.runs.settlement import settle
from pogo.core.runs.stored_run import acting_config, acting_learner, open_checkpoint, restore_to_act
from pogo.core.system.machine import available_cpus
from pogo.core.system.signals import StopRequest

POLL_SECONDS = 10.0
_NAP = 0.2  # seconds that a signal may wait for
_ATTEMPTS = 2  # at a checkpoint that its run may be replacing

logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class WatchOptions:
    """How checkpoints are evaluated."""

    episodes: int | None = None  # per actor and mode; none: as the run has it
    processes: int | None = None  # that hold the simulators; none: by the processors here
    backend: str | None = None  # none: the one that wrote the run
    device: str = "cpu"


@dataclass(frozen=True, order=True)
class _Due:
    """A checkpoint that nobody has evaluated."""

    committed: float  # in seconds since 1970
    run_dir: Path
    step: int


class _Stopped(Exception):
    """A signal came during an evaluation, which is given up."""


class _PassedOver(Exception):
    """A checkpoint that was deleted before it could be read, or whose run needs none of this."""


class CheckpointWatch:
    """Evaluates the checkpoints of all runs below a folder that have no line in their run's eval.jsonl.

    Those committed first come first: their runs delete them first, so that of what cannot all be evaluated in time the
    least is lost, and each curve grows in order.
    """

    def __init__(
        self,
        root: Path,
        options: WatchOptions,
        stop: StopRequest,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._root, self._options, self._stop = root, options, stop
        self._clock, self._sleep = clock, sleep
        self._watcher = Watcher(root)
        self._claims = Claims()
        self._player = _Player(options, stop, self._claims)
        self._awaited: set[tuple[Path, int]] = set()  # due at the last look
        self._given_up: set[tuple[Path, int]] = set()
        self._left_alone: set[Path] = set()
        self._said: set[str] = set()
        self._failed = False
        self._evaluated: dict[Path, tuple[tuple[int, ...], list[int]]] = {}

    def run(self, poll: float = POLL_SECONDS, once: bool = False) -> int:
        """Evaluate until all runs have ended and are evaluated, or once what there is; returns the exit code.

        Args:
            poll: seconds between two looks.
            once: whether to end after one look.

        Raises:
            BadInput: no such folder; or with `once` no run in it.
        """
        try:
            while True:
                seen = self._watcher.look(self._clock())
                for line in seen.unreadable:
                    self._say(f"{line}; it is looked at again.")
                if once and not seen.states:
                    raise BadInput(
                        "; ".join(seen.unreadable) or f"{self._root} holds no runs: give a folder above some."
                    )
                due = self._due(seen.states)
                for each, clock in due:
                    if self._stop.requested:
                        return self._stop.exit_code
                    self._attempt(each, clock)
                ended = [state for state in seen.states if self._has_ended(state)]
                self._settle(ended)
                is_over = bool(ended) and len(ended) == len(seen.states) and not due
                if once or (is_over and seen.time - max(state.last_sign for state in ended) > NEXT_OF_SWEEP):
                    break
                if not self._wait(poll):
                    return self._stop.exit_code
        except _Stopped:
            return self._stop.exit_code
        finally:
            self._player.close()
        self._conclude(seen.states)
        return EXIT_FAILED if self._failed else EXIT_DONE

    def _due(self, states: Sequence[RunState]) -> list[tuple[_Due, Clock]]:
        """The checkpoints to evaluate, in their order."""
        found: list[tuple[_Due, Clock]] = []
        for state in states:
            run_dir, clock = state.run.path, state.run.clock
            if run_dir in self._left_alone:
                continue
            try:
                # The log last: what is taken over from the queue meanwhile is found there.
                waiting = EvaluationQueue(run_dir, clock.unit).steps()
                missing = set(CheckpointStore(run_dir).steps()) - {*waiting, *self._logged(run_dir, clock)}
                found += [
                    (_Due(_committed(run_dir, step), run_dir, step), clock)
                    for step in missing
                    if (run_dir, step) not in self._given_up
                ]
            except RunFailed as error:
                self._fail(str(error))
        due = {(each.run_dir, each.step) for each, _ in found}
        clocks = {state.run.path: state.run.clock for state in states}
        for run_dir, step in sorted(self._awaited - due - self._given_up):
            is_there = run_dir not in clocks or step in CheckpointStore(run_dir).steps()
            if not is_there and not self._is_evaluated(run_dir, step, clocks[run_dir]):
                self._say_gone(run_dir, clocks[run_dir].words(step))
        self._awaited = due
        return sorted(found, key=lambda each: each[0])

    def _attempt(self, due: _Due, clock: Clock) -> None:
        """Evaluate a checkpoint, unless another does."""
        queue = EvaluationQueue(due.run_dir, clock.unit)
        claim = queue.claim_path(due.step)
        where = f"{due.run_dir}, {clock.words(due.step)}"
        try:
            if due.run_dir in self._left_alone or not self._claims.take(claim):
                return
        except RunFailed as error:
            self._give_up(due, str(error))
            return
        try:
            if self._is_evaluated(due.run_dir, due.step, clock):
                return
            self._evaluate(due, queue, where)
        except _PassedOver:
            self._say_gone(due.run_dir, clock.words(due.step))
            self._given_up.add((due.run_dir, due.step))
        except BadInput as error:
            self._give_up(due, f"{where} cannot be evaluated: {error}")
        except RunFailed as error:
            self._give_up(due, f"{where}: the evaluation failed: {error}")
        except _Stopped:
            raise
        except Exception as error:  # a simulator may raise anything, and the other runs go on
            logger.exception("%s:", where)
            self._give_up(due, f"{where}: the evaluation failed: {in_one_line(error)}")
        finally:
            self._claims.release(claim)
            queue.tidy()

    def _evaluate(self, due: _Due, queue: EvaluationQueue, where: str) -> None:
        """Make one evaluation, and leave it for the run.

        Raises:
            _PassedOver: the checkpoint is not there any more.
            BadInput, RunFailed: it cannot be read, or not be evaluated here.
        """
        store = CheckpointStore(due.run_dir)
        manifest = _manifest(store, due.step)
        checkpoint, record = _open(store, due.step)
        if (reason := self._nothing_to_do(record)) is not None:
            self._left_alone.add(due.run_dir)
            self._say(f"{due.run_dir} is left alone: {reason}")
            return
        with reading(f"{due.run_dir}: the record of checkpoint {due.step}"):
            progress = Progress.from_json(checkpoint.records["progress"])
        started = time.monotonic()
        try:
            rows = self._player.play(checkpoint, record, progress)
        except BadInput as error:  # what this machine lacks for one checkpoint it lacks for all
            self._left_alone.add(due.run_dir)
            self._fail(f"{due.run_dir} is left alone, it cannot be evaluated here: {error}")
            return
        # A run that goes back to an earlier checkpoint takes another course, and may have come here anew by now.
        now = _manifest(store, due.step)
        if now == manifest or (now is None and any(step > due.step for step in store.steps())):
            queue.put(due.step, {**evaluation_document(rows), WALL_SECONDS: progress.wall_seconds})
        returns = ", ".join(
            f"actor {row.index} {result.return_mean:.1f}"
            for row in rows
            if (result := row.deterministic or row.stochastic) is not None
        )
        logger.info("%s: %s; %.1f s.", where, returns or "no actor has a result", time.monotonic() - started)
        for fault in failures(rows):
            logger.warning("%s: %s", where, fault.message)
        reference = record.reference_returns
        for setback in setbacks(rows, record.spec.chain, None if reference is None else reference[0]):
            logger.warning("%s: %s", where, setback)

    def _nothing_to_do(self, record: RunRecord) -> str | None:
        if record.environment is None:
            return "it was made without an environment; pogo-eval RUN_DIR --env ID evaluates one checkpoint."
        if record.config.eval.episodes == 0 and self._options.episodes is None:
            return "its eval.episodes is 0; --episodes N evaluates it."
        return None

    def _settle(self, ended: Sequence[RunState]) -> None:
        """Bring the logs of runs that have ended to their final form."""
        for state in ended:
            run_dir, clock = state.run.path, state.run.clock
            try:
                waits, logged = EvaluationQueue(run_dir, clock.unit).steps(), self._logged(run_dir, clock)
                if waits or logged != sorted(logged):
                    settle(run_dir, clock)
            except (RunFailed, BadInput) as error:
                self._fail(str(error))

    def _has_ended(self, state: RunState) -> bool:
        """Whether nothing comes of a run by itself: where it gives no sign of life, nobody holds its folder."""
        if state.status != "silent":
            return state.has_ended
        with RunLock(state.run.path) as lock:
            try:
                lock.acquire(make=False)
            except BadInput:
                return False
        return True

    def _logged(self, run_dir: Path, clock: Clock) -> list[int]:
        """The updates that a run's log has evaluations of, in its order; read again when it has changed."""
        path = run_dir / EVALUATION
        try:
            status = path.stat()
        except OSError:
            return []
        signature = status.st_ino, status.st_size, status.st_mtime_ns
        known = self._evaluated.get(run_dir)
        if known is None or known[0] != signature:
            with naming(path):
                counts = [line.count for line in read_lines(path, clock.unit)]
            known = signature, [count for count in counts if count is not None]
            self._evaluated[run_dir] = known
        return known[1]

    def _is_evaluated(self, run_dir: Path, step: int, clock: Clock) -> bool:
        return step in EvaluationQueue(run_dir, clock.unit).steps() or step in self._logged(run_dir, clock)

    def _wait(self, seconds: float) -> bool:
        """Let some time pass; whether nobody has asked for a stop."""
        for _ in range(max(1, math.ceil(seconds / _NAP))):
            if self._stop.requested:
                return False
            self._sleep(min(_NAP, seconds))
        return not self._stop.requested

    def _conclude(self, states: Sequence[RunState]) -> None:
        """Say how the runs are, and of each that is not finished why."""
        for state in states:
            if state.status != "finished":
                note = state.note or "its files do not change"
                words = note if note.startswith(state.status) else f"{state.status}, {note}"
                logger.info("%s: %s.", state.run.path, words.rstrip("."))
        counts = Counter(state.status for state in states)
        logger.info("looked at all runs: %s.", ", ".join(f"{count} {status}" for status, count in counts.items()))

    def _give_up(self, due: _Due, reason: str) -> None:
        self._given_up.add((due.run_dir, due.step))
        self._fail(reason)

    def _fail(self, reason: str) -> None:
        self._failed = True
        self._say(reason)

    def _say_gone(self, run_dir: Path, where: str) -> None:
        self._say(
            f"{run_dir}, {where}: the checkpoint was deleted before it could be evaluated; a larger checkpoint.keep "
            "leaves more time, more watchers need less."
        )

    def _say(self, text: str) -> None:
        """Say something once."""
        if text not in self._said:
            logger.warning("%s", text)
        self._said.add(text)


def _manifest(store: CheckpointStore, step: int) -> bytes | None:
    """What no other checkpoint of this step has; None where it is not there."""
    try:
        return (store.path(step) / MANIFEST).read_bytes()
    except OSError:
        return None


def _committed(run_dir: Path, step: int) -> float:
    """When a checkpoint was committed; of one that is gone, never: it is looked for last."""
    try:
        return CheckpointStore(run_dir).path(step).stat().st_mtime
    except OSError:
        return math.inf


def _open(store: CheckpointStore, step: int) -> tuple[Checkpoint, RunRecord]:
    """Read a checkpoint, which its run may delete or replace meanwhile.

    Raises:
        _PassedOver: it is not there any more.
        BadInput, RunFailed: it is there, and not what was saved.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return open_checkpoint(store.run_dir, step)
        except (BadInput, RunFailed) as error:
            if step not in store.steps():
                raise _PassedOver from error
            if attempt == _ATTEMPTS - 1 or not isinstance(error, CheckpointDamaged):
                raise
    raise AssertionError  # the last attempt returns or raises


class _Player:
    """Plays the episodes of one checkpoint after another; simulators and programs are kept while they fit the next."""

    def __init__(self, options: WatchOptions, stop: StopRequest, claims: Claims) -> None:
        self._options, self._stop, self._claims = options, stop, claims
        self._learner: tuple[object, Learner] | None = None  # and what it is of
        self._evaluator: tuple[object, Evaluator] | None = None

    def play(self, checkpoint: Checkpoint, record: RunRecord, progress: Progress) -> list[ActorEvaluation]:
        """The evaluation that the run itself would have made at this checkpoint.

        Raises:
            BadInput: the backend, the device or the environment is not there, or the checkpoint is of another run.
            RunFailed: the evaluation broke.
        """
        learner = self._learner_of(record)
        restore_to_act(learner, checkpoint)

        def act(observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
            if self._stop.requested:
                raise _Stopped
            self._claims.refresh()
            return learner.act_pairs(observations, pairs, noise)

        rows = self._evaluator_of(record).evaluate(act, record.config.seed, checkpoint.step)
        measures = progress.measures or {}  # an older pogo measured none at a checkpoint
        return [dataclasses.replace(row, measures=measures.get(str(row.index), {})) for row in rows]

    def close(self) -> None:
        """Free the simulators."""
        if self._evaluator is not None:
            self._evaluator[1].close()
            self._evaluator = None

    def _learner_of(self, record: RunRecord) -> Learner:
        config = acting_config(record, self._options.backend)
        # As many threads as the run had, where there are so many: the last bits may depend on it.
        threads = min(config.threads, available_cpus())
        key = record.spec, config.backend, config.deterministic, threads
        if self._learner is None or self._learner[0] != key:
            self._learner = None
            self._learner = key, acting_learner(config, record.spec, self._options.device, threads)
        return self._learner[1]

    def _evaluator_of(self, record: RunRecord) -> Evaluator:
        assert record.environment is not None
        episodes = self._options.episodes or record.config.eval.episodes
        processes = self._options.processes
        if processes is None:
            processes = default_processes(available_cpus(), episodes)
        normalisation, environment = record.normalisation.to_json(), record.environment.to_json()
        key = record.spec.actors, environment, normalisation, record.reference_returns, episodes
        if self._evaluator is None or self._evaluator[0] != key:
            self.close()
            evaluator = Evaluator(
                record.spec.actors,
                record.environment,
                record.normalisation,
                record.reference_returns,
                episodes,
                processes,
            )
            self._evaluator = key, evaluator
        return self._evaluator[1]
