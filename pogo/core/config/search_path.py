"""Where Hydra's groups are found: in pogo's own conf/, then in folders that the user names, then in its registry."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import unquote, urlparse

from hydra import version
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_store import ConfigStore
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.types import Override
from omegaconf import OmegaConf

from pogo.core.errors import BadInput
from pogo.core.setting import Values

PACKAGE = Path(__file__).resolve().parents[2]
KEY = "hydra.searchpath"
NAME_KEY = "hydra.job.config_name"  # what --config-name stands for
FILE_KEY = "hydra.job.config_file"  # what --config stands for
OWN_KEYS = (KEY, NAME_KEY, FILE_KEY)
PRIMARY = "config"
_GLOBAL_PACKAGE = "@package _global_"
Answer = TypeVar("Answer")


def config_folder() -> Path:
    """The folder of pogo's own groups: inside the package where it is installed, beside it in a source tree.

    Raises:
        BadInput: neither place holds conf/config.yaml.
    """
    for folder in (PACKAGE / "conf", PACKAGE.parent / "conf"):
        if (folder / "config.yaml").is_file():
            return folder
    raise BadInput(f"conf/config.yaml is neither in {PACKAGE} nor beside it; install pogo again.")


class GroupFile(NamedTuple):
    """What one file of a group says."""

    content: dict[str, Any]  # as it is written: nothing in it is resolved
    is_global: bool  # its keys are the whole config's, not its group's


@dataclass(frozen=True)
class SearchPath:
    """The folders of groups; of two files of one name the first folder's counts, as in Hydra.

    Each folder and file is read once: thousands of configs that one search path composes ask for the same few.
    """

    users: tuple[Path, ...] = ()  # those that the user names, in order
    primary: str = PRIMARY  # the file that everything is composed from
    _read: dict[Any, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def folders(self) -> tuple[Path, ...]:
        """Every folder that is searched: pogo's own, then the user's."""
        return (config_folder(), *self.users)

    def find(self, group: str, name: str) -> Path | None:
        """The file of a choice; None where no folder has one, as of a name in the registry."""
        paths = (folder / group / f"{name}.yaml" for folder in self.folders)
        return self._once(("find", group, name), lambda: next(filter(_is_file, paths), None))

    def read(self, path: Path) -> GroupFile:
        """What a file says; one that holds no mapping says nothing, and Hydra refuses it."""
        return self._once(("read", path), lambda: _read(path))

    def names(self, group: str) -> list[str]:
        """Every choice of a group that has a file, by name."""
        return self._once(("names", group), lambda: _names(group, self.folders))

    def label(self, path: Path) -> str:
        """How the record of a run names a file: below conf/ for pogo's own, in full for another's."""
        own = config_folder()
        return f"conf/{path.relative_to(own).as_posix()}" if path.is_relative_to(own) else str(path)

    def choices(self, overrides: Sequence[Override]) -> dict[str, str]:
        """What each group is set to: by the options, else by the experiment they name, else by the primary file."""
        given = {each.key_or_group: None if each.value() is None else str(each.value()) for each in overrides}
        experiment = _last(overrides, "experiment")
        of_experiment = None if experiment is None else self.find("experiment", str(experiment))
        found: dict[str, str | None] = {}
        for path in (self.find("", self.primary), of_experiment):
            for key, choice in _defaults({} if path is None else self.read(path).content):
                found[key.removeprefix("override").strip(" /")] = choice
        found |= {key: value for key, value in given.items() if key in found or key == "algorithm_dataset"}
        return {key: value for key, value in found.items() if value is not None}

    def _once(self, question: tuple[Any, ...], answer: Callable[[], Answer]) -> Answer:
        if question not in self._read:
            self._read[question] = answer()
        return self._read[question]

    @contextlib.contextmanager
    def hydra(self) -> Iterator[Hydra]:
        """Hydra with these folders.

        Raises:
            BadInput: the primary file is in none of them.
        """
        if self.find("", self.primary) is None:
            where = " nor ".join(map(str, self.folders))
            raise BadInput(f"--config-name {self.primary}: {self.primary}.yaml is not in {where}; check --config-dir.")
        path = create_config_search_path(str(config_folder()))
        for folder in self.users:
            path.prepend(KEY, f"file://{folder}", anchor="schema")  # Hydra's own registry is the last
        GlobalHydra.instance().clear()
        version.setbase("1.3")
        try:
            hydra = Hydra.create_main_hydra2("pogo", path)
            _share_registry(hydra)
            yield hydra
        finally:
            GlobalHydra.instance().clear()


def search_path(overrides: Sequence[Override]) -> SearchPath:
    """The search path that the options name by `hydra.searchpath`, the last of several.

    Raises:
        BadInput: the option is no list of folders, or one of the folders is not there.
    """
    given, primary = _last(overrides, KEY), str(_last(overrides, NAME_KEY) or PRIMARY)
    if given is None:
        return SearchPath(primary=primary)
    if not isinstance(given, list):
        raise BadInput(f"{KEY}={given} is no list; write {KEY}=[file://FOLDER], or --config-dir FOLDER.")
    return SearchPath(tuple(_folder(str(getattr(entry, "text", entry))) for entry in given), primary)


def _last(overrides: Sequence[Override], key: str) -> Any:
    """What a key is set to: Hydra takes the last of several."""
    return next((override.value() for override in reversed(overrides) if override.key_or_group == key), None)


class _Registry(ConfigStore):
    """Hydra's registry, for a loader that copies what it loads from: for each config it would copy all schemas."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self  # what is loaded from it is a copy in any case


def _share_registry(hydra: Hydra) -> None:
    loader, registry = hydra.config_loader, _Registry()
    assert isinstance(loader, ConfigLoaderImpl)
    registry.repo = ConfigStore.instance().repo
    for source in loader.repository.get_sources():
        if source.scheme() == "structured":  # Hydra imports its sources' classes under their names a second time
            source.store = registry  # type: ignore[attr-defined]


def _names(group: str, folders: Sequence[Path]) -> list[str]:
    """Every choice of a group that has a file in one of these folders."""
    found = {
        path.relative_to(folder / group).with_suffix("").as_posix()
        for folder in folders
        for path in (folder / group).rglob("*.yaml")
    }
    return sorted(found)


def _read(path: Path) -> GroupFile:
    content = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    known = {str(key): value for key, value in content.items()} if isinstance(content, dict) else {}
    return GroupFile(known, _GLOBAL_PACKAGE in path.read_text())


def _defaults(content: Values) -> list[tuple[str, str | None]]:
    """The groups and choices in a file's defaults list; None: the group is there, and nothing is chosen."""
    pairs = [pair for entry in content.get("defaults", []) if isinstance(entry, dict) for pair in entry.items()]
    return [(str(key), None if choice is None else str(choice)) for key, choice in pairs]


def _folder(entry: str) -> Path:
    """The folder of an entry: file://FOLDER, pkg://PACKAGE or a plain path."""
    parsed = urlparse(entry)
    if parsed.scheme == "pkg":
        name = (parsed.netloc + parsed.path).replace("/", ".")
        try:
            spec = importlib.util.find_spec(name)
        except ImportError:
            spec = None
        locations = list(spec.submodule_search_locations or []) if spec is not None else []
        if not locations:
            raise BadInput(f"{KEY}: {entry} is no package that is installed here; install it, or name a folder.")
        folder = Path(locations[0])
    else:
        folder = Path(unquote(entry.removeprefix("file://"))).expanduser().absolute()
    if not folder.is_dir():
        raise BadInput(f"{KEY}: {folder} is no folder; name one that holds groups, such as {folder}/dataset.")
    return folder


def _is_file(path: Path) -> bool:
    """Whether the path names a file; a name that no file can have does not."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False
