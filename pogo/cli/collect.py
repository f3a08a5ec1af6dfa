"""pogo-collect: write a dataset of what an actor of a run does."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pogo.cli.common import CommandParser, run_command

TRANSITIONS, NUM_ENVS = 100_000, 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _collect, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-collect",
        "RUN_DIR --out FILE [options]",
        """\
Write a dataset, in D4RL's HDF5 layout, of what an actor of a run does.

  pogo-collect runs/Pendulum-v1/sac_jax/w2_10_10/seed_0 --actor 0 --transitions 20000 --out pendulum-medium.hdf5
  pogo-collect RUN_DIR --replay --out pendulum-replay.hdf5
  pogo-collect RUN_DIR --replay --transitions 10000 --out pendulum-medium-replay.hdf5""",
        "Exit codes: 0 done, 1 failed while running, 2 bad input.",
    )
    add = parser.add_argument
    add("run_dir", type=Path, metavar="RUN_DIR", help="a run's own folder, which holds checkpoints/")
    add("--out", type=Path, metavar="FILE", help="a new .hdf5 file; pogo-train dataset.path=FILE reads it")
    add("--actor", type=int, metavar="INDEX", help="whose actions, 0 by default")
    add("--transitions", type=int, metavar="N", help=f"at least so many, in whole episodes; {TRANSITIONS} by default")
    add("--deterministic", action="store_true", help="the actor's deterministic mode; its samples by default")
    add("--checkpoint", type=int, metavar="STEP", help="a folder in checkpoints/; the newest good one by default")
    add("--seed", type=int, metavar="N", help="of start states and samples; the run's by default")
    add("--num-envs", type=int, metavar="N", help=f"environments side by side, {NUM_ENVS} by default")
    add("--env", metavar="ID", help="another gymnasium environment of the same sizes and bounds")
    add(
        "--best-return", type=float, metavar="R",
        help="the return that scores 100; by default the run's, or D4RL's constant for the robot",
    )  # fmt: skip
    add("--backend", metavar="NAME", help="torch | jax; the one that wrote the run by default")
    add("--device", metavar="NAME", default="auto", help="auto | cpu | cuda | cuda:<n>")
    add(
        "--replay", action="store_true",
        help="begin with what the replay buffer of an online run holds; without an option of the actor's episodes, "
        "that is all",
    )  # fmt: skip
    return parser


def _collect(options: argparse.Namespace) -> int:
    from pogo.core.data.write_hdf5 import check_new_file
    from pogo.core.errors import BadInput
    from pogo.core.runs.collection import ActorEpisodes, collect  # late: --help answers without these
    from pogo.core.runs.stored_run import StoredRun

    if options.out is None:
        raise BadInput("--out FILE is missing: the dataset to write.")
    check_new_file(options.out, "--out")
    for name, least in (("transitions", 1), ("num_envs", 1), ("seed", 0)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise BadInput(f"--{name.replace('_', '-')} {value}: use a whole number of at least {least}.")
    run = StoredRun(options.run_dir, options.checkpoint, options.backend, options.device)
    actor = options.actor or 0
    if not 0 <= actor < len(run.spec.actors):
        raise BadInput(f"--actor {actor}: the run has actors 0 to {len(run.spec.actors) - 1}.")
    episodes = None
    of_actors = ("actor", "transitions", "deterministic", "seed", "num_envs", "env")
    if not options.replay or any(getattr(options, name) not in (None, False) for name in of_actors):
        transitions = options.transitions or TRANSITIONS
        episodes = ActorEpisodes(
            actor,
            transitions,
            deterministic=options.deterministic,
            seed=run.config.seed if options.seed is None else options.seed,
            num_envs=min(options.num_envs or NUM_ENVS, transitions),
            env=options.env,
        )
    metadata = collect(run, options.out, with_replay=options.replay, episodes=episodes, best_return=options.best_return)
    print(_described(options.out, metadata))
    return 0


def _described(path: Path, metadata: dict) -> str:
    text = f"{path}: {metadata['num_transitions']} transitions, {metadata['num_episodes']} whole episodes"
    if "return_mean" in metadata:
        text += f", return {metadata['return_mean']:.1f} +- {metadata['return_std']:.1f}"
    return f"{text}; random actions {metadata['random_return_mean']:.1f}"


if __name__ == "__main__":
    sys.exit(main())
