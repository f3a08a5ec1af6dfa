"""The studies in conf/experiment: each composes, and SAC's are those of the homework, whose values stand here."""

from typing import Any

import pytest

from pogo.core.config.compose import compose_config
from pogo.core.environments.make import environment_spec
from pogo.core.runs.plan import check_settings

# CS285 homework 3 (2023), hw3/experiments/sac: what each sets, under its own names where they differ from pogo's.
HARD = {"tau": None, "target_update_period": 1000}
SOFT = {"tau": 0.005, "target_update_period": None}
DEFAULT_STEPS = {"env_steps": 300_000, "random_steps": 5000, "learning_starts": 10_000, "batch_size": 128}
MILLION = {**DEFAULT_STEPS, "env_steps": 1_000_000}
HOPPER = {**DEFAULT_STEPS, "env_steps": 100_000, "batch_size": 256, "replay_capacity": 100_000}
HOMEWORK: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "sanity_pendulum": (
        "Pendulum-v1",
        {**HARD, "actor_gradient": "reinforce", "temperature": 0.1, "use_entropy_bonus": True},
        DEFAULT_STEPS,
    ),
    "sanity_invertedpendulum_reinforce": (
        "InvertedPendulum-v4",
        {**HARD, "actor_gradient": "reinforce"},
        DEFAULT_STEPS,
    ),
    "sanity_invertedpendulum_reparametrize": (
        "InvertedPendulum-v4",
        {**HARD, "actor_gradient": "reparametrize"},
        DEFAULT_STEPS,
    ),
    "halfcheetah_reinforce1": (
        "HalfCheetah-v4",
        {**SOFT, "actor_gradient": "reinforce", "num_actor_samples": 1, "temperature": 0.2},
        MILLION,
    ),
    "halfcheetah_reinforce10": (
        "HalfCheetah-v4",
        {**SOFT, "actor_gradient": "reinforce", "num_actor_samples": 10, "temperature": 0.2},
        MILLION,
    ),
    "halfcheetah_reparametrize": (
        "HalfCheetah-v4",
        {**SOFT, "actor_gradient": "reparametrize", "temperature": 0.1},
        MILLION,
    ),
    "halfcheetah_doubleq": (
        "HalfCheetah-v4",
        {**SOFT, "num_critics": 2, "target_backup": "double_q", "temperature": 0.1},
        MILLION,
    ),
    "halfcheetah_clipq": (
        "HalfCheetah-v4",
        {**SOFT, "num_critics": 2, "target_backup": "min", "temperature": 0.05},
        MILLION,
    ),
    "hopper": ("Hopper-v4", {**SOFT, "num_critics": 1, "temperature": 0.05, "backup_entropy": False}, HOPPER),
    "hopper_doubleq": (
        "Hopper-v4",
        {**SOFT, "num_critics": 2, "target_backup": "double_q", "temperature": 0.05, "backup_entropy": False},
        HOPPER,
    ),
    "hopper_clipq": (
        "Hopper-v4",
        {**SOFT, "num_critics": 2, "target_backup": "min", "temperature": 0.05, "backup_entropy": False},
        HOPPER,
    ),
    "humanoid": (
        "Humanoid-v4",
        {**SOFT, "num_critics": 2, "target_backup": "min", "temperature": 0.05, "hidden_size": 256, "num_layers": 3},
        {**DEFAULT_STEPS, "env_steps": 5_000_000, "batch_size": 256},
    ),
}


@pytest.mark.parametrize("name", HOMEWORK)
def test_the_homeworks_experiments(name: str) -> None:
    env, algorithm, train = HOMEWORK[name]
    settings = check_settings(compose_config([f"experiment=sac/{name}"]))
    resolved = settings.config.to_json()
    assert resolved["env"] == env
    assert settings.config.is_online
    assert resolved["algorithm"] | algorithm == resolved["algorithm"]
    assert resolved["train"] | train == resolved["train"]
    assert (resolved["algorithm"]["discount"], resolved["algorithm"]["num_critic_updates"]) == (0.99, 1)
    assert settings.run_dirs[0].parts[1] == env


@pytest.mark.parametrize("env", sorted({env for env, _, _ in HOMEWORK.values()}))
def test_their_environments_are_there(env: str) -> None:
    if env != "Pendulum-v1":
        pytest.importorskip("mujoco")
    assert environment_spec(env).action_size >= 1


def test_an_option_wins_over_an_experiment() -> None:
    composed = compose_config(["experiment=sac/hopper", "algorithm.temperature=0.3", "env=Walker2d-v4"])
    settings = check_settings(composed)
    assert settings.config.to_json()["algorithm"]["temperature"] == 0.3
    assert settings.config.to_json()["env"] == "Walker2d-v4"
    assert settings.config.to_json()["sources"]["train.batch_size"] == "conf/experiment/sac/hopper.yaml"
