"""JSON that a run has left, read defensively: what is not as pogo writes it is named, and costs no more than itself."""

import contextlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_TYPE_NAMES = {str: "text", int: "a whole number", float: "a finite number", list: "a list", dict: "a mapping"}


class Unreadable(Exception):
    """A run's file is not what pogo writes: names the file, and what is wrong."""


class Document:
    """A JSON document, each entry checked as it is read."""

    def __init__(self, name: str, content: Any) -> None:
        self.name = name
        self.content = content

    @classmethod
    def read(cls, path: Path) -> "Document":
        """The document that a JSON file holds."""
        return cls.parse(str(path), path.read_bytes())

    @classmethod
    def parse(cls, name: str, data: bytes) -> "Document":
        """The document that a JSON text holds."""
        try:
            return cls(name, json.loads(data))
        except (ValueError, RecursionError) as error:
            raise Unreadable(f"{name} is not valid JSON: {error}") from error

    def get(self, kind: type[T], *keys: str) -> T:
        """The entry at `keys`, one inside the other, which must be of this type; a whole number is a number too."""
        return _checked(self._find(keys), kind, f"{self.name}: {'.'.join(keys)}")

    def get_or_none(self, kind: type[T], *keys: str) -> T | None:
        """The entry that `get` gives, or null where the file says null; a missing one is refused all the same."""
        return None if self._find(keys) is None else self.get(kind, *keys)

    def optional(self, kind: type[T], *keys: str) -> T | None:
        """The entry that `get` gives; None where the file says null, or has no such entry."""
        try:
            value = self._find(keys)
        except Unreadable:
            return None
        return None if value is None else self.get(kind, *keys)

    def optional_items(self, kind: type[T], *keys: str) -> tuple[T, ...]:
        """The entries of a list that `items` gives; none where there is no such list."""
        values = self.optional(list, *keys)
        if values is None:
            return ()
        if set(map(type, values)) == {kind} and math.isfinite(sum(values)):  # thousands of episodes, seldom wrong
            return tuple(values)
        return tuple(self.items(kind, *keys))

    def items(self, kind: type[T], *keys: str) -> list[T]:
        """The entries of the list at `keys`, all of this type."""
        name = f"{self.name}: {'.'.join(keys)}"
        return [_checked(item, kind, f"{name}[{index}]") for index, item in enumerate(self.get(list, *keys))]

    def _find(self, keys: Sequence[str]) -> Any:
        value = self.content
        for key in keys:
            if not isinstance(value, dict) or key not in value:
                raise Unreadable(f"{self.name} has no {'.'.join(keys)}")
            value = value[key]
        return value


def _checked(value: Any, kind: type[T], where: str) -> T:
    if kind is float and type(value) is int:
        with contextlib.suppress(OverflowError):  # it stays what it is, and is refused
            value = float(value)
    if type(value) is not kind or (isinstance(value, float) and not math.isfinite(value)):
        raise Unreadable(f"{where} is {value!r:.60}, not {_TYPE_NAMES[kind]}")
    return value


def in_one_line(message: str) -> str:
    """A message of several lines as one, without its last full stop."""
    return " ".join(message.split()).rstrip(".")
