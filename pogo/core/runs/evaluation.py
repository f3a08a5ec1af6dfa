"""Evaluation: every actor of the chain, in both modes, in the real environment."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self

import numpy as np

from pogo.core.data.preprocessing import Normalisation
from pogo.core.data.scores import normalized_score
from pogo.core.environments.checks import Fault
from pogo.core.environments.simulators import Faults, make_simulators
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, RunFailed
from pogo.core.learner.interface import MODES, Mode, Pair
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.streams import generator, stream
from pogo.core.setting import Values


class Played(NamedTuple):
    """How far an evaluation is."""

    done: int  # episodes that are over, of all actors and modes
    episodes: int  # that there are
    step: int  # of those that go on
    most_steps: int  # that an episode may have


class Act(Protocol):
    """What a backend gives to be evaluated."""

    def __call__(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        """Actions in [-1, 1], [P, n, A], of actors in their modes, at normalised observations of each, [P, n, O].

        `noise` [n, A] holds N(0, 1) draws for those in the stochastic mode, the same for each. Pairs and n are the
        same at every call, so that a compiler sees one shape; what a finished episode observes is zero, and its
        actions are unused.
        """
        ...


@dataclass(frozen=True)
class ModeResult:
    """Undiscounted returns of one actor in one mode."""

    return_mean: float
    return_std: float  # population
    normalized_score: float | None  # of the mean; None without reference returns
    returns: tuple[float, ...]
    lengths: tuple[int, ...]

    def in_words(self) -> str:
        """The return, its spread, the score where there is one, and the number of episodes."""
        score = "" if self.normalized_score is None else f", score {self.normalized_score:.1f}"
        number = len(self.returns)
        return f"{self.return_mean:.1f} ± {self.return_std:.1f}{score}, {number} episode{'' if number == 1 else 's'}"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "returns": list(self.returns), "lengths": list(self.lengths)}

    @classmethod
    def from_json(cls, values: Values) -> Self:
        """The result that `to_json` gave; what is not its form raises what Python does."""
        score = values["normalized_score"]
        return cls(
            return_mean=float(values["return_mean"]),
            return_std=float(values["return_std"]),
            normalized_score=None if score is None else float(score),
            returns=tuple(map(float, values["returns"])),
            lengths=tuple(map(int, values["lengths"])),
        )


@dataclass(frozen=True)
class ActorEvaluation:
    """One actor's results; none in a mode that failed. A deterministic kind has no stochastic mode."""

    index: int
    kind: str
    deterministic: ModeResult | None
    stochastic: ModeResult | None
    failed: Mapping[Mode, Fault] = field(default_factory=dict)  # who, where and why, whole sentences
    measures: Mapping[str, float] = field(default_factory=dict)  # see `Learner.describe`, by what each is called there

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values, without the measures; `failed` only where a mode did."""
        failed = {mode: fault.message for mode, fault in self.failed.items()}
        return {
            "index": self.index,
            "kind": self.kind,
            "deterministic": None if self.deterministic is None else self.deterministic.to_json(),
            "stochastic": None if self.stochastic is None else self.stochastic.to_json(),
        } | ({"failed": failed} if failed else {})

    @classmethod
    def from_json(cls, values: Values, measures: Mapping[str, Any]) -> Self:
        """The evaluation that `to_json` gave; what is not its form raises what Python does.

        Args:
            values: an entry of `actors` in a line of eval.jsonl.
            measures: what the line says of this actor under `measures`.
        """
        results = {mode: None if values[mode] is None else ModeResult.from_json(values[mode]) for mode in MODES}
        # As a JSON file has it, a measure that is not finite is null.
        finite = {name: float(value) for name, value in measures.items() if value is not None}
        failed: dict[Mode, Fault] = {
            mode: Fault(str(values["failed"][mode]), "") for mode in MODES if mode in values.get("failed", {})
        }
        return cls(values["index"], values["kind"], **results, failed=failed, measures=finite)

    def in_words(self) -> list[str]:
        """A line for each mode that has results."""
        found = {"deterministic": self.deterministic, "stochastic": self.stochastic}
        return [
            f"actor {self.index} ({self.kind}), {mode}: {result.in_words()}"
            for mode, result in found.items()
            if result is not None
        ]


def failures(rows: Sequence[ActorEvaluation]) -> list[Fault]:
    """What failed of an evaluation, actor by actor."""
    return [fault for row in rows for fault in row.failed.values()]


def failures_in_words(rows: Sequence[ActorEvaluation]) -> str | None:
    """The first failure, and how many more there are; none: nothing failed."""
    found = failures(rows)
    if not found:
        return None
    if len(found) == 1:
        return found[0].message
    return f"{found[0].message.rstrip('.')} (and {len(found) - 1} more failed)."


def evaluation_document(rows: Sequence[ActorEvaluation]) -> dict[str, Any]:
    """What eval.jsonl says of an evaluation, but for when it was; `failed` where no actor has a result."""
    document: dict[str, Any] = {
        "actors": [row.to_json() for row in rows],
        "measures": {str(row.index): dict(row.measures) for row in rows},
    }
    failure = failures_in_words(rows)
    if failure is not None and not any(row.deterministic or row.stochastic for row in rows):
        document["failed"] = failure
    return document


def rows_of(document: Values) -> list[ActorEvaluation]:
    """The rows of which `evaluation_document` says this; what is not its form raises what Python does."""
    measures = document["measures"]
    return [ActorEvaluation.from_json(actor, measures[str(actor["index"])]) for actor in document["actors"]]


def pairs_to_evaluate(actors: Sequence[ActorConfig], only: int | None = None) -> tuple[Pair, ...]:
    """Every actor of a chain in every mode that it has, or one actor alone."""
    indices = range(len(actors)) if only is None else (only,)
    modes = {index: MODES if actors[index].is_stochastic else MODES[:1] for index in indices}
    return tuple(Pair(index, mode) for index in indices for mode in modes[index])


class Evaluator:
    """Evaluates a chain again and again in environments that are made once.

    Every pair of an actor and a mode has a simulator per episode, and all of them take a step together: one call to
    `act` and, where there are worker processes, one message to each.
    """

    def __init__(
        self,
        actors: Sequence[ActorConfig],
        spec: EnvironmentSpec,
        normalisation: Normalisation,
        reference_returns: tuple[float, float] | None,
        episodes: int,
        processes: int = 0,
        only: int | None = None,
    ) -> None:
        """Make the simulators.

        Args:
            actors: the chain.
            spec: the environment.
            normalisation: of what the actors see and do.
            reference_returns: the returns that score 0 and 100.
            episodes: per actor and mode.
            processes: that hold the simulators; 0: this one.
            only: the one actor to evaluate; none: all.
        """
        if episodes < 1:
            raise BadInput(f"evaluation needs at least 1 episode, got {episodes}.")
        self._actors = list(actors)
        self._indices = range(len(self._actors)) if only is None else (only,)
        self._pairs = pairs_to_evaluate(self._actors, only)
        self._spec = spec
        self._normalisation = normalisation
        self._reference_returns = reference_returns
        self._episodes = episodes
        self._simulators = make_simulators(spec, len(self._pairs), episodes, processes)

    def evaluate(
        self, act: Act, seed: int, update: int, tell: Callable[[Played], None] | None = None
    ) -> list[ActorEvaluation]:
        """Every actor in every mode that it has, in the chain's order; `tell` is told how far it is.

        Start states and noise come from (seed, update) alone, and are the same for every actor and mode: equal
        policies get equal returns, and a resumed run or the other backend sees the same episodes.

        An actor whose actions are not finite in a mode, or whose environment is at fault, has no result in that mode;
        the others keep theirs.

        Raises:
            RunFailed: the actions have a wrong shape, or a worker process failed.
        """
        returns, lengths, failed = self._play(act, seed, update, tell or (lambda _: None))
        found = {pair: self._result(*each) for pair, *each in zip(self._pairs, returns, lengths, strict=True)}
        for row, result in enumerate(found.values()):
            if row not in failed and not np.isfinite(result.return_mean):
                failed[row] = Fault(f"{self._who(row, update)}: the mean of its returns is not finite.", "")
        faults = {self._pairs[row]: fault for row, fault in sorted(failed.items(), key=lambda item: item[0])}
        good = {pair: result for pair, result in found.items() if pair not in faults}
        return [
            ActorEvaluation(
                index=index,
                kind=self._actors[index].kind,
                deterministic=good.get(Pair(index, "deterministic")),
                stochastic=good.get(Pair(index, "stochastic")),
                failed={pair.mode: fault for pair, fault in faults.items() if pair.actor == index},
            )
            for index in self._indices
        ]

    def close(self) -> None:
        """Free the simulators."""
        self._simulators.close()

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _play(
        self, act: Act, seed: int, update: int, tell: Callable[[Played], None]
    ) -> tuple[np.ndarray, np.ndarray, dict[int, Fault]]:
        """Returns and lengths, [P, n], and what failed, by the pair's row."""
        shape = len(self._pairs), self._episodes
        starts = stream(seed, "evaluation starts", update).generate_state(self._episodes)
        draws = generator(seed, "evaluation noise", update)
        failed: dict[int, Fault] = {}
        returns, lengths = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        live, step = np.ones(shape, dtype=bool), 0
        tell(Played(0, live.size, step, self._spec.max_episode_steps))
        observations, faults = self._simulators.reset(starts.tolist())
        self._give_up(faults, live, lengths, failed, update)
        while live.any():
            # For finished episodes too: an episode's noise depends on no other's length.
            noise = draws.standard_normal((self._episodes, self._spec.action_size), dtype=np.float32)
            actions = np.asarray(act(self._normalisation.observations(observations), self._pairs, noise))
            self._check(actions, live, failed, update)
            actions = self._spec.actions(self._normalisation.environment_actions(actions))
            observations, rewards, ended, faults = self._simulators.step(actions, live)
            with np.errstate(over="ignore"):  # what is not finite is no result
                returns += rewards
            lengths += live
            if faults:
                self._give_up(faults, live, lengths, failed, update)
            live &= ~ended
            step += 1
            tell(Played(int(live.size - live.sum()), live.size, step, self._spec.max_episode_steps))
            observations[~live] = 0.0
        return returns, lengths, failed

    def _give_up(
        self, faults: Faults, live: np.ndarray, lengths: np.ndarray, failed: dict[int, Fault], update: int
    ) -> None:
        """End every episode of the pairs whose environment is at fault, and note the first fault of each."""
        for (row, episode), fault in sorted(faults.items(), key=lambda item: item[0]):
            if row not in failed:
                where = f"episode {episode + 1} of {self._episodes}, step {lengths[row, episode]}"
                message = f"{self._who(row, update)}, {where}: env={self._spec.env_id} {fault.message}."
                failed[row] = Fault(message, fault.trace)
            live[row] = False

    def _who(self, row: int, update: int) -> str:
        actor, mode = self._pairs[row]
        return f"actor {actor} ({self._actors[actor].kind}), {mode}, at update {update}"

    def _result(self, returns: np.ndarray, lengths: np.ndarray) -> ModeResult:
        with np.errstate(over="ignore", invalid="ignore"):
            mean, std = float(returns.mean()), float(returns.std())
        return ModeResult(
            return_mean=mean,
            return_std=std,
            normalized_score=normalized_score(mean, self._reference_returns),
            returns=tuple(returns.tolist()),
            lengths=tuple(lengths.tolist()),
        )

    def _check(self, actions: np.ndarray, live: np.ndarray, failed: dict[int, Fault], update: int) -> None:
        """End every episode of the pairs whose actions are not finite, and note why."""
        expected = (len(self._pairs), self._episodes, self._spec.action_size)
        if actions.shape != expected:
            raise RunFailed(f"at update {update}: actions have shape {actions.shape}, expected {expected}.")
        bad = (live & ~np.isfinite(actions).all(axis=-1)).any(axis=-1)
        for row in np.flatnonzero(bad).tolist():
            message = f"{self._who(row, update)}: gives non-finite actions; its parameters have diverged."
            failed[row] = Fault(message, "")
            live[row] = False


def evaluate(
    act: Act,
    actors: Sequence[ActorConfig],
    spec: EnvironmentSpec,
    normalisation: Normalisation,
    reference_returns: tuple[float, float] | None,
    episodes: int,
    seed: int,
    update: int,
    processes: int = 0,
) -> list[ActorEvaluation]:
    """One evaluation in environments of its own; see `Evaluator`."""
    with Evaluator(actors, spec, normalisation, reference_returns, episodes, processes) as evaluator:
        return evaluator.evaluate(act, seed, update)
