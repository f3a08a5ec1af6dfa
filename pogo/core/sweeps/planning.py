"""From the options of one command to the runs that they make, all checked before the first starts."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, RangeSweep, Sweep

from pogo.core.algorithms import algorithm_names
from pogo.core.config.bases import Bases
from pogo.core.config.compose import compose_config, experiment_sweep, parse_overrides
from pogo.core.config.online import is_online
from pogo.core.config.resolution import resolve
from pogo.core.config.schema import meaning
from pogo.core.config.search_path import OWN_KEYS, search_path
from pogo.core.config.variant import inferred_variant
from pogo.core.errors import BadInput
from pogo.core.runs.plan import check_settings
from pogo.core.sweeps.cell import Cell

MOST_RUNS = 10_000  # of one command: each config is checked before the first run starts


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
    cells, bases = [], Bases()
    for chosen in itertools.product(*(values for _, values in axes)):
        label = " ".join(text for (key, _), text in zip(axes, chosen, strict=True) if key in swept)
        cells.append(_cell(list(chosen), label, unnamed, bases))
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


def _cell(arguments: list[str], label: str, unnamed: Sequence[str], bases: Bases) -> Cell:
    by_key = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    try:
        asked = compose_config(arguments, in_sweep=True, bases=bases)
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
