"""What a checkpoint says beside the learner's arrays: of its run, and of how far that has come."""

import importlib.metadata
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

import pogo
from pogo.core.config.schema import NOTES, Config
from pogo.core.data.preprocessing import Normalisation
from pogo.core.data.scores import check_reference_returns
from pogo.core.environments.spec import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import Checkpoint
from pogo.core.problem.spec import TrainSpec
from pogo.core.setting import Values
from pogo.core.system.checkout import commit

_PACKAGES = {"torch": ("torch", "geomloss"), "jax": ("jax", "jaxlib", "optax", "ott-jax")}


@dataclass(frozen=True)
class DatasetRecord:
    """The dataset that a run trains on, or has collected on its own."""

    name: str
    sha256: str
    view: str
    rows: int


@dataclass(frozen=True)
class RunRecord:
    """What every checkpoint says of the run that wrote it: enough to act, evaluate and resume without the data."""

    asked: Values  # the composed config: what a resumed run must agree with
    config: Config  # with every default filled in, under `resolved` in the file
    observation_size: int
    action_size: int
    normalisation: Normalisation
    environment: EnvironmentSpec | None  # where it is evaluated; none: nowhere
    reference_returns: tuple[float, float] | None  # the returns that score 0 and 100
    dataset: DatasetRecord
    versions: Mapping[str, str]  # of the packages that its numbers depend on
    machine: Mapping[str, str] = field(default_factory=dict)  # `Learner.machine`, where it ran

    @property
    def spec(self) -> TrainSpec:
        """The training problem."""
        return self.config.train_spec(self.observation_size, self.action_size)

    def to_json(self) -> dict[str, Any]:
        """The record as a checkpoint holds it."""
        return {
            "asked": self.asked,
            "resolved": self.config.to_json(),
            "observation_size": self.observation_size,
            "action_size": self.action_size,
            "normalisation": self.normalisation.to_json(),
            "environment": self.environment.to_json() if self.environment is not None else None,
            "reference_returns": list(self.reference_returns) if self.reference_returns is not None else None,
            "dataset": asdict(self.dataset),
            "versions": dict(self.versions),
            "machine": dict(self.machine),
        }

    @classmethod
    def from_json(cls, values: Values) -> Self:
        """The record that `to_json` gave; one of before `machine` was written has none.

        Raises:
            BadInput: its parts do not fit together. What misses a key or holds a value of another type raises what
                Python does: `pogo.core.errors.reading` names the record.
        """
        environment, returns = values["environment"], values["reference_returns"]
        record = cls(
            asked=values["asked"],
            config=Config.from_json(values["resolved"]),
            observation_size=values["observation_size"],
            action_size=values["action_size"],
            normalisation=Normalisation.from_json(values["normalisation"]),
            environment=None if environment is None else EnvironmentSpec.from_json(environment),
            reference_returns=None if returns is None else check_reference_returns(returns[0], returns[1], "the run"),
            dataset=DatasetRecord(**values["dataset"]),
            versions=values["versions"],
            machine=values.get("machine", {}),
        )
        sizes = record.observation_size, record.action_size
        if (len(record.normalisation.observation_mean), len(record.normalisation.action_low)) != sizes:
            raise BadInput(f"normalisation is not of the run's sizes {sizes}")
        if record.environment is not None:
            check_sizes(record.environment, *sizes, "the run")
        return record


@dataclass(frozen=True)
class Progress:
    """How far a run had come when it was saved."""

    log_positions: Mapping[str, int]  # bytes of each log that were written by then
    train_seconds: float = 0.0
    compile_seconds: float = 0.0
    wall_seconds: float = 0.0
    evaluation: Values | None = None  # the latest, as evaluation.jsonl has it
    owes_evaluation: bool = False  # whether the one that is due at this point has yet to be made
    measures: Values | None = None  # of the actors, by their number, as a line of eval.jsonl has them at this point

    @classmethod
    def from_json(cls, values: Values) -> Self:
        """The progress that `asdict` gave.

        Raises:
            KeyError, TypeError: one that a loop could not go on from.
        """
        names = ("train_seconds", "compile_seconds", "wall_seconds")
        is_right = all(isinstance(values[name], int | float) and not isinstance(values[name], bool) for name in names)
        if not is_right or not isinstance(values["owes_evaluation"], bool):
            raise TypeError("its seconds are no numbers, or owes_evaluation is neither true nor false")
        if not isinstance(values["log_positions"], dict) or not isinstance(values["evaluation"], dict | None):
            raise TypeError("log_positions or evaluation is no mapping")
        if not isinstance(values.get("measures"), dict | None):  # an older pogo wrote none
            raise TypeError("measures is no mapping")
        return cls(**values)


@dataclass(frozen=True)
class ResumePoint:
    """A checkpoint that a run goes on from."""

    checkpoint: Checkpoint
    record: RunRecord
    progress: Progress

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Self:
        """What the records of a checkpoint say.

        Raises:
            BadInput: the record's parts do not fit together; `RunRecord.from_json` says what else is raised.
        """
        run, progress = checkpoint.records["run"], checkpoint.records["progress"]
        return cls(checkpoint, RunRecord.from_json(run), Progress.from_json(progress))

    @property
    def step(self) -> int:
        """How many updates, or environment steps, were made by then."""
        return self.checkpoint.step


def notes(command: Sequence[str], machine: Mapping[str, str]) -> dict[str, Any]:
    """What config.json says beside the settings, by the names of `pogo.core.config.schema.NOTES`."""
    written_by = {"version": pogo.__version__, "commit": commit()}
    return dict(zip(NOTES, (dict(machine), list(command), written_by), strict=True))


def versions(backend: str) -> dict[str, str]:
    """Versions of what a result depends on."""
    found = {"python": platform.python_version()}
    for name in ("pogo", "numpy", "gymnasium", "mujoco", *_PACKAGES[backend]):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
