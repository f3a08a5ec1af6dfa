"""Plain JSON values out of what a run holds: Python, numpy, torch and jax scalars in mappings and sequences."""

import math
from collections.abc import Callable, Mapping, Sequence
from numbers import Real
from typing import TypeAlias

JSON: TypeAlias = "Mapping[str, JSON] | Sequence[JSON] | str | int | float | bool | None"


def as_number(name: str, value: object) -> int | float | bool:
    """One Python number from a Python, numpy, torch or jax scalar; float32 becomes the double of the same value.

    Arrays of one element are refused with the others: a metric that kept an axis is a mistake somewhere.

    Raises:
        TypeError: `value` is not a real scalar. The message names it.
    """
    if isinstance(value, bool | int | float):
        return value
    # The three frameworks share `shape` and `item`, and no base class.
    shape, item = getattr(value, "shape", ()), getattr(value, "item", None)
    if tuple(shape) == () and item is not None:
        try:
            value = item()
        except (TypeError, ValueError, RuntimeError) as exc:  # a traced jax value, a torch tensor without data
            raise TypeError(f"{name} has no value to read: {exc}") from exc
    if isinstance(value, bool | int | float):
        return value
    if isinstance(value, Real):  # Fraction, longdouble
        return float(value)
    what = f"an array of shape {tuple(shape)}" if tuple(shape) else f"{type(value).__name__} {value!r:.60}"
    raise TypeError(f"{name} must be one real number, got {what}.")


def as_json(value: object, name: str, non_finite: Callable[[float], JSON]) -> JSON:
    """Plain JSON from nested mappings, sequences and scalars, keys sorted, so that equal documents are equal bytes.

    JSON has no NaN and no infinity: `non_finite` says what stands for them.

    Raises:
        TypeError: something in `value` has no JSON form; the message says where it is, starting from `name`.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):  # json.dumps would turn 1 into "1" without a word
                raise TypeError(f"{name} has the key {key!r}: JSON keys are text.")
        return {key: as_json(value[key], f"{name}/{key}", non_finite) for key in sorted(value)}
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray | memoryview):
        return [as_json(item, f"{name}/{index}", non_finite) for index, item in enumerate(value)]
    number = as_number(name, value)
    return number if math.isfinite(number) else non_finite(float(number))


def as_null(_: float) -> None:
    """What stands for NaN and the infinities in the files that other programs read: null."""


def as_text(value: float) -> str:
    """What stands for them in a config, where they are settings: `inf`, `-inf`, `nan`, as a command line takes them."""
    return str(value)
