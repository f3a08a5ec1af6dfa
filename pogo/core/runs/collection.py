"""Datasets out of runs: what an online run has seen, what an actor does, or one after the other, in D4RL's layout."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pogo.core.data.raw_rows import RawRows
from pogo.core.data.write_hdf5 import CollectedRows, joined, references, rows_of_buffer, write_dataset
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput
from pogo.core.learner.interface import Learner
from pogo.core.learner.replay_buffer import StoredReplay
from pogo.core.online.collector import Collector, collect_episodes, random_returns
from pogo.core.problem.chain import actor_name
from pogo.core.runs.plan import Plan
from pogo.core.runs.record import RunRecord
from pogo.core.runs.stored_run import StoredRun
from pogo.core.setting import Values

RANDOM_EPISODES = 100


@dataclass(frozen=True)
class ActorEpisodes:
    """Whole episodes of one actor."""

    actor: int  # its index in the chain
    transitions: int  # at least
    deterministic: bool  # the actor's deterministic mode, in place of samples
    seed: int  # of start states and samples
    num_envs: int  # side by side
    env: str | None = None  # the id of another than the run's own


def save_replay(plan: Plan, learner: Learner, path: Path) -> None:
    """Write what the replay buffer of a run holds that has just ended.

    Raises:
        RunFailed: the file cannot be written.
    """
    assert learner.replay_buffer is not None
    assert plan.dataset.environment is not None
    dataset = plan.dataset
    collected = rows_of_buffer(learner.replay_buffer, plan.config.train.num_envs, dataset.normalisation)
    origin = _origin(plan.record(), plan.config.length, "the replay buffer")
    _write(path, collected, plan.dataset.environment, plan.config.seed, dataset.reference_returns, None, origin)


def collect(
    run: StoredRun, path: Path, *, with_replay: bool, episodes: ActorEpisodes | None, best_return: float | None = None
) -> dict[str, Any]:
    """Write a dataset from a stored run; returns what the file says of itself.

    Args:
        run: which.
        path: a file that does not exist.
        with_replay: whether to begin with what the run's replay buffer holds.
        episodes: of an actor, after that; none: the buffer alone.
        best_return: the return that scores 100; none: the run's, or D4RL's constant for the robot.

    Raises:
        BadInput: the run has no replay buffer, or no environment, or the one given does not suit it.
        RunFailed: the file cannot be written.
    """
    parts, words, seed = [], [], run.config.seed
    more: dict[str, Any] = {}
    if with_replay:
        parts.append(_replay_of(run))
        words.append("the replay buffer")
    if episodes is not None:
        parts.append(_episodes_of(run, episodes))
        seed = episodes.seed
        mode = "sampled" if _is_sampled(run, episodes) else "deterministic"
        words.append(f"{actor_name(episodes.actor)} ({run.spec.actors[episodes.actor].kind}), {mode},")
        more = {"collection_seed": seed, "actor": episodes.actor, "mode": mode}
    spec = run.environment(episodes.env if episodes is not None else None)
    origin = _origin(run.record, run.checkpoint.step, " then ".join(words)) | more
    return _write(path, joined(parts), spec, seed, run.record.reference_returns, best_return, origin)


def _replay_of(run: StoredRun) -> CollectedRows:
    if not run.record.config.is_online:
        raise BadInput("--replay: this run trained on a dataset and has no replay buffer; collect with an actor.")
    buffer = StoredReplay(run.spec.observation_size, run.spec.action_size, run.checkpoint.arrays)
    return rows_of_buffer(buffer, run.record.config.train.num_envs, run.record.normalisation)


def _episodes_of(run: StoredRun, asked: ActorEpisodes) -> CollectedRows:
    spec, normalisation = run.environment(asked.env), run.record.normalisation
    is_sampled = _is_sampled(run, asked)

    unchanged = normalisation.offset_only()

    def policy(collector: Collector) -> np.ndarray:
        observations = normalisation.observations(unchanged.raw_observations(collector.observations))
        return run.learner.act(observations, asked.actor, collector.noise() if is_sampled else None)

    with Collector(spec, asked.num_envs, unchanged, asked.seed, purpose="collection") as collector:
        rows = collect_episodes(collector, policy, asked.transitions)
    raw = RawRows(
        observations=unchanged.raw_observations(rows["observations"]),
        actions=spec.actions(unchanged.environment_actions(rows["actions"])).astype(np.float32),
        rewards=rows["rewards"],
        terminals=rows["terminals"] > 0,
        timeouts=rows["timeouts"] > 0,
        next_observations=unchanged.raw_observations(rows["next_observations"]),
    )
    return CollectedRows(raw, np.ones(len(raw), dtype=np.bool_))


def _is_sampled(run: StoredRun, asked: ActorEpisodes) -> bool:
    return run.spec.actors[asked.actor].is_stochastic and not asked.deterministic


def _write(
    path: Path,
    collected: CollectedRows,
    spec: EnvironmentSpec,
    seed: int,
    known: tuple[float, float] | None,
    best_return: float | None,
    origin: Values,
) -> dict[str, Any]:
    refer = references(spec, random_returns(spec, RANDOM_EPISODES, seed), known, best_return)
    return write_dataset(path, collected, spec, refer, origin)


def _origin(record: RunRecord, step: int, words: str) -> dict[str, Any]:
    algorithm, seed = record.config.algorithm.name, record.config.seed
    unit = "environment steps" if record.config.is_online else f"updates on {record.dataset.name}"
    return {
        "behavior_policy": f"{words} of {algorithm} after {step} {unit}, seed {seed}",
        "algorithm": algorithm,
        "seed": seed,
        **{f"{package}_version": version for package, version in record.versions.items()},
    }
