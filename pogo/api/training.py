"""Training from Python: the same runs as `pogo-train`'s, to the same bits."""

import os
import signal
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from pogo.api.dataset import Dataset, as_dataset
from pogo.api.run import Run
from pogo.core.config.compose import compose_config
from pogo.core.config.written import override
from pogo.core.data.arrays import PREFIX, holding
from pogo.core.data.config import CUSTOM
from pogo.core.data.environment import NO_ENVIRONMENT
from pogo.core.data.readers import FILE_SUFFIXES, reader_of_name
from pogo.core.errors import BadInput
from pogo.core.runs.listener import Callback, CallbackRaised, Listener
from pogo.core.runs.plan import make_plans
from pogo.core.runs.training import train_plans
from pogo.core.system.signals import StopRequest

_composing = threading.Lock()  # Hydra has one state for the whole process


def train(
    algorithm: str | None = None,
    *,
    backend: str | None = None,
    dataset: Dataset | Mapping[str, ArrayLike] | Iterable[Any] | str | os.PathLike[str] | None = None,
    env: str | None = None,
    seed: int | None = None,
    overrides: Mapping[str, Any] | Sequence[str] = (),
    on_log: Callback | None = None,
    on_evaluation: Callback | None = None,
    on_checkpoint: Callback | None = None,
    progress: bool = True,
) -> Run:
    """Train an algorithm and its chain of actors, or go on with a run that was stopped.

    A run is the folder that `run.path` names; the same call goes on from its newest checkpoint, and does nothing once
    the run is finished. `pogo-train` with the same options trains the same run, to the same bits.

    A callback is given an event with `step`, `seed`, `run_dir` and what is news (`metrics`, `actors` or `checkpoint`).
    One that returns False stops the run, which saves a checkpoint first. What it raises ends the run at once, and is
    raised here. After Ctrl-C the run saves a checkpoint, and KeyboardInterrupt is raised; a second one does not wait.

    Args:
        algorithm: iql, td3_bc, cql, awac, sac_n, edac, rebrac, fql, pogo, pogo_gaussian, sac, or another package's.
        backend: torch or jax.
        dataset: a `pogo.Dataset`; what its `from_` methods take: a mapping of arrays, a list of episodes, a Minari
            dataset, an iterator of steps; a name (hopper-medium-v2, minari:D4RL/pen/human-v2); or a file's path.
        env: the environment to evaluate in, instead of the dataset's own; "none": train without evaluation.
        seed: of everything that is random.
        overrides: any option of `pogo-train`: {"train.updates": 50_000, "chain.num_actors": 3}, or as they are written
            there, ["train.updates=50000"].
        on_log: called after each line of the log, with `event.metrics`.
        on_evaluation: called after each evaluation, with `event.actors`.
        on_checkpoint: called after each checkpoint, with `event.checkpoint`.
        progress: whether to show progress and results, on stderr or in the notebook.

    Returns:
        The run; with `train.num_seeds`, that of the first seed (`run.path.parent` holds the others).

    Raises:
        BadInput: something that the caller can mend, found before any work.
        RunFailed: the run had started and could not go on.
    """
    data = dataset if dataset is None or isinstance(dataset, str | os.PathLike) else as_dataset(dataset)
    arguments = _arguments(algorithm, backend, data, env, seed, overrides)
    listener = Listener(on_log, on_evaluation, on_checkpoint, show=progress)
    with holding(data._held if isinstance(data, Dataset) else None):
        with _composing:
            asked = compose_config(arguments)
        plans = make_plans(asked, _program())
        with _passing_signals_on() as stop:
            try:
                train_plans(plans, stop, listener)
            except CallbackRaised as raised:
                raise raised.error from None
    return Run(plans[0].run_dir)


def _program() -> tuple[str, ...]:
    """What this process was started as: the program's name, and its arguments; of a shell, python."""
    first, *rest = sys.argv or [""]
    return (Path(first).name or "python", *rest)


@contextmanager
def _passing_signals_on() -> Iterator[StopRequest]:
    """A request for a stop by signals, which then do what they would have done without pogo."""
    with StopRequest(ends_process=False) as stop:
        yield stop
    if stop.signal_number is not None:
        signal.raise_signal(stop.signal_number)


def _arguments(
    algorithm: str | None,
    backend: str | None,
    dataset: Dataset | str | os.PathLike[str] | None,
    env: str | None,
    seed: int | None,
    overrides: Mapping[str, Any] | Sequence[str],
) -> list[str]:
    """The options of `pogo-train` that a call stands for."""
    if isinstance(overrides, str):
        raise BadInput(f"overrides={overrides!r} is one text; give a mapping, or a list of key=value.")
    further = (
        [override(str(key), value) for key, value in overrides.items()]
        if isinstance(overrides, Mapping)
        else list(overrides)
    )
    options = {"algorithm": algorithm, "backend": backend, **_of_dataset(dataset), "env": env, "seed": seed}
    given = {text.partition("=")[0].lstrip("+") for text in further}
    if isinstance(dataset, Dataset) and dataset.env is None and env is None and "env" not in given:
        options["env"] = NO_ENVIRONMENT  # said by leaving it out of the dataset
    for key, value in options.items():
        if value is not None and key in given:
            raise BadInput(f"{key} is given twice, as an argument and in overrides; drop one.")
    return [override(key, value) for key, value in options.items() if value is not None] + further


def _of_dataset(dataset: Dataset | str | os.PathLike[str] | None) -> dict[str, Any]:
    if dataset is None:
        return {}
    if isinstance(dataset, Dataset):
        return {"dataset": CUSTOM, "dataset.name": f"{PREFIX}{dataset.name}"}
    name = os.fspath(dataset)
    if reader_of_name(name) is not None:
        return {"dataset": CUSTOM, "dataset.name": name}
    if isinstance(dataset, os.PathLike) or name.endswith(FILE_SUFFIXES) or os.sep in name:
        return {"dataset.path": str(Path(name))}
    return {"dataset": name}
