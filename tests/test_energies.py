"""Energies of actors 1+ against their definitions, in numpy."""

import numpy as np
import pytest

from pogo.core.problem.chain import actor_noise
from pogo.core.problem.state import nested
from pogo.core.verify.parity import parity_case
from tests.helpers.framework import BACKENDS, Framework
from tests.helpers.problems import problem

Q = np.array([[1.0, -2.0, 3.0], [5.0, 4.0, -7.0]])


@pytest.mark.parametrize("q_agg", ["mean", "min"])
@pytest.mark.parametrize("normalize_q_loss", [False, True])
def test_fql_takes_the_critics_mean(
    monkeypatch: pytest.MonkeyPatch, framework: Framework, normalize_q_loss: bool, q_agg: str
) -> None:
    """Whatever `q_agg` says of the TD target."""
    spec = problem("fql", hyperparameters={"q_agg": q_agg, "normalize_q_loss": normalize_q_loss})
    case = parity_case(spec, seed=0, num_updates=1)
    fql = framework.module("algorithms.fql")
    with framework.precision("float64"):
        monkeypatch.setattr(fql, "q_values", lambda *_: framework.array(Q))
        state = nested(framework.params(case.state))
        batch, noise = framework.params(case.batches[0]), framework.params(case.noises[0])
        actor = framework.module("actors").make_actor(spec.actors[1], state.networks["actor_1"])
        found = framework.numpy(fql.Algorithm(spec).energy(state, actor, batch, actor_noise(noise, 1)))
    mean_q = Q.mean(axis=0)
    expected = -mean_q.mean() / (np.abs(mean_q).mean() if normalize_q_loss else 1.0)
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("algorithm", ["iql", "awac"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_an_advantage_moves_actors_as_its_value_does(backend: str, algorithm: str) -> None:
    """V(s) depends on no actor after the first: the energies differ by its mean, their gradients not at all."""
    framework, ends, metrics = Framework(backend), {}, {}
    for energy in ("value", "advantage"):
        spec = problem(algorithm, num_actors=2, energy=energy)
        case = parity_case(spec, seed=0, num_updates=3)
        with framework.precision("float64"):
            updates = framework.module("single_updates").SingleUpdates(spec, case.state)
            metrics[energy] = [updates.step(*given) for given in zip(case.batches, case.noises, strict=True)]
            ends[energy] = updates.arrays()
    for name, value in ends["value"].items():
        np.testing.assert_allclose(ends["advantage"][name], value, rtol=1e-9, atol=1e-12, err_msg=name)
    for of_value, of_advantage in zip(*metrics.values(), strict=True):
        assert of_advantage["actor_1/gradient_norm"] == pytest.approx(of_value["actor_1/gradient_norm"], rel=1e-9)
        assert abs(of_advantage["actor_1/energy"] - of_value["actor_1/energy"]) > 1e-3
