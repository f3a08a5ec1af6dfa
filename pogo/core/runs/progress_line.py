"""The line at the bottom of a terminal that says how far a run is."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

WIDEST_BAR, NARROWEST_BAR = 40, 10
_BETWEEN = "  "


class Part(NamedTuple):
    """Something that the line says; the highest ranks are left out first where there is no room."""

    text: str
    rank: int


@dataclass(frozen=True)
class ProgressLine:
    """A bar, and what is said to its right: whole parts, as many as there is room for."""

    position: int
    total: int
    parts: Sequence[Part]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """As rich asks for it."""
        text = Text(said(self.parts, options.max_width), no_wrap=True)
        room = min(options.max_width - text.cell_len - len(_BETWEEN), WIDEST_BAR)
        if room < NARROWEST_BAR:
            yield text
            return
        line = Table.grid(padding=(0, len(_BETWEEN), 0, 0))
        line.add_row(ProgressBar(max(self.total, 1), self.position, width=room), text)
        yield line


def said(parts: Sequence[Part], width: int) -> str:
    """The parts, in their order, without those that there is no room for; the first in rank is there in any case."""
    kept = list(parts)
    while len(kept) > 1 and cell_len(_BETWEEN.join(part.text for part in kept)) > width:
        kept.remove(max(kept, key=lambda part: part.rank))
    return _BETWEEN.join(part.text for part in kept)
