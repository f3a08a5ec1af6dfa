"""The config's sections: each setting's name, type, default, bounds and meaning, written once.

Those of a dataset are in `pogo.core.data.sources.DatasetConfig`, those of an algorithm in its `Hyperparameters`.
"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from pogo.core.algorithms import ALGORITHMS, algorithm_names, load_algorithm
from pogo.core.data import d4rl
from pogo.core.data.sources import DatasetConfig
from pogo.core.files.checkpoint import LARGEST_STEP
from pogo.core.setting import PLAIN, Meaning, meaning_of, setting

LARGEST_SEED = 2**63 - 1
LARGEST_NUM_ACTORS = 256
DEFAULT_NUM_ACTORS = 3
LARGEST_EVALUATION_PROCESSES = 128


@dataclass
class BackendSection:
    """Which framework does the maths."""

    name: str = setting(MISSING, on_resume="free", label=True)
    compile: bool = setting(False, on_resume="free")


@dataclass
class TrainSection:
    """How long and on what batches; none: the algorithm's published values."""

    updates: int | None = setting(None, least=1, most=LARGEST_STEP, on_resume="may_grow")
    batch_size: int | None = setting(None, least=1, most=LARGEST_STEP)
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


@dataclass
class CollectSection:
    """Who acts in an online run."""

    actor: int = setting(0, online=True)  # of the chain
    # Of Gaussian noise on a deterministic actor's actions, in units of the action box.
    noise_std: float = setting(0.1, online=True)


@dataclass
class EvalSection:
    """Evaluation of every actor, both modes."""

    # Updates (environment steps of an online run) between evaluations; 0: only the last.
    every: int = setting(5000, least=0, most=LARGEST_STEP, on_resume="from_here", identity=False)
    episodes: int = setting(10, least=0, most=LARGEST_STEP, on_resume="from_here")  # per actor and mode; 0: never
    # That hold the simulators; 0: the run's own; none: by `threads`.
    processes: int | None = setting(
        None, least=0, most=LARGEST_EVALUATION_PROCESSES, hint="null has it chosen", on_resume="free", identity=False
    )


@dataclass
class CheckpointSection:
    """Verified checkpoints."""

    # Updates, or environment steps, between checkpoints; 0: only the last.
    every: int = setting(5000, least=0, most=LARGEST_STEP, on_resume="from_here", identity=False)
    keep: int = setting(3, least=1, most=LARGEST_STEP, on_resume="from_here", identity=False)  # the newest that stay


@dataclass
class LogSection:
    """Training metrics."""

    # Updates, or environment steps, averaged into one line.
    every: int = setting(1000, least=1, most=LARGEST_STEP, on_resume="from_here", identity=False)


@dataclass
class LoggerSection:
    """Where metrics go besides the run folder's JSONL files."""

    tensorboard: bool = setting(True, on_resume="free", identity=False)
    wandb: bool = setting(False, on_resume="free", identity=False)
    wandb_project: str = setting("pogo", on_resume="free", identity=False)
    wandb_entity: str | None = setting(None, on_resume="free", identity=False)
    wandb_mode: str = setting("online", on_resume="free", identity=False)


@dataclass
class ChainSection:
    """Actors 1+; see `pogo.core.chain.ChainConfig`."""

    # None: one more than w2_weights; without those as many as `actors`, and at least 3.
    num_actors: int | None = setting(None, least=1, most=LARGEST_NUM_ACTORS, hint="actor 0 alone is 1")
    w2_weights: list[float] | None = setting(None, label=True)  # of actors 1, 2, ...; none: 10 for each
    # Stands for the last of them: what a comparison sweeps over. `w2_weights`, as it is resolved, holds it.
    last_w2_weight: float | None = setting(None, on_resume="free", label=True)
    actors: list[dict[str, Any]] = field(default_factory=list)  # kind and options, from actor 0; the last repeats
    energy: str = "value"
    init: str | None = None  # copy | independent; none: the algorithm's own, copy for all but pogo
    learning_rate: float | None = None  # none: actor 0's base rate
    actor_0_data_weight: float = 0.0


@dataclass
class W2Section:
    """The distance; see `pogo.core.w2.W2Config`."""

    solver: str = "fused"
    noise: str = "common"
    num_samples: int = 4
    blur: float = 0.05
    exact_points: bool = False
    scaling: float = 0.5
    backend: str = "tensorized"
    epsilon_init: float = 1.0
    epsilon_decay: float = 1.0


@dataclass
class RunSection:
    """Where the run lives."""

    root: str = setting("runs", on_resume="free", identity=False, path=True)
    # The run's own folder; none: <root>/<dataset>/<algorithm>_<backend>/w2_<weights>/seed_<n>.
    dir: str | None = setting(None, on_resume="free", identity=False, path=True)
    # A folder above seed_<n>, for settings that the path does not name; -m fills it.
    variant: str | None = setting(None, on_resume="free", identity=False)


@dataclass
class Config:
    """Everything that a run is configured by."""

    backend: BackendSection = field(default_factory=BackendSection)
    algorithm: Any = MISSING
    dataset: Any = MISSING
    env: str | None = None  # none: the one that the dataset names
    seed: int = setting(0, least=0, most=LARGEST_SEED, identity=False, label=True)
    device: str = setting("auto", on_resume="free", identity=False)
    dtype: str = "float32"
    threads: int | None = setting(None, on_resume="free", identity=False)  # CPU threads of the maths; none: all
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
    chain: ChainSection = field(default_factory=ChainSection)
    w2: W2Section = field(default_factory=W2Section)
    run: RunSection = field(default_factory=RunSection)
    sweep: dict[str, list[Any]] = setting({}, on_resume="free", identity=False)  # an experiment's: what -m runs over


SECTIONS: dict[str, Any] = {  # their classes by name
    entry.name: entry.type for entry in dataclasses.fields(Config) if dataclasses.is_dataclass(entry.type)
}


@cache
def meanings() -> Mapping[str, Meaning]:
    """What every setting means, by dotted key, but for those of an algorithm, which all mean the same."""
    sections = {**SECTIONS, "dataset": DatasetConfig}
    found = {entry.name: meaning_of(entry) for entry in dataclasses.fields(Config) if entry.name not in sections}
    for name, section in sections.items():
        found |= {f"{name}.{entry.name}": meaning_of(entry) for entry in dataclasses.fields(section)}
    return found | {"algorithm.name": Meaning(label=True)}


def meaning(key: str) -> Meaning:
    """What one setting means; a hyperparameter of an algorithm means what a field does that says nothing of itself."""
    return meanings().get(key, PLAIN)


def check_bounds(config: Mapping[str, Any]) -> None:
    """Refuse a number of a composed config that is out of its setting's bounds.

    Raises:
        BadInput: naming the first such setting, its value and the bound.
    """
    for key, entry in meanings().items():
        if entry.has_bounds:
            section, _, name = key.rpartition(".")
            entry.check(key, config[section][name] if section else config[key])


def group_schema(frozen: type) -> type:
    """A dataclass as OmegaConf takes it: not frozen (it would be read-only), tuples as lists, and with a `name`."""
    columns: list[Any] = [] if any(entry.name == "name" for entry in dataclasses.fields(frozen)) else [("name", str)]
    for entry in dataclasses.fields(frozen):
        kind: Any = entry.type
        if entry.default_factory is not dataclasses.MISSING:
            columns.append((entry.name, kind, field(default_factory=entry.default_factory)))
        elif isinstance(entry.default, tuple):
            columns.append((entry.name, list[_item_type(entry.default)], field(default_factory=_lister(entry.default))))
        else:
            columns.append((entry.name, kind, field(default=entry.default)))
    if columns and len(columns[0]) == 2:
        columns[0] = (*columns[0], field(default=MISSING))
    return dataclasses.make_dataclass(frozen.__name__, columns)


@cache
def register() -> None:
    """Put the schemas where the group files of `conf/` find them."""
    store = ConfigStore.instance()
    store.store(name="config_schema", node=Config)
    for name in ALGORITHMS:
        store.store(group="algorithm", name=f"{name}_schema", node=group_schema(load_algorithm(name).Hyperparameters))
    dataset = group_schema(DatasetConfig)
    store.store(group="dataset", name="dataset_schema", node=dataset)
    for name in d4rl.D4RL_DATASETS:
        store.store(group="dataset", name=name, node=dataset(name=name))


@cache
def register_algorithm(name: str) -> None:
    """Make an algorithm of another package a choice: its schema, and the choice itself for want of a file.

    Raises:
        BadInput: it cannot be imported, or is no algorithm.
    """
    if name not in ALGORITHMS and name in algorithm_names():
        schema = group_schema(load_algorithm(name).Hyperparameters)
        ConfigStore.instance().store(group="algorithm", name=f"{name}_schema", node=schema)
        ConfigStore.instance().store(group="algorithm", name=name, node=schema(name=name))


def _item_type(values: tuple) -> type:
    return type(values[0]) if values else float


def _lister(values: tuple) -> Any:
    return lambda: list(values)
