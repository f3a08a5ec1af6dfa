"""The config: each setting's name, type, default, bounds and meaning, written once.

The sections of a dataset, the chain and the distance are `DatasetConfig`, `ChainConfig` and `W2Config`; that of an
algorithm holds its `Hyperparameters`. A composed config (`asked`, plain values with null for what is to be inferred)
becomes a `Config` by `pogo.core.config.resolution.resolve`, and a recorded one by `Config.from_json`.
"""

import copy
import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cache, cached_property
from types import UnionType
from typing import Any, Literal, NamedTuple, Self, TypeVar, get_args, get_origin

from omegaconf import MISSING

from pogo.core.algorithms import load_algorithm
from pogo.core.config.clock import ENV_STEPS, UPDATES, Clock
from pogo.core.data.config import ONLINE, DatasetConfig
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import LARGEST_STEP
from pogo.core.problem.actors import ActorConfig, resolve_actors
from pogo.core.problem.chain import ChainConfig
from pogo.core.problem.probe_critic import ProbeConfig
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.w2 import W2Config
from pogo.core.setting import PLAIN, Meaning, Values, meaning_of, setting

LARGEST_SEED = 2**63 - 1
LARGEST_EVALUATION_PROCESSES = 128
Section = TypeVar("Section")
SOURCES = "sources"  # the key of a composed or recorded config that says where each setting came from
# What config.json says beside the settings: where the run is computed, and what began it.
NOTES = ("machine", "command", "pogo")


@dataclass(frozen=True)
class BackendSection:
    """Which framework does the maths."""

    name: str = setting(MISSING, on_resume="free", label=True)
    compile: bool = setting(False, on_resume="free")


@dataclass(frozen=True)
class AlgorithmSection:
    """An algorithm and its hyperparameters, which are settings of this section under their own names."""

    name: str
    hyperparameters: Any  # of the class that the algorithm's definition names


@dataclass(frozen=True)
class TrainSection:
    """How long and on what batches; what is not given is as the algorithm was published."""

    updates: int = setting(1_000_000, least=1, most=LARGEST_STEP, on_resume="may_grow", inferred=True)
    batch_size: int = setting(256, least=1, most=LARGEST_STEP, inferred=True)
    # Seeds seed, seed + 1, ...: that many runs, side by side in one program.
    num_seeds: int = setting(1, least=1, most=LARGEST_STEP, on_resume="free")
    # Online runs are as long as env_steps says, and count everything in environment steps.
    # Of all environments together; none: the algorithm's published number.
    env_steps: int | None = setting(None, least=1, most=LARGEST_STEP, on_resume="may_grow", online=True)
    # Side by side, each taking one step at a time.
    num_envs: int = setting(1, least=1, most=LARGEST_STEP, online=True)
    # With uniform actions, first; none: half of learning_starts, 0 with resume_from.
    random_steps: int | None = setting(None, least=0, online=True)
    # Steps before the first update, and updates per step after that.
    learning_starts: int = setting(10_000, least=0, online=True)
    updates_per_step: float = setting(1.0, most=LARGEST_STEP, online=True)
    replay_capacity: int = setting(1_000_000, least=1, most=LARGEST_STEP, online=True)  # transitions kept
    # A new .hdf5 file for those that the buffer holds at the end.
    save_replay: str | None = setting(None, on_resume="free", identity=False, path=True, online=True)

    def updates_due(self, env_steps: int) -> int:
        """How many updates an online run has made after so many environment steps."""
        return max(0, int((env_steps - self.learning_starts) * self.updates_per_step))

    @property
    def buffer_size(self) -> int:
        """Rows of an online run's replay buffer: no more than the run will collect."""
        return self.replay_capacity if self.env_steps is None else min(self.replay_capacity, self.env_steps)


@dataclass(frozen=True)
class CollectSection:
    """Who acts in an online run."""

    actor: int = setting(0, online=True)  # of the chain
    # Of Gaussian noise on a deterministic actor's actions, in units of the action box.
    noise_std: float = setting(0.1, online=True)


@dataclass(frozen=True)
class EvalSection:
    """Evaluation of every actor, both modes."""

    # Updates (environment steps of an online run) between evaluations; 0: only the last.
    every: int = setting(5000, least=0, most=LARGEST_STEP, on_resume="from_here", identity=False)
    episodes: int = setting(10, least=0, most=LARGEST_STEP, on_resume="from_here")  # per actor and mode; 0: never
    # That hold the simulators; 0: the run's own. As `threads` allows.
    processes: int = setting(
        0,
        least=0,
        most=LARGEST_EVALUATION_PROCESSES,
        hint="null has it chosen",
        on_resume="free",
        identity=False,
        inferred=True,
    )


@dataclass(frozen=True)
class CheckpointSection:
    """Verified checkpoints."""

    # Updates, or environment steps, between checkpoints; 0: only the last.
    every: int = setting(5000, least=0, most=LARGEST_STEP, on_resume="from_here", identity=False)
    keep: int = setting(3, least=1, most=LARGEST_STEP, on_resume="from_here", identity=False)  # the newest that stay


@dataclass(frozen=True)
class LogSection:
    """Training metrics."""

    # Updates, or environment steps, averaged into one line.
    every: int = setting(1000, least=1, most=LARGEST_STEP, on_resume="from_here", identity=False)


@dataclass(frozen=True)
class LoggerSection:
    """Where metrics go besides the run folder's JSONL files."""

    tensorboard: bool = setting(True, on_resume="free", identity=False)
    # A clip of the last actor, deterministic, at every evaluation: a moving image in TensorBoard, a video in wandb.
    video: bool = setting(False, on_resume="free", identity=False)
    wandb: bool = setting(False, on_resume="free", identity=False)
    wandb_project: str = setting("pogo", on_resume="free", identity=False)
    wandb_entity: str | None = setting(None, on_resume="free", identity=False)
    wandb_mode: str = setting("online", on_resume="free", identity=False)


@dataclass(frozen=True)
class RunSection:
    """Where the run lives."""

    root: str = setting("runs", on_resume="free", identity=False, path=True)
    # The run's own folder; none: <root>/<dataset>/<algorithm>_<backend>/w2_<weights>/seed_<n>.
    dir: str | None = setting(None, on_resume="free", identity=False, path=True)
    # Whether to wait while another process trains in the folder, and then to go on; else that is refused.
    wait: bool = setting(False, on_resume="free", identity=False)
    # A folder above seed_<n>, for settings that the path does not name; -m fills it.
    variant: str | None = setting(None, on_resume="free", identity=False)


@dataclass(frozen=True)
class Config:
    """Everything that a run is configured by, with nothing left open but the sizes of its data.

    Raises:
        BadInput: an energy that the algorithm does not define, or actors that cannot be or that it cannot train.
    """

    backend: BackendSection
    algorithm: AlgorithmSection
    dataset: DatasetConfig
    env: str | None = None  # none: the one that the dataset names
    seed: int = setting(0, least=0, most=LARGEST_SEED, identity=False, label=True)
    device: str = setting("auto", on_resume="free", identity=False)
    dtype: str = "float32"
    threads: int = setting(1, on_resume="free", identity=False, inferred=True)  # CPU threads of the maths: all
    deterministic: bool = False  # deterministic kernels on a GPU too
    resume: str = setting("auto", on_resume="free", identity=False)
    # Another run's folder, whose critic and actors an online run begins with.
    resume_from: str | None = setting(None, identity=False, path=True, online=True)
    train: TrainSection = field(default_factory=TrainSection)
    collect: CollectSection = field(default_factory=CollectSection)
    eval: EvalSection = field(default_factory=EvalSection)
    checkpoint: CheckpointSection = field(default_factory=CheckpointSection)
    log: LogSection = field(default_factory=LogSection)
    logger: LoggerSection = field(default_factory=LoggerSection)
    chain: ChainConfig = field(default_factory=ChainConfig)
    w2: W2Config = field(default_factory=W2Config)
    probe: ProbeConfig = field(default_factory=ProbeConfig)
    run: RunSection = field(default_factory=RunSection)
    sources: Mapping[str, str] = field(default_factory=dict)  # where each setting came from, by dotted key

    def __post_init__(self) -> None:
        definition = load_algorithm(self.algorithm.name)
        if self.chain.energy not in definition.energies:
            raise BadInput(
                f"chain.energy={self.chain.energy} is not defined for algorithm={self.algorithm.name}; "
                f"use {' or '.join(sorted(definition.energies))}."
            )
        definition.check_actors(self.actors, self.algorithm.hyperparameters)
        needs = [
            key
            for key, is_set in (
                ("chain.geometry=fisher_rao", self.chain.geometry == "fisher_rao"),
                ("chain.natural_gradient=true", self.chain.natural_gradient),
            )
            if is_set
        ]
        for index, actor in enumerate(self.actors):
            if needs and not actor.is_gaussian:
                raise BadInput(
                    f"{needs[0]} is between Normals, and actor {index} is {actor.kind}; use "
                    "chain.actors=[{kind: gaussian}], or drop it."
                )
        if self.probe.critic and not hasattr(self.algorithm.hyperparameters, "discount"):
            raise BadInput(f"probe.critic=true: algorithm={self.algorithm.name} has no discount to value actor 0 by.")

    @cached_property
    def actors(self) -> tuple[ActorConfig, ...]:
        """Every actor of the chain, as `chain.actors` changes the algorithm's own."""
        default = load_algorithm(self.algorithm.name).default_actor(self.algorithm.hyperparameters)
        return resolve_actors(self.chain.actors, self.chain.num_actors, default)

    @property
    def is_online(self) -> bool:
        """Whether the run collects its own data."""
        return self.dataset.name == ONLINE

    @property
    def clock(self) -> Clock:
        """What the run counts: its length, logs, evaluations and checkpoints go by it."""
        return ENV_STEPS if self.is_online else UPDATES

    @property
    def length(self) -> int:
        """How long the run is in all: updates, or environment steps of an online run."""
        if not self.is_online:
            return self.train.updates
        assert self.train.env_steps is not None
        return self.train.env_steps

    def train_spec(self, observation_size: int, action_size: int) -> TrainSpec:
        """The training problem on data of these sizes."""
        return TrainSpec(
            algorithm=self.algorithm.name,
            observation_size=observation_size,
            action_size=action_size,
            batch_size=self.train.batch_size,
            actors=self.actors,
            chain=self.chain,
            w2=self.w2,
            hyperparameters=self.algorithm.hyperparameters,
            dtype=self.dtype,
            probe_critic=self.probe.critic,
        )

    def to_json(self) -> dict[str, Any]:
        """The config as plain values, as config.json and checkpoints hold it."""
        values: dict[str, Any] = _plain(dataclasses.asdict(self))
        values["algorithm"] = {"name": self.algorithm.name, **values["algorithm"]["hyperparameters"]}
        return values

    @classmethod
    def from_json(cls, values: Values) -> Self:
        """The config that `to_json` gave; a setting that an older pogo did not have is as it is by default.

        Raises:
            BadInput: an unknown setting, or a value that its section refuses.
        """
        given: dict[str, Any] = dict(values)
        for name, section in SECTIONS.items():
            given[name] = section_of(section, name, given.get(name, {}))
        options = dict(given["algorithm"])
        name = options.pop("name")
        given["algorithm"] = AlgorithmSection(name, _hyperparameters(name, options))
        return section_of(cls, "the config", given)


def section_of(kind: type[Section], name: str, values: Values) -> Section:
    """A section from plain values, in which lists stand for tuples.

    Raises:
        BadInput: the section has no such setting, or refuses a value.
    """
    known = {entry.name: entry for entry in fields(kind)}  # type: ignore[arg-type] - a dataclass
    if unknown := set(values) - set(known):
        raise BadInput(f"{name} has no {min(unknown)}.")
    return kind(**{key: _typed(value, known[key].type) for key, value in values.items()})


def _hyperparameters(algorithm: str, options: Values) -> Any:
    kind = load_algorithm(algorithm).Hyperparameters
    unknown = set(options) - {entry.name for entry in fields(kind)}
    if unknown:
        raise BadInput(f"algorithm.name={algorithm} has no {min(unknown)}; choose it by algorithm=.")
    return section_of(kind, "algorithm", options)


def _typed(value: Any, annotation: Any) -> Any:
    return tuple(value) if isinstance(value, list) and get_origin(annotation) is tuple else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value


SECTIONS: dict[str, Any] = {  # the classes of those that every algorithm has, by name
    entry.name: entry.type
    for entry in fields(Config)
    if dataclasses.is_dataclass(entry.type) and entry.type is not AlgorithmSection
}


class AskedSetting(NamedTuple):
    """A setting as a composed config has it: plain types, and null where it is to be inferred."""

    type: Any
    default: Any
    meaning: Meaning


def asked_settings(section: Any) -> Iterator[tuple[str, AskedSetting]]:
    """Each setting of a section's class by its name; what is a section itself is none."""
    for entry in fields(section):
        if not dataclasses.is_dataclass(entry.type) and entry.name != SOURCES:
            meaning, kind = meaning_of(entry), asked_type(entry.type)
            default = entry.default
            if entry.default_factory is not dataclasses.MISSING:
                default = entry.default_factory()
            if meaning.inferred:
                kind, default = kind | None, None
            if meaning.one_for_all:
                kind, default = kind | float | None, None
            yield entry.name, AskedSetting(kind, _plain(copy.deepcopy(default)), meaning)


def asked_type(annotation: Any) -> Any:
    """A field's type in plain values: a list for a tuple, text for one of several words."""
    if annotation is Any or annotation is None:
        return annotation
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is UnionType:
        first, *others = (asked_type(each) for each in arguments)
        for other in others:
            first = first | other
        return first
    if origin is Literal:
        return str
    return list[arguments[0]] if origin is tuple else annotation


@cache
def shared_settings() -> Mapping[str, AskedSetting]:
    """Every setting but those of an algorithm, by dotted key."""
    found = dict(asked_settings(Config))
    for name, section in SECTIONS.items():
        found |= {f"{name}.{key}": entry for key, entry in asked_settings(section)}
    return found


@cache
def known_settings(algorithm: str) -> Mapping[str, AskedSetting]:
    """Every setting that a run of an algorithm has, by dotted key."""
    own = asked_settings(load_algorithm(algorithm).Hyperparameters)
    return {**shared_settings(), **{f"algorithm.{key}": entry for key, entry in own}}


@cache
def settings_of_old() -> Mapping[str, Any]:
    """What a run has, of each setting but an algorithm's, that was recorded before there was such a setting."""
    found = {}
    for name, section in (("", Config), *SECTIONS.items()):
        for entry in fields(section):
            key = f"{name}.{entry.name}".lstrip(".")
            if key in shared_settings() and entry.default is not dataclasses.MISSING:
                found[key] = _plain(entry.default)
    return found


def meaning(key: str) -> Meaning:
    """What one setting means; a hyperparameter of an algorithm means what a field does that says nothing of itself."""
    if key == "algorithm.name":
        return _ALGORITHMS_NAME
    return shared_settings()[key].meaning if key in shared_settings() else PLAIN


_ALGORITHMS_NAME = Meaning(label=True)


def value_at(config: Values, key: str) -> Any:
    """The value of a setting in a composed or recorded config, by its dotted key."""
    section, _, name = key.rpartition(".")
    return config[section][name] if section else config[key]


def check_bounds(config: Values) -> None:
    """Refuse a number of a composed config that is out of its setting's bounds.

    Raises:
        BadInput: naming the first such setting, its value and the bound.
    """
    for key, entry in shared_settings().items():
        if entry.meaning.has_bounds:
            entry.meaning.check(key, value_at(config, key))
