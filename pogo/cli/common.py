"""What every command does alike: options, help, version, messages and exit codes."""

import argparse
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Never

from typing_extensions import override

from pogo import __version__
from pogo.core.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, BadInput, RunFailed
from pogo.core.system.signals import PARENT_PIPE, end_with_parent, ended_by_signals

MANY_RUNS = 100  # that take a while to read


class CommandParser(argparse.ArgumentParser):
    """argparse with pogo's manner of refusing: one line, exit code 2."""

    def __init__(self, prog: str, usage: str, description: str, epilog: str | Callable[[], str]) -> None:
        super().__init__(
            prog,
            usage=f"{prog} {usage}",
            description=description,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        self._make_epilog = epilog
        self.add_argument("--version", action="store_true", help="show pogo's version and exit")

    @override
    def format_help(self) -> str:
        self.epilog = self._make_epilog if isinstance(self._make_epilog, str) else self._make_epilog()
        return super().format_help()

    @override
    def error(self, message: str) -> Never:
        unknown = message.removeprefix("unrecognized arguments: ")
        said = message if unknown == message else f"{unknown}: no such option"
        raise BadInput(f"{said}; see {self.prog} --help.")


def run_command(
    make_parser: Callable[[], CommandParser],
    command: Callable[[argparse.Namespace], int],
    arguments: Sequence[str] | None,
) -> int:
    """Run `command` on the options (those of this process by default); one line on stderr for what goes wrong.

    The options have, beside what the parser takes apart, the whole `command` as it was typed.

    Returns:
        The exit code.
    """
    given = sys.argv[1:] if arguments is None else list(arguments)
    if PARENT_PIPE in given:
        given.remove(PARENT_PIPE)
        end_with_parent()
    with ended_by_signals(restore=arguments is not None):
        return _run_command(make_parser, command, given)


def _run_command(
    make_parser: Callable[[], CommandParser], command: Callable[[argparse.Namespace], int], arguments: list[str]
) -> int:
    parser = make_parser()
    # Asked for anywhere, these two are never refused.
    if "--help" in arguments or "-h" in arguments:
        parser.print_help()
        return EXIT_DONE
    if "--version" in arguments:
        print(f"pogo {__version__}")
        return EXIT_DONE
    # Last: a file of the current folder hides no module of a package's.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    logging.basicConfig(level=logging.WARNING, format=f"{parser.prog}: %(message)s", stream=sys.stderr)
    logging.getLogger("pogo").setLevel(logging.INFO)
    try:
        typed = argparse.Namespace(command=(parser.prog, *arguments))
        code = command(parser.parse_intermixed_args(arguments, typed))
        sys.stdout.flush()
        return code
    except BadInput as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except RunFailed as error:
        if not error.reported:
            print(f"{parser.prog}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:  # before a run has begun, or in a command that keeps nothing
        print(f"{parser.prog}: interrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's own flush at its end
        return EXIT_FAILED


def watched(paths: list[Path]) -> Iterable[Path]:
    """The folders of runs, with a bar on stderr while they are read, where that is a terminal and there are many."""
    from rich.console import Console  # late: --help answers without these
    from rich.progress import track

    console = Console(stderr=True)
    if len(paths) < MANY_RUNS or not console.is_terminal:
        return paths
    return track(paths, f"reading {len(paths)} runs", console=console, transient=True)
