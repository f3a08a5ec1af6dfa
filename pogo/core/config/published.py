"""Settings that are published for an algorithm on one dataset: the tables of conf/published as a group of Hydra's."""

from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from pogo.core.algorithms import ALGORITHMS, load_algorithm
from pogo.core.config.schema import known_settings
from pogo.core.config.search_path import config_folder

GROUP = "algorithm_dataset"  # a choice of it is ALGORITHM_DATASET


def table_path(algorithm: str) -> Path:
    """The algorithm's table; it need not be there."""
    return config_folder() / "published" / f"{algorithm}.yaml"


@cache
def published_settings(algorithm: str) -> dict[str, dict[str, Any]]:
    """The published settings that differ from the defaults: for each dataset a mapping of dotted keys."""
    path = table_path(algorithm)
    if not path.is_file():
        return {}
    table = OmegaConf.to_container(OmegaConf.load(path))
    assert isinstance(table, dict)
    found = {}
    for dataset, row in table["datasets"].items():
        settings = table["everywhere"] | dict(zip(table["columns"], row, strict=True))
        differing = {key: value for key, value in settings.items() if value != _default(algorithm, key)}
        if differing:
            found[str(dataset)] = differing
    return found


def published_choices() -> dict[str, str]:
    """Every choice of the group that the tables make, and its algorithm."""
    return {f"{name}_{dataset}": name for name in ALGORITHMS for dataset in published_settings(name)}


@cache
def register_published(algorithm: str) -> None:
    """Make choices of the group of what the algorithm's table holds."""
    for dataset, settings in published_settings(algorithm).items():
        nested = OmegaConf.create({})
        for key, value in settings.items():
            OmegaConf.update(nested, key, value)
        ConfigStore.instance().store(
            group=GROUP, name=f"{algorithm}_{dataset}", node=nested, package="_global_", provider="conf/published"
        )


def default_of(algorithm: str, dataset: str, key: str) -> Any:
    """What a setting is where only algorithm and dataset are chosen: as published for the two, or by default."""
    return published_settings(algorithm).get(dataset, {}).get(key, _default(algorithm, key))


def _default(algorithm: str, key: str) -> Any:
    definition = load_algorithm(algorithm)
    published = {"train.updates": definition.published_updates, "train.batch_size": definition.published_batch_size}
    return published[key] if key in published else known_settings(algorithm)[key].default
