"""From a dataset's name or file to what an algorithm trains on."""

from pathlib import Path

from pogo.core.data import d4rl
from pogo.core.data.action_bounds import action_bounds
from pogo.core.data.config import BUNDLED, DatasetConfig, check_config, dataset_name
from pogo.core.data.dataset import Dataset, Origin, assemble
from pogo.core.data.download import cache_folder, cached_file, check_digest
from pogo.core.data.environment import environment_of
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.data.reader import Recorded, Wanted
from pogo.core.data.readers import LONGEST_START, reader_of_file, reader_of_name
from pogo.core.data.rules import Rules
from pogo.core.data.scores import check_reference_returns
from pogo.core.errors import BadInput

_PACKAGE_DATA = Path(__file__).resolve().parents[2] / "data"


def load_dataset(config: DatasetConfig, preprocessing: Preprocessing, env: str | None = None) -> Dataset:
    """Find, check, view and preprocess a dataset, and the environment that evaluates it.

    Args:
        config: the dataset.
        preprocessing: what the algorithm asks of its data.
        env: a gymnasium id; None takes the dataset's own, "none" goes without.

    Raises:
        BadInput: anything about the config, the file or the environment that cannot be used.
    """
    check_config(config)
    recorded, where, digest = _read(config)
    raw, metadata = recorded.raw, recorded.metadata
    entry = d4rl.D4RL_DATASETS.get(config.name)
    named = str(config.path or config.name)
    environment, why_none = environment_of(config.name, metadata, env, config.max_episode_steps, named)
    references = check_reference_returns(config.ref_min_score, config.ref_max_score, "dataset")
    if references is None and entry is not None:
        references = check_reference_returns(entry.ref_min_score, entry.ref_max_score, config.name)
    elif references is None:
        references = check_reference_returns(metadata.ref_min_score, metadata.ref_max_score, f"{where}: metadata")
    explicit = None if config.action_low is None else (config.action_low, config.action_high or [])
    bounds = action_bounds(explicit, metadata, environment, raw.actions.shape[1], where, in_unit_box=entry is not None)
    limit = config.max_episode_steps or (entry.max_episode_steps if entry else metadata.max_episode_steps)
    origin = Origin(
        name=dataset_name(config),
        where=where,
        sha256=digest,
        environment=environment,
        why_no_environment=why_none,
        reference_returns=references,
        max_episode_steps=limit or (environment.max_episode_steps if environment else None),
    )
    rules = Rules(
        of_d4rl=entry is not None,
        clip_actions=config.clip_actions,
        actions_scaled=config.actions_scaled,
        hold_constants=config.constant_columns == "hold" or (config.constant_columns is None and entry is None),
    )
    view = recorded.view
    del recorded  # `assemble` lets go of the rows as it goes
    return assemble(raw, origin, preprocessing, view, bounds, rules)


def check_file_is_there(config: DatasetConfig) -> None:
    """Refuse a config that names a file which is not there; nothing is read, and a name is not looked for.

    Raises:
        BadInput: the file that `dataset.path` names is not there, or its folder cannot be looked into.
    """
    if config.path is None:
        return
    try:
        _locate(config).stat()
    except FileNotFoundError:
        raise BadInput(f"dataset.path={config.path}: no such file; name one that is there.") from None
    except (OSError, ValueError, RuntimeError) as error:  # the last: a ~NAME whose home nobody knows
        reason = error.strerror if isinstance(error, OSError) else error
        raise BadInput(f"dataset.path={config.path} cannot be read ({reason}); name another.") from error


def _read(config: DatasetConfig) -> tuple[Recorded, str, str]:
    """What the source holds, its file or name, and its digest."""
    wanted = Wanted("full" if config.view == "full" else "d4rl", config.max_gib, config.offline)
    reader = reader_of_name(config.name) if config.path is None else None
    if reader is not None:
        recorded = reader.read(config.name, wanted)
        assert recorded.sha256 is not None
        if config.sha256 is not None and recorded.sha256 != config.sha256.lower():
            raise BadInput(
                f"{config.name}: SHA-256 of its values is {recorded.sha256}, but dataset.sha256={config.sha256}."
            )
        return recorded, config.name, recorded.sha256
    path = _locate(config)
    try:
        digest = check_digest(path, config.sha256)
        with path.open("rb") as file:
            start = file.read(LONGEST_START)
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file; check dataset.path.") from None
    except OSError as error:
        raise BadInput(f"{path}: cannot be read ({error.strerror}); check dataset.path.") from error
    if config.path is None and config.name in BUNDLED and digest != BUNDLED[config.name][1]:
        raise BadInput(f"{path}: not the file that pogo ships (SHA-256 {digest}); reinstall pogo.")
    return reader_of_file(start).read(str(path), wanted), str(path), digest


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
