"""What a dataset is configured by."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pogo.core.data import d4rl
from pogo.core.data.download import check_url
from pogo.core.data.readers import reader_of_name
from pogo.core.data.scores import check_reference_returns
from pogo.core.data.views import VIEWS
from pogo.core.errors import BadInput, check_name
from pogo.core.setting import setting

BUNDLED = {  # files in pogo/data and their digests
    "pendulum-medium-replay": (
        "pendulum-medium-replay.hdf5",
        "3626aa986e4001fe9e4c406aca90799efecc77037091038295b49c1322921cdf",
    )
}
CUSTOM = "custom"
ONLINE = "online"  # no data: the run collects its own in env=ID
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


def dataset_name(config: DatasetConfig) -> str:
    """The name that runs are filed under: a file's own, unless the config gives it one; no path separators.

    Raises:
        BadInput: the name would leave its folder.
    """
    if config.path is not None and config.name in (CUSTOM, *BUNDLED):
        name = Path(config.path).stem
    else:
        name = config.name
    if (reader := reader_of_name(name)) is not None:
        name = name.removeprefix(reader.prefix).replace("/", "-")
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
    if config.path is None and reader_of_name(config.name) is None:
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
