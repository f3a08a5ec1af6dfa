import re

import pytest

from pogo.core.data.d4rl import D4RL_DATASETS, HOST
from pogo.core.environments.make import environment_spec

LEVELS = ["random", "medium", "expert", "medium-replay", "full-replay", "medium-expert"]


def test_every_name_of_the_benchmarks_is_there() -> None:
    names = set(D4RL_DATASETS)
    for robot in ("halfcheetah", "hopper", "walker2d", "ant"):
        assert {f"{robot}-{level}-{version}" for level in LEVELS for version in ("v1", "v2")} <= names
        assert f"{robot}-full-replay-v0" not in names
    mazes = ["umaze", "umaze-diverse", "medium-play", "medium-diverse", "large-play", "large-diverse"]
    assert {f"antmaze-{maze}-{version}" for maze in mazes for version in ("v0", "v2")} <= names
    hands = ["pen", "door", "hammer", "relocate"]
    assert {f"{hand}-{level}-v1" for hand in hands for level in ("human", "cloned", "expert")} <= names
    assert {"kitchen-complete-v0", "kitchen-partial-v0", "kitchen-mixed-v0", "maze2d-large-v1"} <= names


@pytest.mark.parametrize(
    ("name", "url", "scores", "steps"),
    [
        ("hopper-medium-replay-v2", "gym_mujoco_v2/hopper_medium_replay-v2.hdf5", (-20.272305, 3234.3), 1000),
        ("halfcheetah-expert-v1", "gym_mujoco_v1/halfcheetah_expert-v1.hdf5", (-280.178953, 12135.0), 1000),
        ("walker2d-medium-replay-v0", "gym_mujoco/walker_mixed.hdf5", (1.629008, 4592.3), 1000),
        ("walker2d-medium-expert-v0", "gym_mujoco/walker2d_medium_expert.hdf5", (1.629008, 4592.3), 1000),
        (
            "antmaze-umaze-v2",
            "ant_maze_v2/Ant_maze_u-maze_noisy_multistart_False_multigoal_False_sparse_fixed.hdf5",
            (0.0, 1.0),
            700,
        ),
        (
            "antmaze-large-diverse-v0",
            "ant_maze_new/Ant_maze_hardest-maze_noisy_multistart_True_multigoal_True_sparse.hdf5",
            (0.0, 1.0),
            1000,
        ),
        ("pen-human-v1", "hand_dapg_v1/pen-human-v1.hdf5", (96.262799, 3076.8331017826877), 100),
        ("door-cloned-v0", "hand_dapg/door-demos-v0-bc-combined.hdf5", (-56.512833, 2880.5693087298737), 200),
        ("kitchen-partial-v0", "kitchen/kitchen_microwave_kettle_light_slider-v0.hdf5", (0.0, 4.0), 280),
        ("maze2d-umaze-v1", "maze2d/maze2d-umaze-sparse-v1.hdf5", (23.85, 161.86), 300),
        ("bullet-ant-medium-replay-v0", "bullet/bullet-ant_medium_replay.hdf5", (373.705955, 2650.495), 1000),
    ],
)
def test_published_facts(name: str, url: str, scores: tuple[float, float], steps: int) -> None:
    entry = D4RL_DATASETS[name]
    assert entry.path == url
    assert (entry.ref_min_score, entry.ref_max_score) == scores
    assert entry.max_episode_steps == steps


def test_entries_are_sound_and_files_do_not_collide() -> None:
    assert HOST.startswith("http://")
    files = [entry.file_name for entry in D4RL_DATASETS.values()]
    assert len(set(files)) == len(files)
    for name, entry in D4RL_DATASETS.items():
        assert re.fullmatch(r"[a-z0-9-]+-v\d", name)
        assert re.fullmatch(r"[a-z0-9_]+/[\w-]+\.hdf5", entry.path)
        assert entry.ref_min_score is None or entry.ref_max_score is None or entry.ref_min_score < entry.ref_max_score


@pytest.mark.parametrize(
    ("name", "observations", "actions"),
    [("halfcheetah", 17, 6), ("hopper", 11, 3), ("walker2d", 17, 6), ("ant", 111, 8)],
)
def test_every_candidate_has_d4rls_sizes(name: str, observations: int, actions: int) -> None:
    pytest.importorskip("mujoco")
    for candidate in D4RL_DATASETS[f"{name}-medium-v2"].candidates:
        spec = environment_spec(candidate.env_id, kwargs=candidate.kwargs)
        assert (spec.observation_size, spec.action_size, spec.max_episode_steps) == (observations, actions, 1000)
        assert set(spec.action_low + spec.action_high) == {-1.0, 1.0}
