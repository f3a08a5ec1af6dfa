"""pogo-export: write an actor of a run to a file that acts without pogo."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pogo.cli.common import CommandParser, run_command


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _export, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-export",
        "RUN_DIR --format NAME --out FILE [options]",
        """\
Write an actor of a run to a file that acts without pogo, in the environment's own units. The file is loaded again in a
fresh process without pogo, and its actions are compared with pogo's own at 1 000 observations of the dataset; one that
differs by more than 1e-5 of the action box is not kept.

  pogo-export runs/pendulum-medium-replay/iql_torch/w2_10_10/seed_0 --actor 2 --format onnx --out policy.onnx
  pogo-export RUN_DIR --actor flow --format stablehlo --out flow.bin""",
        _formats,
    )
    add = parser.add_argument
    add("run_dir", type=Path, metavar="RUN_DIR", help="a run's own folder, which holds checkpoints/")
    add("--actor", metavar="INDEX", default="-1", help="of the chain, the last by default; flow: FQL's behaviour flow")
    add("--format", metavar="NAME", required=True, help="onnx | torch | stablehlo | safetensors")
    add("--out", type=Path, metavar="FILE", required=True, help="a new file")
    add("--checkpoint", type=int, metavar="STEP", help="a folder in checkpoints/; the newest good one by default")
    add("--stochastic", action="store_true", help="a file that takes N(0, 1) draws too, and samples")
    return parser


def _formats() -> str:
    from pogo.core.policies.export import FORMATS  # late: only --help takes the time

    lines = [f"  {name:<12} {format.description}" for name, format in FORMATS.items()]
    return "\n".join(
        [
            "Formats:",
            *lines,
            "",
            "Inputs: observations [n, size], and with --stochastic (and for the flow) noise [n, size]; n may be any.",
            "",
            "Exit codes: 0 done, 1 the file would act differently, 2 bad input.",
        ]
    )


def _export(options: argparse.Namespace) -> int:
    from pogo.core.errors import EXIT_DONE  # late: --help answers without these
    from pogo.core.policies.export import export
    from pogo.core.policies.stored import StoredNetworks, actor_named

    networks = StoredNetworks.read(options.run_dir, options.checkpoint)
    policy = networks.policy(actor_named(options.actor))
    done = export(policy, options.out, options.format, deterministic=not options.stochastic)
    print(
        f"{done.path}: actor {policy.actor} ({policy.config.kind}) of step {networks.step}, {done.format}, "
        f"{done.size / 1024:.0f} KiB. Largest difference from pogo's actions: {done.largest_difference:.1e} of the "
        f"action box, at {done.observations}."
    )
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
