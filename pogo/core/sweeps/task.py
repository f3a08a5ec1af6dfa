"""What an engine starts: a command of pogo's in a process of its own, with a folder for what is known of it."""

import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from pogo.core.sweeps.cell import Cell

TRAIN = "pogo.cli.train"


@dataclass(frozen=True)
class Task:
    """A command that may be started again and again until it is done, and goes on each time where it was."""

    arguments: tuple[str, ...]
    folder: Path  # its own, in which its attempts are recorded
    label: str = ""  # what tells it from the others
    module: str = TRAIN  # whose `main` it is
    working_folder: str = ""  # that its paths are relative to

    @classmethod
    def of(cls, cell: Cell) -> Self:
        """The run of a cell, which waits while another process trains in its folder."""
        given = {argument.partition("=")[0] for argument in cell.arguments}
        waits = () if "run.wait" in given else ("run.wait=true",)
        return cls((*cell.arguments, *waits), cell.run_dir.absolute(), cell.label, working_folder=os.getcwd())

    def __str__(self) -> str:
        return self.label or shlex.join(self.arguments)
