"""When a chain begins, and what stays as it is from there on."""

import dataclasses

import numpy as np
import pytest

from tests.helpers.learners import make, without_later_actors
from tests.helpers.problems import problem
from tests.helpers.slow import quick


@pytest.mark.parametrize("algorithm", quick(["iql", "td3_bc", "pogo"], ["td3_bc"]))
def test_later_actors_are_actor_0_until_the_chain_begins(framework, algorithm):
    learner = make(framework, problem(algorithm, "float32", begin_at=6, init="copy"))
    learner.train(5)
    before = learner.snapshot()
    for name, value in before.items():
        if name.startswith("actor_0/"):
            for index in (1, 2):
                assert np.array_equal(before[name.replace("actor_0", f"actor_{index}")], value), name
    assert before["optimizer/actor_1/count"] == 0
    metrics = learner.train(7)
    after = learner.snapshot()
    assert after["optimizer/actor_1/count"] > 0
    names = [name for name in after if name.startswith("actor_1/")]
    assert any((after[name] != after[name.replace("actor_1", "actor_0")]).any() for name in names)
    # The window's mean is over the updates that moved the chain, not over those before.
    assert metrics["actor_1/loss"] == pytest.approx(
        metrics["actor_1/energy"] + 10 * metrics["actor_1/w2_squared"], rel=1e-4
    )


def test_a_chain_that_begins_late_is_one_that_began_on_such_a_state(framework):
    """From the update at which it begins, it does what a chain does that is put on that state."""
    late = make(framework, problem("iql", "float32", begin_at=4))
    late.train(4)
    state = late.snapshot()
    at_once = make(framework, problem("iql", "float32"))
    at_once.restore(state)
    late.train(4)
    at_once.train(4)
    ours, theirs = late.snapshot(), at_once.snapshot()
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours if not name.startswith("window/"))


@pytest.mark.parametrize("algorithm", ["iql", "td3_bc"])
def test_frozen_is_all_but_the_chain(framework, algorithm):
    spec = dataclasses.replace(problem(algorithm, "float32", begin_at=4, freeze=True), probe_critic=True)
    learner = make(framework, spec)
    learner.train(4)
    before = without_later_actors(learner.snapshot())
    metrics = learner.train(5)
    after = learner.snapshot()
    moved = {
        name for name in before if not np.array_equal(before[name], after[name]) and not name.startswith("stream/")
    }
    assert moved == {"updates"}
    assert after["updates"] == 9
    # On every update, also of an algorithm whose actors wait for their critics.
    assert after["optimizer/actor_1/count"] == 5
    assert {name.split("/")[0] for name in metrics} == {"actor_1", "actor_2"}


def test_the_probes_critic_changes_nothing_else(framework):
    spec = problem("iql", "float32")
    learners = [make(framework, each) for each in (spec, dataclasses.replace(spec, probe_critic=True))]
    for learner in learners:
        learner.train(6)
    without, with_probe = (learner.snapshot() for learner in learners)
    for name, value in without.items():
        if not name.startswith("window/"):
            assert np.array_equal(with_probe[name], value), name
    assert any(name.startswith("probe_critic/") for name in with_probe)
