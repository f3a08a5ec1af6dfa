"""Runs as Python programs read them."""

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from pogo.api.policy import Policy
from pogo.api.table import Table
from pogo.core.config.schema import NOTES, Config
from pogo.core.errors import BadInput, reading
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.files.logs import EVALUATION, TRAIN
from pogo.core.files.summary import CONFIG, FAILED, read_summary
from pogo.core.learner.interface import MODES
from pogo.core.policies.stored import StoredNetworks
from pogo.core.problem.actors import ActorConfig
from pogo.core.registry import load_backend
from pogo.core.runs.evaluation import ActorEvaluation
from pogo.core.runs.stored_run import StoredRun


class Run:
    """A run's folder: what it was configured by, what it has logged, and its policies.

    Reading changes nothing in the folder; a run that is still training may be read meanwhile.

    Attributes:
        path: the folder.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open a run's folder.

        Raises:
            BadInput: the folder holds neither a run's config.json nor checkpoints.
        """
        self.path = Path(path).expanduser()
        if not (self.path / CONFIG).is_file() and not self.checkpoints:
            raise BadInput(
                f"{self.path} is no run's folder; give one that holds {CONFIG} and checkpoints/, such as pogo.train's "
                "run.path."
            )
        self._read: dict[int, StoredNetworks] = {}
        self._functions: dict[tuple[Any, ...], Any] = {}

    def __repr__(self) -> str:
        return f"pogo.Run({str(self.path)!r})"

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """Every setting with its value: `run.config["train"]["updates"]`."""
        return self._config.to_json()

    @cached_property
    def _config(self) -> Config:
        try:
            values = json.loads((self.path / CONFIG).read_bytes())
        except FileNotFoundError:  # a folder of checkpoints alone
            return self._networks().record.config
        with reading(f"{self.path / CONFIG}"):
            return Config.from_json({key: value for key, value in values.items() if key not in NOTES})

    @property
    def checkpoints(self) -> list[int]:
        """The steps of the checkpoints that are kept, ascending."""
        return CheckpointStore(self.path).steps()

    @property
    def actors(self) -> Sequence[ActorConfig]:
        """Kind and architecture of every actor of the chain."""
        return self._config.actors

    @property
    def is_finished(self) -> bool:
        """Whether the run has come to its end."""
        found = read_summary(self.path)
        return FAILED not in found and found.get(self._config.clock.units, 0) >= self._config.length

    @property
    def metrics(self) -> Table:
        """What training has logged, a row per line: `update` (online: `env_step`), losses, speeds and so on."""
        return Table([line for line in _lines(self.path / TRAIN) if line])

    @property
    def evaluations(self) -> Table:
        """Every evaluation, a row per actor and mode.

        Columns: `update` (online: `env_step`), actor, kind, mode, return_mean, return_std, normalized_score.
        """
        rows = []
        for line in _lines(self.path / EVALUATION):
            position = {key: value for key, value in line.items() if isinstance(value, int)}
            for actor in line.get("actors", []):
                for mode in MODES:
                    if actor[mode] is not None:
                        result = {key: actor[mode][key] for key in ("return_mean", "return_std", "normalized_score")}
                        rows.append(
                            {**position, "actor": actor["index"], "kind": actor["kind"], "mode": mode, **result}
                        )
        return Table(rows)

    def policy(
        self,
        actor: int | Literal["flow"] = -1,
        *,
        checkpoint: int | None = None,
        backend: str | None = None,
        device: str = "cpu",
    ) -> Policy:
        """One actor of the chain, ready to act.

        Args:
            actor: its index; -1 is the last. "flow" is the behaviour flow of FQL.
            checkpoint: a step of `checkpoints`; None: the newest good one.
            backend: torch or jax; None: the one that the run was trained on.
            device: cpu, cuda, cuda:<n> or auto; single observations are fastest on a CPU.

        Raises:
            BadInput: the run has no such actor or checkpoint, or this machine no such backend or device.
        """
        networks = self._networks(checkpoint)
        return Policy(networks.policy(actor), backend or networks.record.config.backend.name, device)

    def q(
        self,
        observations: ArrayLike,
        actions: ArrayLike,
        *,
        checkpoint: int | None = None,
        backend: str | None = None,
        device: str = "cpu",
    ) -> np.ndarray:
        """What each critic expects of actions, [E, n]: discounted sums of rewards as the run has scaled them.

        Args:
            observations: as the environment gives them, [n, O].
            actions: in the environment's own units, [n, A].
            checkpoint: as in `policy`.
            backend: as in `policy`.
            device: as in `policy`.

        Raises:
            BadInput: the arrays have other sizes, or the algorithm has no critics.
        """
        networks = self._networks(checkpoint)
        record = networks.record
        rows = _matrix("observations", observations, record.observation_size)
        taken = _matrix("actions", actions, record.action_size)
        if len(rows) != len(taken):
            raise BadInput(f"there are {len(rows)} observations and {len(taken)} actions; give one action for each.")
        key = ("q_function", networks.step, backend or record.config.backend.name, device)
        if key not in self._functions:
            self._functions[key] = load_backend(key[2], "acting").q_function(*networks.critic(), device)
        normalisation = record.normalisation
        return self._functions[key](normalisation.observations(rows), normalisation.box_actions(taken))

    def value(
        self,
        observations: ArrayLike,
        *,
        checkpoint: int | None = None,
        backend: str | None = None,
        device: str = "cpu",
    ) -> np.ndarray:
        """State values [n], of algorithms that learn them (IQL), in the units of `q`.

        Args:
            observations: as the environment gives them, [n, O].
            checkpoint: as in `policy`.
            backend: as in `policy`.
            device: as in `policy`.

        Raises:
            BadInput: the array has another size, or the algorithm has no state values.
        """
        networks = self._networks(checkpoint)
        record = networks.record
        rows = _matrix("observations", observations, record.observation_size)
        key = ("value_function", networks.step, backend or record.config.backend.name, device)
        if key not in self._functions:
            self._functions[key] = load_backend(key[2], "acting").value_function(networks.value(), device)
        return self._functions[key](record.normalisation.observations(rows))

    def evaluate(
        self,
        episodes: int = 10,
        *,
        actor: int | None = None,
        checkpoint: int | None = None,
        backend: str | None = None,
        device: str = "auto",
        env: str | None = None,
        seed: int | None = None,
    ) -> list[ActorEvaluation]:
        """See `pogo.evaluate`."""
        stored = StoredRun(self.path, checkpoint, backend, device)
        stored.check_evaluation(episodes, seed, actor, env)
        return stored.evaluate(episodes, seed, env, actor)

    def _networks(self, checkpoint: int | None = None) -> StoredNetworks:
        steps = self.checkpoints
        step = checkpoint if checkpoint is not None or not steps else steps[-1]
        if step not in self._read:
            found = StoredNetworks.read(self.path, checkpoint)
            self._read = {found.step: found}  # one at a time: they may be large
            return found
        return self._read[step]


def load(path: str | os.PathLike[str]) -> Run:
    """Open a run's folder: its config, metrics, checkpoints and policies.

    Args:
        path: the folder, as `pogo.train(...).path` or `pogo-train` names it.

    Raises:
        BadInput: the folder holds neither a run's config.json nor checkpoints.
    """
    return Run(path)


def evaluate(
    run: Run | str | os.PathLike[str],
    episodes: int = 10,
    *,
    actor: int | None = None,
    checkpoint: int | None = None,
    backend: str | None = None,
    device: str = "auto",
    env: str | None = None,
    seed: int | None = None,
) -> list[ActorEvaluation]:
    """Run the actors of a run in its environment: undiscounted returns and scores, per actor and mode.

    Args:
        run: a run, or its folder.
        episodes: per actor and mode.
        actor: only this one; None: all.
        checkpoint: a step of `run.checkpoints`; None: the newest good one.
        backend: torch or jax; None: the one that the run was trained on.
        device: auto, cpu, cuda or cuda:<n>.
        env: the gymnasium id of another environment of the same sizes.
        seed: of start states and action noise; None: the run's.

    Returns:
        An entry per actor, in the chain's order: `.index`, `.kind`, and `.deterministic` and `.stochastic`, each with
        `.return_mean`, `.return_std`, `.normalized_score`, `.returns` and `.lengths`, or None where the kind has no
        such mode or it failed (`.failed` says why).

    Raises:
        BadInput: something that the caller can mend.
        RunFailed: a worker process of the simulators failed.
    """
    found = run if isinstance(run, Run) else Run(run)
    return found.evaluate(
        episodes, actor=actor, checkpoint=checkpoint, backend=backend, device=device, env=env, seed=seed
    )


def _matrix(name: str, values: ArrayLike, size: int) -> np.ndarray:
    rows = np.asarray(values)
    if rows.ndim != 2 or rows.shape[1] != size or rows.dtype.kind not in "biuf":
        raise BadInput(f"{name} has shape {rows.shape} and type {rows.dtype}; this run takes numbers [n, {size}].")
    return rows


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a log; one that is being written is left out."""
    try:
        text = path.read_text()
    except FileNotFoundError:
        return []
    *lines, _ = text.split("\n")
    return [json.loads(line) for line in lines]
