"""What every option takes, from the schema's annotations, and what is refused however it is written.

OmegaConf converts what it can (`+3` and `' 3'` to 3), keeps `???` for later, and looks neither into lists of lists nor
at what `${...}` in a list comes to: an option is refused here instead, by name and before anything else looks at it.
"""

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Union, get_args, get_origin

from hydra.core.override_parser.types import Override, QuotedString

from pogo.core.algorithms import algorithm_names
from pogo.core.config.schema import known_settings, shared_settings
from pogo.core.errors import BadInput
from pogo.core.setting import Values

LARGEST_INTEGER = 2**63 - 1
LARGEST_LAYER = 65_536  # units of a hidden layer
_INTEGER = re.compile(r"-?[0-9]+")
_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "a name", dict: "a mapping"}


def option_types(algorithm: str) -> dict[str, Any]:
    """The annotation of every option, by its dotted key."""
    settings = known_settings(algorithm) if algorithm in algorithm_names() else shared_settings()
    return {key: entry.type for key, entry in settings.items()}


def check_written(override: Override, annotations: Values) -> None:
    """Refuse what stands for a missing value, and a whole number that is not written in digits.

    Raises:
        BadInput: the value holds `???`, or the option takes a whole number and is given another text that Python reads
            as one.
    """
    key, line = override.key_or_group, override.input_line or ""
    for text in _texts(override.value()):
        if text == "???":
            raise BadInput(f"{line}: ??? stands for a value that is missing; give one, or drop the option.")
    is_whole = int in _members(annotations.get(key)) and float not in _members(annotations.get(key))
    written = line.partition("=")[2]
    if is_whole and not override.is_sweep_override() and not _INTEGER.fullmatch(written) and _reads_as_whole(override):
        raise BadInput(f"{line}: {key} takes a whole number. Write a whole number in digits.")


def _reads_as_whole(override: Override) -> bool:
    texts = list(_texts(override.value())) or [override.value()]
    try:
        return isinstance(override.value(), int | str | QuotedString) and int(texts[0]) is not None
    except (TypeError, ValueError):
        return False


def check_values(values: Values, annotations: Values) -> None:
    """Refuse composed values that are not of their option's type, which OmegaConf does not see inside lists.

    Raises:
        BadInput: naming the option, its value and what it takes.
    """
    for key, annotation in annotations.items():
        value: Any = values
        for part in key.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None or annotation is Any:
            continue
        if not any(_fits(value, member) for member in _members(annotation)):
            taken = " or ".join(_described(member) for member in _members(annotation) if member is not types.NoneType)
            raise BadInput(f"{key}={_shown(value)} is not {taken}.")
        for number in value if isinstance(value, list) else [value]:
            _check_size(key, number)


def _check_size(key: str, number: Any) -> None:
    if not isinstance(number, int) or isinstance(number, bool):
        return
    if abs(number) > LARGEST_INTEGER:
        raise BadInput(f"{key}={number:.6g} is out of range; whole numbers have at most 63 bits.")
    if "hidden_size" in key and number > LARGEST_LAYER:
        raise BadInput(f"{key}: a layer of {number} units is too large; use at most {LARGEST_LAYER}.")


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value as Hydra parsed it, keys included."""
    if isinstance(value, QuotedString):
        yield value.text
    elif isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from (*_texts(key), *_texts(entry))
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _texts(entry)


def _members(annotation: Any) -> tuple[Any, ...]:
    """The types of a union, or the one type."""
    is_union = get_origin(annotation) in (Union, types.UnionType)
    return get_args(annotation) if is_union else (annotation,)


def _fits(value: Any, member: Any) -> bool:
    if member is types.NoneType or member is None:
        return value is None
    if member is Any:
        return True
    origin, arguments = get_origin(member), get_args(member)
    if origin is list or origin is tuple:
        entry = arguments[0] if arguments else Any
        return isinstance(value, list) and all(any(_fits(each, kind) for kind in _members(entry)) for each in value)
    if origin is dict or member is dict:
        return isinstance(value, dict)
    if member is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if member is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, member if isinstance(member, type) else str)


def _described(member: Any) -> str:
    origin, arguments = get_origin(member), get_args(member)
    if origin is list or origin is tuple:
        entry = get_origin(arguments[0]) or arguments[0]
        return f"a list of {_WORDS.get(entry, 'value').removeprefix('a ')}s"
    return _WORDS.get(origin or member, "a name")


def _shown(value: Sequence[Any] | Any) -> str:
    text = str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
