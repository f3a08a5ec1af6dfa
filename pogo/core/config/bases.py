"""What the configs of many runs have in common, composed once."""

import copy
import itertools
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

from hydra import compose
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from pogo.core.config.search_path import SearchPath
from pogo.core.setting import Values

SWEEP = "sweep"  # the key under which an experiment says what it runs over


class Bases:
    """Configs composed from choices of groups alone, and the folders that they were found in.

    Hydra composes a config in two steps: it merges the files that the choices of groups name, and then sets each
    key=value on what has come of that. The first step takes nearly all of the time, and runs with the same choices
    share it.
    """

    def __init__(self) -> None:
        self.of_files: dict[Path, Values] = {}  # what each config.json comes to by itself
        self._folders: dict[SearchPath, SearchPath] = {}
        self._is_group: dict[SearchPath, Callable[[str], bool]] = {}
        self._bases: dict[tuple[SearchPath, tuple[str, ...]], DictConfig] = {}

    def folders(self, found: SearchPath) -> SearchPath:
        """The first search path that was the same as this one: it has read its files."""
        return self._folders.setdefault(found, found)

    def composed(self, folders: SearchPath, overrides: Sequence[Override]) -> DictConfig:
        """The config that Hydra composes from these overrides, without its `sweep`.

        Raises:
            HydraException: an override cannot be applied, or a choice is not there.
            OmegaConfBaseException: the `sweep` cannot be resolved.
        """
        if folders not in self._is_group:
            self._is_group[folders] = _groups(folders)
        is_group = self._is_group[folders]
        # As in Hydra: a mapping that is given for a group sets its keys, and chooses nothing.
        is_choice = [is_group(each.key_or_group) and not isinstance(each.value(), dict) for each in overrides]
        key = folders, tuple(str(each.input_line) for each in itertools.compress(overrides, is_choice))
        if key not in self._bases:
            self._bases[key] = _base(folders, key[1])
        config = copy.deepcopy(self._bases[key])
        settings = [each for each, chooses in zip(overrides, is_choice, strict=True) if not chooses]
        ConfigLoaderImpl._apply_overrides_to_config(settings, config)
        return config


def _groups(folders: SearchPath) -> Callable[[str], bool]:
    """What Hydra says of a key: whether it is a group, in these folders or in those that the primary file names."""
    with folders.hydra() as instance:
        loader = instance.config_loader
        assert isinstance(loader, ConfigLoaderImpl)
        _, repository = loader._parse_overrides_and_create_caching_repo(folders.primary, [])
    return cache(repository.group_exists)


def _base(folders: SearchPath, choices: Sequence[str]) -> DictConfig:
    with folders.hydra():
        base = compose(folders.primary, list(choices))
    # It may be many times as long as the config, and no run reads it.
    if OmegaConf.is_config(sweep := base[SWEEP]):
        OmegaConf.to_container(sweep, resolve=True)
    with open_dict(base):
        del base[SWEEP]
    return base
