"""From a dataset's name or file to what an algorithm trains on."""

import hashlib
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from pogo.core.data import d4rl
from pogo.core.data.download import cache_folder, cached_file, check_digest, check_url
from pogo.core.data.environment import NO_ENVIRONMENT, environment_of
from pogo.core.data.hdf5_file import read_hdf5
from pogo.core.data.minari_source import PREFIX as MINARI_PREFIX
from pogo.core.data.minari_source import read_minari
from pogo.core.data.npz_file import read_npz
from pogo.core.data.preprocessing import Normalisation, Preprocessing, preprocess
from pogo.core.data.raw_rows import Metadata, RawRows, check_layout, raw_rows
from pogo.core.data.rules import Rules, check_order, with_actions, with_ends
from pogo.core.data.transitions import Transitions
from pogo.core.data.views import VIEWS, BehaviourStatistics, View, behaviour_statistics, view_transitions
from pogo.core.environments.make import environment_spec
from pogo.core.environments.spec import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput, check_name
from pogo.core.setting import setting

logger = logging.getLogger(__name__)

BUNDLED = {  # files in pogo/data and their digests
    "pendulum-medium-replay": (
        "pendulum-medium-replay.hdf5",
        "3626aa986e4001fe9e4c406aca90799efecc77037091038295b49c1322921cdf",
    )
}
CUSTOM = "custom"
ONLINE = "online"  # no data: the run collects its own in env=ID
_PACKAGE_DATA = Path(__file__).resolve().parents[2] / "data"
_ZIP_MAGIC = b"PK\x03\x04"
CONSTANT_COLUMNS = ("hold", "keep")
LARGEST_LIMIT = 999_999_999  # steps of an episode


@dataclass(frozen=True)
class DatasetConfig:
    """Where the data comes from. Plain types only: OmegaConf carries it."""

    name: str = setting(CUSTOM, label=True)  # a bundled or D4RL name, minari:ID, or a label for the file at `path`
    path: str | None = setting(None, on_resume="free", path=True)  # a local .hdf5 (D4RL's layout) or .npz (OGBench's)
    view: str = "d4rl"  # "full" keeps every row
    # The digest that the file must have. On resume the file's own is compared, whatever is asked.
    sha256: str | None = setting(None, on_resume="free", identity=False)
    offline: bool = setting(False, on_resume="free", identity=False)  # never download
    # Folders to download from, tried before D4RL's host.
    mirrors: list[str] = setting([], on_resume="free", identity=False)
    # Where downloads are kept; D4RL's own folder by default.
    cache_dir: str | None = setting(None, on_resume="free", identity=False, path=True)
    # Limit on a download's and on the arrays' size.
    max_gib: float = setting(8.0, on_resume="from_here", identity=False)
    ref_min_score: float | None = None  # return that scores 0
    ref_max_score: float | None = None  # return that scores 100
    max_episode_steps: int | None = None  # time limit, for a file without `timeouts` or an environment without one
    clip_actions: bool = False  # cut recorded actions at the environment's bounds instead of refusing them
    action_low: list[float] | None = None  # bounds of the actions, before the file's and the environment's; one: of all
    action_high: list[float] | None = None
    actions_scaled: bool = False  # recorded actions are in units of the bounds already, [-1, 1]
    constant_columns: str | None = None  # of observations: hold | keep; none: keep for D4RL names, hold for others


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset as an algorithm asked for it, and what is known about its origin."""

    name: str
    transitions: Transitions
    normalisation: Normalisation
    behaviour: BehaviourStatistics
    environment: EnvironmentSpec | None  # None: nothing to evaluate in
    reference_returns: tuple[float, float] | None  # the returns that score 0 and 100
    source: str  # file or Minari id
    sha256: str
    view: str
    raw_rows: int
    why_no_environment: str = ""  # where there is none, and none was declined

    @property
    def observation_size(self) -> int:
        """Width of an observation."""
        return self.transitions.observation_size

    @property
    def action_size(self) -> int:
        """Width of an action."""
        return self.transitions.action_size

    def normalized_score(self, value: float) -> float | None:
        """D4RL's score of a raw return, where reference returns exist."""
        return normalized_score(value, self.reference_returns)


def normalized_score(value: float, reference_returns: tuple[float, float] | None) -> float | None:
    """100 * (return - min) / (max - min), or None without reference returns."""
    if reference_returns is None:
        return None
    low, high = reference_returns
    return 100.0 * (value - low) / (high - low)


def dataset_name(config: DatasetConfig) -> str:
    """The name that runs are filed under: a file's own, unless the config gives it one; no path separators.

    Raises:
        BadInput: the name would leave its folder.
    """
    if config.path is not None and config.name in (CUSTOM, *BUNDLED):
        name = Path(config.path).stem
    else:
        name = config.name
    if name.startswith(MINARI_PREFIX):
        name = name.removeprefix(MINARI_PREFIX).replace("/", "-")
    if not name or name != PurePosixPath(name).name or "\\" in name or "\0" in name or name in (".", ".."):
        raise BadInput(
            f"dataset.name={name!r} must be a plain name without path separators; dataset.path names a file."
        )
    return name


def check_config(config: DatasetConfig) -> None:
    """Refuse a config that cannot be loaded, before anything is read.

    Raises:
        BadInput: an unknown name or view, or a value out of range.
    """
    dataset_name(config)
    check_name("dataset.view", config.view, VIEWS)
    if config.name == ONLINE and config.path is not None:
        raise BadInput(
            f"dataset={ONLINE} collects its own data, and dataset.path={config.path} names a file; drop one."
        )
    if config.path is None and not config.name.startswith(MINARI_PREFIX):
        if config.name == CUSTOM:
            raise BadInput("dataset.name=custom needs a file: dataset.path=FILE.hdf5.")
        check_name("dataset", config.name, (*BUNDLED, *d4rl.D4RL_DATASETS, ONLINE))
    if not config.max_gib > 0:
        raise BadInput(f"dataset.max_gib={config.max_gib} must be above 0.")
    limit = config.max_episode_steps
    if limit is not None and not 1 <= limit <= LARGEST_LIMIT:
        raise BadInput(f"dataset.max_episode_steps={limit} is out of range; use 1 to {LARGEST_LIMIT}.")
    digest = config.sha256
    if digest is not None and (len(digest) != 64 or set(digest.lower()) - set("0123456789abcdef")):
        raise BadInput(f"dataset.sha256={digest} is not a SHA-256: 64 hexadecimal digits.")
    for mirror in config.mirrors:
        check_url(mirror)
    check_reference_returns(config.ref_min_score, config.ref_max_score, "dataset")
    if config.constant_columns is not None:
        check_name("dataset.constant_columns", config.constant_columns, CONSTANT_COLUMNS)
    if (config.action_low is None) != (config.action_high is None):
        raise BadInput(
            f"dataset.action_low={config.action_low}, dataset.action_high={config.action_high}: give both bounds."
        )


def load_dataset(config: DatasetConfig, preprocessing: Preprocessing, env: str | None = None) -> Dataset:
    """Find, check, view and preprocess a dataset, and the environment that evaluates it.

    Args:
        config: the dataset.
        preprocessing: what the algorithm's sheet asks of the data.
        env: a gymnasium id; None takes the dataset's own, "none" goes without.

    Raises:
        BadInput: anything about the config, the file or the environment that cannot be used.
    """
    check_config(config)
    raw, metadata, source, digest, view = _read(config)
    entry = d4rl.D4RL_DATASETS.get(config.name)
    limit = config.max_episode_steps or (entry.max_episode_steps if entry else metadata.max_episode_steps)
    named = str(config.path or config.name)
    environment, why_none = environment_of(config.name, metadata, env, config.max_episode_steps, named)
    references = check_reference_returns(config.ref_min_score, config.ref_max_score, "dataset")
    if references is None and entry is not None:
        references = check_reference_returns(entry.ref_min_score, entry.ref_max_score, config.name)
    elif references is None:
        references = check_reference_returns(metadata.ref_min_score, metadata.ref_max_score, f"{source}: metadata")
    explicit = None if config.action_low is None else (config.action_low, config.action_high or [])
    return _assemble(
        raw,
        preprocessing,
        name=dataset_name(config),
        source=source,
        sha256=digest,
        view=view,
        environment=environment,
        why_no_environment=why_none,
        bounds=_bounds(explicit, metadata, environment, raw.actions.shape[1], source, in_unit_box=entry is not None),
        reference_returns=references,
        max_episode_steps=limit or (environment.max_episode_steps if environment else None),
        rules=Rules(
            of_d4rl=entry is not None,
            clip_actions=config.clip_actions,
            actions_scaled=config.actions_scaled,
            hold_constants=config.constant_columns == "hold" or (config.constant_columns is None and entry is None),
        ),
    )


def dataset_from_arrays(
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    terminals: np.ndarray,
    *,
    timeouts: np.ndarray | None = None,
    next_observations: np.ndarray | None = None,
    name: str = CUSTOM,
    preprocessing: Preprocessing | None = None,
    view: View = "d4rl",
    env: str | None = None,
    action_bounds: tuple[Sequence[float], Sequence[float]] | None = None,
    reference_returns: tuple[float, float] | None = None,
    max_episode_steps: int | None = None,
    clip_actions: bool = False,
    actions_scaled: bool = False,
    hold_constants: bool = True,
) -> Dataset:
    """A dataset from arrays of one's own, in time order, episodes one after another; checked like a file.

    Bounds are `action_bounds`, else the environment's. The arrays are copied.

    Raises:
        BadInput: the arrays or the environment cannot be used, as for `load_dataset`.
    """
    given = {
        "observations": observations,
        "actions": actions,
        "rewards": rewards,
        "terminals": terminals,
        "timeouts": timeouts,
        "next_observations": next_observations,
    }
    arrays = {key: np.asarray(array) for key, array in given.items() if array is not None}
    check_name("view", view, VIEWS)
    for key, array in arrays.items():
        if array.dtype.kind not in "biuf":
            raise BadInput(f"{name}: {key} has type {array.dtype}, expected plain numbers.")
    check_layout({key: array.shape for key, array in arrays.items()}, name)
    raw = raw_rows(arrays, name, keep_next_observations=view == "full")
    environment = None if env in (None, NO_ENVIRONMENT) else environment_spec(env, max_episode_steps)
    return _assemble(
        raw,
        preprocessing or Preprocessing(),
        name=name,
        source=name,
        sha256=_arrays_digest(arrays),
        view=view,
        environment=environment,
        bounds=_bounds(action_bounds, Metadata(), environment, raw.actions.shape[1], name, in_unit_box=False),
        reference_returns=check_reference_returns(*(reference_returns or (None, None)), name),
        max_episode_steps=max_episode_steps or (environment.max_episode_steps if environment else None),
        rules=Rules(clip_actions=clip_actions, actions_scaled=actions_scaled, hold_constants=hold_constants),
    )


def _assemble(
    raw: RawRows,
    preprocessing: Preprocessing,
    *,
    name: str,
    source: str,
    sha256: str,
    view: View,
    environment: EnvironmentSpec | None,
    why_no_environment: str = "",
    bounds: tuple[np.ndarray, np.ndarray],
    reference_returns: tuple[float, float] | None,
    max_episode_steps: int | None,
    rules: Rules,
) -> Dataset:
    low, high = bounds
    if environment is not None:
        check_sizes(environment, raw.observations.shape[1], raw.actions.shape[1], source)
    raw = with_actions(raw, low, high, rules, source)
    raw = with_ends(raw, max_episode_steps, rules, source)
    check_order(raw, view, preprocessing, rules, source)
    behaviour = behaviour_statistics(raw)
    transitions = view_transitions(raw, view, preprocessing.next_actions, source)
    rows, offset = len(raw), raw.observation_offset
    del raw  # a third of the memory
    transitions, normalisation = preprocess(
        transitions, preprocessing, low, high, source, offset=offset, hold=rules.hold_constants
    )
    transitions.check(source)
    return Dataset(
        name=name,
        transitions=transitions,
        normalisation=normalisation,
        behaviour=behaviour,
        environment=environment,
        why_no_environment=why_no_environment,
        reference_returns=reference_returns,
        source=source,
        sha256=sha256,
        view=view,
        raw_rows=rows,
    )


def _read(config: DatasetConfig) -> tuple[RawRows, Metadata, str, str, View]:
    """Raw rows, metadata, source, digest, and the view that suits the layout."""
    view: View = "full" if config.view == "full" else "d4rl"
    if config.path is None and config.name.startswith(MINARI_PREFIX):
        raw, metadata, digest = read_minari(config.name, offline=config.offline, max_gib=config.max_gib)
        if config.sha256 is not None and digest != config.sha256.lower():
            raise BadInput(f"{config.name}: SHA-256 of its values is {digest}, but dataset.sha256={config.sha256}.")
        return raw, metadata, config.name, digest, view
    path = _locate(config)
    try:
        digest = check_digest(path, config.sha256)
        with path.open("rb") as file:
            is_zip = file.read(4) == _ZIP_MAGIC
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; check dataset.path.") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check dataset.path.") from error
    if config.path is None and config.name in BUNDLED and digest != BUNDLED[config.name][1]:
        raise BadInput(f"{path}: not the file that pogo ships (SHA-256 {digest}); reinstall pogo.")
    if is_zip:
        # OGBench's own view: all its transitions, whose form decides where the next observations are.
        return read_npz(path, config.max_gib), Metadata(), str(path), digest, "full"
    raw, metadata = read_hdf5(path, config.max_gib, with_next_observations=view == "full")
    return raw, metadata, str(path), digest, view


def _locate(config: DatasetConfig) -> Path:
    if config.path is not None:
        return Path(config.path).expanduser()
    if config.name in BUNDLED:
        return _PACKAGE_DATA / BUNDLED[config.name][0]
    entry = d4rl.D4RL_DATASETS[config.name]
    return cached_file(
        config.name,
        [f"{mirror.rstrip('/')}/{entry.path}" for mirror in config.mirrors] + [d4rl.HOST + entry.path],
        cache_folder(config.cache_dir),
        offline=config.offline,
        max_gib=config.max_gib,
        sha256=config.sha256,
    )


def _bounds(
    explicit: tuple[Sequence[float], Sequence[float]] | None,
    metadata: Metadata,
    environment: EnvironmentSpec | None,
    size: int,
    where: str,
    *,
    in_unit_box: bool,
) -> tuple[np.ndarray, np.ndarray]:
    """The bounds that actions are scaled by: those given, else the file's, the environment's, or [-1, 1] for D4RL's."""
    if explicit is not None:
        low, high = (np.array(bound * size if len(bound) == 1 else bound) for bound in map(list, explicit))
    elif metadata.action_low is not None and metadata.action_high is not None:
        low, high = np.array(metadata.action_low), np.array(metadata.action_high)
    elif environment is not None:
        low, high = np.array(environment.action_low), np.array(environment.action_high)
    elif in_unit_box:
        low, high = -np.ones(size), np.ones(size)
    else:
        raise BadInput(
            f"{where}: no action bounds; name the environment (env=ID), or give them by dataset.action_low=[...] and "
            "dataset.action_high=[...], or as action_low and action_high of the file's metadata."
        )
    if environment is not None:
        check_sizes(environment, environment.observation_size, size, where)
    if low.shape != (size,) or high.shape != (size,) or not np.isfinite(low).all() or not np.isfinite(high).all():
        raise BadInput(f"{where}: action bounds {low.tolist()}, {high.tolist()} do not fit actions of size {size}.")
    if not (low < high).all():
        raise BadInput(f"{where}: action bounds {low.tolist()}, {high.tolist()} are empty; low must be below high.")
    if environment is not None and not (
        np.allclose(low, environment.action_low, rtol=1e-5, atol=1e-6)
        and np.allclose(high, environment.action_high, rtol=1e-5, atol=1e-6)
    ):
        raise BadInput(
            f"{where}: its actions are bounded by {low.tolist()}, {high.tolist()}, but those of "
            f"env={environment.env_id} by {list(environment.action_low)}, {list(environment.action_high)}; "
            "name the environment that the data is from with env=..."
        )
    return low.astype(np.float64), high.astype(np.float64)


def check_reference_returns(low: float | None, high: float | None, where: str) -> tuple[float, float] | None:
    """The returns that score 0 and 100, or None where neither is given.

    Raises:
        BadInput: only one is given, or they are not in order.
    """
    if low is None and high is None:
        return None
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)) or not low < high:
        raise BadInput(
            f"{where}: ref_min_score={low}, ref_max_score={high} must be two finite numbers, the first the smaller."
        )
    return low, high


def _arrays_digest(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for key in sorted(arrays):
        digest.update(key.encode() + np.ascontiguousarray(arrays[key]).tobytes())
    return digest.hexdigest()
