"""A mapping of a YAML file, taken apart entry by entry; what is not as it must be is named by file and key."""

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from pogo.core.errors import BadInput, check_name


class Section:
    """A mapping in a file. Entries are taken by name; `close` refuses those that nobody has taken."""

    def __init__(self, file: Path, key: str, content: Any) -> None:
        """Take a mapping.

        Raises:
            BadInput: it is none.
        """
        self._file, self._key = file, key
        if not isinstance(content, dict) or not all(isinstance(name, str) for name in content):
            raise self.refusal("", f"{content!r:.60} is no mapping; write entries KEY: VALUE")
        self._content: dict[str, Any] = dict(content)
        self._known: list[str] = []

    @classmethod
    def read(cls, file: Path) -> "Section":
        """The whole of a YAML file.

        Raises:
            BadInput: it cannot be read, or holds no mapping.
        """
        try:
            content = OmegaConf.to_container(OmegaConf.load(file))
        except OSError as error:
            raise BadInput(f"{file} cannot be read: {error.strerror}; give a study's YAML file.") from error
        except (YAMLError, OmegaConfBaseException, UnicodeDecodeError) as error:
            raise BadInput(f"{file} is no YAML: {' '.join(str(error).split())}.") from error
        return cls(file, "", content)

    def refusal(self, name: str, why: str) -> BadInput:
        """What to say of an entry; of the mapping itself where no name is given."""
        path = ".".join(part for part in (self._key, name) if part)
        return BadInput(f"{self._file}: {path}: {why}." if path else f"{self._file}: {why}.")

    def has(self, name: str) -> bool:
        """Whether there is such an entry."""
        return name in self._content

    def names(self) -> list[str]:
        """Of all entries, in the file's order."""
        return list(self._content)

    def value(self, name: str, default: Any = None) -> Any:
        """An entry, whatever it is."""
        self._known.append(name)
        return self._content.get(name, default)

    def section(self, name: str) -> "Section":
        """A mapping inside; an empty one where it is not there."""
        return self.nested(name, self.value(name, {}))

    def nested(self, name: str, content: Any) -> "Section":
        """A mapping that stands for an entry."""
        return Section(self._file, f"{self._key}.{name}" if self._key else name, content)

    def word(self, name: str, known: Collection[str], default: str) -> str:
        """One of several words."""
        given = self.value(name, default)
        try:
            check_name(".".join(part for part in (self._key, name) if part), str(given), known)
        except BadInput as error:
            raise BadInput(f"{self._file}: {error}") from error
        return str(given)

    def count(self, name: str, least: int, default: int | None) -> int:
        """A whole number of at least so much; one without a default must be given."""
        given = self.value(name, default)
        if type(given) is not int or given < least:
            raise self.refusal(name, f"{_shown(given)} is no whole number of at least {least}; write one")
        return given

    def number(self, name: str, default: float | None = None) -> float:
        """A finite number; one without a default must be given."""
        given = self.value(name, default)
        if not is_number(given):
            raise self.refusal(name, f"{_shown(given)} is no number; write one")
        return float(given)

    def flag(self, name: str) -> bool:
        """True or false, and false where nothing is given."""
        given = self.value(name, False)
        if not isinstance(given, bool):
            raise self.refusal(name, f"{_shown(given)} is neither true nor false; write one of them")
        return given

    def items(self, name: str, what: str) -> list[Any]:
        """A list with something in it."""
        given = self.value(name)
        if not isinstance(given, list) or not given:
            raise self.refusal(name, f"{_shown(given)} is no list; write {what}")
        return given

    def close(self) -> None:
        """Refuse entries that have not been taken.

        Raises:
            BadInput: with the nearest name that may be there.
        """
        for name in self._content:
            try:
                check_name(f"{self._key}: key" if self._key else "key", name, self._known)
            except BadInput as error:
                raise BadInput(f"{self._file}: {error}") from error


def is_number(value: Any) -> bool:
    """Whether a value is a finite number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _shown(value: Any) -> str:
    return "nothing" if value is None else f"{value!r:.60}"
