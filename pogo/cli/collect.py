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
  --replay              what the replay buffer of an online run holds, instead; only --out and --checkpoint go with it

Exit codes: 0 done, 1 failed while running, 2 bad input.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("pogo-collect", HELP, _collect, sys.argv[1:] if arguments is None else arguments)


def _collect(arguments: Sequence[str]) -> int:
    from pogo.core.collection import collect, save_stored_replay  # late: --help answers without these
    from pogo.core.config.command_line import parse
    from pogo.core.data.recording import check_new_file
    from pogo.core.environment import environment_spec
    from pogo.core.errors import BadInput
    from pogo.core.stored_run import StoredRun

    parser = argparse.ArgumentParser("pogo-collect", add_help=False, exit_on_error=False)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--actor", type=int)
    parser.add_argument("--transitions", type=int)
    parser.add_argument("--deterministic", action="store_true", default=None)
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
    of_actors = ("actor", "transitions", "deterministic", "seed", "num_envs", "env", "best_return")
    given = [name for name in of_actors if getattr(options, name) is not None]
    if options.replay and given:
        raise BadInput(f"--{given[0].replace('_', '-')} has no meaning with --replay, which writes what there is.")
    run = StoredRun(options.run_dir, options.checkpoint, options.backend, options.device)
    if options.replay:
        metadata = save_stored_replay(run, options.out)
    else:
        actor = options.actor or 0
        transitions = 100_000 if options.transitions is None else options.transitions
        num_envs = 10 if options.num_envs is None else options.num_envs
        if not 0 <= actor < len(run.spec.actors):
            raise BadInput(f"--actor {actor}: the run has actors 0 to {len(run.spec.actors) - 1}.")
        for name, value in (("transitions", transitions), ("num-envs", num_envs)):
            if value < 1:
                raise BadInput(f"--{name} {value}: use at least 1.")
        if options.seed is not None and options.seed < 0:
            raise BadInput(f"--seed {options.seed}: use a whole number of at least 0.")
        metadata = collect(
            run,
            options.out,
            actor=actor,
            transitions=transitions,
            deterministic=bool(options.deterministic),
            seed=run.seed if options.seed is None else options.seed,
            num_envs=min(num_envs, transitions),
            env=environment_spec(options.env) if options.env is not None else None,
            best_return=options.best_return,
        )
    print(_told(options.out, metadata))
    return 0


def _told(path: Path, metadata: dict) -> str:
    text = f"{path}: {metadata['num_transitions']} transitions, {metadata['num_episodes']} whole episodes"
    if "return_mean" in metadata:
        text += f", return {metadata['return_mean']:.1f} +- {metadata['return_std']:.1f}"
    return f"{text}; random actions {metadata['random_return_mean']:.1f}"


if __name__ == "__main__":
    sys.exit(main())
