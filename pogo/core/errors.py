"""The two ways a run can end badly, each with its exit code."""

import contextlib
from collections.abc import Iterator

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


def one_line(text: str) -> str:
    """The text with what no terminal shows as a character (line breaks, NUL, escapes) written out."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


class BadInput(ValueError):  # noqa: N818 - reads as what it is where it is raised
    """The user asked for something that cannot be done: exit code 2, raised before any work.

    The message is one line that says what was wrong, where, and the mend, whatever a value that it quotes holds.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


@contextlib.contextmanager
def reading(what: str) -> Iterator[None]:
    """Say which record is not what pogo writes, where its contents cannot be taken as they are.

    Raises:
        BadInput: the record misses a key, or holds a value of another type, shape or range.
    """
    try:
        yield
    except BadInput as error:
        raise BadInput(str(error) if str(error).startswith(what) else f"{what}: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise BadInput(
            f"{what} is not what pogo writes ({reason}); use another checkpoint, or the run it is of."
        ) from error


class RunFailed(RuntimeError):  # noqa: N818
    """A run that had started could not go on: exit code 1. The message is one line that names the cause."""

    reported = False  # whether the message has been shown already

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
