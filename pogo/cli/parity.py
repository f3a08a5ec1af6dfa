"""pogo-parity: the same updates on both backends, and how far they drift apart."""

import argparse
import sys
from collections.abc import Sequence

from pogo.cli.common import CommandParser, run_command

OBSERVATION_SIZE, ACTION_SIZE = 5, 2
DEFAULTS = {"dtype": "float64", "train.updates": "20", "train.batch_size": "32"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _parity, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-parity",
        "algorithm=NAME [key=value ...]",
        """\
Run the same updates on torch and on JAX, and print the drift per update.

  pogo-parity algorithm=rebrac
  pogo-parity algorithm=iql dtype=float32 train.updates=100 train.batch_size=256
  pogo-parity algorithm=iql chain.actors=[{kind: gaussian},{kind: stochastic},{kind: deterministic}]""",
        f"""\
State, batches and noise are random, {OBSERVATION_SIZE} observation and {ACTION_SIZE} action dimensions.
Printed is the worst difference of each update as a share of what is allowed: 1e-8 of how far a tensor moved in
float64, 5e-3 in float32.

Exit codes: 0 within tolerances, 1 past them, 2 bad input.""",
    )
    defaults = ", ".join(f"{key}={value}" for key, value in DEFAULTS.items())
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value",
        help=f"options of pogo-train (algorithm.*, chain.*, w2.*, seed, dtype); here {defaults} by default",
    )  # fmt: skip
    return parser


def _parity(options: argparse.Namespace) -> int:
    from pogo.core.config.compose import compose_config  # late: --help answers without these
    from pogo.core.config.online import is_online
    from pogo.core.config.resolution import resolve
    from pogo.core.errors import BadInput
    from pogo.core.registry import BACKENDS, check_backend
    from pogo.core.verify.parity import drift, parity_case

    for backend in BACKENDS:
        check_backend(backend)
    given = {argument.split("=", 1)[0] for argument in options.overrides}
    defaults = [f"{key}={value}" for key, value in DEFAULTS.items() if key not in given]
    asked = compose_config([*defaults, *options.overrides])
    if is_online(asked):
        raise BadInput("batches are drawn at random here and nothing is collected; drop env=, dataset=online.")
    config = resolve(asked)
    spec = config.train_spec(OBSERVATION_SIZE, ACTION_SIZE)
    case = parity_case(spec, config.seed, config.train.updates)
    kinds = " -> ".join(actor.kind for actor in spec.actors)
    print(f"{spec.algorithm}, {kinds}, {spec.dtype}: worst difference, as a share of the tolerance")
    worst = 0.0
    for found in drift(case):
        share, name = found.worst()
        worst = max(worst, share)
        print(f"update {found.update:4d}  {share:9.2e}  {name}")
    print(f"worst {worst:.2e}: {'within tolerances' if worst <= 1 else 'PAST TOLERANCES'}")
    return 0 if worst <= 1 else 1


if __name__ == "__main__":
    sys.exit(main())
