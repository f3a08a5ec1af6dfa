"""pogo-collect: write a dataset of what an actor of a run does."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pogo.cli.common import run_command

HELP = """\
pogo-collect RUN_DIR --out FILE: write a dataset, in D4RL's HDF5 layout, of what an actor of a run does.

  pogo-collect runs/Pendulum-v1/sac_jax/w2_10_10/seed_0 --actor 0 --transitions 20000 --out pendulum-medium.hdf5
  pogo-collect RUN_DIR --replay --out pendulum-replay.hdf5
  pogo-collect RUN_DIR --replay --transitions 10000 --out pendulum-medium-replay.hdf5

  --out FILE            a new .hdf5 file; pogo-train dataset.path=FILE reads it
  --actor INDEX         whose actions, 0 by default
  --transitions N       at least so many, in whole episodes; 100000 by default
  --deterministic       the actor's deterministic mode; its samples by default
  --checkpoint STEP     one of the folders in checkpoints/; the newest good one by default
  --seed N              of start states and samples; the run's by default
  --num-envs N          environments side by side, 10 by default
  --env ID              another gymnasium environment of the same sizes and bounds
  --best-return R       the return that scores 100; by default the run's, or D4RL's constant for the robot
  --backend NAME        torch | jax; the one that wrote the run by default
  --device NAME         auto | cpu | cuda | cuda:<n>
  --replay              begin with what the replay buffer of an online run holds; without an option of the actor's
                        episodes, that is all

Exit codes: 0 done, 1 failed while running, 2 bad input.
"""


TRANSITIONS, NUM_ENVS = 100_000, 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("pogo-collect", HELP, _collect, sys.argv[1:] if arguments is None else arguments)


def _collect(arguments: Sequence[str]) -> int:
    from pogo.core.config.command_line import parse
    from pogo.core.data.write_hdf5 import check_new_file
    from pogo.core.errors import BadInput
    from pogo.core.runs.collection import ActorEpisodes, collect  # late: --help answers without these
    from pogo.core.runs.stored_run import StoredRun

    parser = argparse.ArgumentParser("pogo-collect", add_help=False, exit_on_error=False)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--actor", type=int)
    parser.add_argument("--transitions", type=int)
    parser.add_argument("--deterministic", action="store_true")
    parser.add_argument("--checkpoint", type=int)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--num-envs", type=int)
    parser.add_argument("--env")
    parser.add_argument("--best-return", type=float)
    parser.add_argument("--backend")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--replay", action="store_true")
    options = parse(parser, arguments)
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
