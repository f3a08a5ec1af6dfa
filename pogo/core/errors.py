"""The two ways a run can end badly, each with its exit code."""

import contextlib
import difflib
from collections.abc import Collection, Iterator

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2
LISTED_NAMES = 12


def one_line(text: str) -> str:
    """The text with what no terminal shows as a character (line breaks, NUL, escapes) written out."""
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)


class BadInput(ValueError):
    """The user asked for something that cannot be done: exit code 2, raised before any work.

    The message is one line that says what was wrong, where, and the mend, whatever a value that it quotes holds.
    """

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))


def check_name(kind: str, name: str, known: Collection[str]) -> None:
    """Refuse an unknown name, offering the nearest known one.

    Raises:
        BadInput: `name` is not in `known`.
    """
    if name not in known:
        near = difflib.get_close_matches(str(name), known, n=LISTED_NAMES)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        names = sorted(known)
        if len(names) > LISTED_NAMES:  # hundreds of datasets: those that look alike, or the first
            names = [*(near or names[:LISTED_NAMES]), "and others"]
        raise BadInput(f"{kind}={name} is unknown.{hint} Known: {', '.join(names)}.")


@contextlib.contextmanager
def reading(record: str, name_refusals: bool = True) -> Iterator[None]:
    """Name the record that is not what pogo writes, where its contents cannot be taken as they are.

    Args:
        record: which one, and of what run.
        name_refusals: whether a `BadInput` from inside is about the record too; else it is passed on as it is.

    Raises:
        BadInput: the record misses a key, or holds a value of another type, shape or range.
    """
    try:
        yield
    except BadInput as error:
        if not name_refusals:
            raise
        raise BadInput(f"{record}: {error}") from error
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError) as error:
        reason = f"it has no {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
        raise BadInput(
            f"{record} is not what pogo writes ({reason}); use another checkpoint, or the run that it is of."
        ) from error


class RunFailed(RuntimeError):
    """A run that had started could not go on: exit code 1. The message is one line that names the cause."""

    reported = False  # whether the message has been shown already

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
