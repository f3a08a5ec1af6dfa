"""From command-line overrides to one composed config; every mistake becomes one line of pogo's own."""

import contextlib
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from hydra import compose
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from pogo.core.algorithms import algorithm_names, load_algorithm
from pogo.core.config.bases import SWEEP, Bases
from pogo.core.config.hydra_schemas import register, register_algorithm
from pogo.core.config.launcher import GROUP as LAUNCHER
from pogo.core.config.launcher import (
    LAUNCHERS,
    Launcher,
    check_launcher_key,
    is_of_launcher,
    is_path_of_launcher,
    launcher_of,
    refuse_without_many,
)
from pogo.core.config.option_types import check_values, check_written, option_types
from pogo.core.config.provenance import setting_sources
from pogo.core.config.published import GROUP, published_choices, register_published
from pogo.core.config.recorded import options_of
from pogo.core.config.schema import SECTIONS, SOURCES, asked_settings, meaning
from pogo.core.config.search_path import FILE_KEY, OWN_KEYS, PRIMARY, SearchPath, search_path
from pogo.core.data import d4rl
from pogo.core.data.config import BUNDLED, CUSTOM, ONLINE
from pogo.core.data.environment import NO_ENVIRONMENT
from pogo.core.data.readers import FILE_SUFFIXES
from pogo.core.errors import BadInput, check_name
from pogo.core.files.summary import CONFIG
from pogo.core.problem.actors import ACTOR_KINDS
from pogo.core.registry import BACKENDS

DEFAULT_ALGORITHM = "iql"  # of conf/config.yaml
# What OmegaConf says of a value that cannot be what an option takes, and what it takes.
_TAKEN = (
    (r"converted to Integer", "Write a whole number in digits."),
    (r"converted to Float", "Write a number, such as 0.5 or 1e-3."),
    (r"not a valid bool", "Write true or false."),
    (r"Cannot convert '\w+' to string", "Write a single value."),
)


class Request(NamedTuple):
    """Options that are checked, and what Hydra is asked for by them."""

    folders: SearchPath
    algorithm: str
    overrides: list[Override]  # as they were given
    arguments: list[str]  # for Hydra: with the dataset that others stand for, without what names folders
    sources: dict[str, str]  # of what a run's config.json has said


def compose_config(arguments: Sequence[str], in_sweep: bool = False, bases: Bases | None = None) -> dict[str, Any]:
    """The composed config as plain values, before anything is derived from it; `sources` says where each came from.

    Args:
        arguments: overrides, key=value.
        in_sweep: whether an experiment's `sweep` does not matter; else it is refused, unless the options say a value
            of each key that it goes over.
        bases: what it shares with the other runs.

    Raises:
        BadInput: an override that cannot be read, an unknown key or option, a value of the wrong type.
    """
    request = read_request(arguments, bases)
    overrides, algorithm = request.overrides, request.algorithm
    try:
        values = _composed_values(request, bases)
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(_explain(error, algorithm)) from error
    check_values(values, option_types(algorithm))
    del values[LAUNCHER]
    sweep = values.pop(SWEEP, None)
    if sweep and not in_sweep:
        _check_is_one_run(sweep, overrides)
    sources = setting_sources(values, parse_overrides(request.arguments), request.folders)
    return values | {SOURCES: {**sources, **request.sources}}


def _check_is_one_run(sweep: Any, overrides: Sequence[Override]) -> None:
    """Refuse an experiment of many runs, unless the options say which one of them."""
    given = {override.key_or_group for override in overrides}
    if any(set(block) <= given for block in (sweep if isinstance(sweep, list) else [sweep])):
        return
    raise BadInput(f"experiment={_value(overrides, 'experiment')} is many runs; add -m to start them.")


def _composed_values(request: Request, bases: Bases | None) -> dict[str, Any]:
    folders = request.folders
    if bases is not None:
        # What is refused here is refused below too, where Hydra has the whole of it to speak of.
        with contextlib.suppress(HydraException, OmegaConfBaseException):
            return _plain(bases.composed(folders, parse_overrides(request.arguments)))
    with folders.hydra():
        return _plain(compose(folders.primary, request.arguments))


def _plain(composed: DictConfig) -> dict[str, Any]:
    return OmegaConf.to_container(composed, resolve=True)  # type: ignore[return-value] - a mapping


def compose_launcher(arguments: Sequence[str]) -> Launcher:
    """Where the options, or the experiment that they name, have many runs computed.

    Args:
        arguments: overrides, key=value; those of one run are not looked at.

    Raises:
        BadInput: an unknown launcher, or a setting of it that is unknown, of the wrong type, or out of bounds.
    """
    register()
    overrides = parse_overrides([_quoted_path(argument) for argument in arguments])
    folders = search_path(overrides)
    choices, settings = [], []
    for override in overrides:
        key = override.key_or_group
        if is_of_launcher(key) and override.is_sweep_override():
            raise BadInput(f"{override.input_line}: all runs of one command have one launcher; give one value.")
        if key == LAUNCHER:
            check_name(LAUNCHER, str(override.value()), {*LAUNCHERS, *folders.names(LAUNCHER)})
        if key == LAUNCHER or (key == "experiment" and not _is_no_experiment(override)):
            choices.append(override)
        elif is_of_launcher(key):
            settings.append(override)
    launcher = _composed_launcher(choices, folders)
    for override in settings:
        check_launcher_key(launcher, override.key_or_group)
    return _composed_launcher([*choices, *settings], folders) if settings else launcher


def _composed_launcher(overrides: Sequence[Override], folders: SearchPath) -> Launcher:
    try:
        with folders.hydra():
            composed = compose(folders.primary, [override.input_line or "" for override in overrides])
        values: Any = OmegaConf.to_container(composed[LAUNCHER], resolve=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise BadInput(_explain(error, DEFAULT_ALGORITHM)) from error
    return launcher_of(values)


def read_request(arguments: Sequence[str], bases: Bases | None = None) -> Request:
    """Check what can be checked of options before they are composed; `bases`: what they share with other runs.

    Raises:
        BadInput: an override that cannot be read, an unknown name, or a form that has no place here.
    """
    register()
    for argument in arguments:
        if argument.startswith("-"):
            raise BadInput(f"{argument}: no such option; options are key=value, --cfg, --help and --version.")
        if "=" not in argument and Path(argument).name == CONFIG:
            raise BadInput(f"{argument} is no setting; for the run that it is of: --config {argument}.")
    arguments = [_quoted_path(argument.removeprefix("++")) for argument in arguments]  # ++key=value sets a key too
    arguments, sources = _with_file(arguments, bases)
    overrides = parse_overrides(arguments)
    folders = search_path(overrides)
    if bases is not None:
        folders = bases.folders(folders)
    _check_choices(overrides, folders)
    # Hydra takes no null for a group, not even where it is the default.
    given = zip(arguments, overrides, strict=True)
    arguments = [text for text, each in given if not _is_no_experiment(each) and each.key_or_group not in OWN_KEYS]
    algorithm = _algorithm(overrides, folders)
    register_algorithm(algorithm)
    register_published(algorithm)
    annotations = option_types(algorithm)
    for override in overrides:
        check_written(override, annotations)
    _check_published(overrides, algorithm, folders)
    if _value(overrides, "dataset") is None:
        arguments += _implied_dataset(overrides, algorithm)
    return Request(folders, algorithm, overrides, arguments, sources)


def _with_file(arguments: list[str], bases: Bases | None) -> tuple[list[str], dict[str, str]]:
    """The options with those that a run's config.json stands for, if one is named; and the sources of these."""
    overrides = parse_overrides(arguments)
    file = _value(overrides, FILE_KEY)
    if file is None:
        return arguments, {}
    pairs = zip(arguments, overrides, strict=True)
    others = [(text, each) for text, each in pairs if each.key_or_group != FILE_KEY]
    texts, rest = [text for text, _ in others], [each for _, each in others]
    path = Path(str(file)).expanduser()
    of_files = {} if bases is None else bases.of_files
    taken, sources = options_of(path, texts, rest, lambda given: compose_config(given, True, bases), of_files)
    return [*map(_quoted_path, taken), *texts], sources


def _implied_dataset(overrides: Sequence[Override], algorithm: str) -> list[str]:
    """The choice of a dataset that other options stand for."""
    if _value(overrides, "dataset.path") is not None:
        return [f"dataset={CUSTOM}"]
    names_environment = _value(overrides, "env") not in (None, NO_ENVIRONMENT)
    continues = _value(overrides, "resume_from") is not None
    is_named = _value(overrides, "algorithm") is not None
    collects = is_named and load_algorithm(algorithm).published_env_steps is not None
    if collects and (names_environment or continues):
        return [f"dataset={ONLINE}"]
    return []


def _algorithm(overrides: Sequence[Override], folders: SearchPath) -> str:
    """The algorithm that the options choose, or the experiment that they name; a choice of the user's may be of one."""
    return _algorithm_of_choice(folders.choices(overrides).get("algorithm", DEFAULT_ALGORITHM), folders)


def _algorithm_of_choice(choice: str, folders: SearchPath, above: tuple[str, ...] = ()) -> str:
    """The algorithm that a choice of the group comes to: itself, or what a file of the user's says or builds on.

    Raises:
        BadInput: a file that names no algorithm.
    """
    path = folders.find("algorithm", choice)
    if choice in algorithm_names() or path is None:
        return choice
    content = folders.read(path).content
    if "name" in content:
        return str(content["name"])
    for entry in content.get("defaults", []):
        name = str(entry).removeprefix("/algorithm/")
        if name.removesuffix("_schema") in algorithm_names():
            return name.removesuffix("_schema")
        if name not in above and folders.find("algorithm", name) is not None:
            return _algorithm_of_choice(name, folders, (*above, choice))
    raise BadInput(f"{path} names no algorithm; begin it with defaults: [{DEFAULT_ALGORITHM}], or another algorithm.")


def _check_published(overrides: Sequence[Override], algorithm: str, folders: SearchPath) -> None:
    """Refuse settings that are published for another algorithm: what the two have in common would be taken over."""
    choice = _value(overrides, GROUP)
    if choice is None:
        return
    owner = published_choices().get(choice, algorithm)  # a file of the user's may be for any
    if owner != algorithm:
        ours = algorithm + choice.removeprefix(owner)
        is_there = ours in published_choices() or folders.find(GROUP, ours) is not None
        mend = f"use algorithm_dataset={ours}" if is_there else f"drop it, or use algorithm={owner}"
        raise BadInput(
            f"algorithm_dataset={choice} is of algorithm={owner}, and this is algorithm={algorithm}; {mend}."
        )


def _quoted_path(argument: str) -> str:
    """A path as Hydra's grammar takes it, which knows no ~ and gives = and commas meanings of their own."""
    key, separator, value = argument.partition("=")
    if (
        not (meaning(key).path or is_path_of_launcher(key))
        or not separator
        or value in ("", "null")
        or value[0] in "'\""
    ):
        return argument
    backslashes = len(value) - len(value.rstrip("\\"))
    quoted = value.replace("'", "\\'") + "\\" * backslashes
    return f"{key}='{quoted}'"


def parse_overrides(arguments: Sequence[str]) -> list[Override]:
    """Overrides as Hydra reads them.

    Raises:
        BadInput: Hydra's grammar refuses an override.
    """
    try:
        return [_parsed(argument) for argument in arguments]
    except HydraException as error:
        raise BadInput(
            f"{_one_line(error)} Overrides are written key=value, lists [a,b], mappings {{k: v}}."
        ) from error


@lru_cache(maxsize=8192)  # the runs of a sweep are asked for by the same few options
def _parsed(argument: str) -> Override:
    return OverridesParser.create().parse_overrides([argument])[0]


def _check_choices(overrides: Sequence[Override], folders: SearchPath) -> None:
    """Names with their nearest match, where Hydra would list files."""
    known = {
        "backend": tuple(BACKENDS),
        "algorithm": {*algorithm_names(), *folders.names("algorithm")},
        "dataset": {*BUNDLED, CUSTOM, ONLINE, *d4rl.D4RL_DATASETS, *folders.names("dataset")},
        GROUP: {*published_choices(), *folders.names(GROUP)} if _value(overrides, GROUP) is not None else (),
        "experiment": folders.names("experiment"),
    }
    for override in overrides:
        _check_form(override)
        key, choice = override.key_or_group, str(override.value())
        if key in known and not _is_no_experiment(override):
            if key == "dataset" and choice.endswith(FILE_SUFFIXES):
                raise BadInput(f"dataset={choice} is a file, not a name; use dataset.path={choice}.")
            check_name(key, choice, known[key])


def _is_no_experiment(override: Override) -> bool:
    return override.key_or_group == "experiment" and override.value() is None


def _check_form(override: Override) -> None:
    """Refuse what Hydra's grammar allows and a run has no use for."""
    key, line = override.key_or_group, override.input_line
    if not key:
        raise BadInput(f"{line}: nothing is named before the =; write key=value.")
    if override.is_add() or override.is_force_add() or override.is_delete():
        raise BadInput(f"{line}: keys can be set, not added or removed; write key=value.")
    if re.split("[./]", key)[0] == "hydra" and key not in OWN_KEYS:
        raise BadInput(f"{line}: {_why_not_hydras(key)}")
    if _names_target(key.split(".")) or _names_target(override.value()):
        raise BadInput(f"{line}: _target_ has no place here; a config names what pogo has registered.")
    if is_of_launcher(key):
        raise refuse_without_many(line or key)
    if key.split(".")[0] == SWEEP:
        raise BadInput(f"{line}: an experiment's file has a {SWEEP}; here a key takes several values, as in seed=0,1.")
    if override.is_sweep_override():
        raise BadInput(f"{line}: one run takes one value; add -m for a run of each.")
    if key in ("backend.name", "algorithm.name"):
        raise BadInput(f"{line}: write {key.split('.')[0]}={override.value()}, which brings its settings too.")


def _why_not_hydras(key: str) -> str:
    if re.match(r"hydra\.(run|sweep|job|output_subdir|runtime)\b", key):
        return "pogo keeps its own run folder; set run.dir or run.root."
    if key.startswith(("hydra.launcher", "hydra/launcher", "hydra.sweeper", "hydra/sweeper", "hydra.mode")):
        return "pogo starts many runs by -m, with --jobs N of them side by side."
    return "Hydra's own settings are none of pogo's; see pogo-train --help."


def _names_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(_names_target(entry) for entry in value.values())
    return isinstance(value, list) and any(entry == "_target_" or _names_target(entry) for entry in value)


def _value(overrides: Sequence[Override], key: str) -> Any:
    """What a key is set to: Hydra takes the last of several."""
    return next((override.value() for override in reversed(overrides) if override.key_or_group == key), None)


def _explain(error: Exception, algorithm: str) -> str:
    """One line for an error of Hydra's or OmegaConf's, with the nearest key where the key is unknown."""
    text = " ".join(_one_line(part) for part in (error, error.__cause__) if part is not None)
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        key = unknown.group(1)
        section = key.rsplit(".", 1)[0] if "." in key else "the config"
        nested = re.search(r"Key '([^']+)'", text)
        if nested and nested.group(1) != key.rsplit(".", 1)[-1]:  # the key of a mapping given for a section
            key, section = f"{key}.{nested.group(1)}", key
        return _unknown_key(key, section, algorithm) if nested or "not in struct" in text else text
    merged = str(error).removeprefix("Error merging override ")
    if merged != str(error) and error.__cause__ is not None:
        text = f"{merged}: {_what_is_taken(merged, error.__cause__) or _one_line(error.__cause__)}"
    return " ".join([text, *(mend for pattern, mend in _TAKEN if re.search(pattern, text))])


def _what_is_taken(override: str, cause: BaseException) -> str | None:
    """What an option takes, where OmegaConf speaks of its own types only."""
    key, _, value = override.partition("=")
    key, said = str(getattr(cause, "full_key", None) or key), _one_line(cause)
    is_null = "is not Optional" in said or "Incompatible value 'None'" in said
    if key == "chain.actors" or re.search(r"Dict\[str, Any\]|key type hint", said):
        kind = value.strip("[]")
        example = kind if kind in ACTOR_KINDS else ACTOR_KINDS[0]
        return f"each actor is a mapping of options in a list; write chain.actors=[{{kind: {example}}}]."
    if key in SECTIONS:
        defaults = {name: entry.default for name, entry in asked_settings(SECTIONS[key])}
        named = next((name for name, default in defaults.items() if isinstance(default, str)), None)
        is_word = value.isalpha() and value.lower() not in ("true", "false", "null", *defaults)
        example = f", such as {key}.{named}={value}" if named and is_word else ""
        return f"{key} is a section; write {key}.KEY=VALUE{example}, where KEY is one of {', '.join(defaults)}."
    if is_null:
        return f"{key} cannot be null; give a value, or drop it."
    if "is not a ListConfig" in said or said.startswith("Cannot merge DictConfig with ListConfig"):
        return f"{key} is a list; write {key}=[{'...' if value.startswith('{') else value}]."
    return None


def _unknown_key(key: str, section: str, algorithm: str) -> str:
    with SearchPath().hydra():
        composed = compose(PRIMARY, [f"algorithm={algorithm}"])
    try:
        check_name(f"with algorithm={algorithm}, config key", key, _flat_keys(composed))
    except BadInput as error:
        return f"{str(error).split(' Known:')[0]} pogo-train --cfg prints the keys of {section}."
    return f"config key {key} cannot be set here."


def _flat_keys(config: DictConfig, prefix: str = "") -> list[str]:
    keys = []
    for name in config:
        value = config._get_node(name)
        path = f"{prefix}{name}"
        keys += _flat_keys(value, f"{path}.") if isinstance(value, DictConfig) and value._content else [path]
    return keys


def _one_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    kept = [line for line in lines if line and not line.startswith(("full_key:", "object_type=", "reference_type="))]
    text = " ".join(kept)
    return text if text.endswith(".") else f"{text}."
