"""What an online run is configured by, checked."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from pogo.core.config.provenance import SOURCES, published_default
from pogo.core.config.schema import Config, meanings
from pogo.core.data.sources import ONLINE
from pogo.core.errors import BadInput
from pogo.core.files.checkpoint import LARGEST_STEP
from pogo.core.hyperparameters import check_not_negative, check_positive


@dataclass(frozen=True)
class OnlineConfig:
    """How a run collects its own transitions; steps are environment steps, of all environments together."""

    env_steps: int
    num_envs: int
    random_steps: int
    learning_starts: int
    updates_per_step: float
    replay_capacity: int
    save_replay: str | None
    actor: int
    noise_std: float

    def updates_due(self, env_steps: int) -> int:
        """How many updates are made by the time of so many steps."""
        return max(0, int((env_steps - self.learning_starts) * self.updates_per_step))

    @property
    def capacity(self) -> int:
        """Rows of the replay buffer: no more than the run will collect."""
        return min(self.replay_capacity, self.env_steps)


def is_online(config: Mapping[str, Any]) -> bool:
    """Whether a config, composed or recorded, is of an online run."""
    return config["dataset"]["name"] == ONLINE


def refuse_online_settings(resolved: Mapping[str, Any]) -> None:
    """Refuse what only a run that collects its own data reads, in the config of a run on a dataset.

    Raises:
        BadInput: such a setting is given another value than its default.
    """
    mend = "collect with algorithm=sac env=ID and no dataset, or drop it"
    defaults = asdict(Config())
    for key, entry in meanings().items():
        section, _, name = key.rpartition(".")
        if entry.online:
            given, default = (config[section][name] if section else config[name] for config in (resolved, defaults))
            if given != default:
                does = "begins an online run" if key == "resume_from" else "is of online runs"
                raise BadInput(f"{key}={given} {does}; {mend}.")


def fill_online(resolved: Mapping[str, Any], published_env_steps: int) -> None:
    """Fill in, in place, what depends on other settings; `train.updates` becomes the number that will be made.

    Raises:
        BadInput: a setting that an online run has no use for.
    """
    train = resolved["train"]
    if train["updates"] is not None:
        raise BadInput(
            f"train.updates={train['updates']} is of runs on a dataset; an online run is as long as train.env_steps, "
            "with train.updates_per_step."
        )
    if train["num_seeds"] > 1:
        raise BadInput(
            f"train.num_seeds={train['num_seeds']}: an online run is one seed per program; "
            "pogo-train -m seed=0,1,... --jobs N runs them side by side in processes."
        )
    if train["env_steps"] is None:
        train["env_steps"] = published_env_steps
        resolved[SOURCES]["train.env_steps"] = published_default(resolved["algorithm"]["name"])
    if train["random_steps"] is None:
        # As published, 5 000 of 10 000; a policy that comes from another run knows where to begin.
        train["random_steps"] = train["learning_starts"] // 2 if resolved["resume_from"] is None else 0
    config = online_config(resolved)
    train["updates"] = config.updates_due(config.env_steps)


def online_config(resolved: Mapping[str, Any]) -> OnlineConfig:
    """The online part of a resolved config.

    Raises:
        BadInput: a value out of range, or a run that would not learn.
    """
    train, collect = resolved["train"], resolved["collect"]
    check_positive("train.updates_per_step", train["updates_per_step"])
    check_not_negative("collect.noise_std", collect["noise_std"])
    config = OnlineConfig(**{field.name: (train | collect)[field.name] for field in fields(OnlineConfig)})
    if config.env_steps % config.num_envs:
        raise BadInput(
            f"train.env_steps={config.env_steps} is no multiple of train.num_envs={config.num_envs}: each of its steps "
            "is one of every environment."
        )
    if config.replay_capacity < config.num_envs:
        raise BadInput(
            f"train.replay_capacity={config.replay_capacity} holds less than one step of train.num_envs="
            f"{config.num_envs} environments; use more."
        )
    last_actor = resolved["chain"]["num_actors"] - 1
    if not 0 <= config.actor <= last_actor:
        raise BadInput(f"collect.actor={config.actor}: the chain has actors 0 to {last_actor}.")
    if config.updates_due(config.env_steps) > LARGEST_STEP:
        raise BadInput(
            f"train.env_steps={config.env_steps} with train.updates_per_step={config.updates_per_step:g} makes more "
            f"than {LARGEST_STEP} updates; use fewer."
        )
    if config.updates_due(config.env_steps) == 0:
        raise BadInput(
            f"train.env_steps={config.env_steps} ends before the first update (train.learning_starts="
            f"{config.learning_starts}, train.updates_per_step={config.updates_per_step}): use more steps, or learn "
            "sooner."
        )
    return config
