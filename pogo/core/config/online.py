"""What only a run that collects its own data is configured by: refused elsewhere, and checked there."""

from pogo.core.algorithms.hyperparameters import check_not_negative, check_positive
from pogo.core.config.schema import Config, shared_settings, value_at
from pogo.core.data.config import ONLINE
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import LARGEST_STEP
from pogo.core.setting import Values


def is_online(composed: Values) -> bool:
    """Whether a composed config is of an online run."""
    return value_at(composed, "dataset.name") == ONLINE


def refuse_online_settings(composed: Values) -> None:
    """Refuse what only a run that collects its own data reads, in the config of a run on a dataset.

    Raises:
        BadInput: such a setting is given another value than its default.
    """
    mend = "collect with algorithm=sac env=ID and no dataset, or drop it"
    for key, entry in shared_settings().items():
        if entry.meaning.online and (given := value_at(composed, key)) != entry.default:
            does = "begins an online run" if key == "resume_from" else "is of online runs"
            raise BadInput(f"{key}={given} {does}; {mend}.")


def refuse_settings_of_datasets(composed: Values) -> None:
    """Refuse what a run that collects its own data has no use for.

    Raises:
        BadInput: a number of updates, or several seeds in one program.
    """
    updates, num_seeds = (value_at(composed, f"train.{name}") for name in ("updates", "num_seeds"))
    if updates is not None:
        raise BadInput(
            f"train.updates={updates} is of runs on a dataset; an online run is as long as train.env_steps, "
            "with train.updates_per_step."
        )
    if num_seeds > 1:
        raise BadInput(
            f"train.num_seeds={num_seeds}: an online run is one seed per program; "
            "pogo-train -m seed=0,1,... --jobs N runs them side by side in processes."
        )


def check_online(config: Config) -> None:
    """Check what settings of an online run say together.

    Raises:
        BadInput: a value out of range, or a run that would not learn.
    """
    train, actor = config.train, config.collect.actor
    check_positive("train.updates_per_step", train.updates_per_step)
    check_not_negative("collect.noise_std", config.collect.noise_std)
    if config.length % train.num_envs:
        raise BadInput(
            f"train.env_steps={train.env_steps} is no multiple of train.num_envs={train.num_envs}: each of its steps "
            "is one of every environment."
        )
    if train.replay_capacity < train.num_envs:
        raise BadInput(
            f"train.replay_capacity={train.replay_capacity} holds less than one step of train.num_envs="
            f"{train.num_envs} environments; use more."
        )
    if not 0 <= actor < config.chain.num_actors:
        raise BadInput(f"collect.actor={actor}: the chain has actors 0 to {config.chain.num_actors - 1}.")
    if train.updates > LARGEST_STEP:
        raise BadInput(
            f"train.env_steps={train.env_steps} with train.updates_per_step={train.updates_per_step:g} makes more "
            f"than {LARGEST_STEP} updates; use fewer."
        )
    if train.updates == 0:
        raise BadInput(
            f"train.env_steps={train.env_steps} ends before the first update (train.learning_starts="
            f"{train.learning_starts}, train.updates_per_step={train.updates_per_step}): use more steps, or learn "
            "sooner."
        )
