from dataclasses import dataclass

from typing_extensions import override

from pogo.core.algorithms.base import AlgorithmDefinition
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.problem.actors import ActorConfig


@dataclass(frozen=True)
class Hyperparameters:
    curvature: float = 1.0  # h
    centre: float = 0.4  # c, in every action dimension
    learning_rate: float = 1e-3
    # With these, Q = g'x + x'Hx / 2, x = a - centre, in expectation, plus entropy_weight times the entropy.
    gradient: tuple[float, ...] = ()
    hessian: tuple[float, ...] = ()  # row by row
    entropy_weight: float = 0.0


class Quadratic(AlgorithmDefinition[Hyperparameters]):
    energies = ("value",)
    batch_arrays = ("observations", "actions")
    modules = {"torch": "pogo_quadratic.torch_half", "jax": "pogo_quadratic.jax_half"}  # noqa: RUF012 - as any user

    @override
    def targets(self, spec):
        return {}

    @override
    def default_actor(self, hp):
        return ActorConfig("gaussian", (), tanh_mean=False)

    @override
    def noise_spec(self, spec):
        return {}

    @override
    def initial_networks(self, rng, spec):
        return {}

    @override
    def learning_rates(self, hp):
        return {"actor_0": hp.learning_rate}

    @override
    def preprocessing(self, hp, dataset):
        return Preprocessing()


DEFINITION = Quadratic(Hyperparameters)
