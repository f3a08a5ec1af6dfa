"""What each algorithm does to AntMaze's rewards, by its published settings as a user names them."""

import numpy as np
import pytest

from pogo.core.algorithms import load_algorithm
from pogo.core.config.compose import compose_config
from pogo.core.data.preprocessing import preprocess
from pogo.core.data.transitions import Transitions
from pogo.core.runs.plan import check_settings

MAZES = ["umaze", "umaze-diverse", "medium-play", "medium-diverse", "large-play", "large-diverse"]
SCALE_AND_SHIFT = {
    "awac": (1.0, -1.0),
    "cql": (10.0, -5.0),
    "edac": (1.0, 0.0),
    "fql": (1.0, -1.0),
    "iql": (1.0, -1.0),
    "pogo": (1.0, 0.0),
    "rebrac": (100.0, 0.0),
    "sac": (1.0, 0.0),
    "sac_n": (1.0, 0.0),
    "td3_bc": (1.0, -1.0),
}


@pytest.mark.parametrize("dataset", [f"antmaze-{maze}-v2" for maze in MAZES])
@pytest.mark.parametrize("algorithm", sorted(SCALE_AND_SHIFT))
def test_antmaze_rewards_are_treated_as_published(algorithm: str, dataset: str) -> None:
    settings = check_settings(compose_config([f"algorithm={algorithm}", f"dataset={dataset}", "env=none"]))
    published = load_algorithm(algorithm).preprocessing(
        settings.config.algorithm.hyperparameters, settings.dataset_name
    )
    scale, shift = SCALE_AND_SHIFT[algorithm]
    rewards = np.array([0, 0, 1, 0, 1], dtype=np.float32)
    data = Transitions(
        observations=np.zeros((5, 1), dtype=np.float32),
        actions=np.zeros((5, 1), dtype=np.float32),
        rewards=rewards.copy(),
        next_observations=np.zeros((5, 1), dtype=np.float32),
        terminals=rewards.copy(),
        episode_ends=rewards == 1,
    )
    treated, normalisation = preprocess(data, published, -np.ones(1), np.ones(1), dataset)
    np.testing.assert_array_equal(treated.rewards, rewards * scale + shift)
    assert (normalisation.reward_scale, normalisation.reward_shift) == (scale, shift)
