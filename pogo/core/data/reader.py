"""The contract of a dataset format's reader."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field

from pogo.core.data.raw_rows import Metadata, RawRows
from pogo.core.data.views import View


@dataclass(frozen=True)
class Wanted:
    """What a dataset's config asks of its reader."""

    view: View = "d4rl"
    max_gib: float = 8.0  # limit on the arrays' size
    offline: bool = False  # never download


@dataclass(frozen=True)
class Recorded:
    """A dataset as its source holds it."""

    raw: RawRows
    view: View  # that suits the source: the one wanted, or its own
    metadata: Metadata = field(default_factory=Metadata)
    sha256: str | None = None  # of its values; none: it is one file, whose own digest tells


class Reader(ABC):
    """Reads datasets of one format: files that it recognises, or names with its prefix."""

    suffixes: tuple[str, ...] = ()  # of its files: what looks like one is no dataset's name
    prefix: str = ""  # of the names that it reads; empty: it reads files

    def recognises(self, start: bytes) -> bool:
        """Whether a file that begins with these bytes is of this format."""
        return False

    @abstractmethod
    def read(self, source: str, wanted: Wanted) -> Recorded:
        """The dataset of a file's path, or of a name with its prefix.

        Raises:
            BadInput: the dataset is missing, damaged, hostile or too large, or its arrays do not fit together.
        """
