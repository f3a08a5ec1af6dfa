"""The tables of conf/published: what a run of each pair is configured by, and that no value of theirs is changed."""

import hashlib
import json
from functools import reduce
from typing import Any

import pytest
import yaml

from pogo.core.algorithms import ALGORITHMS, load_algorithm
from pogo.core.config.compose import compose_config
from pogo.core.config.provenance import SOURCES
from pogo.core.config.published import published_choices, published_settings, table_path
from pogo.core.config.resolution import resolve
from tests.helpers.slow import quick

TABLES = {path.stem: yaml.safe_load(path.read_text()) for path in sorted(table_path("").parent.glob("*.yaml"))}
PAIRS = [(algorithm, dataset) for algorithm, table in TABLES.items() for dataset in table["datasets"]]
# Of all values of a table, by dataset and option: whoever corrects a value corrects its digest, and says from where.
DIGESTS = {
    "awac": "175d028d927a5aa2",
    "cql": "e19180ae457e864f",
    "edac": "2d7745817b8942a9",
    "fql": "bfe822f07d26fa65",
    "iql": "e4d34500828e6e7b",
    "pogo": "7093c7104bf10ee2",
    "pogo_gaussian": "a47a5d67e585e0f1",
    "rebrac": "4160feb5daf95e1e",
    "sac_n": "a7cd169e8bdba83c",
    "td3_bc": "88dc7a0085ec39d8",
}


def value(config: dict[str, Any], key: str) -> Any:
    return reduce(lambda section, name: section[name], key.split("."), config)


def published(algorithm: str, dataset: str) -> dict[str, Any]:
    table = TABLES[algorithm]
    return table["everywhere"] | dict(zip(table["columns"], table["datasets"][dataset], strict=True))


def digest(algorithm: str) -> str:
    rows = {dataset: published(algorithm, dataset) for dataset in TABLES[algorithm]["datasets"]}
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()[:16]


def test_every_offline_algorithm_has_a_table_of_the_same_sets() -> None:
    assert set(TABLES) == {name for name in ALGORITHMS if load_algorithm(name).published_env_steps is None}
    (datasets,) = {tuple(table["datasets"]) for table in TABLES.values()}
    assert len(datasets) == 15


@pytest.mark.parametrize("algorithm", TABLES)
def test_the_values_are_those_that_were_published(algorithm: str) -> None:
    assert digest(algorithm) == DIGESTS[algorithm]


@pytest.mark.parametrize(("algorithm", "dataset"), quick(PAIRS, PAIRS[::4]))  # every algorithm, every dataset
def test_a_run_has_the_published_settings(algorithm: str, dataset: str) -> None:
    expected = published(algorithm, dataset)
    resolved = resolve(compose_config([f"algorithm={algorithm}", f"dataset={dataset}"])).to_json()
    assert {key: value(resolved, key) for key in expected} == expected
    named = {key for key, source in resolved[SOURCES].items() if source == f"conf/published/{algorithm}.yaml"}
    assert named == set(published_settings(algorithm).get(dataset, {}))


@pytest.mark.parametrize("algorithm", TABLES)
def test_what_is_the_default_sets_nothing(algorithm: str) -> None:
    defaults = resolve(compose_config([f"algorithm={algorithm}", "dataset.path=data.hdf5"])).to_json()
    for dataset, settings in published_settings(algorithm).items():
        repeated = [key for key, given in settings.items() if value(defaults, key) == given]
        assert not repeated, f"{dataset} repeats {repeated}"


def test_the_choices_are_the_pairs_that_differ_from_the_defaults() -> None:
    assert len(published_choices()) == 114
    assert published_choices()["sac_n_walker2d-medium-v2"] == "sac_n"
    assert "sac_n_halfcheetah-medium-v2" not in published_choices()
