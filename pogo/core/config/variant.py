"""The folder above a run's seed, `run.variant`, where it is not given: what its path would not tell otherwise."""

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from pogo.core.algorithms import load_algorithm
from pogo.core.config.provenance import COMMAND_LINE
from pogo.core.config.published import default_of
from pogo.core.config.schema import SOURCES, Config, meaning, value_at
from pogo.core.setting import Values

LONGEST_VARIANT = 200  # bytes, of the 255 that a name may have
# Of what a run may not change, these are in its path by another name, or say what its data is: that has a name.
_NAMED = ("env", "chain.num_actors", "chain.carry", "resume_from", "chain.base")
_OF_DATA, _CHOSEN_OF_DATA = "dataset.", "dataset.view"


def inferred_variant(asked: Values, config: Config, always: Mapping[str, str] | None = None) -> str | None:
    """What the command line changes and the path does not name, as a folder's name; None: nothing.

    Args:
        asked: the composed config.
        config: what it comes to. The length of a schedule is not named: a run that is made longer may be told it.
        always: what is named whatever its value, as it is written: that which several runs of one command differ by.
    """
    algorithm, dataset = asked["algorithm"]["name"], asked["dataset"]["name"]
    schedule = f"algorithm.{load_algorithm(algorithm).scheduled(config.algorithm.hyperparameters)}"
    names = {
        key: _as_name(value_at(asked, key) if key in asked[SOURCES] else text) for key, text in (always or {}).items()
    }
    for key, source in sorted(asked[SOURCES].items()):
        if source == COMMAND_LINE and key not in names and key != schedule and _is_unnamed(key):
            value = value_at(asked, key)
            if value != default_of(algorithm, dataset, key):
                names[key] = _as_name(value)
    return _shortened(",".join(f"{key}={name}" for key, name in names.items())) or None


def _shortened(name: str) -> str:
    """A name that a file system holds: of a long one the beginning, and a digest of the whole."""
    if len(name.encode()) <= LONGEST_VARIANT:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:12]
    return f"{name.encode()[:LONGEST_VARIANT].decode(errors='ignore')}-{digest}"


def _is_unnamed(key: str) -> bool:
    """Whether two runs that differ in a setting would share a folder, and refuse each other there."""
    if key in _NAMED or (key.startswith(_OF_DATA) and key != _CHOSEN_OF_DATA):
        return False
    return meaning(key).on_resume == "fixed" and not meaning(key).label


def _as_name(value: Any) -> str:
    """A value as part of a folder's name."""
    text = value if isinstance(value, str) else json.dumps(value)
    return re.sub(r"[^\w.+=-]+", "_", text.replace('"', "")).strip("_") or "empty"
