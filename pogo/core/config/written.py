"""Values as Hydra's grammar takes them."""

import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from pogo.core.errors import BadInput

_PLAIN_WORD = re.compile(r"[A-Za-z_][\w./-]*")
_OTHER_WORDS = ("true", "false", "null", "nan", "inf")  # that Hydra takes for something else than text


def override(key: str, value: Any) -> str:
    """An option as `pogo-train` takes it, from a Python value.

    Raises:
        BadInput: the value has no form in a config.
    """
    return f"{key}={_written(key, value)}"


def _written(key: str, value: Any) -> str:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    if isinstance(value, str):
        return quoted(value)
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{quoted(str(name))}: {_written(key, entry)}' for name, entry in value.items())}}}"
    if isinstance(value, Sequence | np.ndarray):
        return f"[{', '.join(_written(key, entry) for entry in value)}]"
    raise BadInput(f"{key} is a {type(value).__name__}; options are numbers, texts, true or false, lists and mappings.")


def quoted(text: str) -> str:
    """A text as Hydra reads it again, whatever is in it."""
    if _PLAIN_WORD.fullmatch(text) and text.lower() not in _OTHER_WORDS:
        return text
    backslashes = len(text) - len(text.rstrip("\\"))
    escaped = text.replace("'", "\\'") + "\\" * backslashes
    return f"'{escaped}'"
