"""Many runs from one command: `pogo-train -m`, one process for each, all checked before the first starts."""

import itertools
import logging
import math
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep, Sweep

from pogo.core.algorithms import algorithm_names
from pogo.core.config.compose import compose_config, experiment_sweep, parse_overrides
from pogo.core.config.online import is_online
from pogo.core.config.resolution import resolve
from pogo.core.config.schema import Config, meaning
from pogo.core.config.search_path import OWN_KEYS, search_path
from pogo.core.config.variant import inferred_variant
from pogo.core.errors import EXIT_DONE, EXIT_FAILED, BadInput
from pogo.core.runs.plan import check_settings
from pogo.core.system.machine import available_cpus
from pogo.core.system.signals import StopRequest

POLL_SECONDS = 0.05
MOST_RUNS = 10_000  # of one command: each config is checked before the first run starts
SHOWN_LINES = 5  # of a failed run's output, where runs go on side by side
_COMMAND = "import sys; from pogo.cli.train import main; sys.exit(main())"

logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class Cell:
    """One run of a sweep."""

    arguments: tuple[str, ...]  # of pogo-train
    run_dirs: tuple[Path, ...]  # one per seed
    save_replay: Path | None  # the file that it leaves
    label: str  # what tells it from the others
    config: Config

    @property
    def run_dir(self) -> Path:
        """The folder of the first seed's run."""
        return self.run_dirs[0]


@dataclass
class _Process:
    cell: Cell
    number: int
    popen: subprocess.Popen
    output: IO[bytes] | None  # where it is kept until the end; none: shown as it comes
    began: float


def plan_sweep(arguments: Sequence[str]) -> list[Cell]:
    """Every run that these options make, each one's config checked; data is looked at when a run starts.

    A key takes several values as Hydra writes them: `seed=0,1,2`, `seed=range(0,3)`, `chain.w2_weights=[1,1],[10,10]`.
    `experiment=NAME` brings those of its `sweep`, where the options do not set them.

    Raises:
        BadInput: an option that cannot be read, a run that cannot be made, or two that would share a folder.
    """
    axes = _axes(arguments)
    swept = [key for key, values in axes if len(values) > 1]
    unnamed = [key for key, values in axes if len(values) > 1 and not _is_named_by_folder(key, values)]
    variant_given = bool(unnamed) and "run.variant" in dict(axes)
    cells = []
    for chosen in itertools.product(*(values for _, values in axes)):
        label = " ".join(text for (key, _), text in zip(axes, chosen, strict=True) if key in swept)
        cells.append(_cell(list(chosen), label, unnamed))
    owners: dict[Path, Cell] = {}
    for cell in cells:
        for run_dir in cell.run_dirs:
            other = owners.setdefault(run_dir.absolute(), cell)
            if other is not cell:
                mend = _mend_of_shared(other, cell, variant_given)
                raise BadInput(f"{other.label!r} and {cell.label!r} would share {run_dir}; {mend}.")
        if cell.save_replay is not None and owners.setdefault(cell.save_replay.absolute(), cell) is not cell:
            raise BadInput(
                f"train.save_replay={cell.save_replay} is one file for several runs; leave it out, and write each with "
                "pogo-collect RUN_DIR --replay --out FILE."
            )
    return cells


def run_sweep(cells: Sequence[Cell], jobs: int = 1) -> int:
    """Run every cell, `jobs` at a time; the exit code: 0 all done, 1 some failed, 130 or 143 stopped by a signal.

    A failed run does not stop the others. A signal is passed on to the runs that are going, which save; none starts
    after it. Each run is a process of its own, so that the frameworks of one leave nothing to the next.
    """
    results: dict[int, tuple[int, float]] = {}
    waiting = list(enumerate(cells, start=1))
    running: list[_Process] = []
    with StopRequest() as stop:
        told = False
        while running or (waiting and not stop.requested):
            while waiting and len(running) < jobs and not stop.requested:
                number, cell = waiting.pop(0)
                logger.info("run %d of %d: %s", number, len(cells), cell.label or cell.run_dir)
                running.append(_start(cell, number, shown=jobs == 1))
            if stop.requested and not told:
                told = True
                for process in running:
                    process.popen.send_signal(stop.signal_number or signal.SIGTERM)
            for process in [process for process in running if process.popen.poll() is not None]:
                running.remove(process)
                results[process.number] = (process.popen.returncode, time.perf_counter() - process.began)
                _report_failure(process)
            time.sleep(POLL_SECONDS)
        failed = sum(code != EXIT_DONE for code, _ in results.values())
        _report(cells, results)
        return stop.exit_code if stop.requested else EXIT_FAILED if failed else EXIT_DONE


def share_threads(arguments: Sequence[str], jobs: int) -> list[str]:
    """The options, with the processors shared out among `jobs` runs where `threads` is not given."""
    if jobs == 1 or any(argument.startswith("threads=") for argument in arguments):
        return list(arguments)
    return [*arguments, f"threads={max(1, available_cpus() // jobs)}"]


def _axes(arguments: Sequence[str]) -> list[tuple[str, list[str]]]:
    """The overrides `key=value` that each key takes in turn, one or several."""
    axes: list[tuple[str, list[str]]] = []
    for argument in arguments:
        key, separator, value = argument.partition("=")
        if meaning(key).path and separator:  # Hydra's grammar is not for paths
            axes.append((key, [f"{key}={part}" for part in value.split(",")]))
            continue
        (override,) = parse_overrides([argument])
        axes.append((override.key_or_group, _values(override, argument)))
        if (count := math.prod(len(values) for _, values in axes)) > MOST_RUNS:
            raise BadInput(f"{argument} makes this {count} runs; one command starts at most {MOST_RUNS}.")
    given = {key for key, _ in axes}
    names = [values for key, values in axes if key == "experiment" and values != ["experiment=null"]]
    if not names:
        return axes
    if len(names[0]) > 1:
        raise BadInput(f"{' and '.join(names[0])}: one experiment at a time.")
    folders = search_path(parse_overrides([argument for argument in arguments if argument.startswith(OWN_KEYS)]))
    of_experiment = experiment_sweep(names[0][0].partition("=")[2], folders)
    return [
        *((key, [f"{key}={_literal(value)}" for value in values])
          for key, values in of_experiment.items() if key not in given),
        *axes,
    ]  # fmt: skip


def _values(override: Override, argument: str) -> list[str]:
    """The overrides `key=value` that one takes, one or several.

    Raises:
        BadInput: the override takes no values, too many to list, or values that cannot be listed.
    """
    if not override.is_sweep_override():
        return [argument]
    key, sweep = override.key_or_group, override.value()
    if isinstance(sweep, RangeSweep):
        _check_range(sweep, argument)
    elif not isinstance(sweep, ChoiceSweep) or any(isinstance(entry, Sweep | Glob) for entry in sweep.list):
        kind = "an interval has no values to list" if isinstance(sweep, IntervalSweep) else "list the values"
        raise BadInput(f"{argument}: {kind}; write {key}=a,b, or {key}=range(start,stop,step).")
    values = [f"{key}={text}" for text in override.sweep_string_iterator()]
    if not values:
        raise BadInput(f"{argument}: no values, and so no run; write {key}=a,b.")
    return values


def _check_range(sweep: RangeSweep, argument: str) -> None:
    start, stop, step = (0 if number is None else number for number in (sweep.start, sweep.stop, sweep.step))
    if step == 0 or not all(math.isfinite(number) for number in (start, stop, step)):
        raise BadInput(f"{argument}: a range goes from start to stop by a step that is not 0, as in range(0,10,2).")
    count = math.ceil((stop - start) / step)
    if count < 1:
        raise BadInput(f"{argument}: no values between {start} and {stop} by steps of {step}, and so no run.")
    if count > MOST_RUNS:
        raise BadInput(f"{argument}: {count} values; one command starts at most {MOST_RUNS} runs.")


def _is_named_by_folder(key: str, values: Sequence[str]) -> bool:
    """Whether a run's folder differs with this option by itself; of the rest it gets a folder, `run.variant`."""
    if key == "algorithm":  # a choice of the user's is filed under the algorithm that it builds on
        return all(value.partition("=")[2] in algorithm_names() for value in values)
    is_group = meaning(f"{key}.name").label
    is_file = key == "dataset.path"  # its name is the dataset's
    return is_group or is_file or meaning(key).label or key.startswith("run.")


def _cell(arguments: list[str], label: str, unnamed: Sequence[str]) -> Cell:
    by_key = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    try:
        asked = compose_config(arguments, in_sweep=True)
        if "env" in unnamed and is_online(asked):
            unnamed = [key for key in unnamed if key != "env"]  # an online run is filed under it
        if unnamed and not ({"run.dir", "run.variant"} & by_key.keys()):
            variant = inferred_variant(asked, resolve(asked), always={key: by_key[key] for key in unnamed})
            asked["run"]["variant"] = variant
            arguments.append(f"run.variant='{variant}'")
        settings = check_settings(asked)
    except BadInput as error:
        is_named = not label or str(error).startswith(label)
        raise BadInput(str(error) if is_named else f"{label}: {error}") from error
    saved = settings.config.train.save_replay
    replay = None if saved is None else Path(saved)
    return Cell(tuple(arguments), tuple(settings.run_dirs.values()), replay, label, settings.config)


def _mend_of_shared(first: Cell, second: Cell, variant_given: bool) -> str:
    """How two runs that would share a folder get one each; `variant_given`: it keeps them from being told apart."""
    if first.config.run.dir is not None:
        return "drop run.dir, or let it differ by run"
    ours, theirs = replace(first.config, sources={}).to_json(), replace(second.config, sources={}).to_json()
    differing = {key for key in ours if ours[key] != theirs[key]}
    if not differing:
        return "they are the same run: drop one of them"
    if differing == {"seed"}:  # of several each: another seed's folder has another name
        return f"let their seeds be train.num_seeds={len(first.run_dirs)} apart"
    if variant_given:
        return "drop run.variant, and each run gets a folder named by what differs"
    return "the folder's name does not tell them apart: start each by itself, with a run.variant=NAME of its own"


def _literal(value: Any) -> str:
    """A YAML value as Hydra's grammar writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{','.join(_literal(entry) for entry in value)}]"
    return str(value)


def _start(cell: Cell, number: int, shown: bool) -> _Process:
    output = None if shown else tempfile.TemporaryFile()
    # A session of its own: a Ctrl-C in the terminal reaches it once, by way of this process.
    popen = subprocess.Popen(
        [sys.executable, "-c", _COMMAND, "--in-sweep", *cell.arguments],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        start_new_session=True,
    )
    return _Process(cell, number, popen, output, time.perf_counter())


def _report_failure(process: _Process) -> None:
    if process.output is None:
        return
    with process.output as output:
        if process.popen.returncode == EXIT_DONE:
            return
        output.seek(0)
        last = output.read().decode(errors="replace").splitlines()[-SHOWN_LINES:]
    logger.error("run %d failed: %s\n%s", process.number, process.cell.label, "\n".join(last))


def _report(cells: Sequence[Cell], results: Mapping[int, tuple[int, float]]) -> None:
    for number, cell in enumerate(cells, start=1):
        if number not in results:
            logger.info("%3d  not run            %s", number, cell.label)
            continue
        code, seconds = results[number]
        logger.info("%3d  exit %3d  %6.0f s  %s  %s", number, code, seconds, cell.label, cell.run_dir)
    done = sum(code == EXIT_DONE for code, _ in results.values())
    logger.info("%d of %d runs done; pogo-report tables them.", done, len(cells))
