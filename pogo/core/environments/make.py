"""Making an environment, by its name or from its spec."""

import difflib
import logging
import warnings
from dataclasses import replace

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict

from pogo.core.environments.antmaze import MAZES, make_antmaze
from pogo.core.environments.d4rl_package import make_d4rl_environment
from pogo.core.environments.joined import JoinedObservation, described, parts_of
from pogo.core.environments.mujoco_warnings import without_known_warnings
from pogo.core.environments.recorded import LimitSource, Parts, RecordedEnvironment, without_display
from pogo.core.environments.spec import EnvironmentSpec, Package
from pogo.core.errors import BadInput
from pogo.core.setting import Values

logger = logging.getLogger("pogo")

_EXTRAS = {"mujoco": "pogo[mujoco]", "box2d": "gymnasium[box2d]", "gymnasium_robotics": "pogo[antmaze]"}


def environment_spec(
    env_id: str,
    max_episode_steps: int | None = None,
    kwargs: Values | None = None,
    *,
    wrappers: tuple[Values, ...] = (),
    observation_parts: Parts = (),
    limit_source: LimitSource = "option",
) -> EnvironmentSpec:
    """Look at an environment by making it once.

    Args:
        env_id: gymnasium's name, or that of one of D4RL's AntMazes, which gymnasium-robotics simulates;
            `module:Name-v0` imports that module first, so it must come from the user, never from a file.
        max_episode_steps: the time limit; none: the environment's own.
        kwargs: passed to `gymnasium.make`.
        wrappers: of gymnasium's own, to put around it.
        observation_parts: the order in which the vectors of its observations are joined; none: its own.
        limit_source: who says `max_episode_steps`.

    Raises:
        BadInput: unknown id, missing package, spaces other than continuous boxes, infinite bounds, no time limit, or
            observations of other parts.
    """
    package: Package = "gymnasium_robotics" if env_id in MAZES else "gymnasium"
    draft = EnvironmentSpec(
        *(env_id, 0, 0, (), (), max_episode_steps or 0, package, without_display(kwargs or {}), wrappers),
        observation_parts=observation_parts,
    )
    environment = make_environment(draft)
    try:
        actions, observations = environment.action_space, environment.observation_space
        where = f"env={env_id}"
        if not isinstance(actions, Box) or len(actions.shape) != 1:
            raise BadInput(f"{where} has actions {actions}; pogo needs one continuous Box of shape [size].")
        if not isinstance(observations, Box) or len(observations.shape) != 1:
            raise BadInput(f"{where} has observations {observations}; pogo needs one continuous Box of shape [size].")
        if not (np.isfinite(actions.low).all() and np.isfinite(actions.high).all()):
            raise BadInput(f"{where} has unbounded actions; wrap it so that its action Box has finite bounds.")
        own = _own_limit(env_id)
        steps = max_episode_steps or (environment.spec.max_episode_steps if environment.spec is not None else None)
        if steps is None:
            raise BadInput(f"{where} has no time limit; give one with dataset.max_episode_steps.")
        return replace(
            draft,
            observation_size=observations.shape[0],
            action_size=actions.shape[0],
            action_low=tuple(actions.low.astype(float).tolist()),
            action_high=tuple(actions.high.astype(float).tolist()),
            max_episode_steps=int(steps),
            observation_parts=observation_parts or _joined_parts(environment),
            action_dtype=str(actions.dtype),
            limit_source="environment" if max_episode_steps is None or steps == own else limit_source,
        )
    finally:
        environment.close()


def environment_in_place_of(env_id: str | None, recorded: RecordedEnvironment, where: str) -> EnvironmentSpec:
    """The environment that data or a run is of, or the one that is named in its place.

    A named one of the same id, whatever module registers it, gets the recorded settings and wrappers; another one is
    taken as it is, which is said. Both give observations in the recorded order and are cut off at the recorded limit.

    Args:
        env_id: the one named; none: the recorded one.
        recorded: what is known of the environment.
        where: the data or the run, for messages.

    Raises:
        BadInput: the recorded environment cannot be made again, or the environment cannot be used.
    """
    is_recorded = env_id is None or recorded.is_of(env_id)
    if is_recorded and recorded.unmade:
        raise BadInput(
            f"{where}: its environment {recorded.env_id} has {recorded.unmade}; evaluate in one of your own that has "
            "it, registered under another id (env=module:ID), or go without (env=none)."
        )
    if not is_recorded and recorded.settings:
        logger.info("env=%s is taken as it is, without the data's settings: %s.", env_id, recorded.settings)
    name = recorded.env_id if env_id is None else env_id
    assert name is not None
    return environment_spec(
        name,
        recorded.max_episode_steps,
        recorded.kwargs if is_recorded else None,
        wrappers=recorded.wrappers if is_recorded else (),
        observation_parts=recorded.observation_parts,
        limit_source=recorded.limit_source,
    )


def _own_limit(env_id: str) -> int | None:
    if env_id in MAZES:
        return MAZES[env_id][1]
    registered = gymnasium.registry.get(env_id.rpartition(":")[2])
    return None if registered is None else registered.max_episode_steps


def _joined_parts(environment: gymnasium.Env) -> Parts:
    """The order in which an environment made here joins its observations."""
    while isinstance(environment, gymnasium.Wrapper):
        if isinstance(environment, JoinedObservation):
            return environment.parts
        environment = environment.env
    return ()


def make_environment(
    spec: EnvironmentSpec, render_mode: str | None = None, size: int | None = None
) -> gymnasium.Env[np.ndarray, np.ndarray]:
    """A new environment with gymnasium's interface.

    Args:
        spec: the environment.
        render_mode: as gymnasium has it; the d4rl package's have none.
        size: height and width of what MuJoCo draws; none: its own.

    Raises:
        BadInput: unknown id, a package that is missing, or a constructor that raises.
    """
    if spec.package == "d4rl":
        environment = make_d4rl_environment(spec.env_id)
        is_cut = 0 < spec.max_episode_steps < environment.max_episode_steps
        return gymnasium.wrappers.TimeLimit(environment, spec.max_episode_steps) if is_cut else environment
    if spec.package == "gymnasium_robotics":
        if spec.kwargs:
            raise BadInput(f"env={spec.env_id} takes no settings, but is given {dict(spec.kwargs)}.")
        return make_antmaze(spec.env_id, spec.max_episode_steps or None, render_mode)
    options = dict(spec.kwargs)
    if render_mode is not None:
        options["render_mode"] = render_mode
    if size is not None:
        options |= {"width": size, "height": size}
    if spec.max_episode_steps:
        options["max_episode_steps"] = spec.max_episode_steps
    try:
        with warnings.catch_warnings(), without_known_warnings(_entry_point(spec.env_id)):
            # D4RL's robots are older versions on purpose.
            warnings.filterwarnings("ignore", message=".*is out of date.*")
            # The checker repeats space checks at every step: a third of Pendulum's time.
            environment = gymnasium.make(spec.env_id, disable_env_checker=True, **options)
    except gymnasium.error.DependencyNotInstalled as error:
        raise BadInput(
            f"env={spec.env_id} needs a package that is not installed: {_how_to_install(spec.env_id)}."
        ) from error
    except (gymnasium.error.Error, ImportError) as error:
        raise BadInput(f"env={spec.env_id} cannot be made: {_first_line(error)}{_nearest_id(spec.env_id)}") from error
    except Exception as error:  # a wrong setting, or whatever a constructor raises
        cause = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        given = f" with {options}" if options else ""
        raise BadInput(f"env={spec.env_id} cannot be made{given}: {cause}; mend it, or name another.") from error
    return _joined(_wrapped(environment, spec), spec)


def _wrapped(environment: gymnasium.Env, spec: EnvironmentSpec) -> gymnasium.Env:
    """The environment inside the wrappers that its data was made behind."""
    for wrapper in spec.wrappers:
        name, kwargs = str(wrapper["name"]), wrapper["kwargs"]
        arrays = {key: np.asarray(value) if isinstance(value, list) else value for key, value in kwargs.items()}
        try:
            environment = getattr(gymnasium.wrappers, name)(environment, **arrays)
        except Exception as error:
            raise BadInput(
                f"env={spec.env_id} cannot be wrapped in {name} with {dict(kwargs)}: {_first_line(error)}"
            ) from error
    return environment


def _joined(environment: gymnasium.Env, spec: EnvironmentSpec) -> gymnasium.Env:
    """The environment with its observations as one vector, in the order of the spec's parts or in its own."""
    where, space = f"env={spec.env_id}", environment.observation_space
    if not isinstance(space, Dict):
        size = sum(size for _, size in spec.observation_parts)
        if spec.observation_parts and space.shape != (size,):
            raise BadInput(
                f"{where} has observations {space}, and the data's are {described(spec.observation_parts)}; name the "
                "environment that the data is from with env=..."
            )
        return environment
    parts = spec.observation_parts or parts_of(space)
    return environment if not parts else JoinedObservation(environment, parts, where)  # else environment_spec refuses


def _entry_point(env_id: str) -> str:
    """What makes an environment, as gymnasium's registry names it; empty where it knows none."""
    registered = gymnasium.registry.get(env_id.rpartition(":")[2])
    return str(registered.entry_point) if registered is not None else ""


def _how_to_install(env_id: str) -> str:
    entry_point = _entry_point(env_id)
    for part, extra in _EXTRAS.items():
        if part in entry_point:
            return f"pip install '{extra}'"
    return f"install what {entry_point or env_id} imports"


def _nearest_id(env_id: str) -> str:
    """A hint at the nearest id's newest version: old ones may be registered only to say where they went."""
    names = [known for known in (*gymnasium.registry, *MAZES) if known != env_id]
    near = difflib.get_close_matches(env_id, names, n=1)
    if near:
        name = near[0].rpartition("-v")[0]
        newest = max((known for known in gymnasium.registry if known.rpartition("-v")[0] == name), default=near[0])
        return f" Did you mean {newest!r}?"
    return " Packages that register environments are imported with env=module:Name-v0."


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
