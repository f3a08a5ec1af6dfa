"""Known answers of SAC's update, for both backends: targets, entropies, schedules and what moves when."""

import dataclasses
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from pogo.core.algorithms.sac import DEFINITION, FIXED_STD, Hyperparameters
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.state import TrainState
from pogo.core.verify.parity import ParityCase, parity_case, run_updates
from tests.helpers.framework import BACKENDS, Framework
from tests.helpers.problems import problem

SLOW_Q = np.array([[1.0, 5.0, -2.0], [3.0, 4.0, 0.0], [2.0, 6.0, 7.0]])  # of three members in three states
PAIRS = np.array([[0, 1, 2], [2, 0, 1]])


@pytest.fixture(params=BACKENDS)
def framework(request: pytest.FixtureRequest) -> Iterator[Framework]:
    framework = Framework(request.param)
    with framework.precision("float64"):
        yield framework


@pytest.mark.parametrize(
    ("name", "members", "expected"),
    [
        ("mean", 3, [[2, 5, 5 / 3]] * 3),
        ("min", 3, [[1, 4, -2]] * 3),
        ("redq", 3, [[1, 4, 0]] * 3),
        ("double_q", 2, [[3, 4, 0], [1, 5, -2]]),
        ("mean", 1, [[1, 5, -2]]),
        ("min", 1, [[1, 5, -2]]),
    ],
)
def test_backups(framework: Framework, name: str, members: int, expected: list[list[float]]) -> None:
    hp = Hyperparameters(num_critics=members, target_backup=name)
    noise = {"redq_pair": framework.array(PAIRS, "int32")}
    found = framework.module("algorithms.sac").backup(framework.array(SLOW_Q[:members]), noise, hp)
    np.testing.assert_allclose(framework.numpy(found), expected, rtol=1e-15)


@pytest.mark.parametrize(
    ("name", "value", "gradient"),
    [("mean", [2, 5, 5 / 3], [[1 / 3] * 3] * 3), ("min", [1, 4, -2], [[1, 0, 1], [0, 1, 0], [0, 0, 0]])],
)
def test_what_actors_climb(
    framework: Framework, name: str, value: list[float], gradient: list[list[float]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Value and slope in the members' values; actor 0's losses and the chain's energy take the same."""
    sac = framework.module("algorithms.sac")
    hp = Hyperparameters(num_critics=3, actor_q=name, temperature=0.0)
    np.testing.assert_allclose(framework.numpy(sac.actor_value(framework.array(SLOW_Q), hp)), value, rtol=1e-15)
    found = framework.gradient(lambda q: sac.actor_value(q, hp).sum(), SLOW_Q)
    np.testing.assert_allclose(found, gradient, rtol=1e-15)

    monkeypatch.setattr(sac, "q_values", lambda *_: framework.array(SLOW_Q))
    spec = dataclasses.replace(problem("sac", num_actors=1), hyperparameters=hp)
    zeros = {"output/kernel": np.zeros((1, 4)), "output/bias": np.zeros(4)}
    config = dataclasses.replace(spec.actors[0], hidden_sizes=())
    actor = framework.module("actors").make_actor(config, framework.params(zeros))
    observations, noise = framework.array(np.zeros((3, 1))), framework.array(np.zeros((3, 2)))
    assert framework.numpy(sac.reparametrized_loss(actor, {}, observations, noise, hp)) == pytest.approx(
        -np.mean(value)
    )
    slope = -0.5 * np.log(2 * np.pi) - np.log(np.log(2) + 0.01)  # log pi of the draw 0, per action dimension
    loss = sac.reinforce_loss(actor, {}, observations, noise[:, None, :], hp)
    assert framework.numpy(loss) == pytest.approx(-2 * slope * np.mean(value))
    state = TrainState(networks={"critic": {}}, optimizers={}, updates=0)
    energy = sac.Algorithm(spec).energy(state, actor, {"observations": observations}, {"energy": noise})
    assert framework.numpy(energy) == pytest.approx(-np.mean(value))


@pytest.mark.parametrize("backup_entropy", [True, False])
def test_td_target(framework: Framework, backup_entropy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Q at one draw, the entropy at another, both stopped by a true end: N(0, 0.1^2), Q_j = j + a."""
    sac = framework.module("algorithms.sac")
    monkeypatch.setattr(
        sac, "q_values", lambda critic, s, a, activation: framework.array([[0.0], [1.0]]) + a.sum(-1)[None]
    )
    config = ActorConfig("gaussian", (), tanh_mean=False, log_std="fixed", log_std_init=np.log(FIXED_STD))
    actor = framework.module("actors").make_actor(
        config, framework.params({"output/kernel": np.zeros((1, 1)), "output/bias": np.zeros(1)})
    )
    batch = {
        "next_observations": np.zeros((3, 1)),
        "rewards": np.array([1.0, 2, 3]),
        "terminals": np.array([0.0, 1, 0]),
    }
    noise = {"next_action": np.array([[0.5], [1.0], [-2.0]]), "next_entropy": np.array([[1.0], [0.0], [-0.3]])}
    hp = Hyperparameters(num_critics=2, target_backup="min", backup_entropy=backup_entropy, discount=0.9)
    arguments = framework.params(batch), framework.params(noise), hp
    found = framework.numpy(sac.td_target(actor, {}, 0.25, *arguments))
    next_v = FIXED_STD * noise["next_action"][:, 0]
    if backup_entropy:
        log_probs = -0.5 * noise["next_entropy"][:, 0] ** 2 - np.log(FIXED_STD * np.sqrt(2 * np.pi))
        next_v = next_v - 0.25 * log_probs
    expected = batch["rewards"] + 0.9 * (1 - batch["terminals"]) * next_v
    np.testing.assert_allclose(found, [expected] * 2, rtol=1e-12)


def test_critic_loss_is_a_mean_over_members_too(framework: Framework, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = framework.module("losses")
    monkeypatch.setattr(losses, "q_values", lambda *_: framework.array(SLOW_Q))
    loss, mean_q = losses.mean_td_loss(
        {},
        {"observations": None, "actions": None},
        framework.array(SLOW_Q + np.array([[1.0], [2.0], [3.0]])),
    )
    assert framework.numpy(loss) == pytest.approx((1 + 4 + 9) / 3)
    assert framework.numpy(mean_q) == pytest.approx(SLOW_Q.mean())


def states(backend: str, num_updates: int, **options: Any) -> list[dict[str, np.ndarray]]:
    """The state before any update and after each."""
    pytest.importorskip(backend)
    actors = options.pop("actors", ())
    case = parity_case(problem("sac", actors=actors, num_actors=1, hyperparameters=options), 0, num_updates)
    return [case.state, *(arrays for arrays, _ in run_updates(backend, case))]


def moved(before: dict[str, np.ndarray], after: dict[str, np.ndarray], network: str) -> bool:
    names = [name for name in before if name.startswith(f"{network}/")]
    changed = [not np.array_equal(before[name], after[name]) for name in names]
    assert all(changed) or not any(changed)
    return any(changed)


@pytest.mark.parametrize("backend", BACKENDS)
def test_hard_targets_are_copies_on_updates_1_and_1_plus_period(backend: str) -> None:
    found = states(backend, 7, tau=None, target_update_period=3, num_critic_updates=2, num_critics=2)
    for update, (before, after) in enumerate(pairwise(found), start=1):
        assert moved(before, after, "critic")
        assert moved(before, after, "target_critic") == (update in (1, 4, 7)), update
        if update in (1, 4, 7):
            for name in after:
                if name.startswith("critic/"):
                    assert np.array_equal(after[f"target_{name}"], after[name]), name


@pytest.mark.parametrize("backend", BACKENDS)
def test_critic_steps_are_counted_and_the_target_moves_once(backend: str) -> None:
    start, end = states(backend, 1, num_critic_updates=3)
    assert end["optimizer/critic/count"] == 3
    assert end["optimizer/actor_0/count"] == 1
    name = "critic/output/bias"
    expected = start[name] + 0.005 * (end[name] - start[name])
    np.testing.assert_allclose(end[f"target_{name}"], expected, rtol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("network", ["actor", "critic"])
def test_linear_schedules_end_at_zero(backend: str, network: str) -> None:
    """Rates 1, 2/3, 1/3, 0, 0 times the base: the moments say what a whole step would be."""
    name = {"actor": "actor_0", "critic": "critic"}[network]
    options = {f"{network}_schedule": "linear", "schedule_updates": 3}
    found = states(backend, 5, **options, num_critic_updates=2 if network == "actor" else 1)
    parameter = f"{name}/output/bias"
    for update in range(1, 6):
        before, after = found[update - 1], found[update]
        mu, nu = (after[f"optimizer/{name}/{moment}/output/bias"] for moment in ("mu", "nu"))
        whole = 3e-4 * mu / (1 - 0.9**update) / (np.sqrt(nu / (1 - 0.999**update)) + 1e-8)
        share = max(0.0, 1 - (update - 1) / 3)
        np.testing.assert_allclose(before[parameter] - after[parameter], share * whole, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("kind", "moves"), [("tanh_gaussian", True), ("stochastic", False)])
def test_temperature_is_tuned_where_there_is_a_density(backend: str, kind: str, moves: bool) -> None:
    start, end = states(backend, 1, actors=({"kind": kind},), temperature="auto", target_entropy=100.0)
    assert moved(start, end, "temperature") == moves
    if moves:  # the entropy is below its target: alpha grows, by Adam's first step
        assert (end["temperature/log_alpha"] - start["temperature/log_alpha"])[0] == pytest.approx(3e-4, rel=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_draws_are_separate(backend: str) -> None:
    """Each draw changes the update by itself: none is used for another, none is left unused."""
    pytest.importorskip(backend)
    options = {"num_critics": 3, "target_backup": "redq", "num_critic_updates": 2}
    case = parity_case(problem("sac", num_actors=1, hyperparameters=options), 0, num_updates=1)
    assert set(case.noises[0]) == {"next_action", "redq_pair", "next_entropy", "policy_action", "entropy_action"}

    def end(noise: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        ((arrays, _),) = run_updates(backend, ParityCase(case.spec, case.state, case.batches, [noise]))
        return arrays

    whole = end(case.noises[0])
    for name, drawn in case.noises[0].items():
        changed = np.roll(drawn, 1, axis=-1 if name == "redq_pair" else 1)
        other = end(case.noises[0] | {name: changed})
        of_critic = name in ("next_action", "redq_pair", "next_entropy")
        assert moved(whole, other, "critic") == of_critic, name
        assert moved(whole, other, "actor_0"), name


def test_spec_is_of_what_is_used() -> None:
    """No draw that an update would not look at."""

    def names(actors: tuple[dict[str, Any], ...] = (), **options: Any) -> set[str]:
        return set(DEFINITION.noise_spec(problem("sac", actors=actors, hyperparameters=options)))

    everything = {"next_action", "next_entropy", "policy_action", "entropy_action"}
    assert names() == everything
    assert names(backup_entropy=False) == names(use_entropy_bonus=False) == everything - {"next_entropy"}
    assert names(({"kind": "stochastic"},)) == {"next_action", "policy_action"}
    assert names(({"kind": "deterministic"},)) == set()
    spec = problem("sac", hyperparameters={"actor_gradient": "reinforce", "num_actor_samples": 4})
    assert DEFINITION.noise_spec(spec)["policy_action"].shape == (spec.batch_size, 4, spec.action_size)
    spec = dataclasses.replace(spec, hyperparameters=Hyperparameters(num_critic_updates=3))
    assert DEFINITION.noise_spec(spec)["next_action"].shape == (3, spec.batch_size, spec.action_size)
