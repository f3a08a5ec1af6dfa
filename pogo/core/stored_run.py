"""Acting from a run folder: any checkpoint, any actor, either backend."""

from pathlib import Path

import numpy as np

from pogo.core.checkpoint import Checkpoint, CheckpointStore
from pogo.core.config.plan import make_learner, spec_of_run
from pogo.core.data.preprocessing import Normalisation
from pogo.core.environment import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput
from pogo.core.evaluation import ActorEvaluation, Evaluator
from pogo.core.interface import Learner, TrainSpec
from pogo.core.registry import check_backend
from pogo.core.snapshots import STREAM_PREFIX, WINDOW_PREFIX


class StoredRun:
    """One checkpoint of a run, ready to act. Reading it changes nothing in the folder.

    Raises:
        BadInput: no such folder or checkpoint, none good, or the backend is not installed.
    """

    def __init__(
        self, run_dir: Path, update: int | None = None, backend: str | None = None, device: str = "auto"
    ) -> None:
        if not run_dir.is_dir():
            raise BadInput(f"{run_dir} is no folder; give a run's own folder, which holds checkpoints/.")
        store = CheckpointStore(run_dir)
        steps = store.steps()
        if not steps:
            raise BadInput(f"{run_dir} holds no checkpoints; give a run's own folder, which holds checkpoints/.")
        if update is not None and update not in steps:
            raise BadInput(f"{run_dir} has no checkpoint of update {update}; it has {', '.join(map(str, steps))}.")
        found = store.load(update) if update is not None else store.load_newest(set_aside=False)
        assert found is not None  # there are steps, and none good is an error
        self.checkpoint: Checkpoint = found
        self._record = found.records["run"]
        resolved = dict(self._record["resolved"])
        if backend is not None and backend != resolved["backend"]["name"]:
            resolved["backend"] = {"name": backend, "compile": backend == "jax"}
        check_backend(resolved["backend"]["name"])
        resolved["device"], resolved["threads"] = device, None
        self.backend: str = resolved["backend"]["name"]
        self.seed: int = resolved["seed"]
        self.spec: TrainSpec = spec_of_run(resolved, self._record["observation_size"], self._record["action_size"])
        self.learner: Learner = make_learner(resolved, self.spec, None)
        of_a_run = (STREAM_PREFIX, WINDOW_PREFIX)  # what only goes on training needs
        self.learner.restore({name: value for name, value in found.arrays.items() if not name.startswith(of_a_run)})

    def evaluate(
        self, episodes: int, seed: int | None = None, env: EnvironmentSpec | None = None
    ) -> list[ActorEvaluation]:
        """Evaluate every actor in both modes.

        Raises:
            BadInput: the run names no environment, or the one given has other sizes or bounds.
        """
        normalisation = Normalisation.from_json(self._record["normalisation"])
        if env is not None:
            check_sizes(env, self.spec.observation_size, self.spec.action_size, "this run")
            _check_bounds(env, normalisation)
        if env is None and self._record["environment"] is None:
            raise BadInput("this run was made without an environment; give one with --env ID.")
        references = self._record["reference_returns"]
        with Evaluator(
            self.spec.actors,
            env or EnvironmentSpec.from_json(self._record["environment"]),
            normalisation,
            tuple(references) if references is not None else None,
            episodes,
            self.seed if seed is None else seed,
        ) as evaluator:
            return evaluator.evaluate(self.learner.act, self.checkpoint.step)


def _check_bounds(env: EnvironmentSpec, normalisation: Normalisation) -> None:
    low, high = normalisation.action_low, normalisation.action_high
    if not (np.allclose(low, env.action_low) and np.allclose(high, env.action_high)):
        raise BadInput(
            f"this run's actions are bounded by {np.asarray(low).tolist()}, {np.asarray(high).tolist()}, those of "
            f"env={env.env_id} by {list(env.action_low)}, {list(env.action_high)}; name one of the same robot."
        )
