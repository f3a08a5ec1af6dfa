"""Run folders of version 0.1.0 as it was in November 2026, in runs.tar.gz, and the commands that made them.

Small runs of every algorithm on both backends, two that collected their own data, and two seeds of one program. The
archive is not made anew: it is what users' folders look like, and later versions must go on with it.
"""

import tarfile
from pathlib import Path

ARCHIVE = Path(__file__).with_name("runs.tar.gz")
BACKENDS = ("torch", "jax")
UPDATES = 6
ENV_STEPS = 12
COMMON = {
    "threads": 1,
    "log.every": 3,
    "eval.every": 3,
    "checkpoint.every": 3,
    "checkpoint.keep": 1,
    "eval.episodes": 1,
    "train.batch_size": 8,
    "logger.tensorboard": "false",
}
_HIDDEN = {"algorithm.hidden_sizes": "[8,8]"}
_DEEP = {"algorithm.hidden_size": 8, "algorithm.critic_num_hidden": 1, "algorithm.actor_num_hidden": 1}
_FLOW = {"algorithm.critic_hidden_sizes": "[8,8]", "algorithm.actor_hidden_sizes": "[8,8]"}
_SAC = {"algorithm.hidden_size": 8, "algorithm.num_layers": 2}
OF_ALGORITHM = {
    "iql": _HIDDEN,
    "td3_bc": _HIDDEN,
    "cql": _DEEP,
    "awac": _HIDDEN,
    "sac_n": _HIDDEN,
    "edac": _HIDDEN,
    "rebrac": _DEEP,
    "fql": _FLOW,
    "pogo": _HIDDEN,
    "sac": _SAC | {"dataset": "pendulum-medium-replay"},
}


def options_of_runs() -> dict[str, dict[str, object]]:
    """The options that made each run, by its folder below the archive's root; two seeds of one program are not here."""
    found: dict[str, dict[str, object]] = {}
    for backend in BACKENDS:
        for algorithm, options in OF_ALGORITHM.items():
            folder = f"pendulum-medium-replay/{algorithm}_{backend}/w2_10_10/seed_0"
            found[folder] = {"backend": backend, "algorithm": algorithm, "train.updates": UPDATES, **options, **COMMON}
        found[f"Pendulum-v1/sac_{backend}/w2_10_10/seed_0"] = {
            "backend": backend,
            "algorithm": "sac",
            "dataset": "online",
            "env": "Pendulum-v1",
            "train.env_steps": ENV_STEPS,
            "train.learning_starts": 6,
            **_SAC,
            **COMMON,
        }
    return found


SEEDS_OF_ONE_PROGRAM = {
    "backend": "jax",
    "algorithm": "td3_bc",
    "train.num_seeds": 2,
    "seed": 5,
    "train.updates": UPDATES,
    **_HIDDEN,
    **COMMON,
}


def unpack(folder: Path) -> Path:
    """The archive's runs below a folder; returns their root."""
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "runs"
