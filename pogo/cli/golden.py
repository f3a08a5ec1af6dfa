"""pogo-golden: replay a recorded run of an original implementation and compare."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from pogo.cli.common import run_command

HELP = """\
pogo-golden FILE: feed a recorded run's start, batches and noise to pogo's own algorithm, and compare.

  pogo-golden iql_f64.npz --backend torch
  pogo-golden rebrac.npz  --backend jax --json

  --backend NAME   torch | jax
  --json           {"errors": {step: {tensor: [difference, movement, entries]}},
                    "metrics": {step: {name: [mine, golden]}}}, all in 2-norms

A tensor passes if difference <= rtol * movement + atol * sqrt(entries), with 1e-8 and 1e-13 for float64 files,
5e-3 and 1e-7 * max(1, largest starting entry) for float32 ones; metrics to 1e-9 and 1e-3, relative.

Exit codes: 0 within tolerances, 1 past them, 2 bad input.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command("pogo-golden", HELP, _golden, sys.argv[1:] if arguments is None else arguments)


def _golden(arguments: Sequence[str]) -> int:
    from pogo.core.config.command_line import parse  # late: --help answers without these
    from pogo.core.golden.recording import Recording
    from pogo.core.golden.replay import replay
    from pogo.core.registry import check_backend

    parser = argparse.ArgumentParser("pogo-golden", add_help=False, exit_on_error=False)
    parser.add_argument("file", type=Path)
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--json", action="store_true")
    options = parse(parser, arguments)
    check_backend(options.backend)
    comparison = replay(Recording(options.file), options.backend)
    failures = comparison.failures()
    if options.json:
        print(json.dumps({"errors": comparison.errors, "metrics": comparison.metrics}))
    else:
        share, where = comparison.worst()
        tensors = sum(len(found) for found in comparison.errors.values())
        print(
            f"{options.file.name} on {options.backend}, {comparison.dtype}: {tensors} tensors, {len(failures)} failures"
        )
        print(f"largest share of its tolerance: {share:.2g} ({where})")
        for line in failures:
            print(f"  {line}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
