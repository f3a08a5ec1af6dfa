"""What the log says of actors, from their actions alone: a deterministic actor's measures are all functions of them."""

import re

import numpy as np
import pytest

from pogo.core.algorithms import ALGORITHMS
from pogo.core.learner.probe import make_probe
from tests.helpers.learners import make, rows, transitions
from tests.helpers.problems import ACT, problem
from tests.helpers.slow import quick


def test_measures_are_those_of_the_actions(framework):
    learner = make(framework, problem("td3_bc", "float32", hyperparameters={"alpha": 100.0}))
    learner.train(20)
    arrays = learner.snapshot()
    arrays["actor_2/output/kernel"] = 50 * arrays["actor_2/output/kernel"]  # to the sides of the box
    learner.restore(arrays)
    probe = make_probe(rows(transitions()), ACT, seed=1)
    assert probe.neighbours is not None
    found = learner.describe(probe)
    actions = [learner.act(probe.batch["observations"], index) for index in range(3)]
    for index, action in enumerate(actions):
        name = f"actor_{index}"
        assert found[f"{name}/saturated"] == pytest.approx((np.abs(action) > 0.99).mean(), abs=1e-6)
        squared = np.square(action[:, None] - probe.neighbours.actions).sum(axis=-1)
        nearest = np.sqrt((probe.neighbours.state_distances + squared).min(axis=1)).mean()
        assert found[f"{name}/data_distance"] == pytest.approx(nearest, rel=1e-4)
        # TD3+BC's energy is -alpha mean Q / mean |Q|.
        assert abs(found[f"{name}/probe_energy"]) <= 100.0 * (1 + 1e-5)
        assert np.sign(found[f"{name}/probe_energy"]) == -np.sign(found[f"{name}/q"])
    for index in (1, 2):
        for measure, other in (("from_reference", index - 1), ("from_actor_0", 0)):
            distance = np.sqrt(np.square(actions[index] - actions[other]).mean())
            assert found[f"actor_{index}/{measure}"] == pytest.approx(distance, rel=1e-3, abs=1e-6)
    assert "actor_0/from_actor_0" not in found
    assert found["actor_2/saturated"] > 0.1


@pytest.mark.parametrize(
    "algorithm", quick([name for name in ALGORITHMS if name != "pogo_gaussian"], ["td3_bc", "iql"])
)
def test_a_normalised_energy_is_divided_by_the_size_of_q(framework, algorithm):
    """With Q near -1000 everywhere it is 1, whatever scale the algorithm gives its own; the entropy's part is small."""
    learner = make(framework, problem(algorithm, "float32", normalize_energy=True))
    arrays = learner.snapshot()
    for name in arrays:
        if re.fullmatch(r"(target_)?critic(_[12])?/output/bias", name):
            arrays[name] = arrays[name] - np.float32(1000.0)
    learner.restore(arrays)
    found = learner.describe(make_probe(rows(transitions()), ACT, seed=1))
    for index in range(3):
        assert found[f"actor_{index}/probe_energy"] == pytest.approx(1.0, abs=0.02)
