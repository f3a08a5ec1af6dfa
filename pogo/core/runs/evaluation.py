"""Evaluation: every actor of the chain, in both modes, in the real environment."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Protocol

import numpy as np

from pogo.core.data.preprocessing import Normalisation
from pogo.core.data.sources import normalized_score
from pogo.core.environments.simulators import make_simulators
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput, RunFailed
from pogo.core.interface import Pair
from pogo.core.streams import generator, stream


class Act(Protocol):
    """What a backend gives to be evaluated."""

    def __call__(self, observations: np.ndarray, pairs: Sequence[Pair], noise: np.ndarray) -> np.ndarray:
        """Actions in [-1, 1], [P, n, A], of actors in their modes, at normalised observations of each, [P, n, O].

        `noise` [n, A] holds N(0, 1) draws for those in the stochastic mode, the same for each. Pairs and n are the
        same at every call, so that a compiler sees one shape; what a finished episode observes is zero, and its
        actions are unused.
        """
        ...


class EvaluatedActor(Protocol):
    """What evaluation needs to know of an actor: an ActorConfig has it."""

    @property
    def kind(self) -> str: ...  # noqa: D102
    @property
    def is_stochastic(self) -> bool: ...  # noqa: D102


@dataclass(frozen=True)
class ModeResult:
    """Undiscounted returns of one actor in one mode."""

    return_mean: float
    return_std: float  # population
    normalized_score: float | None  # of the mean; None without reference returns
    returns: tuple[float, ...]
    lengths: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "returns": list(self.returns), "lengths": list(self.lengths)}


@dataclass(frozen=True)
class ActorEvaluation:
    """One actor's results. A deterministic kind has no stochastic mode."""

    index: int
    kind: str
    deterministic: ModeResult
    stochastic: ModeResult | None

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "index": self.index,
            "kind": self.kind,
            "deterministic": self.deterministic.to_json(),
            "stochastic": None if self.stochastic is None else self.stochastic.to_json(),
        }


class Evaluator:
    """Evaluates a chain again and again in environments that are made once.

    Every pair of an actor and a mode has a simulator per episode, and all of them take a step together: one call to
    `act` and, where there are worker processes, one message to each.
    """

    def __init__(
        self,
        actors: Sequence[EvaluatedActor],
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
        self._pairs = tuple(self._pairs_to_evaluate())
        self._spec = spec
        self._normalisation = normalisation
        self._reference_returns = reference_returns
        self._episodes = episodes
        self._simulators = make_simulators(spec, len(self._pairs), episodes, processes)

    def evaluate(self, act: Act, seed: int, update: int) -> list[ActorEvaluation]:
        """Every actor in every mode that it has, in the chain's order.

        Start states and noise come from (seed, update) alone, and are the same for every actor and mode: equal
        policies get equal returns, and a resumed run or the other backend sees the same episodes.

        Raises:
            RunFailed: an actor gives actions of a wrong shape, or NaN or infinity; or a worker process failed.
        """
        returns, lengths = self._play(act, seed, update)
        found = {pair: self._result(*each) for pair, *each in zip(self._pairs, returns, lengths, strict=True)}
        return [
            ActorEvaluation(
                index=index,
                kind=self._actors[index].kind,
                deterministic=found[Pair(index, "deterministic")],
                stochastic=found.get(Pair(index, "stochastic")),
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

    def _pairs_to_evaluate(self) -> Iterator[Pair]:
        for index in self._indices:
            yield Pair(index, "deterministic")
            if self._actors[index].is_stochastic:
                yield Pair(index, "stochastic")

    def _play(self, act: Act, seed: int, update: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns and lengths, [P, n]."""
        shape = len(self._pairs), self._episodes
        starts = stream(seed, "evaluation starts", update).generate_state(self._episodes)
        draws = generator(seed, "evaluation noise", update)
        observations = self._simulators.reset(starts.tolist())
        returns, lengths = np.zeros(shape), np.zeros(shape, dtype=np.int64)
        live = np.ones(shape, dtype=bool)
        while live.any():
            # For finished episodes too: an episode's noise depends on no other's length.
            noise = draws.standard_normal((self._episodes, self._spec.action_size), dtype=np.float32)
            actions = np.asarray(act(self._normalisation.observations(observations), self._pairs, noise))
            self._check(actions, live, update)
            actions = self._normalisation.environment_actions(actions)
            observations, rewards, ended = self._simulators.step(actions, live)
            returns += rewards
            lengths += live
            live &= ~ended
            observations[~live] = 0.0
        return returns, lengths

    def _result(self, returns: np.ndarray, lengths: np.ndarray) -> ModeResult:
        mean = float(returns.mean())
        return ModeResult(
            return_mean=mean,
            return_std=float(returns.std()),
            normalized_score=normalized_score(mean, self._reference_returns),
            returns=tuple(returns.tolist()),
            lengths=tuple(lengths.tolist()),
        )

    def _check(self, actions: np.ndarray, live: np.ndarray, update: int) -> None:
        expected = (len(self._pairs), self._episodes, self._spec.action_size)
        if actions.shape != expected:
            raise RunFailed(f"at update {update}: actions have shape {actions.shape}, expected {expected}.")
        bad = (live & ~np.isfinite(actions).all(axis=-1)).any(axis=-1)
        if bad.any():
            actor, mode = self._pairs[int(bad.argmax())]
            who = f"actor {actor} ({self._actors[actor].kind}), {mode}, at update {update}"
            raise RunFailed(f"{who}: gives non-finite actions; its parameters have diverged.")


def evaluate(
    act: Act,
    actors: Sequence[EvaluatedActor],
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
