"""Learners on random transitions, and what two snapshots have in common."""

import re

import numpy as np

from pogo.core.data.transitions import Transitions
from tests.helpers.problems import ACT, OBS, problem


def transitions(rows: int = 400, reward: float = 1.0) -> Transitions:
    rng = np.random.default_rng(0)
    floats = lambda *shape: rng.standard_normal(shape).astype(np.float32)  # noqa: E731
    actions, next_actions = np.tanh(floats(rows, ACT)), np.tanh(floats(rows, ACT))
    terminals = (rng.random(rows) < 0.05).astype(np.float32)
    return Transitions(
        floats(rows, OBS), actions, reward * floats(rows), floats(rows, OBS), terminals, terminals > 0, next_actions
    )


def rows(data: Transitions) -> dict[str, np.ndarray]:
    """What a run's probe is made of."""
    names = ("observations", "actions", "rewards", "next_observations", "terminals", "next_actions")
    return {name: getattr(data, name) for name in names}


def without_window(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: value for name, value in arrays.items() if not name.startswith("window/")}


def without_later_actors(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Critics, temperatures, actor 0 and their optimizers: what plain training has too."""
    of_later = re.compile(r"actor_[1-9]|^window/")
    return {name: value for name, value in arrays.items() if not of_later.search(name)}


def make(framework, spec, seed=0, data=None):
    return framework.module("learner").make_learner(spec, seed, data or transitions(), device="cpu")


def trained(framework, num_actors, algorithm, dtype, hyperparameters=None):
    """A snapshot after training, of what has nothing to do with the later actors."""
    kinds = ({}, {"kind": "stochastic"}, {"kind": "tanh_gaussian"}, {"kind": "gaussian"}, {"kind": "deterministic"})
    spec = problem(algorithm, dtype, kinds[:num_actors], hyperparameters=hyperparameters, num_actors=num_actors)
    learner = make(framework, spec)
    learner.train(20)
    return without_later_actors(learner.snapshot())
