import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from pogo.core.algorithms import ALGORITHMS
from pogo.core.errors import BadInput
from pogo.core.learner.interface import Pair
from tests.helpers.learners import make, trained, transitions
from tests.helpers.problems import problem
from tests.helpers.slow import quick

REPOSITORY = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("algorithm", "num_actors"),
    [
        pytest.param(name, count, marks=() if name in ("iql", "sac_n") and count == 3 else pytest.mark.slow)
        for name in ALGORITHMS
        for count in (3, 5)
    ],
)
def test_the_chain_does_not_move_actor_0(framework, algorithm, num_actors):
    """Critics and actor 0 of another program, with what comes after actor 0: the same but for rounding."""
    plain, chain = (trained(framework, count, algorithm, "float64") for count in (1, num_actors))
    assert chain.keys() == plain.keys()
    for name, value in plain.items():
        np.testing.assert_allclose(chain[name], value, rtol=1e-13, atol=1e-13, err_msg=name)


@pytest.mark.parametrize("algorithm", quick(ALGORITHMS, ("iql", "cql", "td3_bc", "fql")))
def test_each_program_is_compiled_once(framework, algorithm):
    """Windows of any length are one program, each actor and mode one more, and all pairs another."""
    import jax

    learner = make(framework, problem(algorithm, "float32", num_actors=2))
    compiled, announced = [], []
    learner.on_compile = lambda: announced.append(1)
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, seconds, **_: compiled.append(event) if event.endswith("backend_compile_duration") else None
    )
    observations = np.zeros((4, 5), np.float32)
    learner.train(3)
    learner.act(observations, 0)
    assert len(announced) == 2
    compiled.clear()
    for count in (1, 2, 7):
        learner.train(count)
        learner.train(count, close_window=False)
    for actor in range(2):  # of one configuration
        learner.act(observations, actor)
    learner.snapshot()
    assert len(announced) == 2
    pairs = [Pair(actor, "deterministic") for actor in range(2)]
    rows, noise = np.zeros((2, 4, 5), np.float32), np.zeros((4, 2), np.float32)
    learner.act_pairs(rows, pairs, noise)  # all pairs are one program
    assert len(announced) == 3
    compiled.clear()
    learner.act_pairs(rows, pairs, noise)
    assert compiled == []


def test_an_open_window_of_torch_that_moved_no_actor_is_taken_over(framework):
    pytest.importorskip("torch")
    from pogo.core.registry import load_backend

    spec = problem("td3_bc", "float32")
    other = load_backend("torch", "learner").make_learner(spec, 0, transitions(), device="cpu")
    other.train(1, close_window=False)
    learner = make(framework, spec)
    learner.restore(other.snapshot())
    assert learner.train(1)["actor_0/loss"] != 0


def test_eager_updates_are_refused(framework):
    with pytest.raises(BadInput, match=r"backend\.compile=false has no meaning"):
        framework.module("learner").make_learner(problem("iql"), 0, None, compile=False)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_platforms_that_are_not_here_are_named(device):
    """By a process of its own: JAX looks for its devices once."""
    script = (
        "from pogo.jax_backend.learner import make_learner; from tests.helpers.problems import problem; "
        f"print(make_learner(problem('td3_bc', 'float32'), 0, device='{device}').updates)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | {"JAX_PLATFORMS": "cuda"},
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    if device == "cpu":
        assert done.stdout == "0\n", done.stderr
    else:
        assert "JAX_PLATFORMS=cuda: JAX finds no device" in done.stderr
        assert "unset JAX_PLATFORMS, or use device=cpu" in done.stderr
