"""What Hydra shows of a config before anything runs: its own part, what it is composed of, completion for a shell."""

from collections.abc import Sequence

from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from pogo.core.algorithms import ALGORITHMS
from pogo.core.config.compose import compose_config, read_request
from pogo.core.config.hydra_schemas import register
from pogo.core.config.published import register_published
from pogo.core.config.search_path import SearchPath
from pogo.core.errors import BadInput

SHELLS = ("bash", "fish", "zsh")


def hydra_yaml(arguments: Sequence[str]) -> str:
    """Hydra's own part of the config that these options make, as YAML.

    Raises:
        BadInput: the options cannot be composed (`compose_config` says which).
    """
    compose_config(arguments, in_sweep=True)  # for what it refuses
    request = read_request(arguments)
    folders, given = request.folders, request.arguments
    with folders.hydra() as instance:
        composed = instance.compose_config(folders.primary, given, RunMode.RUN, with_log_configuration=False)
    return OmegaConf.to_yaml({"hydra": composed.hydra})


def information(part: str, arguments: Sequence[str]) -> str:
    """One part of what Hydra knows of the config that these options make, a line each.

    Args:
        part: `defaults`, what it is composed of in this order, or `searchpath`, where groups are found.
        arguments: overrides, key=value.

    Raises:
        BadInput: the options cannot be composed (`compose_config` says which).
    """
    compose_config(arguments, in_sweep=True)  # for what it refuses
    request = read_request(arguments)
    folders, given = request.folders, request.arguments
    if part == "searchpath":
        return "".join(f"{folder}\n" for folder in folders.folders)
    with folders.hydra() as instance:
        defaults = instance.config_loader.compute_defaults_list(folders.primary, given, RunMode.RUN).defaults
    rows = [(str(entry.config_path), entry.package or "_global_") for entry in defaults]
    width = max(len(path) for path, _ in rows)
    return "".join(f"{path:<{width}}  {package}\n" for path, package in rows)


def complete_shell(command: str) -> None:
    """Print what a shell asks of Hydra: `install=SHELL`, `uninstall=SHELL`, or `query=SHELL` from the script itself.

    Raises:
        BadInput: another command or shell.
    """
    action, _, shell = command.partition("=")
    if action not in ("install", "uninstall", "query") or shell not in SHELLS:
        raise BadInput(
            f"-sc {command}: write install=SHELL or uninstall=SHELL, where SHELL is one of {', '.join(SHELLS)}."
        )
    register()
    for name in ALGORITHMS:
        register_published(name)
    with SearchPath().hydra() as instance:
        try:
            instance.shell_completion(SearchPath().primary, [command])
        except HydraException as error:
            raise BadInput(f"-sc {command}: {error}") from error
