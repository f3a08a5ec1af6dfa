"""What an experiment's file runs over: its `sweep`."""

from collections.abc import Mapping
from typing import Any

from pogo.core.config.bases import SWEEP
from pogo.core.config.search_path import SearchPath
from pogo.core.errors import BadInput, check_name

_FORM = "write KEY: [VALUE, VALUE], or a list of such mappings"


def experiment_sweep(name: str, folders: SearchPath) -> list[dict[str, list[Any]]]:
    """The blocks of an experiment's `sweep`, which is one mapping or a list of them; one without keys if it is one run.

    A block says which values each key takes, and stands for a run of every combination of these.

    Raises:
        BadInput: no file of the group `experiment` has that name, or its `sweep` has another form.
    """
    check_name("experiment", name, folders.names("experiment"))
    path = folders.find("experiment", name)
    assert path is not None
    sweep = folders.read(path).content.get(SWEEP) or {}
    blocks = sweep if isinstance(sweep, list) else [sweep]
    try:
        return [_block(block, is_one_of_many=isinstance(sweep, list)) for block in blocks]
    except ValueError as error:
        raise BadInput(f"{folders.label(path)}: {error}") from error


def _block(block: Any, is_one_of_many: bool) -> dict[str, list[Any]]:
    """The values of each key; a value that is no list is the only one."""
    if not isinstance(block, Mapping) or (is_one_of_many and not block):
        raise ValueError(f"its sweep has {block!r} in it; {_FORM}.")
    for key, values in block.items():
        if isinstance(values, Mapping):
            raise ValueError(
                f"its sweep has a mapping for {key}; name each of its keys, as in {key}.KEY: [VALUE, VALUE]."
            )
        if values == []:
            raise ValueError(f"its sweep has no values for {key}; {_FORM}.")
    return {str(key): values if isinstance(values, list) else [values] for key, values in block.items()}
