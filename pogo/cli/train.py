"""pogo-train: train a chain of actors."""

import argparse
import sys
from collections.abc import Sequence

from pogo.cli.common import CommandParser, run_command
from pogo.cli.train_options import TrainOptions, add_options
from pogo.core.errors import EXIT_DONE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _train, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-train",
        "[options] [key=value ...]",
        """\
Train an offline-RL algorithm, or SAC online, and a JKO chain of actors on top of it.

  pogo-train backend=jax   algorithm=rebrac
  pogo-train backend=torch algorithm=iql dataset=hopper-medium-v2 seed=1
  pogo-train dataset.path=FILE.hdf5 env=Hopper-v5 train.updates=50000
  pogo-train algorithm=sac env=Pendulum-v1 train.env_steps=15000 train.learning_starts=1000""",
        _settings,
    )
    add_options(parser)
    return parser


def _settings() -> str:
    from pogo.core.config.settings_help import settings_text  # late: only --help takes the time to read all fields

    return f"""\
Settings with their defaults; null is inferred from others, or nothing (docs/options.md says what each is):

{settings_text()}

Groups: backend=torch | jax, algorithm=NAME, dataset=NAME (shipped: pendulum-medium-replay; a D4RL name such as
hopper-medium-v2; online), experiment=NAME. dataset.path=FILE env=ENV_ID is a file of your own, in D4RL's HDF5 layout or
OGBench's .npz. algorithm=sac env=ID learns online, without a dataset; every and steps then count environment steps.

Exit codes: 0 done; 1 failed while running (with -m: some runs did), also where all is trained and saved and only the
last evaluation failed, which the same command makes again; 2 bad input; 130 and 143 stopped by a signal, saved."""


def _train(options: argparse.Namespace) -> int:
    # Late: --help answers without these.
    from pogo.core.config.compose import compose_config
    from pogo.core.config.inspection import complete_shell, hydra_yaml, information
    from pogo.core.config.provenance import annotated_yaml
    from pogo.core.runs.plan import check_settings
    from pogo.core.runs.training import train

    asked_for = TrainOptions.read(options)
    if asked_for.completion is not None:
        complete_shell(asked_for.completion)
        return EXIT_DONE
    if asked_for.many:
        from pogo.cli.sweep import sweep

        return sweep(asked_for)
    if asked_for.info is not None:
        print(information(asked_for.info, asked_for.overrides), end="")
        return EXIT_DONE
    asked = compose_config(asked_for.overrides)
    if asked_for.cfg is None:
        return train(asked, options.command)
    if asked_for.cfg in ("job", "all"):
        print(annotated_yaml(check_settings(asked, to_run=False).config), end="")
    if asked_for.cfg in ("hydra", "all"):
        print(hydra_yaml(asked_for.overrides), end="")
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
