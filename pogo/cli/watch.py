"""pogo-eval --watch: evaluate the checkpoints of runs as they are written."""

import argparse
import math
from collections.abc import Mapping

from pogo.core.errors import BadInput
from pogo.core.registry import check_backend
from pogo.core.runs.watch import POLL_SECONDS, CheckpointWatch, WatchOptions
from pogo.core.system.signals import StopRequest

# What is for one checkpoint of one run, as it is where nothing is asked for, and why it is not for all of them.
_OF_ONE: Mapping[str, tuple[object, str]] = {
    "run_dir": (None, "give the folder above the runs to --watch alone"),
    "checkpoint": (None, "every checkpoint is evaluated"),
    "actor": (None, "a line of eval.jsonl has every actor"),
    "seed": (None, "a line of eval.jsonl is by the run's own seed"),
    "env": (None, "a line of eval.jsonl is of the run's own environment"),
    "video": (None, "pogo-eval RUN_DIR --video DIR records one checkpoint"),
    "json": (False, "the results are in each run's eval.jsonl"),
}


def watch(options: argparse.Namespace) -> int:
    """Evaluate what the runs below a folder save, as the options of pogo-eval say; returns the exit code.

    Raises:
        BadInput: an option that does not go with --watch, no such folder, or a backend that is not there.
    """
    for name, (default, reason) in _OF_ONE.items():
        if getattr(options, name) != default:
            what = f"RUN_DIR {options.run_dir}" if name == "run_dir" else f"--{name}"
            raise BadInput(f"{what} does not go with --watch: {reason}.")
    poll = POLL_SECONDS if options.poll is None else options.poll
    if not 0 < poll < math.inf:
        raise BadInput(f"--poll {poll:g}: use a number of seconds above 0.")
    if options.episodes is not None and options.episodes < 1:
        raise BadInput(f"--episodes {options.episodes}: use at least 1, or leave it out: each run then has its own.")
    if options.backend is not None:
        check_backend(options.backend)
    chosen = WatchOptions(options.episodes, options.processes, options.backend, options.device or "cpu")
    with StopRequest() as stop:
        return CheckpointWatch(options.watch, chosen, stop).run(poll, options.once)


def refuse(options: argparse.Namespace) -> None:
    """Refuse the options of --watch where one run is evaluated.

    Raises:
        BadInput: an option of --watch is given without it.
    """
    for name, default in (("poll", None), ("once", False)):
        if getattr(options, name) != default:
            raise BadInput(f"--{name} is for --watch ROOT, which evaluates the runs below a folder; drop it.")
