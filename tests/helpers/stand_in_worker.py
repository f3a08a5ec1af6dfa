"""The worker of a study whose runs are stand-ins, as a module with a `main`."""

import sys
from pathlib import Path

from pogo.cli.common import CommandParser, run_command
from pogo.core.tuning.plan import read_plan
from pogo.core.tuning.worker import work


def main() -> int:
    return run_command(_parser, lambda options: work(read_plan(options.study), 1, "tests.helpers.stand_in"), None)


def _parser() -> CommandParser:
    parser = CommandParser("worker", "", "", "")
    parser.add_argument("study", type=Path)
    parser.add_argument("rest", nargs="*")
    parser.add_argument("--worker", action="store_true")
    return parser


if __name__ == "__main__":
    sys.exit(main())
