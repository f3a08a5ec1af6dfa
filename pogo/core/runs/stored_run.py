"""Acting from a run folder: any checkpoint, any actor, either backend."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from pogo.core.config.schema import BackendSection, Config
from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.checks import try_out
from pogo.core.environments.make import environment_in_place_of
from pogo.core.environments.recorded import RecordedEnvironment
from pogo.core.environments.simulators import default_processes
from pogo.core.environments.spec import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput, reading
from pogo.core.files.checkpoint import Checkpoint, CheckpointStore
from pogo.core.learner.interface import Learner
from pogo.core.problem.spec import TrainSpec
from pogo.core.problem.state import NOT_OF_THE_STATE
from pogo.core.registry import check_backend, load_backend
from pogo.core.runs.evaluation import ActorEvaluation, Evaluator, pairs_to_evaluate
from pogo.core.runs.record import RunRecord
from pogo.core.runs.video import Recording, VideoRecorder
from pogo.core.system.machine import available_cpus


def open_checkpoint(run_dir: Path, step: int | None) -> tuple[Checkpoint, RunRecord]:
    """One checkpoint of a run and what it says of the run; none: the newest good one. Nothing in the folder changes.

    Raises:
        BadInput: the folder or the checkpoint is not there, or none is good; or its record is not what pogo writes.
    """
    if not run_dir.is_dir():
        raise BadInput(f"{run_dir} is no folder; give a run's own folder, which holds checkpoints/.")
    store = CheckpointStore(run_dir)
    steps = store.steps()
    store.check_not_lost()
    if not steps:
        raise BadInput(f"{run_dir} holds no checkpoints; give a run's own folder, which holds checkpoints/.")
    if step is not None and step not in steps:
        raise BadInput(f"{run_dir} has no checkpoint {step}; it has {', '.join(map(str, steps))}.")
    found = store.load(step) if step is not None else store.load_newest(set_aside=False)
    assert found is not None  # there are steps, and none good is an error
    with reading(_record_name(run_dir, found)):
        return found, RunRecord.from_json(found.records["run"])


def _record_name(run_dir: Path, checkpoint: Checkpoint) -> str:
    return f"{run_dir}: the record of checkpoint {checkpoint.step}"


def acting_config(record: RunRecord, backend: str | None) -> Config:
    """The config of a run, with the backend that is to act in the place of its own."""
    config = record.config
    if backend is not None and backend != config.backend.name:
        config = replace(config, backend=BackendSection(backend, compile=backend == "jax"))
    return config


def acting_learner(config: Config, spec: TrainSpec, device: str, threads: int | None = None) -> Learner:
    """A learner that only acts.

    Raises:
        BadInput: the backend or the device is not there.
    """
    check_backend(config.backend.name)
    return load_backend(config.backend.name, "learner").make_learner(
        spec,
        seed=config.seed,
        device=device,
        compile=config.backend.compile,
        threads=threads,
        deterministic=config.deterministic,
    )


def restore_to_act(learner: Learner, checkpoint: Checkpoint) -> None:
    """Take over a checkpoint's networks, and nothing that only going on with the run needs."""
    arrays = checkpoint.arrays
    learner.restore({name: arrays[name] for name in arrays if not name.startswith(NOT_OF_THE_STATE)})


class StoredRun:
    """One checkpoint of a run, ready to act. Reading it changes nothing in the folder.

    Attributes:
        checkpoint: what was read.
        record: what it says of the run.
        config: the run's, with the backend that acts, which need not be the one that wrote it.
        spec: the training problem.
        learner: acts, on the checkpoint's networks.

    Raises:
        BadInput: the folder or checkpoint is not there, or none is good; its record is not what pogo writes; or the
            backend or the device is not there.
    """

    def __init__(
        self, run_dir: Path, update: int | None = None, backend: str | None = None, device: str = "auto"
    ) -> None:
        self.checkpoint, self.record = open_checkpoint(run_dir, update)
        self.config, self.spec = acting_config(self.record, backend), self.record.spec
        # What the machine lacks is no fault of the record.
        with reading(_record_name(run_dir, self.checkpoint), name_refusals=False):
            self.learner = acting_learner(self.config, self.spec, device)
            restore_to_act(self.learner, self.checkpoint)

    def evaluate(
        self,
        episodes: int,
        seed: int | None = None,
        env: str | None = None,
        actor: int | None = None,
        processes: int | None = None,
    ) -> list[ActorEvaluation]:
        """Evaluate every actor, or one, in both modes.

        Args:
            episodes: per actor and mode.
            seed: of start states and noise; none: the run's.
            env: the id of another environment than the run's.
            actor: the one to evaluate.
            processes: that hold the simulators; none: chosen by the processors that this process may use.

        Raises:
            BadInput: the run names no environment, or the one given has other sizes or bounds.
        """
        if processes is None:
            processes = default_processes(available_cpus(), episodes)
        with Evaluator(
            self.spec.actors,
            self.environment(env),
            self.record.normalisation,
            self.record.reference_returns,
            episodes,
            processes,
            actor,
        ) as evaluator:
            seed = self.config.seed if seed is None else seed
            return evaluator.evaluate(self.learner.act_pairs, seed, self.checkpoint.step)

    def record_videos(
        self,
        folder: Path,
        episodes: int,
        seed: int | None = None,
        env: str | None = None,
        actor: int | None = None,
    ) -> Iterator[Recording]:
        """Record the episodes that `evaluate` plays with the same arguments, one after another, in `folder`.

        Raises:
            BadInput: as `evaluate`; or the environment cannot draw.
            RunFailed: a policy's actions are not finite, or a file cannot be written.
        """
        seed = self.config.seed if seed is None else seed
        act, normalisation = self.learner.act_pairs, self.record.normalisation
        recorder = VideoRecorder(act, self.environment(env), normalisation, seed, self.checkpoint.step)
        yield from recorder.record(pairs_to_evaluate(self.spec.actors, actor), episodes, folder)

    def check_evaluation(self, episodes: int, seed: int | None, actor: int | None, env: str | None) -> None:
        """Refuse what `evaluate` cannot do, in the words of the option.

        Raises:
            BadInput: no episode, a seed below 0, an actor that is not there, or an environment that fails.
        """
        if actor is not None and not 0 <= actor < len(self.spec.actors):
            raise BadInput(f"actor {actor}: the run has actors 0 to {len(self.spec.actors) - 1}.")
        if episodes < 1:
            raise BadInput(f"episodes {episodes}: use at least 1.")
        if seed is not None and seed < 0:
            raise BadInput(f"seed {seed}: use a whole number of at least 0.")
        if env is not None:
            try_out(self.environment(env))

    def environment(self, other: str | None = None) -> EnvironmentSpec:
        """The environment to act in: the run's own, or the one of this id in its place.

        Raises:
            BadInput: the run names none, or the other has other sizes or bounds.
        """
        own = self.record.environment
        if other is not None:
            recorded = RecordedEnvironment() if own is None else own.recorded
            found = environment_in_place_of(other, recorded, "this run")
            check_sizes(found, self.spec.observation_size, self.spec.action_size, "this run")
            _check_bounds(found, self.record.normalisation)
            return found
        if own is None:
            raise BadInput("this run was made without an environment; give one with --env ID.")
        return own


def _check_bounds(env: EnvironmentSpec, normalisation: Normalisation) -> None:
    low, high = normalisation.action_low, normalisation.action_high
    if not (np.allclose(low, env.action_low) and np.allclose(high, env.action_high)):
        raise BadInput(
            f"this run's actions are bounded by {np.asarray(low).tolist()}, {np.asarray(high).tolist()}, those of "
            f"env={env.env_id} by {list(env.action_low)}, {list(env.action_high)}; name one of the same robot."
        )
