"""pogo-golden: replay a recorded run of an original implementation and compare."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pogo.cli.common import CommandParser, run_command
from pogo.core.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, BadInput

if TYPE_CHECKING:
    from pogo.core.verify.rerun import Comparison

TABLE_HEAD = """\
| file | backend | type | largest difference / movement | largest share of a tolerance | failures |
|---|---|---|---|---|---|"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit code."""
    return run_command(_parser, _golden, arguments)


def _parser() -> CommandParser:
    parser = CommandParser(
        "pogo-golden",
        "FILE... [options]",
        """\
Feed a recorded run's start, batches and noise to pogo's own algorithm, and compare.

  pogo-golden iql_f64.npz --backend torch
  pogo-golden rebrac.npz  --backend jax --json
  pogo-golden tests/golden/*.npz --backend torch --table""",
        """\
A tensor passes if difference <= rtol * movement + atol * sqrt(entries), with 1e-8 and 1e-13 for float64 files,
5e-3 and 1e-7 * max(1, largest starting entry) for float32 ones; metrics to 1e-9 and 1e-3, relative.

A file that cannot be replayed is one line on stderr, and the next one's turn.

Exit codes: 0 within tolerances, 1 past them, 2 bad input (any file of several).""",
    )
    add = parser.add_argument
    add("files", type=Path, nargs="+", metavar="FILE", help="recordings, .npz")
    add("--backend", metavar="NAME", default="torch", help="torch | jax")
    add(
        "--json", action="store_true",
        help='of one file: {"errors": {step: {tensor: [difference, movement, entries]}}, "metrics": {step: {name: '
        "[mine, golden]}}}, all in 2-norms; not with --table",
    )  # fmt: skip
    add(
        "--table", action="store_true",
        help="a Markdown row per file: the largest error as a share of the movement, and of its tolerance",
    )  # fmt: skip
    return parser


def _golden(options: argparse.Namespace) -> int:
    from pogo.core.registry import check_backend  # late: --help answers without these
    from pogo.core.verify.recording import Recording
    from pogo.core.verify.rerun import rerun

    check_backend(options.backend)
    if options.json and len(options.files) > 1:
        raise BadInput(f"--json takes one file, got {len(options.files)}; call it once for each.")
    if options.json and options.table:
        raise BadInput("--json and --table are two forms of one report; give one of them.")
    codes = [EXIT_DONE]
    if options.table:
        print(TABLE_HEAD)
    for file in options.files:
        try:
            comparison = rerun(Recording(file), options.backend)
        except BadInput as error:
            print(f"pogo-golden: {error}", file=sys.stderr)
            codes.append(EXIT_BAD_INPUT)
            continue
        codes.append(EXIT_FAILED if comparison.failures() else EXIT_DONE)
        if options.json:
            print(json.dumps({"errors": comparison.errors, "metrics": comparison.metrics}))
        elif options.table:
            print(_row(file.name, options.backend, comparison))
        else:
            print(_report(file.name, options.backend, comparison))
    return max(codes)  # the worst one is the largest


def _report(name: str, backend: str, comparison: "Comparison") -> str:
    failures = comparison.failures()
    share, where = comparison.worst()
    tensors = sum(len(found) for found in comparison.errors.values())
    lines = [
        f"{name} on {backend}, {comparison.dtype}: {tensors} tensors, {len(failures)} failures",
        f"largest share of its tolerance: {share:.2g} ({where})",
        *(f"  {line}" for line in failures),
    ]
    return "\n".join(lines)


def _row(name: str, backend: str, comparison: "Comparison") -> str:
    share, where = comparison.worst()
    error, tensor = comparison.largest_error()
    cells = (name, backend, comparison.dtype, f"{error:.1e} ({tensor})", f"{share:.2g} ({where})",
             str(len(comparison.failures())))  # fmt: skip
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    sys.exit(main())
