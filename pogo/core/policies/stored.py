"""Policies and values as a checkpoint holds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pogo.core.algorithms import load_algorithm
from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.recorded import Parts
from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig, FlowConfig
from pogo.core.problem.chain import actor_name
from pogo.core.problem.state import by_network, is_parameter
from pogo.core.runs.record import RunRecord
from pogo.core.runs.stored_run import open_checkpoint

FLOW: Literal["flow"] = "flow"  # stands for an actor's index where the behaviour flow is meant
_Array = np.ndarray


@dataclass(frozen=True, eq=False)
class StoredNetworks:
    """What a checkpoint holds of its run's networks, without any framework."""

    run_dir: Path
    step: int
    record: RunRecord
    networks: Mapping[str, Mapping[str, _Array]]  # by name, canonical parameters

    @classmethod
    def read(cls, run_dir: Path, step: int | None = None) -> "StoredNetworks":
        """The networks of one checkpoint; none: of the newest good one.

        Raises:
            BadInput: the folder or the checkpoint is not there, or not what pogo writes.
        """
        checkpoint, record = open_checkpoint(run_dir, step)
        parameters = {name: array for name, array in checkpoint.arrays.items() if is_parameter(name)}
        return cls(run_dir, checkpoint.step, record, by_network(parameters))

    def policy(self, actor: int | Literal["flow"]) -> "StoredPolicy":
        """One actor of the chain, from the end where the index is negative; or the behaviour flow.

        Raises:
            BadInput: there is no such actor, or the algorithm has no flow.
        """
        if actor == FLOW:
            return StoredPolicy(self, FLOW, self._flow(), self.networks[FLOW])
        count = len(self.record.config.actors)
        if not -count <= actor < count:
            raise BadInput(f"{self.run_dir} has actors 0 to {count - 1}, not {actor}.")
        index = actor % count
        return StoredPolicy(self, index, self.record.config.actors[index], self.networks[actor_name(index)])

    def critic(self) -> tuple[Mapping[str, _Array], str]:
        """The critics' parameters and their activation.

        Raises:
            BadInput: the algorithm has no network of that name.
        """
        section = self.record.config.algorithm
        return self._named("critic"), load_algorithm(section.name).critic_activation(section.hyperparameters)

    def value(self) -> Mapping[str, _Array]:
        """The parameters of the state values.

        Raises:
            BadInput: the algorithm has no network of that name.
        """
        return self._named("value")

    def _named(self, name: str) -> Mapping[str, _Array]:
        if name not in self.networks:
            raise BadInput(
                f"algorithm={self.record.config.algorithm.name} has no network {name!r}; {self.run_dir} holds "
                f"{', '.join(sorted(self.networks))}."
            )
        return self.networks[name]

    def _flow(self) -> FlowConfig:
        section = self.record.config.algorithm
        flow = load_algorithm(section.name).flow(section.hyperparameters)
        if flow is None:
            raise BadInput(f"algorithm={section.name} has no behaviour flow; give an actor's index.")
        return flow


@dataclass(frozen=True, eq=False)
class StoredPolicy:
    """One policy of a checkpoint."""

    source: StoredNetworks
    actor: int | Literal["flow"]
    config: ActorConfig | FlowConfig
    parameters: Mapping[str, _Array]  # canonical

    @property
    def normalisation(self) -> Normalisation:
        """Of observations and actions."""
        return self.source.record.normalisation

    @property
    def sizes(self) -> tuple[int, int]:
        """Of an observation and an action."""
        return self.source.record.observation_size, self.source.record.action_size

    @property
    def always_samples(self) -> bool:
        """Whether it has no deterministic mode."""
        return self.actor == FLOW

    @property
    def action_dtype(self) -> str:
        """The type of the environment's actions."""
        environment = self.source.record.environment
        return "float32" if environment is None else environment.action_dtype

    @property
    def observation_parts(self) -> Parts:
        """What the columns of an observation are joined from; none: it is one vector."""
        environment = self.source.record.environment
        return () if environment is None else environment.observation_parts

    def describe(self) -> dict[str, Any]:
        """What a reader of an exported file may want to know, as plain JSON values."""
        record = self.source.record
        return {
            "run": str(self.source.run_dir),
            "algorithm": record.config.algorithm.name,
            "dataset": record.dataset.name,
            "environment": None if record.environment is None else record.environment.env_id,
            "step": self.source.step,
            "seed": record.config.seed,
            "pogo": record.versions.get("pogo"),
            "actor": self.actor,
            "kind": self.config.kind,
            "observation_size": self.sizes[0],
            "action_size": self.sizes[1],
            "action_low": self.normalisation.action_low.tolist(),
            "action_high": self.normalisation.action_high.tolist(),
        }


def actor_named(text: str) -> int | Literal["flow"]:
    """An actor as an option names it.

    Raises:
        BadInput: it is neither a whole number nor `flow`.
    """
    if text == FLOW:
        return FLOW
    try:
        return int(text)
    except ValueError:
        raise BadInput(f"--actor {text}: use an actor's index, or {FLOW}.") from None
