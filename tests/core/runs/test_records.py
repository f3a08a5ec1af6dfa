"""A run folder that came from elsewhere: a record that its digests vouch for, and that is not what pogo writes."""

import contextlib
import copy
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.runs.stored_run import StoredRun
from pogo.core.runs.warm_start import read_source
from tests.helpers.runs import arguments, train

WRONG: tuple[Any, ...] = (None, "x", -1.5, [], {}, [float("nan")], 10**30)
ENTRIES = ("resolved", "asked", "normalisation", "environment", "observation_size", "action_size", "reference_returns")


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("records") / "run"
    train(*arguments(folder, "torch", train__updates=4, eval__episodes=0)).assert_code(0)
    return folder


def damaged(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The record with one entry dropped or replaced, and what was done."""
    paths = [(entry,) for entry in ENTRIES]
    paths += [(section, key) for section in ("normalisation", "environment") for key in record[section]]
    for path in paths:
        for value in ("dropped", *WRONG):
            changed = copy.deepcopy(record)
            owner = changed if len(path) == 1 else changed[path[0]]
            if value == "dropped":
                del owner[path[-1]]
            else:
                owner[path[-1]] = value
            yield f"{'.'.join(path)}={value}", changed


def test_every_entry_is_taken_or_named_in_one_line(run_dir: Path, tmp_path: Path) -> None:
    store = CheckpointStore(run_dir)
    found = store.load_newest()
    assert found is not None
    said = {}
    for what, record in damaged(found.records["run"]):
        folder = tmp_path / "copy"
        shutil.rmtree(folder, ignore_errors=True)
        CheckpointStore(folder).save(found.step, found.arrays, {**found.records, "run": record})
        for read in (StoredRun, lambda path: read_source("resume_from", str(path))):
            try:
                read(folder)
            except BadInput as error:
                said[what, read] = str(error)
    assert len(said) > 100
    for what, message in said.items():
        assert "\n" not in message, what
        assert str(tmp_path / "copy") in message, what


def settings(config: dict[str, Any], above: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The path of every setting and section."""
    for key, value in config.items():
        yield (*above, key)
        if isinstance(value, dict):
            yield from settings(value, (*above, key))


def test_every_setting_is_taken_or_named_in_one_line(run_dir: Path, tmp_path: Path) -> None:
    store = CheckpointStore(run_dir)
    found = store.load_newest()
    assert found is not None
    refused = 0
    config = {key: value for key, value in found.records["run"]["resolved"].items() if key != "sources"}
    for path in settings(config):
        for value in ("dropped", None, "x"):
            record = copy.deepcopy(found.records["run"])
            owner = record["resolved"]
            for key in path[:-1]:
                owner = owner[key]
            if value == "dropped":
                del owner[path[-1]]
            else:
                owner[path[-1]] = value
            folder = tmp_path / "copy"
            shutil.rmtree(folder, ignore_errors=True)
            CheckpointStore(folder).save(found.step, found.arrays, {**found.records, "run": record})
            with contextlib.suppress(BadInput):  # anything else is a traceback
                StoredRun(folder)
                continue
            refused += 1
    assert refused > 50


def test_what_the_machine_lacks_is_no_fault_of_the_record(run_dir: Path) -> None:
    with pytest.raises(BadInput) as caught:
        StoredRun(run_dir, device="cuda:99")
    assert str(caught.value).startswith("device=cuda:99 is not there")


def test_another_config_is_said_of_the_run_alone(run_dir: Path) -> None:
    outcome = train(*arguments(run_dir, "torch", train__updates=4, eval__episodes=0, seed=9))
    outcome.assert_code(2)
    assert outcome.output.startswith(f"pogo-train: {run_dir} was begun with another config (seed: ")


@pytest.mark.parametrize("key", ["train_seconds", "log_positions", "owes_evaluation", "evaluation"])
def test_progress_that_is_not_what_a_run_writes_is_refused(run_dir: Path, tmp_path: Path, key: str) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run_dir, folder)
    store = CheckpointStore(folder)
    found = store.load_newest()
    assert found is not None
    store.save(found.step, found.arrays, {**found.records, "progress": {**found.records["progress"], key: "x"}})
    outcome = train(*arguments(folder, "torch", train__updates=4, eval__episodes=0))
    outcome.assert_code(2)
    assert outcome.output.count("\n") == 1
    assert f"the record of checkpoint {found.step} is not what pogo writes" in outcome.output
