"""The hyperparameters of a recording, as pogo's own."""

import math
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any, get_type_hints

from pogo.core.algorithms import load_algorithm
from pogo.core.errors import BadInput
from pogo.core.verify.adapters import Adapter
from pogo.core.verify.recording import Recording

LARGEST = sys.float_info.max
LARGEST_WHOLE = 2**53  # past it a float skips whole numbers
WANTED = {bool: "true or false", str: "a name", float: 'a number ("inf" for infinity)', int: "a whole number"}
# Recorded names that are no option of pogo's: the one value, by the action size, that it follows.
ONLY_VALUES: dict[str, Callable[[int], float]] = {
    "max_action": lambda action_size: 1.0,
    "n_critics": lambda action_size: 2.0,
    "target_entropy": lambda action_size: -float(action_size),
    "target_update_interval": lambda action_size: 1.0,
}


def read_hyperparameters(recording: Recording, adapter: Adapter, action_size: int) -> Any:
    """The algorithm's Hyperparameters as recorded; what a recording leaves out keeps its published default.

    Raises:
        BadInput: a hyperparameter is unknown to pogo, is of the wrong type or out of range, contradicts another one,
            or has no default and is missing.
    """
    module = load_algorithm(recording.algorithm)
    kinds = get_type_hints(module.Hyperparameters)
    options: dict[str, Any] = {}
    sources: dict[str, str] = {}
    known = {"max_action": None, **adapter.hyperparameters}
    for name, value in recording.hyperparameters.items():
        if name not in known:
            raise BadInput(f"hyperparameter {name}={value!r:.60} is unknown to pogo, which may not ignore it; "
                           f"known are {', '.join(sorted(known))}.")  # fmt: skip
        ours = known[name]
        if ours is None and name in ONLY_VALUES:
            _check_only_value(name, value, ONLY_VALUES[name](action_size))
        for option in () if ours is None else (ours,) if isinstance(ours, str) else ours:
            found = _converted(name, value, kinds[option], adapter)
            if options.setdefault(option, found) != found:
                raise BadInput(f"hyperparameters {sources[option]} and {name} both set {option}, to different values; "
                               "record the one that was used.")  # fmt: skip
            sources[option] = name
    for name in adapter.required:
        if name not in recording.hyperparameters:
            raise BadInput(f"hyperparameter {name} is missing and has no default; record it.")
    return replace(module.Hyperparameters(), **options | adapter.fixed(recording))


def _converted(name: str, value: Any, kind: Any, adapter: Adapter) -> Any:
    """`value` as an option of type `kind`: JSON has no infinities, and writes 1.0 as 1."""
    if value is None:
        if name not in adapter.nulls:
            raise BadInput(f"hyperparameter {name} is null; record its value, or leave it out for the default.")
        return adapter.nulls[name]
    kind = {int | None: int, float | None: float}.get(kind, kind)
    if kind is float and value in ("inf", "-inf"):
        return float(value)
    is_number = type(value) in (int, float) and (value in (math.inf, -math.inf) or abs(value) <= LARGEST)
    is_whole = type(value) is int and abs(value) <= LARGEST_WHOLE
    fits = {float: is_number, int: is_whole}.get(kind, type(value) is kind)
    if not fits:
        raise BadInput(f"hyperparameter {name}={value!r:.60} is not {WANTED[kind]}; record it as that.")
    return kind(value)


def _check_only_value(name: str, value: Any, only: float) -> None:
    if value is not None and (type(value) not in (int, float) or value != only):
        raise BadInput(f"hyperparameter {name}={value!r:.60} cannot be followed: pogo's is {only:g}; record with that.")
