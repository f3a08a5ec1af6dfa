"""EDAC: what both backends share. An et al. 2021, arXiv:2110.01548; code of CORL. All but eta is SAC-N's."""

from dataclasses import dataclass

from pogo.core.algorithms import sac_n
from pogo.core.algorithms.sac_n import (
    BATCH_ARRAYS,
    ENERGIES,
    INITIALISERS,
    PUBLISHED_BATCH_SIZE,
    PUBLISHED_UPDATES,
    actors_due,
    check_actors,
    default_actor,
    for_run,
    initial_networks,
    learning_rates,
    noise_spec,
    preprocessing,
    targets,
)
from pogo.core.hyperparameters import check_not_negative

__all__ = [
    "BATCH_ARRAYS",
    "ENERGIES",
    "INITIALISERS",
    "PUBLISHED_BATCH_SIZE",
    "PUBLISHED_UPDATES",
    "Hyperparameters",
    "actors_due",
    "check_actors",
    "default_actor",
    "for_run",
    "initial_networks",
    "learning_rates",
    "noise_spec",
    "preprocessing",
    "targets",
]


@dataclass(frozen=True)
class Hyperparameters(sac_n.Hyperparameters):
    """Published defaults."""

    eta: float = 1.0  # weight of the diversity term

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("algorithm.eta", self.eta)
