"""What every command does alike: help, version, messages and exit codes."""

import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence

from pogo import __version__
from pogo.core.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, BadInput, RunFailed


def run_command(name: str, help_text: str, command: Callable[[Sequence[str]], int], arguments: Sequence[str]) -> int:
    """Run `command` on the arguments; one line on stderr and the exit code for what goes wrong."""
    if "--help" in arguments or "-h" in arguments:
        print(help_text, end="")
        return EXIT_DONE
    if "--version" in arguments:
        print(f"pogo {__version__}")
        return EXIT_DONE
    # Last: a file of the current folder hides no module of a package's.
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    logging.basicConfig(level=logging.WARNING, format=f"{name}: %(message)s", stream=sys.stderr)
    logging.getLogger("pogo").setLevel(logging.INFO)
    try:
        code = command(arguments)
        sys.stdout.flush()
        return code
    except BadInput as error:
        print(f"{name}: {error}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except RunFailed as error:
        if not error.reported:
            print(f"{name}: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:  # before a run has begun, or in a command that keeps nothing
        print(f"{name}: interrupted.", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:  # the reader of the output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the interpreter's own flush at its end
        return EXIT_FAILED
