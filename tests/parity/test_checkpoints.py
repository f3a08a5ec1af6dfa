"""A snapshot of one backend resumes on the other."""

import dataclasses

import numpy as np
import pytest

from pogo.core.algorithms import ALGORITHMS
from pogo.core.learner.probe import make_probe
from pogo.core.registry import load_backend
from pogo.core.verify.parity import TOLERANCES, moved_apart, parity_case, run_updates
from tests.helpers.learners import rows, transitions, without_window
from tests.helpers.problems import CHAINS, problem
from tests.helpers.slow import quick

pytest.importorskip("torch")
pytest.importorskip("jax")


WAYS = [("torch", "jax"), ("jax", "torch")]
CROSSINGS = [(algorithm, *way) for algorithm in ALGORITHMS for way in WAYS]
ONE_WAY_EACH = [(algorithm, *WAYS[number % 2]) for number, algorithm in enumerate(ALGORITHMS)]


@pytest.mark.parametrize(("algorithm", "writer", "reader"), quick(CROSSINGS, ONE_WAY_EACH))
def test_state_carries_over_exactly(algorithm, writer, reader):
    spec = problem(algorithm, "float32", num_actors=2)
    make = {name: load_backend(name, "learner").make_learner for name in (writer, reader)}
    wrote = make[writer](spec, 0, transitions(), device="cpu")
    wrote.train(7, close_window=False)
    arrays = wrote.snapshot()
    read = make[reader](spec, 0, transitions(), device="cpu")
    read.restore(arrays)
    state = {name: value for name, value in read.snapshot().items() if not name.startswith(("stream/", "window/"))}
    assert state.keys() == {name for name in arrays if not name.startswith(("stream/", "window/"))}
    for name, value in state.items():
        assert np.array_equal(value, arrays[name]), name
        assert value.dtype == arrays[name].dtype
    assert read.updates == 7
    means = read.train(3)
    assert means.keys() == wrote.train(3).keys()
    # Streams restart from (seed, update): the same again.
    again = make[reader](spec, 0, transitions(), device="cpu")
    again.restore(arrays)
    again.train(3)
    first, second = without_window(read.snapshot()), without_window(again.snapshot())
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("chain", quick(CHAINS, ("as published", "stochastic, deterministic, gaussian")))
def test_both_backends_describe_a_state_alike(chain):
    """What the log says of the policies besides their losses; nothing is drawn, so that asking changes nothing."""
    spec = dataclasses.replace(problem("sac_n", "float64", CHAINS[chain]), probe_critic=True)
    probe = make_probe(rows(transitions()), spec.action_size, seed=3)
    arrays = parity_case(spec, seed=6, num_updates=1).state
    found = []
    for backend in ("torch", "jax"):
        learner = load_backend(backend, "learner").make_learner(spec, 0, transitions(), device="cpu")
        learner.restore(arrays)
        before = learner.snapshot()
        found.append(learner.describe(probe))
        after = learner.snapshot()
        assert all(np.array_equal(before[name], after[name]) for name in before)
    assert found[0] == pytest.approx(found[1], rel=1e-9)
    for measure in ("q", "q_independent", "probe_energy", "saturated", "data_distance"):
        assert {name for name in found[0] if name.endswith(f"/{measure}")} == {
            f"actor_{index}/{measure}" for index in range(3)
        }
    for measure in ("from_reference", "from_actor_0"):
        assert {name for name in found[0] if name.endswith(measure)} == {f"actor_{index}/{measure}" for index in (1, 2)}
    kinds = [actor.kind for actor in spec.actors]
    assert {name for name in found[0] if name.endswith("std")} == {
        f"actor_{index}/std" for index, kind in enumerate(kinds) if kind != "deterministic"
    }
    assert {name for name in found[0] if name.endswith("entropy")} == {
        f"actor_{index}/entropy" for index, kind in enumerate(kinds) if kind in ("gaussian", "tanh_gaussian")
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_changing_backends_halfway_changes_nothing(algorithm):
    """Ten updates on one and ten on the other, with the same batches and noise, end where twenty on one do."""
    case = parity_case(problem(algorithm), seed=5)
    ends = {}
    for first, second in (("torch", "torch"), ("torch", "jax"), ("jax", "torch")):
        arrays = case.state
        for backend, part in ((first, slice(0, 10)), (second, slice(10, 20))):
            half = type(case)(case.spec, arrays, case.batches[part], case.noises[part])
            *_, (arrays, _) = run_updates(backend, half)
        ends[first, second] = arrays
    reference = ends["torch", "torch"]
    assert "float64" in TOLERANCES
    for pair in (("torch", "jax"), ("jax", "torch")):
        for name, start in case.state.items():
            assert moved_apart(start, ends[pair][name], reference[name], "float64") <= 1.0, (pair, name)
