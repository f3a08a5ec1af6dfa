"""The suites can fail: bugs planted in one backend, each caught by a judge that passes without it.

Three judges: parity (`pogo.core.verify.parity.drift`), golden (`pogo.core.verify.rerun.rerun`) and analytic (the
closed form of a JKO step, `tests/backends/test_chain.py`). A judge's share is the worst that it finds, in units of
what it tolerates: past 1 it fails. The analytic judge sees where training ends, which no epsilon of an optimizer or a
network changes.
"""

import dataclasses
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pogo_quadratic import NAME as QUADRATIC

from pogo.core.algorithms import load_mathematics
from pogo.core.registry import load_backend
from pogo.core.verify import parity
from pogo.core.verify.parity import ParityCase, parity_case, run_updates
from pogo.core.verify.recording import Recording
from pogo.core.verify.rerun import rerun
from tests.helpers.framework import Framework
from tests.helpers.problems import B, problem
from tests.helpers.quadratic import (
    ACT,
    BATCH,
    CLOSED_FORM_TOLERANCE,
    JUST_UPDATED,
    distances_from_the_closed_form,
    distances_in_the_first_update,
)

pytest.importorskip("torch")
pytest.importorskip("jax")

RECORDINGS = Path(__file__).resolve().parents[1] / "golden"
PARITY_UPDATES = 3
PARITY_OPTIONS: dict[str, dict[str, Any]] = {"iql": {}, "rebrac": {}, "sac_n": {"init": "independent"}}
CLOSED_FORM_UPDATES = {"torch": 2000, "jax": 6000}  # as many as it takes to be within the tolerance

Plant = Callable[[pytest.MonkeyPatch, str, str], None]  # of (patch, backend, algorithm)
Judge = Callable[[str, str, bool], float]  # of (case, backend, is_planted): the share


@dataclass(frozen=True)
class Bug:
    """One bug: the algorithm or the check that it is judged by, and the backend that it is planted in."""

    what: str
    case: str
    backend: str
    plant: Plant

    def __str__(self) -> str:
        return f"{self.case} in {self.backend}: {self.what}"


def changed(module: str, name: str, change: Callable[[Any], Any]) -> Plant:
    """`change(value)` for the value of `name` where the backend's `module` looks it up; {} is the algorithm."""

    def plant(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> None:
        found = load_backend(backend, module.format(algorithm))
        patch.setattr(found, name, change(getattr(found, name)))

    return plant


def scaled(module: str, name: str, factor: float) -> Plant:
    """A function that returns a sum where a mean is due, or the other way round."""
    return changed(module, name, lambda function: lambda *arguments: factor * function(*arguments))


def scaled_loss(name: str, factor: float) -> Plant:
    """The same for an algorithm's loss, which returns auxiliary values too."""

    def change(loss: Callable[..., tuple]) -> Callable[..., tuple]:
        def of_another_size(*arguments: Any) -> tuple:
            value, about = loss(*arguments)
            return factor * value, about

        return of_another_size

    return changed("algorithms.{}", name, change)


def constant(module: str, name: str, value: float) -> Plant:
    return changed(module, name, lambda _: value)


def adam_epsilon(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> None:
    optimizers = load_backend(backend, "optimizers")
    if backend == "torch":
        patch.setattr(optimizers, "EPSILON", 1e-7)
    else:  # it is read once, at import
        import optax

        patch.setattr(optimizers, "_ADAM", optax.scale_by_adam(optimizers.BETA_1, optimizers.BETA_2, eps=1e-7))


def halved_epsilon(schedule: Callable[..., Any]) -> Callable[..., Any]:
    def of_half(*arguments: Any) -> Any:
        found = schedule(*arguments)
        return dataclasses.replace(found, epsilon=found.epsilon / 2)

    return of_half


def variances(distance: Callable[..., Any]) -> Callable[..., Any]:
    return lambda mean, std, ref_mean, ref_std: distance(mean, std**2, ref_mean, ref_std**2)


def old_networks(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> dict[str, Any]:
    """From the start of every update on, what the networks were at that start, by name."""
    found = load_mathematics(algorithm, backend).Algorithm
    update, old = found.update, {}

    def remembering(self: Any, state: Any, *arguments: Any) -> Any:
        for network, params in state.networks.items():  # torch changes them in place
            old[network] = {
                name: value.detach().clone() if backend == "torch" else value for name, value in params.items()
            }
        return update(self, state, *arguments)

    patch.setattr(found, "update", remembering)
    return old


def old_critic_in_target(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> None:
    old = old_networks(patch, backend, algorithm)
    change = changed(
        "algorithms.{}",
        "move_target",
        lambda move: lambda state, target, _, tau: move(state, target, old["critic"], tau),
    )
    change(patch, backend, algorithm)


def old_actor_in_td_target(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> None:
    old = old_networks(patch, backend, algorithm)
    change = changed(
        "algorithms.{}",
        "td_target",
        lambda td_target: lambda actor, *rest: td_target(type(actor)(actor.config, old["actor_0"]), *rest),
    )
    change(patch, backend, algorithm)


def old_critic_in_energy(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> None:
    old = old_networks(patch, backend, algorithm)
    found = load_mathematics(algorithm, backend).Algorithm
    energy = found.energy

    def of_old_critic(self: Any, state: Any, *arguments: Any) -> Any:
        return energy(self, state._replace(networks=state.networks | {"critic": old["critic"]}), *arguments)

    patch.setattr(found, "energy", of_old_critic)


def next_alpha(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> None:
    """Adam's first steps are of one rate, whatever the gradient: so much is alpha moved too early."""
    change = changed(
        "algorithms.{}",
        "td_target",
        lambda td_target: lambda actor, critic, alpha, *rest: td_target(actor, critic, alpha * math.exp(-3e-4), *rest),
    )
    change(patch, backend, algorithm)


def other_bound(bound: float, other: float) -> Plant:
    """A clip at `other` where it is at `bound`."""

    def change(clip: Callable[..., Any]) -> Callable[..., Any]:
        return lambda values, *limits: clip(values, *(other if limit == bound else limit for limit in limits))

    return changed("actors", "clip", change)


def old_references(patch: pytest.MonkeyPatch, backend: str, algorithm: str) -> None:
    old = old_networks(patch, backend, algorithm)
    references(lambda actors: {name: old[name] for name in actors})(patch, backend, algorithm)


def references(choose: Callable[[dict[str, Any]], dict[str, Any]]) -> Plant:
    """The objectives of actors 1+ find the references that `choose` makes of the present actors."""

    def change(minimise: Callable[..., Any]) -> Callable[..., Any]:
        def of_chosen(loss: Any, state: Any, network: str, *arguments: Any) -> Any:
            actors = {name: params for name, params in state.networks.items() if name.startswith("actor_")}
            chosen = state._replace(networks=state.networks | choose(actors))
            return minimise(loss, state, network, *(chosen if given is state else given for given in arguments))

        return of_chosen

    return changed("chain", "minimise", change)


MEAN_FOR_MIN = changed("algorithms.{}", "min_over_members", lambda _: lambda q: q.mean(0))
LAYER_NORM = constant("networks", "LAYER_NORM_EPSILON", 1e-5)
TANH_DENSITY = constant("actors", "_TANH_EPSILON", 1e-5)
NO_TANH_EPSILON = constant("actors", "_TANH_EPSILON", 0.0)
MEAN_FOR_ACTORS = changed("algorithms.{}", "actor_value", lambda _: lambda q, hp: q.mean(0))
FASTER_TARGET = changed("algorithms.{}", "move_target", lambda move: lambda *given: move(*given[:-1], 1.01 * given[-1]))
TARGET_ENTROPY = changed("algorithms.{}", "temperature_loss", lambda loss: lambda *given: loss(*given[:-1], -given[-1]))
SINKHORN = changed("sinkhorn", "sinkhorn_schedule", halved_epsilon)
ACTOR_0_FOR_ALL = references(lambda actors: dict.fromkeys(actors, actors["actor_0"]))

PARITY_BUGS = (
    Bug("a sum over the batch in the critics' loss", "iql", "torch", scaled_loss("mean_td_loss", B)),
    Bug("the members' mean for their minimum", "sac_n", "jax", MEAN_FOR_MIN),
    Bug("W2 a mean over action dimensions", "iql", "torch", scaled("chain", "gaussian_w2_squared", 1 / 2)),
    Bug("Adam's epsilon 1e-7 for 1e-8", "iql", "jax", adam_epsilon),
    Bug("LayerNorm's epsilon 1e-5 for 1e-6", "rebrac", "torch", LAYER_NORM),
    Bug("the tanh density's epsilon 1e-5 for 1e-6", "sac_n", "torch", TANH_DENSITY),
    Bug("Sinkhorn's epsilon blur^2 for 2 blur^2", "sac_n", "torch", SINKHORN),
    Bug("the target moves to the critics from before", "iql", "jax", old_critic_in_target),
    Bug("references from before the update", "iql", "torch", old_references),
    Bug("energies of the critics from before", "sac_n", "torch", old_critic_in_energy),
)
GOLDEN_BUGS = (
    Bug("a sum over members in the critics' loss", "iql", "torch", scaled_loss("mean_td_loss", 2)),
    Bug("the members' mean for their minimum", "sac_n", "jax", MEAN_FOR_MIN),
    Bug("diversity a sum over partners", "edac", "torch", scaled("algorithms.{}", "diversity_loss", 3)),
    Bug("W2 a mean over action dimensions", "pogo", "torch", scaled("chain", "sinkhorn_divergence", 1 / 2)),
    Bug("Adam's epsilon 1e-7 for 1e-8", "iql", "torch", adam_epsilon),
    Bug("LayerNorm's epsilon 1e-5 for 1e-6", "rebrac", "jax", LAYER_NORM),
    Bug("the tanh density's epsilon 1e-5 for 1e-6", "sac_n", "torch", TANH_DENSITY),
    Bug("the diversity's epsilon 1e-9 for 1e-10", "edac", "torch", constant("algorithms.{}", "NORM_EPSILON", 1e-9)),
    Bug("Sinkhorn's epsilon blur^2 for 2 blur^2", "pogo", "torch", SINKHORN),
    Bug("the target moves to the critics from before", "iql", "torch", old_critic_in_target),
    Bug("the TD target of the actor from before", "sac_n", "torch", old_actor_in_td_target),
    Bug("the members' mean for their minimum", "sac", "torch", MEAN_FOR_MIN),
    Bug("the members' mean in the actor's loss", "sac", "torch", MEAN_FOR_ACTORS),
    Bug("no epsilon in the tanh density", "sac", "torch", NO_TANH_EPSILON),
    Bug("log_std cut at -5 for -20", "sac", "torch", other_bound(-20.0, -5.0)),
    Bug("log_std cut at 3 for 2", "sac", "torch", other_bound(2.0, 3.0)),
    Bug("the target entropy's sign", "sac", "torch", TARGET_ENTROPY),
    Bug("the targets 1 % faster", "sac", "torch", FASTER_TARGET),
    Bug("the TD target's alpha from after its step", "sac", "torch", next_alpha),
    Bug("references from before the update", "pogo", "torch", old_references),
    Bug("energies of the critics from before", "pogo", "torch", old_critic_in_energy),
)
ANALYTIC_BUGS = (
    Bug("W2 a mean over action dimensions", "closed form", "torch", scaled("chain", "gaussian_w2_squared", 1 / ACT)),
    Bug("W2 a sum over the batch", "closed form", "torch", scaled("chain", "w2_squared", BATCH)),
    Bug("twice the distance", "closed form", "jax", scaled("chain", "gaussian_w2_squared", 2)),
    Bug("variances", "closed form", "torch", changed("chain", "gaussian_w2_squared", variances)),
    Bug("actor 0 is every actor's reference", "closed form", "torch", ACTOR_0_FOR_ALL),
    Bug("references from before the update", "first update", "torch", old_references),
    Bug("references from before the update", "first update", "jax", old_references),
)


@cache
def parity_problem(algorithm: str) -> ParityCase:
    return parity_case(problem(algorithm, **PARITY_OPTIONS[algorithm]), seed=0, num_updates=PARITY_UPDATES)


@cache
def sound_updates(algorithm: str, backend: str) -> list[tuple[dict, dict]]:
    """What a backend without a bug does: compiled once, for all the bugs of the other."""
    return list(run_updates(backend, parity_problem(algorithm)))


def parity_share(algorithm: str, backend: str, is_planted: bool) -> float:
    def updates(name: str, case: ParityCase) -> Iterable[tuple[dict, dict]]:
        return run_updates(name, case) if is_planted and name == backend else sound_updates(algorithm, name)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parity, "run_updates", updates)
        return max(found.worst()[0] for found in parity.drift(parity_problem(algorithm)))


def golden_share(algorithm: str, backend: str, is_planted: bool) -> float:
    return rerun(Recording(RECORDINGS / f"{algorithm}_f64.npz"), backend).worst()[0]


def analytic_share(check: str, backend: str, is_planted: bool) -> float:
    if check == "first update":
        return JUST_UPDATED / max(distances_in_the_first_update(Framework(backend))[1], 1e-12)
    distances = distances_from_the_closed_form(Framework(backend), CLOSED_FORM_UPDATES[backend])
    return max(distances) / CLOSED_FORM_TOLERANCE


@cache
def sound_share(judge: Judge, case: str, backend: str) -> float:
    return judge(case, backend, False)


def assert_caught(judge: Judge, bug: Bug, algorithm: str, patch: pytest.MonkeyPatch) -> None:
    share = sound_share(judge, bug.case, bug.backend)
    assert share <= 1.0, f"without the bug: {share:.3g} times the tolerance"
    bug.plant(patch, bug.backend, algorithm)
    share = judge(bug.case, bug.backend, True)
    assert not share <= 1.0, f"missed at {share:.3g} of the tolerance"


@pytest.mark.parametrize("bug", PARITY_BUGS, ids=str)
def test_parity_catches(bug, monkeypatch):
    assert_caught(parity_share, bug, bug.case, monkeypatch)


@pytest.mark.parametrize("bug", GOLDEN_BUGS, ids=str)
def test_golden_runs_catch(bug, monkeypatch):
    assert_caught(golden_share, bug, bug.case, monkeypatch)


@pytest.mark.parametrize("bug", ANALYTIC_BUGS, ids=str)
def test_known_answers_catch(bug, monkeypatch):
    assert_caught(analytic_share, bug, QUADRATIC, monkeypatch)
