"""D4RL's catalogue: names, files, reference returns and environments, as facts (Fu et al. 2020, arXiv:2004.07219).

Where a score is missing, D4RL publishes none.
"""

from dataclasses import dataclass, field

from pogo.core.setting import Values

HOST = "http://rail.eecs.berkeley.edu/datasets/offline_rl/"


@dataclass(frozen=True)
class Candidate:
    """One environment, by `environment_spec`'s name, that has the dataset's robot, observations and actions."""

    env_id: str
    kwargs: Values = field(default_factory=dict)


@dataclass(frozen=True)
class D4rlEntry:
    """What is known of one D4RL dataset."""

    path: str  # below the host
    ref_min_score: float | None
    ref_max_score: float | None
    max_episode_steps: int
    candidates: tuple[Candidate, ...] = ()  # best first; empty: only the d4rl package has its environment

    @property
    def file_name(self) -> str:
        """The name that D4RL's own cache gives the file."""
        return self.path.rsplit("/", 1)[-1]


# D4RL's environments are the -v2 ones; gymnasium's -v4 keep their models, rewards and observations. -v5 changed
# details (Hopper's and Walker2d's healthy reward, Ant's observations), so it is only the second choice. D4RL's Ant has
# 111 observations, contact forces included, which -v5 (105) has no setting for.
_ROBOTS = {
    "halfcheetah": (-280.178953, 12135.0, (Candidate("HalfCheetah-v4"), Candidate("HalfCheetah-v5"))),
    "hopper": (-20.272305, 3234.3, (Candidate("Hopper-v4"), Candidate("Hopper-v5"))),
    "walker2d": (1.629008, 4592.3, (Candidate("Walker2d-v4"), Candidate("Walker2d-v5"))),
    "ant": (-325.6, 3879.7, (Candidate("Ant-v4", {"use_contact_forces": True}),)),
}
_LEVELS = ("random", "medium", "expert", "medium-replay", "full-replay", "medium-expert")
_V0_FILES = {  # name in the file where it differs from the level's
    "medium-replay": "mixed",
    "medium-expert": "medium_expert",
    "random-expert": "random_expert",
}
_HANDS = {  # random and expert return, step limit
    "pen": (96.262799, 3076.8331017826877, 100),
    "hammer": (-274.856578, 12794.134825156867, 200),
    "relocate": (-6.425911, 4233.877797728884, 200),
    "door": (-56.512833, 2880.5693087298737, 200),
}
_ANTMAZES = {  # name: part of the file name, step limit
    "umaze": ("u-maze_noisy_multistart_False_multigoal_False", 700),
    "umaze-diverse": ("u-maze_noisy_multistart_True_multigoal_True", 700),
    "medium-play": ("big-maze_noisy_multistart_True_multigoal_False", 1000),
    "medium-diverse": ("big-maze_noisy_multistart_True_multigoal_True", 1000),
    "large-play": ("hardest-maze_noisy_multistart_True_multigoal_False", 1000),
    "large-diverse": ("hardest-maze_noisy_multistart_True_multigoal_True", 1000),
}
_KITCHENS = {
    "complete": "mini_kitchen_microwave_kettle_light_slider",
    "partial": "kitchen_microwave_kettle_light_slider",
    "mixed": "kitchen_microwave_kettle_bottomburner_light",
}
_MAZES = {  # name: file, random and expert return, step limit
    "open-v0": ("open-sparse", 0.01, 20.66, 150),
    "umaze-v1": ("umaze-sparse-v1", 23.85, 161.86, 300),
    "medium-v1": ("medium-sparse-v1", 13.13, 277.39, 600),
    "large-v1": ("large-sparse-v1", 6.7, 273.99, 800),
    "open-dense-v0": ("open-dense", 11.17817, 27.166538620695782, 150),
    "umaze-dense-v1": ("umaze-dense-v1", 68.537689, 193.66285642381482, 300),
    "medium-dense-v1": ("medium-dense-v1", 44.264742, 297.4552547777125, 600),
    "large-dense-v1": ("large-dense-v1", 30.569041, 303.4857382709002, 800),
}
_BULLETS = {
    "halfcheetah": (-1275.766996, 2381.6725),
    "hopper": (20.058972, 1441.8059623430963),
    "ant": (373.705955, 2650.495),
    "walker2d": (16.523877, 1623.6476303317536),
}


def _locomotion() -> dict[str, D4rlEntry]:
    entries = {}
    for robot, (low, high, candidates) in _ROBOTS.items():
        for level in _LEVELS:
            stem = f"{robot}_{level.replace('-', '_')}"
            for version in ("v1", "v2"):
                path = f"gym_mujoco_{version}/{stem}-{version}.hdf5"
                entries[f"{robot}-{level}-{version}"] = D4rlEntry(path, low, high, 1000, candidates)
        for level in ("random", "medium", "expert", "medium-replay", "medium-expert"):
            # The host spells this one file without its 2d.
            prefix = "walker" if (robot, level) == ("walker2d", "medium-replay") else robot
            path = f"gym_mujoco/{prefix}_{_V0_FILES.get(level, level)}.hdf5"
            entries[f"{robot}-{level}-v0"] = D4rlEntry(path, low, high, 1000, candidates)
    low, high, candidates = _ROBOTS["ant"]
    entries["ant-random-expert-v0"] = D4rlEntry("gym_mujoco/ant_random_expert.hdf5", low, high, 1000, candidates)
    return entries


def _others() -> dict[str, D4rlEntry]:
    entries = {}
    for maze, (stem, steps) in _ANTMAZES.items():
        # D4RL's v0 environment differs only in that it draws one goal for all its episodes, which v2 corrects.
        known = (0.0, 1.0, steps, (Candidate(f"antmaze-{maze}-v2"),))
        entries[f"antmaze-{maze}-v0"] = D4rlEntry(f"ant_maze_new/Ant_maze_{stem}_sparse.hdf5", *known)
        entries[f"antmaze-{maze}-v2"] = D4rlEntry(f"ant_maze_v2/Ant_maze_{stem}_sparse_fixed.hdf5", *known)
    for hand, (low, high, steps) in _HANDS.items():
        v0_files = {
            "human": f"{hand}-v0_demos_clipped",
            "cloned": f"{hand}-demos-v0-bc-combined",
            "expert": f"{hand}-v0_expert_clipped",
        }
        for level, stem in v0_files.items():
            entries[f"{hand}-{level}-v0"] = D4rlEntry(f"hand_dapg/{stem}.hdf5", low, high, steps)
            entries[f"{hand}-{level}-v1"] = D4rlEntry(f"hand_dapg_v1/{hand}-{level}-v1.hdf5", low, high, steps)
    for level, stem in _KITCHENS.items():
        entries[f"kitchen-{level}-v0"] = D4rlEntry(f"kitchen/{stem}-v0.hdf5", 0.0, 4.0, 280)
    for maze, (stem, low, high, steps) in _MAZES.items():
        entries[f"maze2d-{maze}"] = D4rlEntry(f"maze2d/maze2d-{stem}.hdf5", low, high, steps)
    for robot, (low, high) in _BULLETS.items():
        for level in ("random", "medium", "expert", "medium-expert", "medium-replay"):
            stem = f"bullet-{robot}_{level.replace('-', '_')}"
            entries[f"bullet-{robot}-{level}-v0"] = D4rlEntry(f"bullet/{stem}.hdf5", low, high, 1000)
    return entries


D4RL_DATASETS: dict[str, D4rlEntry] = _locomotion() | _others()
