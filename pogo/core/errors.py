"""The two ways a run can end badly, each with its exit code."""

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_BAD_INPUT = 2


class BadInput(ValueError):  # noqa: N818 - reads as what it is where it is raised
    """The user asked for something that cannot be done: exit code 2, raised before any work.

    The message is one line that says what was wrong, where, and the mend.
    """


class RunFailed(RuntimeError):  # noqa: N818
    """A run that had started could not go on: exit code 1. The message names the cause."""

    reported = False  # whether the message has been shown already
