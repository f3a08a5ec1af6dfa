"""From a composed config to a typed one: what is not given is filled in, once, and every value is checked."""

import copy
from dataclasses import replace
from typing import Any

from pogo.core.algorithms import load_algorithm
from pogo.core.algorithms.base import AlgorithmDefinition
from pogo.core.config.online import check_online, is_online, refuse_online_settings, refuse_settings_of_datasets
from pogo.core.config.provenance import published_default
from pogo.core.config.schema import SOURCES, Config, TrainSection, check_bounds, section_of, value_at
from pogo.core.environments.simulators import default_processes
from pogo.core.errors import BadInput, check_name
from pogo.core.problem.actors import check_options
from pogo.core.problem.chain import DEFAULT_NUM_ACTORS, DEFAULT_W2_WEIGHT
from pogo.core.setting import Values
from pogo.core.system.machine import available_cpus

RESUME_MODES = ("auto", "never", "must")
DTYPES = ("float32", "float64")


class _Draft:
    """A composed config while what is not given is filled in, and where that came from is noted."""

    def __init__(self, asked: Values) -> None:
        self.values = copy.deepcopy(dict(asked))

    def __getitem__(self, key: str) -> Any:
        return value_at(self.values, key)

    def set(self, key: str, value: Any) -> None:
        section, _, name = key.rpartition(".")
        (self.values[section] if section else self.values)[name] = value

    def fill(self, key: str, value: Any, source: str | None = None) -> None:
        """Give a setting that is null this value; `source`, where it is not pogo's own default."""
        if self[key] is None:
            self.set(key, value)
            if source is not None:
                self.values[SOURCES][key] = source


def resolve(asked: Values) -> Config:
    """The config with every default that depends on others filled in, its values checked, and its actors.

    Raises:
        BadInput: a value out of range, an unknown name, or a chain that cannot be trained as it says.
    """
    draft = _Draft(asked)
    algorithm = draft["algorithm.name"]
    definition, published = load_algorithm(algorithm), published_default(algorithm)
    check_name("resume", draft["resume"], RESUME_MODES)
    check_name("dtype", draft["dtype"], DTYPES)
    check_bounds(asked)
    _fill_num_actors(draft)
    if is_online(asked):
        _fill_online(draft, algorithm, definition.published_env_steps)
    else:
        refuse_online_settings(asked)
    draft.fill("train.updates", definition.published_updates, published)
    draft.fill("train.batch_size", definition.published_batch_size, published)
    _fill_processes(draft)
    _fill_weights(draft)
    is_own_choice = definition.chain_init != AlgorithmDefinition.chain_init
    if draft["chain.steps"]:  # a step begins where its reference is
        draft.fill("chain.init", "copy", "as chain.steps" if is_own_choice else None)
    draft.fill("chain.init", definition.chain_init, published if is_own_choice else None)
    config = Config.from_json(draft.values)
    if config.is_online:
        check_online(config)
    _check_begin(config)
    hyperparameters = definition.for_run(config.algorithm.hyperparameters, config.train.updates)
    config = replace(config, algorithm=replace(config.algorithm, hyperparameters=hyperparameters))
    # A recorded run can be read whatever else its actors name: only one that is asked for is held to this.
    check_options(config.chain.actors, config.actors)
    return config


def _check_begin(config: Config) -> None:
    begin, updates = config.chain.begin_at, config.train.updates
    if config.is_online and config.chain.base is not None:
        raise BadInput(f"chain.base={config.chain.base} is of runs on a dataset; an online run has resume_from=.")
    if begin and begin >= updates:
        raise BadInput(
            f"chain.begin_at={begin} is past the run's {updates} updates: its actors would stay copies of actor 0; "
            "use a smaller one, or a larger train.updates."
        )


def _fill_online(draft: _Draft, algorithm: str, published_env_steps: int | None) -> None:
    """`train.updates` becomes the number that will be made."""
    if published_env_steps is None:
        raise BadInput(f"algorithm={algorithm} learns from a dataset; online learns algorithm=sac.")
    refuse_settings_of_datasets(draft.values)
    draft.fill("train.env_steps", published_env_steps, published_default(algorithm))
    # As published, 5 000 of 10 000; a policy that comes from another run knows where to begin.
    is_fresh = draft["resume_from"] is None
    draft.fill("train.random_steps", draft["train.learning_starts"] // 2 if is_fresh else 0)
    train = section_of(TrainSection, "train", draft.values["train"])
    assert train.env_steps is not None
    draft.set("train.updates", train.updates_due(train.env_steps))


def _fill_num_actors(draft: _Draft) -> None:
    """As many actors as the steps, weights or kinds that are given are of, where their number is not given."""
    number, source = DEFAULT_NUM_ACTORS, None
    for key in ("chain.steps", "chain.w2_weights"):
        if isinstance(draft[key], list) and source is None:
            number, source = len(draft[key]) + 1, f"as {key}"
    kinds = len(draft["chain.actors"])
    if source is None and kinds > number:
        number, source = kinds, "as chain.actors"
    draft.fill("chain.num_actors", number, source)
    check_bounds(draft.values)


def _fill_weights(draft: _Draft) -> None:
    num_actors, last = draft["chain.num_actors"], draft["chain.last_w2_weight"]
    steps = draft["chain.steps"]
    if not isinstance(steps, list):
        draft.set("chain.steps", [] if steps is None else [steps] * (num_actors - 1))
    draft.fill("chain.carry", bool(draft["chain.steps"]))
    draft.fill("chain.w2_weights", [DEFAULT_W2_WEIGHT] * (num_actors - 1))
    if last is not None:
        weights = draft["chain.w2_weights"]
        if not weights:
            raise BadInput(f"chain.last_w2_weight={last} has no actor to weigh: chain.num_actors={num_actors}.")
        draft.set("chain.w2_weights", [*weights[:-1], last])


def _fill_processes(draft: _Draft) -> None:
    """Fill in the threads of the maths and the processes of the simulators, by what this machine has."""
    available = available_cpus()
    draft.fill("threads", available)
    if not 1 <= draft["threads"] <= available:
        raise BadInput(
            f"threads={draft['threads']} is out of range; this process may use {available} CPUs: "
            f"use 1 to {available}, or null for all."
        )
    draft.fill("eval.processes", default_processes(draft["threads"], draft["eval.episodes"]))
