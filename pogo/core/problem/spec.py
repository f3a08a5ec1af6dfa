"""One training problem."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from pogo.core.problem.actors import ActorConfig
from pogo.core.problem.chain import ChainConfig
from pogo.core.problem.w2 import W2Config

HP = TypeVar("HP")


@dataclass(frozen=True)
class TrainSpec(Generic[HP]):
    """What is fixed about one training problem: sizes, networks, hyperparameters."""

    algorithm: str
    observation_size: int
    action_size: int
    batch_size: int
    actors: tuple[ActorConfig, ...]
    chain: ChainConfig
    w2: W2Config
    hyperparameters: HP  # the algorithm's own
    dtype: str = "float32"
    probe_critic: bool = False

    def begins_as_actor_0(self, index: int) -> bool:
        """Whether a later actor begins as a copy of actor 0: `chain.init` says so, and their networks match."""
        return self.chain.init == "copy" and self.actors[index] == self.actors[0]

    def is_carried(self, index: int) -> bool:
        """Whether a later actor moves with its reference: `chain.carry` says so, and both began as the same network."""
        began_alike = index == 1 or self.begins_as_actor_0(index - 1)
        return self.chain.carry and self.begins_as_actor_0(index) and began_alike
