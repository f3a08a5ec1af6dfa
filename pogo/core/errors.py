"""The two ways a run can end badly, each with its exit code."""

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


class RunFailed(RuntimeError):  # noqa: N818
    """A run that had started could not go on: exit code 1. The message is one line that names the cause."""

    reported = False  # whether the message has been shown already

    def __init__(self, message: str) -> None:
        super().__init__(one_line(message))
