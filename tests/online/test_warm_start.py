"""Offline to online: a run that begins with another's actors and critics."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.config.compose import compose_config
from pogo.core.runs.plan import make_plans
from pogo.core.runs.warm_start import read_source
from tests.helpers.online_runs import TORCH_QUICKLY, arguments
from tests.helpers.runs import arguments as small_arguments
from tests.helpers.runs import (
    array_bytes,
    arrays,
    summary,
    train,
)

# What takes a run of these tests off its environment and onto a dataset.
OFFLINE: dict[str, Any] = {"env": None, "train__env_steps": None, "train__learning_starts": None}


@pytest.mark.parametrize("backend", TORCH_QUICKLY)
def test_an_offline_run_goes_on_online(tmp_path: Path, backend: str) -> None:
    """Same networks: SAC-N's critics and actors, its tanh density aside; then the parameters are carried over."""
    pytest.importorskip(backend)
    source, run_dir = tmp_path / "source", tmp_path / "run"
    train(*arguments(source, backend, **OFFLINE, train__updates=20)).assert_code(0)
    options = {"env": None, "resume_from": source, "train__env_steps": 61, "algorithm__critic_learning_rate": 1e-30}
    options |= {"algorithm__actor_learning_rate": 1e-30, "eval__episodes": 0, "checkpoint__every": 0}
    train(*arguments(run_dir, backend, **options)).assert_code(0)
    assert summary(run_dir)["environment"] == "Pendulum-v1"
    before, after = arrays(source), arrays(run_dir)
    for name, array in before.items():
        if name.split("/")[0] in ("critic", "target_critic", "actor_0", "actor_1"):
            np.testing.assert_allclose(after[name], array, atol=1e-2 if "target" in name else 1e-6, err_msg=name)
    assert int(after["updates"]) == 1
    train(*arguments(run_dir, backend, **options)).assert_code(0)  # finished: nothing to do


def test_a_run_that_has_begun_needs_its_source_no_more(tmp_path: Path) -> None:
    source, reference, run_dir = tmp_path / "source", tmp_path / "reference", tmp_path / "run"
    train(*arguments(source, **OFFLINE, train__updates=2, eval__episodes=0)).assert_code(0)
    options = {"env": None, "resume_from": source, "eval__episodes": 0, "algorithm__schedule_updates": 200}
    train(*arguments(reference, **options, train__env_steps=90)).assert_code(0)
    train(*arguments(run_dir, **options, train__env_steps=70)).assert_code(0)
    source.rename(tmp_path / "elsewhere")
    gone = train(*arguments(tmp_path / "other", **options))
    gone.assert_code(2)
    assert "its own folder named by run.dir" in gone.output
    train(*arguments(run_dir, **options, train__env_steps=90)).assert_code(0)
    assert array_bytes(run_dir) == array_bytes(reference)


def test_networks_that_do_not_match_are_named(tmp_path: Path) -> None:
    source = tmp_path / "source"
    train(*small_arguments(source, algorithm="iql", train__updates=2, eval__episodes=0)).assert_code(0)
    options = {"env": None, "resume_from": source, "chain__num_actors": 3}
    refused = train(*arguments(tmp_path / "run", **options))
    refused.assert_code(2)
    for fragment in (
        "actor_0 has kind gaussian there, tanh_gaussian here",
        "hidden_sizes (32, 32) there, (16, 16) here",
        "critic is [[2, 4, 32], [2, 32, 32], [2, 32, 1]] there, [[1, 4, 16], [1, 16, 16], [1, 16, 1]] here",
        "critic has activation relu there, tanh here",
    ):
        assert fragment in refused.output
    assert not (tmp_path / "run").exists()
    matching = {"algorithm__hidden_size": 32, "algorithm__num_critics": 2, "algorithm__activation": "relu"}
    actors = "[{kind: gaussian, hidden_sizes: [32, 32], log_std: free, std: exp, tanh_mean: true, activation: relu}]"
    matching |= {"chain__actors": actors, "train__env_steps": 61, "eval__episodes": 0}
    train(*arguments(tmp_path / "run", **options | matching)).assert_code(0)


def test_a_run_goes_on_in_the_environment_of_its_source(tmp_path: Path) -> None:
    """With the settings that the source's file gave it, which its name alone does not say."""
    source = tmp_path / "source"
    train(*arguments(source, **OFFLINE, train__updates=2, eval__episodes=0)).assert_code(0)
    record = read_source("resume_from", str(source))
    assert record.record.environment is not None
    spec = dataclasses.replace(record.record.environment, kwargs={"g": 5.0})
    record = dataclasses.replace(record, record=dataclasses.replace(record.record, environment=spec))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pogo.core.runs.plan.read_source", lambda *_: record)
        found = make_plans(compose_config(arguments(tmp_path / "run", env=None, resume_from=source)))[0]
    assert found.dataset.environment == spec
