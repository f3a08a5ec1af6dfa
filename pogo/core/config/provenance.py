"""Where each setting of a composed config came from, for the record of the run."""

import re
from collections.abc import Mapping, Sequence

from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from pogo.core.config.published import GROUP, published_settings, table_path
from pogo.core.config.schema import SOURCES, Config
from pogo.core.config.search_path import PRIMARY, GroupFile, SearchPath
from pogo.core.setting import Values

COMMAND_LINE = "command line"
DEFAULT = "default"
GROUPS = ("backend", "algorithm", "dataset", "algorithm_dataset", "experiment")  # in the order of their precedence


def setting_sources(composed: Values, overrides: Sequence[Override], folders: SearchPath) -> dict[str, str]:
    """The source of every setting, by dotted key; later groups of `conf/config.yaml`'s defaults win, as in Hydra.

    A source is `command line`, a file of a group, the algorithm's default, or pogo's own default.
    """
    algorithm = composed["algorithm"]["name"]
    sources = dict.fromkeys(flat_keys(composed), DEFAULT)
    sources |= {key: published_default(algorithm) for key in sources if key.startswith("algorithm.")}
    chosen = folders.choices(overrides)
    of_algorithm, of_dataset = chosen.get("algorithm", algorithm), chosen.get("dataset", composed["dataset"]["name"])
    published = chosen.get("algorithm_dataset", f"{of_algorithm}_{of_dataset}")
    choices = (composed["backend"]["name"], of_algorithm, of_dataset, published, chosen.get("experiment"))
    for group, choice in zip(GROUPS, choices, strict=True):
        path = None if choice is None else folders.find(group, choice)
        if path is None and group == GROUP and choice is not None:
            settings = published_settings(algorithm).get(choice.removeprefix(f"{algorithm}_"), {})
            sources |= {key: folders.label(table_path(algorithm)) for key in settings if key in sources}
        if path is None:  # a D4RL name and most pairs have none
            continue
        name = folders.label(path)
        sources |= {key: name for key in _keys_of_file(folders.read(path), group) if key in sources}
    if folders.primary != PRIMARY and (path := folders.find("", folders.primary)) is not None:
        sources |= {key: folders.label(path) for key in _keys_of_file(folders.read(path), "") if key in sources}
    for override in overrides:
        sources |= {key: COMMAND_LINE for key in keys_of_override(override) if key in sources}
    return sources


def published_default(algorithm: str) -> str:
    """The source of what an algorithm's own module says: as published, but for what its page names as a difference."""
    return f"default of {algorithm}"


def annotated_yaml(config: Config) -> str:
    """A config as YAML, with a comment at each setting that is not pogo's own default."""
    values = config.to_json()
    sources = values.pop(SOURCES)
    text = OmegaConf.to_yaml(OmegaConf.create(values))
    lines, path = [], []
    for line in text.splitlines():
        found = re.match(r"( *)([^\s:#-][^:]*):", line)
        if found:
            path = [*path[: len(found.group(1)) // 2], found.group(2)]
            source = sources.get(".".join(path), DEFAULT)
            line = line if source == DEFAULT else f"{line}  # {source}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def flat_keys(config: Values, prefix: str = "") -> list[str]:
    """Dotted keys of all settings; a mapping counts by its entries, a list as one."""
    keys = []
    for name, value in config.items():
        path = f"{prefix}{name}"
        keys += flat_keys(value, f"{path}.") if isinstance(value, Mapping) and value else [path]
    return keys


def _keys_of_file(file: GroupFile, group: str) -> list[str]:
    content = {key: value for key, value in file.content.items() if key != "defaults"}
    return flat_keys(content, "" if file.is_global or not group else f"{group}.")


def keys_of_override(override: Override) -> list[str]:
    """Dotted keys of the settings that an override gives; of the choice of a group, its name alone."""
    key, value = override.key_or_group, override.value()
    if key in GROUPS:  # a choice brings its settings: only the choice itself was given
        return [f"{key}.name"]
    return flat_keys(value, f"{key}.") if isinstance(value, dict) and value else [key]
