"""argparse with pogo's manner of refusing: one line, exit code 2."""

import argparse
from collections.abc import Sequence

from pogo.core.errors import BadInput


def parse(parser: argparse.ArgumentParser, arguments: Sequence[str]) -> argparse.Namespace:
    """The options, from a parser made with `add_help=False`.

    Raises:
        BadInput: what argparse refuses.
    """

    def refuse(message: str) -> None:
        raise BadInput(f"{message}; see {parser.prog} --help.")

    parser.error = refuse  # type: ignore[method-assign,assignment] - argparse's own hook prints and exits
    try:
        return parser.parse_args(list(arguments))
    except argparse.ArgumentError as error:
        raise BadInput(f"{error}; see {parser.prog} --help.") from error
