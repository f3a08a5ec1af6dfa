"""Settings of online runs that mean nothing, each refused in a line."""

from pathlib import Path
from typing import Any

import pytest

from tests.helpers.online_runs import arguments
from tests.helpers.runs import (
    PENDULUM,
    train,
)
from tests.helpers.runs import arguments as small_arguments

REFUSED = {
    "no environment": ({"env": None, "dataset": "online"}, "dataset=online collects its own data; name where: env=ID"),
    "of a dataset": ({"dataset": "pendulum-medium-replay"}, "train.env_steps=260 is of online runs"),
    "updates": ({"train__updates": 10}, "train.updates=10 is of runs on a dataset"),
    "seeds": ({"train__num_seeds": 2}, "train.num_seeds=2: an online run is one seed per program"),
    "no updates": ({"train__learning_starts": 260}, "train.env_steps=260 ends before the first update"),
    "uneven": ({"train__num_envs": 3}, "train.env_steps=260 is no multiple of train.num_envs=3"),
    "capacity": ({"train__num_envs": 4, "train__replay_capacity": 3}, "train.replay_capacity=3 holds less than one"),
    "environments": ({"train__num_envs": 0}, "train.num_envs=0 is too small"),
    "ratio": ({"train__updates_per_step": -1}, "train.updates_per_step=-1.0 is out of range"),
    "random": ({"train__random_steps": -1}, "train.random_steps=-1 is too small"),
    "noise": ({"collect__noise_std": -0.1}, "collect.noise_std=-0.1 is out of range"),
    "actor": ({"collect__actor": 2}, "collect.actor=2: the chain has actors 0 to 1"),
    "states": (
        {"algorithm__normalize_states": True},
        "algorithm.normalize_states=true takes its numbers from a dataset",
    ),
    "rewards": ({"algorithm__normalize_rewards": True}, "algorithm.normalize_rewards=true takes its numbers"),
    "environment": ({"env": "Pendulm-v1"}, "env=Pendulm-v1 cannot be made"),
    "source": ({"resume_from": "nowhere"}, "resume_from=nowhere holds no checkpoints"),
    "no folder": (
        {"train__save_replay": "no/such/file.hdf5"},
        "train.save_replay=no/such/file.hdf5: there is no folder",
    ),
    "file": ({"train__save_replay": PENDULUM}, "pendulum-medium-replay.hdf5 exists; name another file"),
}


@pytest.mark.parametrize(("changes", "message"), REFUSED.values(), ids=REFUSED)
def test_refused(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    outcome = train(*arguments(tmp_path / "run", **changes))
    outcome.assert_code(2)
    assert message in outcome.output
    assert outcome.output.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_other_algorithms_do_not_collect(tmp_path: Path) -> None:
    outcome = train(*small_arguments(tmp_path / "run", algorithm="iql", dataset="online", env="Pendulum-v1"))
    outcome.assert_code(2)
    assert "algorithm=iql learns from a dataset; online learns algorithm=sac." in outcome.output
    offline = train(*small_arguments(tmp_path / "run", algorithm="iql", resume_from="runs"))
    offline.assert_code(2)
    assert "resume_from=runs begins an online run" in offline.output
