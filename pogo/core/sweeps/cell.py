"""One run of a sweep."""

from dataclasses import dataclass
from pathlib import Path

from pogo.core.config.schema import Config


@dataclass(frozen=True)
class Cell:
    """One run of a sweep."""

    arguments: tuple[str, ...]  # of pogo-train
    run_dirs: tuple[Path, ...]  # one per seed
    save_replay: Path | None  # the file that it leaves
    label: str  # what tells it from the others
    config: Config

    @property
    def run_dir(self) -> Path:
        """The folder of the first seed's run."""
        return self.run_dirs[0]
