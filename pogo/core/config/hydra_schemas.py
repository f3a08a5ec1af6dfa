"""The config's sections as Hydra takes them: what the group files of `conf/` and the command line are checked by."""

import copy
import dataclasses
from dataclasses import field
from functools import cache
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import MISSING

from pogo.core.algorithms import ALGORITHMS, algorithm_names, load_algorithm
from pogo.core.config.bases import SWEEP
from pogo.core.config.launcher import GROUP as LAUNCHER
from pogo.core.config.launcher import LAUNCHERS
from pogo.core.config.schema import SECTIONS, AskedSetting, Config, asked_settings
from pogo.core.data import d4rl
from pogo.core.data.config import DatasetConfig


@cache
def register() -> None:
    """Put the schemas where the group files of `conf/` find them."""
    store = ConfigStore.instance()
    store.store(name="config_schema", node=_whole_config())
    for name in ALGORITHMS:
        store.store(group="algorithm", name=f"{name}_schema", node=_group(load_algorithm(name).Hyperparameters))
    for name, kind in LAUNCHERS.items():
        store.store(group=LAUNCHER, name=f"{name}_schema", node=_group(kind))
    dataset = _group(DatasetConfig)
    store.store(group="dataset", name="dataset_schema", node=dataset)
    for name in d4rl.D4RL_DATASETS:
        store.store(group="dataset", name=name, node=dataset(name=name))


@cache
def register_algorithm(name: str) -> None:
    """Make an algorithm of another package a choice: its schema, and the choice itself for want of a file.

    Raises:
        BadInput: the package's entry point cannot be imported, or is no algorithm.
    """
    if name not in ALGORITHMS and name in algorithm_names():
        schema = _group(load_algorithm(name).Hyperparameters)
        ConfigStore.instance().store(group="algorithm", name=f"{name}_schema", node=schema)
        ConfigStore.instance().store(group="algorithm", name=name, node=schema(name=name))


def _whole_config() -> type:
    columns: list[Any] = [(name, Any, field(default=MISSING)) for name in ("algorithm", "dataset", LAUNCHER)]
    for name, section in SECTIONS.items():
        if name != "dataset":
            node = dataclasses.make_dataclass(section.__name__, _columns(section))
            columns.append((name, node, field(default_factory=node)))
    sweep = (SWEEP, Any, field(default=None))  # an experiment's: what -m runs over, a mapping or a list of mappings
    by_name = {column[0]: column for column in [*columns, *_columns(Config), sweep]}
    order = [entry.name for entry in dataclasses.fields(Config) if entry.name in by_name]
    return dataclasses.make_dataclass("Config", [by_name[name] for name in (*order, LAUNCHER, SWEEP)])


def _group(kind: type) -> type:
    """A group's section, which has a name."""
    columns = _columns(kind)
    if all(column[0] != "name" for column in columns):
        columns.insert(0, ("name", str, field(default=MISSING)))
    return dataclasses.make_dataclass(kind.__name__, columns)


def _columns(section: Any) -> list[Any]:
    """A class's settings, as plain values of a class that is not frozen: OmegaConf would make it read-only."""
    return [(name, _node_type(entry), _column(entry.default)) for name, entry in asked_settings(section)]


def _node_type(entry: AskedSetting) -> Any:
    """An annotation that OmegaConf has: none of its unions has a list in it, and `check_values` looks at those."""
    return Any if entry.meaning.one_for_all else entry.type


def _column(default: Any) -> Any:
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.deepcopy(default))
    return field(default=default)
