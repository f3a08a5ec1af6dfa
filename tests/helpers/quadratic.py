"""The quadratic algorithm, whose chain has a closed form: problems, learners, and how far they are from it."""

import numpy as np
from pogo_quadratic import NAME
from pogo_quadratic.definition import Hyperparameters

from pogo.core.data.transitions import Transitions
from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.chain import ChainConfig
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import W2Config

OBS, ACT, BATCH = 2, 2, 256
CLOSED_FORM_TOLERANCE = 0.01  # of a step's length
JUST_UPDATED = 1e-3  # at least the W2^2 of actor 2 to an actor 1 that has just moved
STOCHASTIC_KINDS = {
    "gaussian": ActorConfig("gaussian", (16,)),
    "tanh_gaussian": ActorConfig("tanh_gaussian", (16,), log_std="head"),
    "stochastic": ActorConfig("stochastic", (16,)),
}
KINDS = STOCHASTIC_KINDS | {"deterministic": ActorConfig("deterministic", (16,))}


def observations_only(rows: int = 512) -> Transitions:
    rng = np.random.default_rng(0)
    observations = rng.uniform(-1, 1, (rows, OBS)).astype(np.float32)
    zeros = np.zeros(rows, dtype=np.float32)
    actions = np.zeros((rows, ACT), dtype=np.float32)
    return Transitions(observations, actions, zeros, observations, zeros, np.zeros(rows, dtype=bool))


def problem(actors, weights, hp=None, w2=None, **chain) -> TrainSpec:
    return TrainSpec(
        algorithm=NAME,
        observation_size=OBS,
        action_size=ACT,
        batch_size=BATCH,
        actors=actors,
        chain=ChainConfig(num_actors=len(actors), w2_weights=weights, **chain),
        w2=w2 or W2Config(),
        hyperparameters=hp or Hyperparameters(),
    )


def make_learner(framework, spec, seed=0):
    return framework.module("learner").make_learner(spec, seed, observations_only(), device="cpu")


def distances_from_the_closed_form(framework, updates=6000) -> list[float]:
    """How far actors 1 and 2 end from m = (h c + 2 w m0) / (h + 2 w), s = 2 w s0 / (h + 2 w), in lengths of that step.

    Actors are linear, so that the answer is one of theirs in every state: head and log_std are compared, averaged
    over the last quarter of training. Spreads keep the mass beyond the bounds below 1e-6.
    """
    weights = (0.75, 1.0)  # steps of 1/2.5 and 1/3 of the way
    hp = Hyperparameters(curvature=1.0, centre=0.4, learning_rate=2e-3)
    actor = ActorConfig("gaussian", (), tanh_mean=False, log_std_init=float(np.log(0.1)))
    learner = make_learner(framework, problem((actor,) * 3, weights, hp))
    start = learner.snapshot()
    start["actor_0/output/kernel"] = np.array([[0.10, -0.05], [0.05, 0.10]], dtype=np.float32)
    start["actor_0/output/bias"] = np.array([-0.3, 0.1], dtype=np.float32)
    for index in (1, 2):  # copies, as `chain.init=copy` makes them
        for name in ("output/kernel", "output/bias", "log_std"):
            start[f"actor_{index}/{name}"] = start[f"actor_0/{name}"].copy()
    learner.restore(start)
    found = []
    for update in range(0, updates, 50):
        learner.train(50)
        if update >= 0.75 * updates:
            arrays = learner.snapshot()
            found.append({index: moments(arrays, index) for index in range(3)})
    before, distances = moments(start, 0), []
    for index, weight in enumerate(weights, start=1):
        share = hp.curvature / (hp.curvature + 2 * weight)
        assert 0.2 < share < 0.6
        target = {"kernel": 0.0, "bias": hp.centre, "std": 0.0}
        expected = {name: (1 - share) * value + share * target[name] for name, value in before.items()}
        mean = {name: np.mean([record[index][name] for record in found], axis=0) for name in before}
        moved = np.sqrt(sum(np.sum((expected[name] - before[name]) ** 2) for name in before))
        off = np.sqrt(sum(np.sum((mean[name] - expected[name]) ** 2) for name in before))
        distances.append(float(off / moved))
        before = expected
    return distances


def steps_and_weights(framework, updates=4000) -> list[tuple[float, float, float]]:
    """For actors 1 and 2 of stated steps: the step made, the weight, and how far the actor ends from where it should.

    With the quadratic energy a constrained step goes straight towards m = c, s = 0, by the length asked for, D; the
    multiplier of |m - m0|^2 + |s - s0|^2 = D^2 is w = h (L - D) / (2 D), where L is the whole way.
    """
    steps = (0.1, 0.2)
    hp = Hyperparameters(curvature=1.0, centre=0.4, learning_rate=1e-3)
    actor = ActorConfig("gaussian", (), tanh_mean=False, log_std_init=float(np.log(0.1)))
    spec = problem((actor,) * 3, (10.0, 0.01), hp, steps=steps, carry=True)
    learner = make_learner(framework, spec)
    start = learner.snapshot()
    for index in range(3):
        start[f"actor_{index}/output/kernel"] = np.zeros((OBS, ACT), dtype=np.float32)
        start[f"actor_{index}/output/bias"] = np.array([-0.3, 0.1], dtype=np.float32)
    learner.restore(start)
    learner.train(updates // 2)
    metrics, arrays = learner.train(updates // 2), learner.snapshot()
    before, found = moments(arrays, 0), []
    for index, step in enumerate(steps, start=1):
        to_go = {"bias": hp.centre - before["bias"], "std": -before["std"]}
        whole, length = np.sqrt(sum(np.sum(way**2) for way in to_go.values())), step * np.sqrt(ACT)
        expected = {name: before[name] + length / whole * way for name, way in to_go.items()}
        after = moments(arrays, index)
        off = np.sqrt(sum(np.sum((after[name] - expected[name]) ** 2) for name in expected)) / length
        weight = hp.curvature * (whole - length) / (2 * length)
        found.append((metrics[f"actor_{index}/step"] / step, metrics[f"actor_{index}/w2_weight"] / weight, float(off)))
        before = expected
    return found


def moments(arrays, index):
    return {
        "kernel": arrays[f"actor_{index}/output/kernel"].astype(float),
        "bias": arrays[f"actor_{index}/output/bias"].astype(float),
        "std": np.exp(arrays[f"actor_{index}/log_std"].astype(float)),
    }


def distances_in_the_first_update(framework) -> list[float]:
    """W2^2 of actors 1 and 2 to their references as the first update finds it, actor 1 being pulled far in that one.

    One Adam step moves each trained entry by the learning rate: only an updated reference is at a distance.
    """
    hp = Hyperparameters(curvature=1.0, centre=5.0, learning_rate=0.1)
    actor = ActorConfig("gaussian", (), tanh_mean=False, log_std_init=float(np.log(0.01)))
    metrics = make_learner(framework, problem((actor,) * 3, (0.0, 1.0), hp)).train(1)
    return [metrics[f"actor_{index}/w2_squared"] for index in (1, 2)]
