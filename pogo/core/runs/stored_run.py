"""Acting from a run folder: any checkpoint, any actor, either backend."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from pogo.core.config.schema import BackendSection
from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments.make import environment_in_place_of
from pogo.core.environments.recorded import RecordedEnvironment
from pogo.core.environments.simulators import default_processes
from pogo.core.environments.spec import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput, reading
from pogo.core.files.checkpoint import Checkpoint, CheckpointStore
from pogo.core.learner.interface import Learner
from pogo.core.problem.state import NOT_OF_THE_STATE
from pogo.core.registry import check_backend, load_backend
from pogo.core.runs.evaluation import ActorEvaluation, Evaluator
from pogo.core.runs.record import RunRecord
from pogo.core.system.machine import available_cpus


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
        if not run_dir.is_dir():
            raise BadInput(f"{run_dir} is no folder; give a run's own folder, which holds checkpoints/.")
        store = CheckpointStore(run_dir)
        steps = store.steps()
        store.check_not_lost()
        if not steps:
            raise BadInput(f"{run_dir} holds no checkpoints; give a run's own folder, which holds checkpoints/.")
        if update is not None and update not in steps:
            raise BadInput(f"{run_dir} has no checkpoint {update}; it has {', '.join(map(str, steps))}.")
        found = store.load(update) if update is not None else store.load_newest(set_aside=False)
        assert found is not None  # there are steps, and none good is an error
        self.checkpoint: Checkpoint = found
        name = f"{run_dir}: the record of checkpoint {found.step}"
        with reading(name):
            self.record = RunRecord.from_json(found.records["run"])
        config = self.record.config
        if backend is not None and backend != config.backend.name:
            config = replace(config, backend=BackendSection(backend, compile=backend == "jax"))
        self.config, self.spec = config, self.record.spec
        # What the machine lacks is no fault of the record.
        with reading(name, name_refusals=False):
            check_backend(config.backend.name)
            self.learner: Learner = load_backend(config.backend.name, "learner").make_learner(
                self.spec,
                seed=config.seed,
                device=device,
                compile=config.backend.compile,
                deterministic=config.deterministic,
            )
            state = {name: value for name, value in found.arrays.items() if not name.startswith(NOT_OF_THE_STATE)}
            self.learner.restore(state)

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
