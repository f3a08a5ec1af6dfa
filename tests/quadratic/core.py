from dataclasses import dataclass

from pogo.core.actors import ActorConfig
from pogo.core.parameters import LayerInitialisers

ENERGIES = ("value",)
BATCH_ARRAYS = ("observations", "actions")
INITIALISERS = LayerInitialisers()


@dataclass(frozen=True)
class Hyperparameters:
    curvature: float = 1.0  # h
    centre: float = 0.4  # c, in every action dimension
    learning_rate: float = 1e-3


def targets(spec):
    return {}


def default_actor(hp):
    return ActorConfig("gaussian", (), tanh_mean=False)


def noise_spec(spec):
    return {}


def initial_networks(rng, spec):
    return {}


def learning_rates(hp):
    return {"actor_0": hp.learning_rate}


def actors_due(update, hp):
    return True
