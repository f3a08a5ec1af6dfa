"""From the options of one command to the runs that they make, all checked before the first starts."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pogo.core.algorithms import algorithm_names
from pogo.core.config.bases import Bases
from pogo.core.config.compose import compose_config
from pogo.core.config.launcher import is_of_launcher
from pogo.core.config.online import is_online
from pogo.core.config.resolution import resolve
from pogo.core.config.schema import SOURCES, meaning
from pogo.core.config.variant import inferred_variant
from pogo.core.data.loading import check_file_is_there
from pogo.core.errors import BadInput
from pogo.core.runs.plan import check_settings
from pogo.core.sweeps.cell import Cell
from pogo.core.sweeps.combinations import blocks_of, combinations, swept_keys


def plan_sweep(arguments: Sequence[str], to_run: bool = True) -> list[Cell]:
    """Every run that these options make, each one's config checked; data is looked at when a run starts.

    A key takes several values as Hydra writes them: `seed=0,1,2`, `seed=range(0,3)`, `chain.w2_weights=[1,1],[10,10]`.
    `experiment=NAME` brings those of its `sweep`, where the options do not set them; of a list of mappings, each one's.

    Args:
        arguments: overrides, key=value; those of the launcher are no run's.
        to_run: whether the files that they name must be here, which to ask how far the runs are does not take.

    Raises:
        BadInput: an option that cannot be read, a run that cannot be made, or two that would share a folder.
    """
    blocks = blocks_of(
        [argument for argument in arguments if not is_of_launcher(argument.partition("=")[0].lstrip("+"))]
    )
    swept = swept_keys(blocks)
    unnamed = [key for key, values in swept.items() if not _is_named_by_folder(key, values)]
    variant_given = bool(unnamed) and any(axis.key == "run.variant" for block in blocks for axis in block)
    bases = Bases()
    cells = [
        _cell([text for _, text in chosen], [text for key, text in chosen if key in swept], unnamed, bases, to_run)
        for chosen in combinations(blocks)
    ]
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


def _is_named_by_folder(key: str, values: Sequence[str]) -> bool:
    """Whether a run's folder differs with this option by itself; of the rest it gets a folder, `run.variant`."""
    if key == "algorithm":  # a choice of the user's is filed under the algorithm that it builds on
        return all(value.partition("=")[2] in algorithm_names() for value in values)
    is_group = meaning(f"{key}.name").label
    is_file = key == "dataset.path"  # its name is the dataset's
    return is_group or is_file or meaning(key).label or key.startswith("run.")


def _cell(arguments: list[str], told_by: Sequence[str], unnamed: Sequence[str], bases: Bases, to_run: bool) -> Cell:
    """One run, checked.

    Args:
        arguments: its options.
        told_by: those of them that tell it from the others.
        unnamed: the keys among these that its path does not name by itself.
        bases: what its config shares with the others'.
        to_run: whether its files must be here.
    """
    by_key = {key: value for key, _, value in (argument.partition("=") for argument in arguments)}
    try:
        asked = compose_config(arguments, in_sweep=True, bases=bases)
        if "env" in unnamed and is_online(asked):
            unnamed = [key for key in unnamed if key != "env"]  # an online run is filed under it
        if unnamed and not ({"run.dir", "run.variant"} & by_key.keys()):
            always = {key: by_key.get(key, "") for key in unnamed if key in by_key or key in asked[SOURCES]}
            variant = inferred_variant(asked, resolve(asked), always)
            asked["run"]["variant"] = variant
            arguments.append(f"run.variant='{variant}'")
        settings = check_settings(asked, to_run)
        if to_run:
            check_file_is_there(settings.config.dataset)
    except BadInput as error:
        others = [option for option in told_by if not str(error).startswith(option)]
        raise BadInput(f"{' '.join(others)}: {error}" if others else str(error)) from error
    saved = settings.config.train.save_replay
    replay = None if saved is None else Path(saved)
    return Cell(tuple(arguments), tuple(settings.run_dirs.values()), replay, " ".join(told_by), settings.config)


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
