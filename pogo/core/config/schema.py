"""The config's sections: names, types and defaults, each written once, here or in an algorithm's Hyperparameters."""

import dataclasses
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from pogo.core.data import d4rl
from pogo.core.data.sources import DatasetConfig
from pogo.core.registry import ALGORITHMS, load_algorithm


@dataclass
class BackendSection:
    """Which framework does the maths."""

    name: str = MISSING
    compile: bool = False


@dataclass
class TrainSection:
    """How long and on what batches; none: the algorithm's published values."""

    updates: int | None = None
    batch_size: int | None = None
    num_seeds: int = 1  # seed, seed + 1, ...: that many runs, side by side in one program
    # Of online runs, which are as long as env_steps says, and count everything in environment steps.
    env_steps: int | None = None  # of all environments together; none: the algorithm's published number
    num_envs: int = 1  # side by side, each taking one step at a time
    random_steps: int | None = None  # with uniform actions, first; none: half of learning_starts, 0 with resume_from
    learning_starts: int = 10_000  # steps before the first update
    updates_per_step: float = 1.0  # after that
    replay_capacity: int = 1_000_000  # transitions kept
    save_replay: str | None = None  # a new .hdf5 file for those that the buffer holds at the end


@dataclass
class CollectSection:
    """Who acts in an online run."""

    actor: int = 0  # of the chain
    noise_std: float = 0.1  # of Gaussian noise on a deterministic actor's actions, in units of max_action


@dataclass
class EvalSection:
    """Evaluation of every actor, both modes."""

    every: int = 5000  # updates (environment steps of an online run) between evaluations; 0: only the last
    episodes: int = 10  # per actor and mode; 0: never evaluate
    processes: int | None = None  # that hold the simulators; 0: the run's own; none: by `threads`


@dataclass
class CheckpointSection:
    """Verified checkpoints."""

    every: int = 5000  # updates, or environment steps, between checkpoints; 0: only the last
    keep: int = 3  # the newest that stay


@dataclass
class LogSection:
    """Training metrics."""

    every: int = 1000  # updates, or environment steps, averaged into one line


@dataclass
class LoggerSection:
    """Where metrics go besides the run folder's JSONL files."""

    tensorboard: bool = True
    wandb: bool = False
    wandb_project: str = "pogo"
    wandb_entity: str | None = None
    wandb_mode: str = "online"


@dataclass
class ChainSection:
    """Actors 1+; see `pogo.core.chain.ChainConfig`."""

    num_actors: int = 3
    w2_weights: list[float] | None = None  # of actors 1, 2, ...; none: 10 for each
    last_w2_weight: float | None = None  # stands for the last of them: what a comparison sweeps over
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

    root: str = "runs"
    dir: str | None = None  # the run's own folder; none: <root>/<dataset>/<algorithm>_<backend>/w2_<weights>/seed_<n>
    variant: str | None = None  # a folder above seed_<n>, for settings that the path does not name; -m fills it


@dataclass
class Config:
    """Everything that a run is configured by."""

    backend: BackendSection = field(default_factory=BackendSection)
    algorithm: Any = MISSING
    dataset: Any = MISSING
    env: str | None = None  # none: the one that the dataset names
    seed: int = 0
    device: str = "auto"
    dtype: str = "float32"
    threads: int | None = None  # CPU threads of the maths; none: all
    deterministic: bool = False  # deterministic kernels on a GPU too
    resume: str = "auto"
    resume_from: str | None = None  # another run's folder, whose critic and actors an online run begins with
    train: TrainSection = field(default_factory=TrainSection)
    collect: CollectSection = field(default_factory=CollectSection)
    eval: EvalSection = field(default_factory=EvalSection)
    checkpoint: CheckpointSection = field(default_factory=CheckpointSection)
    log: LogSection = field(default_factory=LogSection)
    logger: LoggerSection = field(default_factory=LoggerSection)
    chain: ChainSection = field(default_factory=ChainSection)
    w2: W2Section = field(default_factory=W2Section)
    run: RunSection = field(default_factory=RunSection)
    sweep: dict[str, list[Any]] = field(default_factory=dict)  # an experiment's: what -m runs over


SECTIONS: dict[str, Any] = {  # their classes by name
    entry.name: entry.type for entry in dataclasses.fields(Config) if dataclasses.is_dataclass(entry.type)
}


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


def _item_type(values: tuple) -> type:
    return type(values[0]) if values else float


def _lister(values: tuple) -> Any:
    return lambda: list(values)
