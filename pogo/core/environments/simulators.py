"""Many simulators of one environment stepped together, in this process or in worker processes.

Rows [P, n] stand for P policies with n episodes each; a worker holds some of the episodes, of every policy. Where the
simulators are changes no number.
"""

import contextlib
import itertools
import multiprocessing
import signal
import time
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.util import Finalize
from typing import Any, TypeVar

import gymnasium
import numpy as np
from typing_extensions import override

from pogo.core.environments.checks import CheckedEnvironment, EnvironmentFault, Fault
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, RunFailed
from pogo.core.system.signals import STOP_SIGNALS

T = TypeVar("T")

FEWEST_PROCESSORS = 4  # below, workers would take the processors from what acts
MOST_WORKERS = 8  # chosen by default
END_SECONDS = 5.0  # that workers may take to end before they are killed

# A fork would copy the locks of a framework's threads, held for ever.
_SPAWN = multiprocessing.get_context("spawn")

Faults = dict[tuple[int, int], Fault]  # by policy and episode
Reset = tuple[np.ndarray, Faults]  # observations [P, n, O]
Step = tuple[np.ndarray, np.ndarray, np.ndarray, Faults]  # observations, rewards [P, n], whether it ended [P, n]


class Simulators(ABC):
    """P x n simulators of one environment. One that is at fault stops no other: it has ended, and observes zeros."""

    @abstractmethod
    def reset(self, seeds: Sequence[int]) -> Reset:
        """Begin episodes anew, of every policy from the same n seeds."""

    @abstractmethod
    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """Step the simulators that are live [P, n] with actions [P, n, A] in their units; zeros for the others."""

    @abstractmethod
    def close(self) -> None:
        """Free the simulators, and end the workers."""


def make_simulators(spec: EnvironmentSpec, policies: int, episodes: int, processes: int) -> Simulators:
    """Simulators in as many worker processes, at most one per episode; 0: in this process.

    Raises:
        BadInput: the environment cannot be made in this process, or no worker be started. A worker that cannot make
            it says so at the first reset.
    """
    if processes == 0:
        return LocalSimulators(spec, policies, episodes)
    return WorkerSimulators(spec, policies, episodes, min(processes, episodes))


def default_processes(processors: int, episodes: int) -> int:
    """How many workers to use with so many processors: 0, or about half of them."""
    if processors < FEWEST_PROCESSORS or episodes == 1:
        return 0
    return min(processors // 2, MOST_WORKERS, episodes)


class LocalSimulators(Simulators):
    """Simulators in this process, stepped one after another."""

    def __init__(self, spec: EnvironmentSpec, policies: int, episodes: int) -> None:
        self._spec = spec
        self._environments: list[list[gymnasium.Env]] = [
            [CheckedEnvironment(spec) for _ in range(episodes)] for _ in range(policies)
        ]
        self._broken: set[tuple[int, int]] = set()  # what was at fault, and is made anew for its next episode

    @override
    def reset(self, seeds: Sequence[int]) -> Reset:
        observations = np.zeros((len(self._environments), len(seeds), self._spec.observation_size))
        faults: Faults = {}
        for policy, environments in enumerate(self._environments):
            for episode, seed in enumerate(seeds):
                try:
                    if (policy, episode) in self._broken:
                        environments[episode] = CheckedEnvironment(self._spec)
                        self._broken.remove((policy, episode))
                    observations[policy, episode] = environments[episode].reset(seed=int(seed))[0]
                except EnvironmentFault as error:
                    faults[policy, episode] = Fault.of(error)
                except BadInput as error:
                    faults[policy, episode] = Fault(f"cannot be made anew after a fault: {error}", "")
        self._broken.update(faults)
        return observations, faults

    @override
    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        observations, rewards = np.zeros((*live.shape, self._spec.observation_size)), np.zeros(live.shape)
        ended = np.zeros(live.shape, dtype=bool)
        faults: Faults = {}
        for policy, episode in zip(*(indices.tolist() for indices in live.nonzero()), strict=True):
            try:
                step = self._environments[policy][episode].step(actions[policy, episode])
            except EnvironmentFault as error:
                faults[policy, episode] = Fault.of(error)
                ended[policy, episode] = True
                continue
            observations[policy, episode], reward, terminated, truncated = step[:4]
            rewards[policy, episode] = reward
            ended[policy, episode] = terminated or truncated
        self._broken.update(faults)
        return observations, rewards, ended, faults

    @override
    def close(self) -> None:
        for environments in self._environments:
            while environments:
                environments.pop().close()


@dataclass(frozen=True)
class _Worker:
    process: SpawnProcess
    connection: Connection


@dataclass(frozen=True)
class _Failure:
    """What a worker answers once where something raised in it."""

    error: str
    trace: str


class _TraceOfWorker(Exception):
    """Shows a worker's traceback as the cause of this process's error."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class WorkerSimulators(Simulators):
    """Simulators in worker processes, which make them while this process goes on.

    They are kept until one fails or dies, and the next reset then starts new ones; an environment's fault is an answer
    like others. They leave it to this process to answer signals that ask for a stop, and end when their pipe closes, so
    also where this process is killed.
    """

    def __init__(self, spec: EnvironmentSpec, policies: int, episodes: int, processes: int) -> None:
        bounds = [round(worker * episodes / processes) for worker in range(processes + 1)]
        self._slices = [slice(*pair) for pair in itertools.pairwise(bounds)]
        self._spec, self._policies = spec, policies
        self._workers: list[_Worker] = []
        # At exit too, before multiprocessing waits for its children: they end by their pipes alone.
        Finalize(self, _end, (self._workers,), exitpriority=0)
        try:
            self._start()
        except OSError as error:
            raise BadInput(f"eval.processes={processes} cannot be started: {error}; use fewer, or 0.") from error

    def reset(self, seeds: Sequence[int]) -> Reset:
        """`Simulators.reset`, each process being asked for its share.

        Raises:
            RunFailed: a worker died or failed; its traceback is the cause.
        """
        if not self._workers:
            self._start()
        parts = self._exchange([("reset", seeds[each]) for each in self._slices])
        return np.concatenate([part[0] for part in parts], axis=1), self._faults([part[1] for part in parts])

    def step(self, actions: np.ndarray, live: np.ndarray) -> Step:
        """`Simulators.step`, each process being asked for its share.

        Raises:
            RunFailed: a worker died or failed; its traceback is the cause.
        """
        parts = self._exchange([("step", actions[:, each], live[:, each]) for each in self._slices])
        *arrays, faults = zip(*parts, strict=True)
        observations, rewards, ended = (np.concatenate(part, axis=1) for part in arrays)
        return observations, rewards, ended, self._faults(faults)

    @override
    def close(self) -> None:
        _end(self._workers)

    def _faults(self, parts: Sequence[Faults]) -> Faults:
        """The workers' own, by the episodes' numbers among all."""
        return {
            (policy, each.start + episode): fault
            for each, part in zip(self._slices, parts, strict=True)
            for (policy, episode), fault in part.items()
        }

    def _start(self) -> None:
        resource_tracker.ensure_running()  # which unblocks the signals
        with _blocked_signals(), contextlib.ExitStack() as on_error:
            on_error.callback(_end, self._workers)
            for episodes in self._slices:
                ours, theirs = _SPAWN.Pipe()
                arguments = (theirs, self._spec, self._policies, episodes.stop - episodes.start)
                process = _SPAWN.Process(target=_serve, args=arguments, name="pogo-simulators", daemon=True)
                process.start()
                theirs.close()  # or the worker's end would go unnoticed
                self._workers.append(_Worker(process, ours))
            on_error.pop_all()

    def _exchange(self, messages: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Ask all workers at once: every message is out before the first answer is waited for."""
        try:
            for worker, message in zip(self._workers, messages, strict=True):
                with contextlib.suppress(OSError):  # what it died of may be there to read
                    worker.connection.send(message)
            return [_answer(worker) for worker in self._workers]
        except BaseException:  # the answers that are left would be taken for those of the next message
            self.close()
            raise


def _answer(worker: _Worker) -> Any:
    try:
        answer = worker.connection.recv()
    except (EOFError, OSError) as error:
        worker.process.join(END_SECONDS)
        code = worker.process.exitcode
        raise RunFailed(
            f"a process of simulators died (exit code {code}); eval.processes=0 keeps them in the main process."
        ) from error
    if isinstance(answer, _Failure):
        raise RunFailed(f"in a process of simulators: {answer.error}") from _TraceOfWorker(answer.trace)
    return answer


def _end(workers: list[_Worker]) -> None:
    for worker in workers:
        worker.connection.close()
    deadline = time.monotonic() + END_SECONDS
    while workers:
        process = workers.pop().process
        process.join(max(0.0, deadline - time.monotonic()))
        if process.is_alive():
            process.kill()
            process.join()
        process.close()


@contextlib.contextmanager
def _blocked_signals() -> Iterator[None]:
    """What starts within never sees a signal that asks for a stop, from its first instruction on."""
    earlier = signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, earlier)


def _serve(connection: Connection, spec: EnvironmentSpec, policies: int, episodes: int) -> None:
    """A worker: answers messages until the pipe closes, or until something raises."""
    warnings.simplefilter("ignore")  # the main process has made such an environment, and has shown them
    with contextlib.suppress(EOFError, OSError):  # the pipe is closed: nobody wants an answer
        simulators = _attempt(LocalSimulators, spec, policies, episodes)
        if isinstance(simulators, _Failure):
            connection.send(simulators)
            return
        methods = {"reset": simulators.reset, "step": simulators.step}
        answer = None
        while not isinstance(answer, _Failure):
            name, *arguments = connection.recv()
            answer = _attempt(methods[name], *arguments)
            connection.send(answer)


def _attempt(function: Callable[..., T], *arguments: Any) -> T | _Failure:
    try:
        return function(*arguments)
    except Exception as error:  # noqa: BLE001 - whatever broke, the main process says so
        return _Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
