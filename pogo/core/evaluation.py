"""Evaluation: every actor of the chain, in both modes, in the real environment."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import Any, Literal, Protocol

import numpy as np

from pogo.core.data.preprocessing import Normalisation
from pogo.core.data.sources import normalized_score
from pogo.core.environment import EnvironmentSpec, make_environment
from pogo.core.errors import BadInput, RunFailed
from pogo.core.streams import generator, stream

Mode = Literal["deterministic", "stochastic"]


class Act(Protocol):
    """What a backend gives to be evaluated."""

    def __call__(self, observations: np.ndarray, actor: int, noise: np.ndarray | None) -> np.ndarray:
        """Actions in [-1, 1], [n, A], of one actor at normalised observations [n, O].

        `noise` [n, A] holds N(0, 1) draws in the stochastic mode, None asks for the deterministic one. n is the same
        at every call, so that a compiler sees one shape; rows of finished episodes are zeros and their actions unused.
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

    One environment per episode; the (actor, mode) pairs take turns in them. Each pair needs its own call to `act` per
    step, so stepping all pairs at once would save no call and hold pairs times the simulators.
    """

    def __init__(
        self,
        actors: Sequence[EvaluatedActor],
        spec: EnvironmentSpec,
        normalisation: Normalisation,
        reference_returns: tuple[float, float] | None,
        episodes: int,
        seed: int,
    ) -> None:
        if episodes < 1:
            raise BadInput(f"evaluation needs at least 1 episode, got {episodes}.")
        self._actors = list(actors)
        self._spec = spec
        self._normalisation = normalisation
        self._reference_returns = reference_returns
        self._seed = seed
        self._environments = [make_environment(spec) for _ in range(episodes)]

    def evaluate(self, act: Act, update: int) -> list[ActorEvaluation]:
        """Every actor in every mode that it has, in the chain's order.

        Start states and noise come from (seed, update) alone, and are the same for every actor and mode: equal
        policies get equal returns, and a resumed run or the other backend sees the same episodes.

        Raises:
            RunFailed: an actor gives actions of a wrong shape, or NaN or infinity.
        """
        return [
            ActorEvaluation(
                index=index,
                kind=actor.kind,
                deterministic=self._evaluate_mode(act, index, "deterministic", update),
                stochastic=self._evaluate_mode(act, index, "stochastic", update) if actor.is_stochastic else None,
            )
            for index, actor in enumerate(self._actors)
        ]

    def close(self) -> None:
        """Free the simulators."""
        while self._environments:
            self._environments.pop().close()

    def __enter__(self) -> "Evaluator":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _evaluate_mode(self, act: Act, actor: int, mode: Mode, update: int) -> ModeResult:
        episodes = len(self._environments)
        starts = stream(self._seed, "evaluation starts", update).generate_state(episodes)
        draws = generator(self._seed, "evaluation noise", update)
        observations = np.zeros((episodes, self._spec.observation_size))
        for episode, environment in enumerate(self._environments):
            observations[episode] = environment.reset(seed=int(starts[episode]))[0]
        returns, lengths = np.zeros(episodes), np.zeros(episodes, dtype=np.int64)
        live = list(range(episodes))
        while live:
            noise = None
            if mode == "stochastic":  # for finished episodes too: an episode's noise depends on no other's length
                noise = draws.standard_normal((episodes, self._spec.action_size), dtype=np.float32)
            actions = np.asarray(act(self._normalisation.observations(observations), actor, noise))
            self._check(actions, live, actor, mode, update)
            actions = self._normalisation.environment_actions(actions)
            still_live = []
            for episode in live:
                step = self._environments[episode].step(actions[episode])
                observations[episode], reward, terminated, truncated = step[:4]
                returns[episode] += float(reward)
                lengths[episode] += 1
                if terminated or truncated:
                    observations[episode] = 0.0
                else:
                    still_live.append(episode)
            live = still_live
        mean = float(returns.mean())
        return ModeResult(
            return_mean=mean,
            return_std=float(returns.std()),
            normalized_score=normalized_score(mean, self._reference_returns),
            returns=tuple(returns.tolist()),
            lengths=tuple(lengths.tolist()),
        )

    def _check(self, actions: np.ndarray, live: list[int], actor: int, mode: Mode, update: int) -> None:
        who = f"actor {actor} ({self._actors[actor].kind}), {mode}, at update {update}"
        expected = (len(self._environments), self._spec.action_size)
        if actions.shape != expected:
            raise RunFailed(f"{who}: actions have shape {actions.shape}, expected {expected}.")
        if not np.isfinite(actions[live]).all():
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
) -> list[ActorEvaluation]:
    """One evaluation in environments of its own; see `Evaluator`."""
    with Evaluator(actors, spec, normalisation, reference_returns, episodes, seed) as evaluator:
        return evaluator.evaluate(act, update)
