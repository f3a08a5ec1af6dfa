"""A run's config.json as options of another run: what `pogo-train --config FILE` stands for.

What the file says is composed as if it had been typed before the options that are given, and each setting keeps the
source that it had. What the run had inferred, as the number of actors from their weights, has the value that it came
to, except where the new options make it another.
"""

import json
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import MISSING

from pogo import __version__
from pogo.core.config.provenance import COMMAND_LINE, DEFAULT, keys_of_override
from pogo.core.config.published import GROUP
from pogo.core.config.resolution import resolve
from pogo.core.config.schema import NOTES, SOURCES, known_settings, settings_of_old, value_at
from pogo.core.config.search_path import NAME_KEY
from pogo.core.config.written import override
from pogo.core.data.config import CUSTOM, ONLINE
from pogo.core.errors import BadInput
from pogo.core.files.summary import CONFIG
from pogo.core.setting import Values
from pogo.core.system.machine import available_cpus

Compose = Callable[[Sequence[str]], Values]  # options to a composed config

_CHOICES = ("backend", "algorithm", "dataset")  # sections that a name chooses
# Beginnings of the sources of what an algorithm or a dataset brings, or what nobody has said.
_OF_A_CHOICE = (DEFAULT, "as ", "conf/algorithm", "conf/dataset", "conf/published")
_NOT_SAID = (DEFAULT, "as ")

logger = logging.getLogger("pogo")


@dataclass(frozen=True)
class Recorded:
    """What a config.json says: every setting of a run by its dotted key, and where it came from."""

    path: Path
    settings: Values
    sources: Mapping[str, str]

    def source(self, key: str) -> str:
        """Where a setting came from; of a pogo that did not say: from the command line."""
        return self.sources.get(key, COMMAND_LINE)

    @property
    def inferred(self) -> dict[str, Any]:
        """What would be null in a composed config, as nobody has said it, and the values that it came to."""
        known = known_settings(self.settings["algorithm.name"])
        return {
            key: value
            for key, value in self.settings.items()
            if key in known
            and known[key].default is None
            and value not in (None, [])
            and self.source(key).startswith(_NOT_SAID)
        }


def options_of(
    path: Path, arguments: Sequence[str], overrides: Sequence[Override], compose: Compose, of_files: dict[Path, Values]
) -> tuple[list[str], dict[str, str]]:
    """The options that a config.json stands for beside further ones, and the sources of what they set.

    A setting that is given is not taken from the file, and neither is the section of a backend, an algorithm or a
    dataset that is chosen anew. Another algorithm or dataset also brings what is published for it: of the rest of the
    file, only what that run was told counts then. `run.dir` never counts.

    Args:
        path: the file.
        arguments: the further options.
        overrides: the same, as Hydra reads them.
        compose: composes options.
        of_files: what files come to by themselves, as far as that is known; it is added to.

    Raises:
        BadInput: it is no config.json of pogo's; it has a setting that this pogo has not; or the options do not go with
            a file that says every setting.
    """
    recorded = read_recorded(path)
    _check_choices(recorded, overrides)
    taken, inferred = _taken(recorded, overrides), recorded.inferred
    if path not in of_files:
        try:
            of_files[path] = resolve(compose(_written(recorded, recorded.settings.keys() - inferred.keys()))).to_json()
        except BadInput as error:
            raise BadInput(f"{recorded.path}: {error}") from error
    alone = of_files[path]
    now = alone
    if arguments:
        now = resolve(compose([*_written(recorded, taken - inferred.keys()), *arguments])).to_json()
    for key in taken & inferred.keys():
        if value_at(alone, key) != value_at(now, key) or not _fits_here(recorded, key):
            taken.remove(key)
    return _written(recorded, taken), {key: recorded.source(key) for key in taken}


def _check_choices(recorded: Recorded, overrides: Sequence[Override]) -> None:
    for each in overrides:
        if each.key_or_group in ("experiment", GROUP, NAME_KEY):
            raise BadInput(
                f"{each.input_line} beside --config {recorded.path}: each says what the run's settings are; drop one."
            )


def _taken(recorded: Recorded, overrides: Sequence[Override]) -> set[str]:
    """The keys that are taken from the file beside these options."""
    given = {key for each in overrides for key in keys_of_override(each)}
    if "chain.w2_weights" in given:
        given.add("chain.last_w2_weight")  # which stands for the last of them
    chosen = {each.key_or_group: str(each.value()) for each in overrides if each.key_or_group in _CHOICES}
    anew = {name for name, choice in chosen.items() if choice != recorded.settings[f"{name}.name"]}
    taken = {key for key in recorded.settings if key not in given and key.partition(".")[0] not in anew}
    if anew & {"algorithm", "dataset"}:
        taken = {key for key in taken if key.endswith(".name") or not recorded.source(key).startswith(_OF_A_CHOICE)}
    return taken - {"run.dir"}


def _fits_here(recorded: Recorded, key: str) -> bool:
    """Whether an inferred value is taken over: not what follows from others alone, and no more CPUs than there are."""
    if key == "run.variant" or (key == "train.updates" and recorded.settings["dataset.name"] == ONLINE):
        return False
    threads, available = recorded.settings["threads"], available_cpus()
    if key == "threads" and isinstance(threads, int) and threads > available:
        logger.info("%s: that run had %d threads; this process may use %d CPUs.", recorded.path, threads, available)
        return False
    return True


def _written(recorded: Recorded, keys: Collection[str]) -> list[str]:
    """These settings of the file as options: the choices of sections first, then their settings."""
    settings, known = recorded.settings, known_settings(recorded.settings["algorithm.name"])
    choices = {name: settings[f"{name}.name"] for name in _CHOICES if f"{name}.name" in keys}
    if "dataset" in choices:  # with every setting written out, no choice of a dataset has anything to add
        choices["dataset"] = ONLINE if settings["dataset.name"] == ONLINE else CUSTOM
    written = [override(name, choice) for name, choice in choices.items()]
    said = {"backend.name", "algorithm.name"} | ({"dataset.name"} if choices.get("dataset") == ONLINE else set())
    for key in sorted(set(keys) - said):
        is_null = settings[key] == [] and known[key].default is None  # a list that is none
        written.append(override(key, None if is_null else settings[key]))
    return written


@cache
def read_recorded(path: Path) -> Recorded:
    """Read a run's config.json, or that of the run whose folder is named; what an older pogo left out is said, once.

    Raises:
        BadInput: there is no such file, it is not pogo's, or it has a setting that this pogo has not.
    """
    path = path / CONFIG if path.is_dir() else path
    try:
        document = json.loads(path.read_bytes())
        settings = _flat(document)
        sources = dict(document.get(SOURCES, {}))
        writer = document.get("pogo", {}).get("version", "another version")
        if not all(isinstance(settings[f"{name}.name"], str) for name in _CHOICES):
            raise TypeError("backend, algorithm or dataset has no name")
    except OSError as error:
        raise BadInput(
            f"--config {path} cannot be read ({error.strerror}); give a run's {CONFIG}, such as "
            f"runs/pendulum-medium-replay/iql_torch/w2_10_10/seed_0/{CONFIG}."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else error
        raise BadInput(f"--config {path} is not what pogo writes ({reason}); give a run's {CONFIG}.") from error
    try:
        known = known_settings(settings["algorithm.name"])
    except BadInput as error:
        raise BadInput(f"--config {path}: {error}") from error
    if unknown := sorted(settings.keys() - known.keys() - {"algorithm.name"}):
        other = "" if writer == __version__ else f", or run it with the pogo that wrote it ({writer})"
        raise BadInput(
            f"--config {path} has {', '.join(unknown)}, which pogo {__version__} does not know; take that out of the "
            f"file{other}."
        )
    old = {key: value for key, value in settings_of_old().items() if key not in settings and value != MISSING}
    if missing := sorted((known.keys() - settings.keys()) | old.keys()):
        logger.info("%s, of another pogo, has no %s: these are as by default.", path, ", ".join(missing))
    return Recorded(path, old | settings, dict.fromkeys(old, DEFAULT) | sources)


def _flat(document: Values) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for section, value in document.items():
        if isinstance(value, dict) and section not in (SOURCES, *NOTES):
            flat |= {f"{section}.{key}": entry for key, entry in value.items()}
        elif section not in (SOURCES, *NOTES):
            flat[section] = value
    return flat
