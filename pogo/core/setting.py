"""A setting's declaration: its default, and beside it all that the program ever asks about it."""

import copy
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from pogo.core.errors import BadInput

# Plain values by name, as YAML and JSON hold them: texts, numbers, switches, null, and lists and mappings of such.
Values: TypeAlias = Mapping[str, Any]

# What a resumed run may do with it: nothing; anything; change it, which the log tells; or make the run longer.
OnResume = Literal["fixed", "free", "from_here", "may_grow"]
_MEANING = "meaning"


@dataclass(frozen=True)
class Meaning:
    """What a setting is beside its name, type and default."""

    least: float | None = None  # the smallest value that it may have
    most: float | None = None  # the largest
    hint: str = ""  # what else to say to whom goes beyond them
    on_resume: OnResume = "fixed"
    identity: bool = True  # it is part of what a run computes: `pogo-report` tells runs apart by it
    label: bool = False  # a run's folder and every table name it
    path: bool = False  # it names a file or a folder, and is taken as it is typed
    online: bool = False  # only a run that collects its own data reads it
    inferred: bool = False  # null, where it is not given, until other settings say what it is
    one_for_all: bool = (
        False  # of a list with an entry for each later actor: one number may stand for all, null for none
    )

    @property
    def has_bounds(self) -> bool:
        """Whether there is a smallest or largest value."""
        return self.least is not None or self.most is not None

    def check(self, key: str, value: Any) -> None:
        """Refuse a number out of bounds; null and what is no number pass.

        Raises:
            BadInput: naming the setting, its value and the bound.
        """
        if not isinstance(value, int | float) or isinstance(value, bool):
            return
        number, hint = "whole number" if isinstance(value, int) else "number", f"; {self.hint}" if self.hint else ""
        if self.least is not None and not value >= self.least:
            raise BadInput(f"{key}={value} is too small; use a {number} of at least {self.least}{hint}.")
        if self.most is not None and not value <= self.most:
            raise BadInput(f"{key}={value} is too large; use a {number} of at most {self.most}{hint}.")


PLAIN = Meaning()  # of a field that says nothing of itself


def setting(
    default: Any,
    *,
    least: float | None = None,
    most: float | None = None,
    hint: str = "",
    on_resume: OnResume = "fixed",
    identity: bool = True,
    label: bool = False,
    path: bool = False,
    online: bool = False,
    inferred: bool = False,
    one_for_all: bool = False,
) -> Any:
    """A dataclass field with this default and this `Meaning`; a list or mapping is copied for each instance.

    The default of an inferred setting is what a run has that was recorded before there was such a setting.
    """
    meaning = Meaning(least, most, hint, on_resume, identity, label, path, online, inferred, one_for_all)
    metadata = {_MEANING: meaning}
    if isinstance(default, list | dict):
        return dataclasses.field(default_factory=lambda: copy.deepcopy(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def meaning_of(field: dataclasses.Field) -> Meaning:
    """What a dataclass field says of itself."""
    return field.metadata.get(_MEANING, PLAIN)
