"""conf/algorithm_dataset and the algorithms' defaults against the published table, value by value."""

from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from pogo.core.algorithms import ALGORITHMS, load_algorithm
from pogo.core.config.compose import compose_config
from pogo.core.config.plan import resolve
from pogo.core.config.provenance import flat_keys
from pogo.core.config.search_path import config_folder

TABLE = yaml.safe_load(Path(__file__).with_name("published.yaml").read_text())
PAIRS = [(algorithm, dataset) for algorithm, entry in TABLE.items() for dataset in entry["datasets"]]


def value(config: dict[str, Any], key: str) -> Any:
    return reduce(lambda section, name: section[name], key.split("."), config)


def test_the_table_has_every_offline_algorithm_on_the_same_sets() -> None:
    assert set(TABLE) == {name for name in ALGORITHMS if load_algorithm(name).published_env_steps is None}
    (datasets,) = {tuple(entry["datasets"]) for entry in TABLE.values()}
    assert len(datasets) == 15


@pytest.mark.parametrize(("algorithm", "dataset"), PAIRS)
def test_a_run_has_the_published_settings(algorithm: str, dataset: str) -> None:
    entry = TABLE[algorithm]
    published = entry["everywhere"] | dict(zip(entry["columns"], entry["datasets"][dataset], strict=True))
    resolved = resolve(compose_config([f"algorithm={algorithm}", f"dataset={dataset}"]))
    assert {key: value(resolved, key) for key in published} == published


def test_every_file_is_of_a_published_pair() -> None:
    files = {path.stem for path in (config_folder() / "algorithm_dataset").glob("*.yaml")}
    assert not files - {f"{algorithm}_{dataset}" for algorithm, dataset in PAIRS}


@pytest.mark.parametrize("algorithm", TABLE)
def test_files_repeat_no_default(algorithm: str) -> None:
    defaults = resolve(compose_config([f"algorithm={algorithm}"]))
    for path in (config_folder() / "algorithm_dataset").glob(f"{algorithm}_*.yaml"):
        settings = yaml.safe_load(path.read_text())
        repeated = [key for key in flat_keys(settings) if value(settings, key) == value(defaults, key)]
        assert not repeated, f"{path.name} repeats {repeated}"
