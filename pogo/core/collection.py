"""Datasets out of runs: what an actor does, or what an online run has seen, in D4RL's layout."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pogo.core.chain import actor_name
from pogo.core.collector import Collector, collect_episodes, random_returns
from pogo.core.config.online import is_online
from pogo.core.config.plan import Plan
from pogo.core.data.preprocessing import Normalisation
from pogo.core.data.recording import recording_of_replay, references, write_recording
from pogo.core.data.views import RawRows
from pogo.core.environment import EnvironmentSpec
from pogo.core.errors import BadInput
from pogo.core.interface import Learner
from pogo.core.replay import ReplayBuffer, StoredReplay
from pogo.core.run import run_record
from pogo.core.stored_run import StoredRun

RANDOM_EPISODES = 100


def save_replay(plan: Plan, learner: Learner, path: Path) -> dict[str, Any]:
    """Write what an online run's replay buffer holds; returns what the file says of it.

    Raises:
        RunFailed: it cannot be written.
    """
    assert learner.replay is not None
    assert plan.online is not None
    return _write_replay(path, learner.replay, plan.online.num_envs, run_record(plan), plan.length)


def save_stored_replay(run: StoredRun, path: Path) -> dict[str, Any]:
    """As `save_replay`, of a stored run.

    Raises:
        BadInput: it has none.
        RunFailed: it cannot be written.
    """
    if not is_online(run.record["resolved"]):
        raise BadInput("--replay: this run trained on a dataset and has no replay buffer; collect with an actor.")
    buffer = StoredReplay(run.spec.observation_size, run.spec.action_size, run.checkpoint.arrays)
    num_envs = run.record["resolved"]["train"]["num_envs"]
    return _write_replay(path, buffer, num_envs, run.record, run.checkpoint.step)


def collect(
    run: StoredRun,
    path: Path,
    *,
    actor: int,
    transitions: int,
    deterministic: bool,
    seed: int,
    num_envs: int,
    env: EnvironmentSpec | None,
    best_return: float | None,
) -> dict[str, Any]:
    """Write whole episodes of one actor; returns what the file says of them.

    Args:
        run: whose actor.
        path: a file that does not exist.
        actor: its index in the chain.
        transitions: how many, at least.
        deterministic: the actor's deterministic mode, in place of samples.
        seed: of start states and samples.
        num_envs: environments side by side.
        env: where; none: the run's own.
        best_return: the return that scores 100; none: the run's, or D4RL's constant for the robot.

    Raises:
        BadInput: the run names no environment, or `env` does not suit it.
        RunFailed: the file cannot be written.
    """
    spec, normalisation = run.environment(env), run.normalisation
    is_sampled = run.spec.actors[actor].is_stochastic and not deterministic

    def policy(collector: Collector) -> np.ndarray:
        observations = normalisation.observations(collector.observations)
        return run.learner.act(observations, actor, collector.noise() if is_sampled else None)

    unchanged = Normalisation.identity(spec.action_low, spec.action_high, spec.observation_size)
    with Collector(spec, num_envs, unchanged, seed, purpose="collection") as collector:
        rows = collect_episodes(collector, policy, transitions)
    raw = RawRows(
        observations=rows["observations"],
        actions=unchanged.environment_actions(rows["actions"]),
        rewards=rows["rewards"],
        terminals=rows["terminals"] > 0,
        timeouts=rows["timeouts"] > 0,
        next_observations=rows["next_observations"],
    )
    mode = "sampled" if is_sampled else "deterministic"
    words = f"{actor_name(actor)} ({run.spec.actors[actor].kind}), {mode}, of "
    origin = _origin(run.record, run.checkpoint.step, words) | {"collection_seed": seed, "actor": actor, "mode": mode}
    refer = references(spec, random_returns(spec, RANDOM_EPISODES, seed), run.reference_returns, best_return)
    return write_recording(path, raw, raw, spec, refer, origin)


def _write_replay(
    path: Path, buffer: ReplayBuffer, num_envs: int, record: Mapping[str, Any], step: int
) -> dict[str, Any]:
    spec = EnvironmentSpec.from_json(record["environment"])
    raw, whole = recording_of_replay(buffer, num_envs, Normalisation.from_json(record["normalisation"]))
    known = record["reference_returns"]
    refer = references(
        spec, random_returns(spec, RANDOM_EPISODES, record["resolved"]["seed"]), tuple(known) if known else None
    )
    return write_recording(path, raw, whole, spec, refer, _origin(record, step, "the replay buffer of "))


def _origin(record: Mapping[str, Any], step: int, words: str) -> dict[str, Any]:
    resolved = record["resolved"]
    algorithm, seed = resolved["algorithm"]["name"], resolved["seed"]
    unit = "environment steps" if is_online(resolved) else f"updates on {record['dataset']['name']}"
    return {
        "behavior_policy": f"{words}{algorithm} after {step} {unit}, seed {seed}",
        "algorithm": algorithm,
        "seed": seed,
        **{f"{package}_version": version for package, version in record["versions"].items()},
    }
