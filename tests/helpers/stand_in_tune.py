"""pogo-tune with two workers whose runs are stand-ins, as a module with a `main`."""

from pathlib import Path

from pogo.cli.common import CommandParser, run_command
from pogo.core.config.launcher import LocalLauncher
from pogo.core.tuning.launch import tune
from pogo.core.tuning.plan import read_plan


def main() -> int:
    def started(options):
        return tune(read_plan(options.study), LocalLauncher(), workers=2, module="tests.helpers.stand_in_worker")

    return run_command(_parser, started, None)


def _parser() -> CommandParser:
    parser = CommandParser("tune", "", "", "")
    parser.add_argument("study", type=Path)
    return parser
