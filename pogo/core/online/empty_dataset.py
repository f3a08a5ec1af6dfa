"""What stands for a dataset where a run collects its own transitions."""

from dataclasses import replace

import numpy as np

from pogo.core.data.config import ONLINE, DatasetConfig
from pogo.core.data.dataset import Dataset
from pogo.core.data.preprocessing import Normalisation, Preprocessing
from pogo.core.data.scores import check_reference_returns
from pogo.core.data.transitions import Transitions
from pogo.core.data.views import UNKNOWN_BEHAVIOUR
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput


def environment_name(env_id: str) -> str:
    """The name that an online run is filed under: the environment's, without the module that registers it."""
    return env_id.rsplit(":", 1)[-1].replace("/", "-")


def online_dataset(
    config: DatasetConfig,
    environment: EnvironmentSpec,
    preprocessing: Preprocessing,
    normalisation: Normalisation | None,
) -> Dataset:
    """A dataset without rows: the environment's sizes, bounds and reference returns.

    Args:
        config: its limits and reference returns.
        environment: where to collect.
        preprocessing: what the algorithm asks of data; only a fixed change of rewards needs none.
        normalisation: of an earlier run that this one goes on from; none: observations and rewards as they are.

    Raises:
        BadInput: the environment does not suit the normalisation, or the preprocessing needs a dataset.
    """
    env_id = environment.env_id
    low, high = np.array(environment.action_low), np.array(environment.action_high)
    size = environment.observation_size
    if normalisation is None:
        for asked, key in (
            (preprocessing.normalize_states, "normalize_states"),
            (preprocessing.reward_scaling != "none", "normalize_rewards"),
        ):
            if asked:
                raise BadInput(
                    f"algorithm.{key}=true takes its numbers from a dataset, and an online run has none; drop it, or "
                    "go on from a run that has one: resume_from=RUN_DIR."
                )
        normalisation = replace(
            Normalisation.identity(environment.action_low, environment.action_high, size),
            reward_scale=preprocessing.reward_scale,
            reward_shift=preprocessing.reward_shift,
        )
    elif normalisation.observation_mean.shape != (size,) or not (
        np.allclose(normalisation.action_low, low) and np.allclose(normalisation.action_high, high)
    ):
        raise BadInput(
            f"env={env_id} has observations of size {size} and actions within {low.tolist()}, {high.tolist()}; those "
            f"of resume_from have size {len(normalisation.observation_mean)} and lie within "
            f"{normalisation.action_low.tolist()}, {normalisation.action_high.tolist()}: name its environment."
        )
    else:
        normalisation = replace(normalisation, action_low=low, action_high=high)
    vectors, flags = np.zeros((0, size), np.float32), np.zeros(0, np.float32)
    return Dataset(
        name=environment_name(env_id),
        transitions=Transitions(
            vectors, np.zeros((0, len(low)), np.float32), flags, vectors, flags, flags.astype(np.bool_)
        ),
        normalisation=normalisation,
        behaviour=UNKNOWN_BEHAVIOUR,
        environment=environment,
        reference_returns=check_reference_returns(config.ref_min_score, config.ref_max_score, "dataset"),
        origin=ONLINE,
        sha256="",
        view="full",
        raw_rows=0,
    )
