"""From a composed config to a checked plan: every mistake is found here, before any work."""

import copy
import importlib.util
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from pogo.core.actors import check_options, resolve_actors
from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.base import AlgorithmDefinition
from pogo.core.chain import DEFAULT_W2_WEIGHT, ChainConfig
from pogo.core.clock import ENV_STEPS, UPDATES, Clock
from pogo.core.config.online import OnlineConfig, fill_online, is_online, online_config, refuse_online_settings
from pogo.core.config.provenance import DEFAULT, SOURCES, published_default
from pogo.core.config.schema import DEFAULT_NUM_ACTORS, LARGEST_SEED, check_bounds
from pogo.core.data.online import environment_name, online_dataset
from pogo.core.data.sources import (
    NO_ENVIRONMENT,
    ONLINE,
    Dataset,
    DatasetConfig,
    check_config,
    dataset_name,
    load_dataset,
)
from pogo.core.environments.checks import try_out
from pogo.core.environments.recorded import RecordedEnvironment
from pogo.core.environments.simulators import default_processes
from pogo.core.environments.spec import EnvironmentSpec, environment_in_place_of
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.group import GroupOfOne, LearnerGroup
from pogo.core.interface import Learner, TrainSpec
from pogo.core.online.replay import check_memory
from pogo.core.online.warm_start import SourceRun, read_source
from pogo.core.registry import LIBRARY_SOLVERS, SEED_GROUPS, check_backend, check_name, load_backend
from pogo.core.w2 import W2Config

RESUME_MODES = ("auto", "never", "must")
DTYPES = ("float32", "float64")
LARGEST_NUM_SEEDS = 128  # each holds five files open, of the usual 1024
LONGEST_NAME, LONGEST_PATH = 255, 3800  # bytes, with room for the files inside


@dataclass(frozen=True)
class Plan:
    """A run of one seed that can start: everything is checked except what only the machine can refuse."""

    asked: dict[str, Any]  # the composed config as given: what a resumed run must agree with
    resolved: dict[str, Any]  # with every default filled in: what is recorded
    spec: TrainSpec
    dataset: Dataset
    run_dir: Path
    online: OnlineConfig | None = None  # of a run that collects its own data
    source: SourceRun | None = None  # the run whose actors and critics it begins with
    seeds: tuple[int, ...] = ()  # of all runs that are trained together with it, its own among them

    @property
    def backend(self) -> str:
        """The backend's name."""
        return self.resolved["backend"]["name"]

    @property
    def length(self) -> int:
        """How long the run is in all: updates, or environment steps of an online run (`clock`)."""
        return self.resolved["train"][self.length_key]

    @property
    def length_key(self) -> str:
        """Where `train` says how long the run is."""
        return "updates" if self.online is None else "env_steps"

    @property
    def clock(self) -> Clock:
        """What the run counts: its logs, evaluations and checkpoints go by it."""
        return UPDATES if self.online is None else ENV_STEPS

    def make_learner(self) -> Learner:
        """A learner on a fresh state, and the data that it trains on."""
        if self.online is not None:
            return make_learner(self.resolved, self.spec, None, self.online.capacity)
        return make_learner(self.resolved, self.spec, self.dataset)


def make_learner(
    resolved: Mapping[str, Any], spec: TrainSpec, dataset: Dataset | None, replay_capacity: int | None = None
) -> Learner:
    """The learner that a resolved config asks for, on a dataset, on a replay buffer of this capacity, or on nothing.

    Raises:
        BadInput: the backend or the device is not there.
    """
    backend = resolved["backend"]["name"]
    if replay_capacity is not None:
        check_memory(replay_capacity, spec.observation_size, spec.action_size)
    return load_backend(backend, "learner").make_learner(
        spec,
        seed=resolved["seed"],
        transitions=dataset.transitions if dataset is not None else None,
        device=resolved["device"],
        compile=resolved["backend"]["compile"],
        threads=resolved["threads"],
        deterministic=resolved["deterministic"],
        replay_capacity=replay_capacity,
    )


def make_learner_group(plans: Sequence[Plan]) -> LearnerGroup:
    """Learners of plans that differ in their seeds only, on fresh states.

    Raises:
        BadInput: the backend or the device is not there.
    """
    plan = plans[0]
    if len(plans) == 1:
        return GroupOfOne(plan.make_learner())
    return load_backend(plan.backend, "group").make_learner_group(
        plan.spec,
        seeds=[plan.resolved["seed"] for plan in plans],
        transitions=plan.dataset.transitions,
        device=plan.resolved["device"],
        compile=plan.resolved["backend"]["compile"],
        threads=plan.resolved["threads"],
        deterministic=plan.resolved["deterministic"],
    )


def make_plans(asked: Mapping[str, Any]) -> list[Plan]:
    """Check a composed config and load its data, once: a plan for each of its seeds.

    Raises:
        BadInput: anything that cannot be done, in one line.
    """
    settings = check_settings(asked)
    resolved, spec, config, name = settings.resolved, settings.spec, settings.dataset, settings.dataset_name
    preprocessing = load_algorithm(spec.algorithm).preprocessing(spec.hyperparameters, name)
    if settings.online is not None:
        normalisation = settings.source.normalisation if settings.source is not None else None
        environment = settings.environment or _online_environment(settings)
        dataset = online_dataset(config, environment, preprocessing, normalisation)
    else:
        dataset = load_dataset(config, preprocessing, resolved["env"])
    if resolved["eval"]["episodes"] and dataset.environment is None and resolved["env"] != NO_ENVIRONMENT:
        reason = dataset.why_no_environment or f"dataset {name} names no environment; give one with env=ID."
        raise BadInput(f"{reason} Or train without evaluation: env=none.")
    if dataset.environment is not None and (settings.online is not None or resolved["eval"]["episodes"]):
        try_out(dataset.environment)
    spec = replace(spec, observation_size=dataset.observation_size, action_size=dataset.action_size)
    return [
        Plan(
            _of_seed(asked, seed),
            _of_seed(resolved, seed, str(run_dir)),
            spec,
            dataset,
            run_dir,
            settings.online,
            settings.source,
            tuple(settings.run_dirs),
        )
        for seed, run_dir in settings.run_dirs.items()
    ]


def _of_seed(config: Mapping[str, Any], seed: int, run_dir: str | None = None) -> dict[str, Any]:
    """The config as if this seed ran alone."""
    train = {**config["train"], "num_seeds": 1}
    sources = {**config[SOURCES], "train.num_seeds": DEFAULT}
    if seed != config["seed"]:
        sources["seed"] = "train.num_seeds"
    run = config["run"] if run_dir is None else {**config["run"], "dir": run_dir}
    return {**config, "seed": seed, "train": train, "run": run, SOURCES: sources}


@dataclass(frozen=True)
class Settings:
    """What a config says by itself, before its data is looked at."""

    resolved: dict[str, Any]
    spec: TrainSpec  # without sizes
    dataset: DatasetConfig
    dataset_name: str
    run_dirs: dict[int, Path]  # by seed
    online: OnlineConfig | None
    source: SourceRun | None
    environment: EnvironmentSpec | None  # the source's, where none is named


def _online_environment(settings: Settings) -> EnvironmentSpec:
    """The environment named for an online run, with the observations of the run that it begins with."""
    limit, theirs = settings.dataset.max_episode_steps, None
    if settings.source is not None:
        theirs = settings.source.environment
    recorded = theirs.recorded if theirs is not None else RecordedEnvironment()
    if limit is not None:
        recorded = replace(recorded, max_episode_steps=limit, limit_source="option")
    return environment_in_place_of(settings.resolved["env"], recorded, "resume_from")


def check_settings(asked: Mapping[str, Any], to_run: bool = True) -> Settings:
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
    resolved = resolve(asked)
    spec = spec_of_run(resolved, 0, 0)
    if to_run:
        check_backend(resolved["backend"]["name"])
    _check_num_seeds(resolved)
    if to_run:
        _check_packages(resolved, spec)
    config = DatasetConfig(**resolved["dataset"])
    check_config(config)
    online = online_config(resolved) if is_online(resolved) else None
    source = _read_source(resolved)
    environment = None
    if online is not None and resolved["env"] is None and source is not None:
        environment = source.environment
        resolved["env"] = None if environment is None else environment.env_id
    env: str = resolved["env"] or NO_ENVIRONMENT
    if online is not None and env == NO_ENVIRONMENT:
        raise BadInput(f"dataset={ONLINE} collects its own data; name where: env=ID, such as env=Pendulum-v1.")
    name = dataset_name(config) if online is None else environment_name(env)
    seeds = range(resolved["seed"], resolved["seed"] + resolved["train"]["num_seeds"])
    given = resolved["run"]["dir"]
    run_dirs = {seed: Path(given or default_run_dir({**resolved, "seed": seed}, name)).expanduser() for seed in seeds}
    for run_dir in run_dirs.values():
        _check_path(run_dir)
    return Settings(resolved, spec, config, name, run_dirs, online, source, environment)


def _check_packages(resolved: Mapping[str, Any], spec: TrainSpec) -> None:
    """Refuse options that need a package which is not there, or which the backend has no use for."""
    backend = resolved["backend"]["name"]
    if (owner := LIBRARY_SOLVERS.get(spec.w2.solver, backend)) != backend:
        raise BadInput(
            f"w2.solver={spec.w2.solver} is a library of backend={owner}; use that, or w2.solver=fused, which both "
            "have."
        )
    if resolved["logger"]["wandb"] and importlib.util.find_spec("wandb") is None:
        raise BadInput("logger.wandb=true needs wandb, not installed here: pip install 'pogo[wandb]'.")


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


def _read_source(resolved: Mapping[str, Any]) -> SourceRun | None:
    """The run that `resume_from` names; where it is gone, this run itself, once it has begun: all is taken over."""
    if resolved["resume_from"] is None:
        return None
    try:
        return read_source(resolved["resume_from"])
    except BadInput:
        given, env = resolved["run"]["dir"], resolved["env"]
        if given is None and env is not None:
            given = default_run_dir(resolved, environment_name(env))
        if given is None or not CheckpointStore(Path(given).expanduser()).steps():
            raise
        return read_source(str(given))


def _check_num_seeds(resolved: Mapping[str, Any]) -> None:
    """Several seeds side by side need a backend that can, a folder for each, and seeds that exist."""
    first, count, backend = resolved["seed"], resolved["train"]["num_seeds"], resolved["backend"]["name"]
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
    if resolved["run"]["dir"] is not None:
        raise BadInput(f"{asked}: run.dir is one folder, and each seed needs its own; use run.root.")
    if resolved["logger"]["wandb"]:
        raise BadInput(f"{asked}: wandb logs one run per process; {in_processes}.")


def resolve(asked: Mapping[str, Any]) -> dict[str, Any]:
    """The config with every default that depends on others filled in, its values checked, and its actors.

    Raises:
        BadInput: a value out of range, an unknown name, or a chain that cannot be trained as it says.
    """
    resolved = copy.deepcopy(dict(asked))
    algorithm = load_algorithm(resolved["algorithm"]["name"])
    check_name("resume", resolved["resume"], RESUME_MODES)
    check_name("dtype", resolved["dtype"], DTYPES)
    check_bounds(resolved)
    _fill_num_actors(resolved)
    train = resolved["train"]
    sources = resolved[SOURCES]
    _resolve_online(resolved)
    published = {"updates": algorithm.published_updates, "batch_size": algorithm.published_batch_size}
    for key, value in published.items():
        if train[key] is None:
            train[key] = value
            sources[f"train.{key}"] = published_default(resolved["algorithm"]["name"])
    _fill_processes(resolved)
    hyperparameters = algorithm.for_run(_hyperparameters(resolved), train["updates"])
    resolved["algorithm"] |= {
        field.name: _plain(getattr(hyperparameters, field.name)) for field in fields(hyperparameters)
    }
    if resolved["chain"]["init"] is None:
        resolved["chain"]["init"] = algorithm.chain_init
        if algorithm.chain_init != AlgorithmDefinition.chain_init:
            sources["chain.init"] = published_default(resolved["algorithm"]["name"])
    _fill_weights(resolved["chain"])
    # Here and not in `spec_of_run`: a recorded run can be read whatever else its actors name.
    check_options(resolved["chain"]["actors"], spec_of_run(resolved, 0, 0).actors)
    return resolved


def _resolve_online(resolved: dict[str, Any]) -> None:
    name = resolved["algorithm"]["name"]
    if not is_online(resolved):
        refuse_online_settings(resolved)
        return
    env_steps = load_algorithm(name).published_env_steps
    if env_steps is None:
        raise BadInput(f"algorithm={name} learns from a dataset; online learns algorithm=sac.")
    fill_online(resolved, env_steps)


def _fill_num_actors(resolved: dict[str, Any]) -> None:
    """As many actors as the weights or the kinds that are given are of, where their number is not given."""
    chain = resolved["chain"]
    if chain["num_actors"] is not None:
        return
    weights, kinds = chain["w2_weights"], len(chain["actors"])
    chain["num_actors"] = max(DEFAULT_NUM_ACTORS, kinds) if weights is None else len(weights) + 1
    for key, decides in (("chain.w2_weights", weights is not None), ("chain.actors", kinds > DEFAULT_NUM_ACTORS)):
        if decides:
            resolved[SOURCES]["chain.num_actors"] = f"as {key}"
            break
    check_bounds(resolved)


def _fill_weights(chain: dict[str, Any]) -> None:
    if chain["w2_weights"] is None:
        chain["w2_weights"] = [DEFAULT_W2_WEIGHT] * (chain["num_actors"] - 1)
    last = chain["last_w2_weight"]
    if last is not None:
        if not chain["w2_weights"]:
            raise BadInput(
                f"chain.last_w2_weight={last} has no actor to weigh: chain.num_actors={chain['num_actors']}."
            )
        chain["w2_weights"] = [*chain["w2_weights"][:-1], last]


def _fill_processes(resolved: dict[str, Any]) -> None:
    """Fill in the threads of the maths and the processes of the simulators, by what this machine has."""
    available = len(os.sched_getaffinity(0))
    if resolved["threads"] is None:
        resolved["threads"] = available
    if not 1 <= resolved["threads"] <= available:
        raise BadInput(
            f"threads={resolved['threads']} is out of range; this process may use {available} CPUs: "
            f"use 1 to {available}, or null for all."
        )
    evaluation = resolved["eval"]
    if evaluation["processes"] is None:
        evaluation["processes"] = default_processes(resolved["threads"], evaluation["episodes"])


def default_run_dir(resolved: Mapping[str, Any], dataset: str) -> Path:
    """Give <root>/<dataset>/<algorithm>_<backend>/w2_<weights>/[<variant>/]seed_<n>."""
    weights = "_".join(f"{weight:g}" for weight in resolved["chain"]["w2_weights"]) or "none"
    names = [f"{resolved['algorithm']['name']}_{resolved['backend']['name']}", f"w2_{weights}"]
    if resolved["run"]["variant"] is not None:
        names.append(resolved["run"]["variant"])
    return Path(resolved["run"]["root"], dataset, *names, f"seed_{resolved['seed']}")


def spec_of_run(resolved: Mapping[str, Any], observation_size: int, action_size: int) -> TrainSpec:
    """The training problem of a recorded config, without its data.

    Raises:
        BadInput: a value out of range, or an energy or actors that the algorithm cannot train.
    """
    hyperparameters = _hyperparameters(resolved)
    algorithm = load_algorithm(resolved["algorithm"]["name"])
    chain = _chain_config(resolved)
    spec = TrainSpec(
        algorithm=resolved["algorithm"]["name"],
        observation_size=observation_size,
        action_size=action_size,
        batch_size=resolved["train"]["batch_size"],
        actors=resolve_actors(resolved["chain"]["actors"], chain.num_actors, algorithm.default_actor(hyperparameters)),
        chain=chain,
        w2=W2Config(**resolved["w2"]),
        hyperparameters=hyperparameters,
        dtype=resolved["dtype"],
    )
    if chain.energy not in algorithm.energies:
        raise BadInput(
            f"chain.energy={chain.energy} is not defined for algorithm={spec.algorithm}; "
            f"use {' or '.join(sorted(algorithm.energies))}."
        )
    algorithm.check_actors(spec)
    return spec


def _chain_config(resolved: Mapping[str, Any]) -> ChainConfig:
    """The chain without its actors, which are resolved with the algorithm's own."""
    options: dict[str, Any] = {
        key: value for key, value in resolved["chain"].items() if key not in ("actors", "last_w2_weight")
    }
    return ChainConfig(**{**options, "w2_weights": tuple(options["w2_weights"])})


def _hyperparameters(resolved: Mapping[str, Any]) -> Any:
    algorithm = load_algorithm(resolved["algorithm"]["name"])
    options = {key: value for key, value in resolved["algorithm"].items() if key != "name"}
    defaults = algorithm.Hyperparameters()
    tuples = {key: tuple(value) for key, value in options.items() if isinstance(value, list)}
    unknown = set(options) - {field.name for field in fields(defaults)}
    if unknown:
        raise BadInput(
            f"algorithm.name={resolved['algorithm']['name']} has no {min(unknown)}; choose it by algorithm=."
        )
    return replace(defaults, **options | tuples)


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
