"""From a composed config to checked plans: every mistake is found here, before any work."""

import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pogo.core.algorithms import load_algorithm
from pogo.core.config.provenance import DEFAULT
from pogo.core.config.resolution import resolve
from pogo.core.config.schema import LARGEST_SEED, SOURCES, Config, value_at
from pogo.core.config.variant import inferred_variant
from pogo.core.data.config import ONLINE, check_config, dataset_name
from pogo.core.data.dataset import Dataset
from pogo.core.data.environment import NO_ENVIRONMENT
from pogo.core.data.loading import load_dataset
from pogo.core.environments.checks import try_out
from pogo.core.environments.make import environment_in_place_of
from pogo.core.environments.recorded import RecordedEnvironment
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.files.summary import CONFIG
from pogo.core.online.empty_dataset import environment_name, online_dataset
from pogo.core.problem.spec import TrainSpec
from pogo.core.registry import LIBRARY_SOLVERS, SEED_GROUPS, check_backend
from pogo.core.runs.record import DatasetRecord, RunRecord, versions
from pogo.core.runs.video import check_video
from pogo.core.runs.warm_start import SourceRun, read_source
from pogo.core.setting import Values

LARGEST_NUM_SEEDS = 128  # each holds five files open, of the usual 1024
LONGEST_NAME, LONGEST_PATH = 255, 3800  # bytes, with room for the files inside


@dataclass(frozen=True)
class Plan:
    """A run of one seed that can start: everything is checked except what only the machine can refuse."""

    asked: dict[str, Any]  # the composed config as given: what a resumed run must agree with
    config: Config
    spec: TrainSpec
    dataset: Dataset
    source: SourceRun | None = None  # the run whose actors and critics it begins with
    seeds: tuple[int, ...] = ()  # of all runs that are trained together with it, its own among them
    command: tuple[str, ...] = ()  # that asks for it, as it was typed: the program's name first

    @property
    def run_dir(self) -> Path:
        """The run's own folder."""
        assert self.config.run.dir is not None
        return Path(self.config.run.dir)

    @property
    def length_key(self) -> str:
        """The setting that says how long the run is."""
        return f"train.{self.config.clock.units}"

    def record(self, machine: Mapping[str, str] | None = None) -> RunRecord:
        """What its checkpoints say of it; `machine`, where it runs."""
        dataset = self.dataset
        return RunRecord(
            asked=self.asked,
            config=self.config,
            observation_size=self.spec.observation_size,
            action_size=self.spec.action_size,
            normalisation=dataset.normalisation,
            environment=dataset.environment,
            reference_returns=dataset.reference_returns,
            dataset=DatasetRecord(dataset.name, dataset.sha256, dataset.view, dataset.raw_rows),
            versions=versions(self.config.backend.name),
            machine=machine or {},
        )


@dataclass(frozen=True)
class Settings:
    """What a config says by itself, before its data is looked at."""

    config: Config
    dataset_name: str
    run_dirs: dict[int, Path]  # by seed
    source: SourceRun | None  # the run that an online run begins with
    environment: EnvironmentSpec | None  # the source's, where none is named


def make_plans(asked: Values, command: Sequence[str] = ()) -> list[Plan]:
    """Check a composed config and load its data, once: a plan for each of its seeds.

    Args:
        asked: the composed config.
        command: that asks for it, for the record: the program's name, then what followed it.

    Raises:
        BadInput: anything that cannot be done, in one line.
    """
    settings = check_settings(asked)
    config = settings.config
    # A sweep's runs may be each other's base: it is looked for when a run starts.
    source = settings.source or _read_base(config, next(iter(settings.run_dirs.values())))
    dataset = _load(settings)
    if config.eval.episodes and dataset.environment is None and config.env != NO_ENVIRONMENT:
        missing = f"dataset {settings.dataset_name} names no environment; give one with env=ID."
        raise BadInput(f"{dataset.why_no_environment or missing} Or train without evaluation: env=none.")
    if dataset.environment is not None and (config.is_online or config.eval.episodes):
        try_out(dataset.environment)
        if config.logger.video:
            check_video(dataset.environment)
    spec = config.train_spec(dataset.observation_size, dataset.action_size)
    return [
        Plan(
            _asked_of_seed(asked, seed),
            _of_seed(config, seed, run_dir),
            spec,
            dataset,
            source,
            seeds=tuple(settings.run_dirs),
            command=tuple(command),
        )
        for seed, run_dir in settings.run_dirs.items()
    ]


def _load(settings: Settings) -> Dataset:
    """What the algorithm trains on; of an online run, the frame that its transitions will have."""
    config, algorithm = settings.config, settings.config.algorithm
    preprocessing = load_algorithm(algorithm.name).preprocessing(algorithm.hyperparameters, settings.dataset_name)
    if not config.is_online:
        return load_dataset(config.dataset, preprocessing, config.env)
    normalisation = None if settings.source is None else settings.source.record.normalisation
    environment = settings.environment or _online_environment(settings)
    return online_dataset(config.dataset, environment, preprocessing, normalisation)


def _online_environment(settings: Settings) -> EnvironmentSpec:
    """The environment named for an online run, with the observations of the run that it begins with."""
    limit, theirs = settings.config.dataset.max_episode_steps, None
    if settings.source is not None:
        theirs = settings.source.record.environment
    recorded = theirs.recorded if theirs is not None else RecordedEnvironment()
    if limit is not None:
        recorded = replace(recorded, max_episode_steps=limit, limit_source="option")
    assert settings.config.env is not None
    return environment_in_place_of(settings.config.env, recorded, "resume_from")


def _of_seed(config: Config, seed: int, run_dir: Path) -> Config:
    """The config as if this seed ran alone, in its own folder."""
    train, run = replace(config.train, num_seeds=1), replace(config.run, dir=str(run_dir))
    return replace(config, seed=seed, train=train, run=run, sources=_sources_of_seed(config.sources, config.seed, seed))


def _asked_of_seed(asked: Values, seed: int) -> dict[str, Any]:
    """The composed config as if this seed had been asked for alone."""
    sources = _sources_of_seed(asked[SOURCES], asked["seed"], seed)
    return {**asked, "seed": seed, "train": {**asked["train"], "num_seeds": 1}, SOURCES: sources}


def _sources_of_seed(sources: Mapping[str, str], first: int, seed: int) -> dict[str, str]:
    alone = {**sources, "train.num_seeds": DEFAULT}
    return alone if seed == first else alone | {"seed": "train.num_seeds"}


def check_settings(asked: Values, to_run: bool = True) -> Settings:
    """Check all of a composed config that can be checked without its data.

    Args:
        asked: the composed config.
        to_run: whether its backend must be installed, which only to look at the config does not take.

    Raises:
        BadInput: anything that cannot be done, in one line.
    """
    for section, key in (("dataset", "path"), ("run", "dir"), ("run", "variant"), ("train", "save_replay")):
        if asked[section][key] == "":  # a shell variable that is not set
            raise BadInput(f"{section}.{key}= is empty; give it a value, or drop it.")
    if asked["resume_from"] == "":
        raise BadInput("resume_from= is empty; give a run's folder, or drop it.")
    variant = asked["run"]["variant"]
    if variant is not None and (Path(variant).is_absolute() or ".." in Path(variant).parts):
        raise BadInput(f"run.variant={variant} would leave the run's root; give a plain name, or set run.dir.")
    config = resolve(asked)
    if to_run:
        check_backend(config.backend.name)
    _check_num_seeds(config)
    if to_run:
        _check_packages(config)
    check_config(config.dataset)
    source, environment = _read_source(config), None
    if config.is_online and config.env is None and source is not None:
        environment = source.record.environment
        config = replace(config, env=None if environment is None else environment.env_id)
    env = config.env or NO_ENVIRONMENT
    if config.is_online and env == NO_ENVIRONMENT:
        raise BadInput(f"dataset={ONLINE} collects its own data; name where: env=ID, such as env=Pendulum-v1.")
    name = environment_name(env) if config.is_online else dataset_name(config.dataset)
    seeds = range(config.seed, config.seed + config.train.num_seeds)
    config = _with_variant(config, asked, name)
    run_dirs = {seed: _run_dir(replace(config, seed=seed), name) for seed in seeds}
    for run_dir in run_dirs.values():
        _check_path(run_dir)
    return Settings(config, name, run_dirs, source, environment)


def _check_packages(config: Config) -> None:
    """Refuse options that need a package which is not there, or which the backend has no use for."""
    backend, solver = config.backend.name, config.w2.solver
    if (owner := LIBRARY_SOLVERS.get(solver, backend)) != backend:
        raise BadInput(
            f"w2.solver={solver} is a library of backend={owner}; use that, or w2.solver=fused, which both have."
        )
    if config.logger.wandb and importlib.util.find_spec("wandb") is None:
        raise BadInput("logger.wandb=true needs wandb, not installed here: pip install 'pogo[wandb]'.")


def _run_dir(config: Config, dataset: str) -> Path:
    """run.dir, or <root>/<dataset>/<algorithm>_<backend>/<w2_weights or steps_sizes>/[<variant>/]seed_<n>."""
    if config.run.dir is not None:
        return Path(config.run.dir).expanduser()
    chain = config.chain
    kind, numbers = ("steps", chain.steps) if chain.steps else ("w2", chain.w2_weights)
    names = [f"{config.algorithm.name}_{config.backend.name}"]
    names.append("_".join([kind, *(f"{number:g}" for number in numbers)] if numbers else [kind, "none"]))
    if config.run.variant is not None:
        names.append(config.run.variant)
    return Path(config.run.root, dataset, *names, f"seed_{config.seed}").expanduser()


def _with_variant(config: Config, asked: Values, dataset: str) -> Config:
    """The config with what its path would not tell as `run.variant`, where neither that nor `run.dir` is given."""
    variant = inferred_variant(asked, config)
    if variant is None or config.run.dir is not None or config.run.variant is not None:
        return config
    if _holds(_run_dir(config, dataset), config, variant):  # begun by a pogo that named no variant by itself
        return config
    return replace(config, run=replace(config.run, variant=variant))


def _holds(run_dir: Path, config: Config, variant: str) -> bool:
    """Whether a folder's run has the settings that a variant names."""
    try:
        recorded = json.loads((run_dir / CONFIG).read_bytes())
        ours = config.to_json()
        keys = [part.partition("=")[0] for part in variant.split(",") if "=" in part]
        return all(value_at(recorded, key) == value_at(ours, key) for key in keys)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return False


def _check_path(run_dir: Path) -> None:
    """Refuse a run folder that no file system can hold, before anything is made of it."""
    for part in run_dir.parts:
        if len(part.encode()) > LONGEST_NAME or "\0" in part:
            raise BadInput(
                f"the run's folder would have {part[:20]!r}... in it, {len(part.encode())} bytes, and a name has at "
                f"most {LONGEST_NAME}; shorten run.variant, run.root or dataset.name, or name a folder by run.dir."
            )
    if len(str(run_dir.absolute()).encode()) > LONGEST_PATH:
        raise BadInput(f"the run's folder would be {len(str(run_dir))} characters long; name a shorter one by run.dir.")


def _read_source(config: Config) -> SourceRun | None:
    """The run that `resume_from` names; where it is gone, this run itself, once it has begun: all is taken over."""
    if config.resume_from is None:
        return None
    try:
        return read_source("resume_from", config.resume_from)
    except BadInput:
        if config.run.dir is None and config.env is None:
            raise
        own = _run_dir(config, environment_name(config.env or NO_ENVIRONMENT))
        if not CheckpointStore(own).steps():
            raise
        return read_source("resume_from", str(own))


def _read_base(config: Config, run_dir: Path) -> SourceRun | None:
    """The run that `chain.base` names; once this one has begun, itself: it took all over, and the other may be gone."""
    if config.chain.base is None:
        return None
    if config.train.num_seeds > 1:
        raise BadInput(
            f"train.num_seeds={config.train.num_seeds}: chain.base is one run of one seed; start each seed by itself."
        )
    return read_source("chain.base", str(run_dir) if CheckpointStore(run_dir).steps() else config.chain.base)


def _check_num_seeds(config: Config) -> None:
    """Several seeds side by side need a backend that can, a folder for each, and seeds that exist."""
    first, count, backend = config.seed, config.train.num_seeds, config.backend.name
    if count == 1:
        return
    asked = f"train.num_seeds={count}"
    in_processes = f"pogo-train -m 'seed=range({first},{first + count})' --jobs N runs them side by side in processes"
    if backend not in SEED_GROUPS:
        raise BadInput(f"{asked}: backend={backend} trains one seed per program; {in_processes}.")
    if count > LARGEST_NUM_SEEDS:
        raise BadInput(f"{asked} is too large; use at most {LARGEST_NUM_SEEDS}, and other seeds in further runs.")
    if first + count - 1 > LARGEST_SEED:
        raise BadInput(f"{asked}: seeds from {first} on end beyond 2^63 - 1; use a smaller seed.")
    if config.run.dir is not None:
        raise BadInput(f"{asked}: run.dir is one folder, and each seed needs its own; use run.root.")
    if config.logger.wandb:
        raise BadInput(f"{asked}: wandb logs one run per process; {in_processes}.")
