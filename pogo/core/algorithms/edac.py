"""EDAC: what both backends share. An et al. 2021, arXiv:2110.01548; code of CORL. All but eta is SAC-N's."""

from dataclasses import dataclass

from pogo.core.algorithms import sac_n
from pogo.core.algorithms.hyperparameters import check_not_negative


@dataclass(frozen=True)
class Hyperparameters(sac_n.Hyperparameters):
    """Published defaults."""

    eta: float = 1.0  # weight of the diversity term

    def __post_init__(self) -> None:
        super().__post_init__()
        check_not_negative("algorithm.eta", self.eta)


DEFINITION = sac_n.SACN(Hyperparameters)
