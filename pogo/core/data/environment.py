"""Where a dataset's policies are evaluated: the environment that it names, or the one that is named in its place."""

import logging
from dataclasses import replace

from pogo.core.data import d4rl
from pogo.core.data.raw_rows import Metadata
from pogo.core.environments import antmaze, d4rl_package
from pogo.core.environments.make import environment_in_place_of, environment_spec
from pogo.core.environments.recorded import LimitSource, RecordedEnvironment
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput

NO_ENVIRONMENT = "none"  # env=none: train without evaluating

logger = logging.getLogger("pogo")


def environment_of(
    name: str, metadata: Metadata, env: str | None, given_limit: int | None, where: str
) -> tuple[EnvironmentSpec | None, str]:
    """The environment that evaluates a dataset; none, and why.

    Args:
        name: of the dataset; D4RL's names have environments of their own.
        metadata: what the data says.
        env: the environment's id as the user gives it; none: the data's own; `none`: without one.
        given_limit: steps of an episode as the user gives them, before the data's and the environment's own.
        where: the data, for messages.

    Raises:
        BadInput: the environment cannot be made, or the data names none.
    """
    if env == NO_ENVIRONMENT:
        return None, ""
    entry = d4rl.D4RL_DATASETS.get(name)
    limit = given_limit or (entry.max_episode_steps if entry is not None else metadata.max_episode_steps)
    source: LimitSource = "option" if given_limit is not None else "data"
    if entry is not None and env is None:
        return _d4rl_environment(name, entry, limit, source)
    if env is None:
        _check_named(metadata, where)
    recorded = RecordedEnvironment(
        env_id=metadata.env_id,
        kwargs=metadata.env_kwargs,
        wrappers=metadata.wrappers,
        observation_parts=metadata.observation_parts,
        max_episode_steps=limit,
        limit_source=source,
        unmade=metadata.unmade,
    )
    return environment_in_place_of(env, recorded, where), ""


def _check_named(metadata: Metadata, where: str) -> None:
    if metadata.env_id is None:
        raise BadInput(
            f"{where}: names no environment to evaluate in; give one with env=ID, or train without evaluation with "
            "env=none."
        )
    if ":" in metadata.env_id:
        raise BadInput(
            f"{where}: its metadata names env_id={metadata.env_id!r}, which would import a module; if you trust it, "
            "pass it as env=..."
        )


def _d4rl_environment(
    name: str, entry: d4rl.D4rlEntry, limit: int | None, source: LimitSource
) -> tuple[EnvironmentSpec | None, str]:
    """D4RL's own environment where its packages work, else the same robot's elsewhere, else none, and why."""
    failures = []
    if d4rl_package.is_installed():
        try:
            spec = d4rl_package.d4rl_spec(name)
            is_shorter = source == "option" and limit is not None and limit < spec.max_episode_steps
            return (replace(spec, max_episode_steps=limit, limit_source=source) if is_shorter else spec), ""
        except BadInput as error:
            failures.append(error)
    if any(candidate.env_id in antmaze.MAZES for candidate in entry.candidates) and not antmaze.is_installed():
        failures.append(
            BadInput(
                "its maze needs gymnasium-robotics, which is not installed (pip install 'pogo[antmaze]'); name another "
                "environment with env=ID."
            )
        )
        return None, _reasons(name, failures)
    for candidate in entry.candidates:
        try:
            spec = environment_spec(candidate.env_id, limit, candidate.kwargs, limit_source=source)
        except BadInput as error:
            failures.append(error)
            continue
        if failures:
            logger.warning("dataset %s is evaluated in %s instead: %s", name, candidate.env_id, failures[0])
        return spec, ""
    if entry.candidates:
        raise BadInput(f"dataset {name}: {failures[0]} Or train without evaluation with env=none.")
    if not failures:
        failures.append(
            BadInput("only the d4rl package has its environment (pip install 'pogo[d4rl]'); name another with env=ID.")
        )
    return None, _reasons(name, failures)


def _reasons(name: str, failures: list[BadInput]) -> str:
    return f"dataset {name} is not evaluated: {' '.join(map(str, failures))}"
