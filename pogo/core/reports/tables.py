"""Tables as text: Markdown that reads as it is, and LaTeX with booktabs."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pogo.core.reports.statistics import Estimate

Cell = str | int | float | Estimate | None
"""Words, a count, a number, an estimate with its interval, or nothing."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    header: str
    cells: Sequence[Cell]
    align: Literal["left", "right"] = "right"
    form: str = ".1f"  # of its numbers
    required: bool = True  # shown even where all of its cells are empty

    @property
    def is_shown(self) -> bool:
        """Whether it has something to show."""
        return self.required or any(cell not in (None, "") for cell in self.cells)


@dataclass(frozen=True)
class Comparison:
    """Cells of a LaTeX table that stand beside each other: the best are bold."""

    cells: Sequence[tuple[int, int]]  # row and column, of shown columns
    larger_is_better: bool = True


def markdown(columns: Sequence[Column]) -> str:
    """A Markdown table that GitHub renders."""
    lines = []
    for column in (column for column in columns if column.is_shown):
        texts = [_escaped_markdown(_text(cell, column.form)) for cell in column.cells]
        width = max(map(len, (column.header, *texts)))
        if column.align == "right":
            lines.append([text.rjust(width) for text in (column.header, "-" * (width - 1) + ":", *texts)])
        else:
            lines.append([text.ljust(width) for text in (column.header, "-" * width, *texts)])
    return "\n".join(f"| {' | '.join(line)} |" for line in zip(*lines, strict=True))


def latex(columns: Sequence[Column], comparisons: Sequence[Comparison] = (), notes: Sequence[str] = ()) -> str:
    """A tabular of booktabs. Of cells that are compared, those whose interval meets that of the best are bold.

    Where the best has no interval, as over one seed, nothing says whether it is better: none of them is bold.

    Args:
        columns: those without anything to show are left out.
        comparisons: by rows and shown columns.
        notes: comments above the table.
    """
    shown = [column for column in columns if column.is_shown]
    bold = {place for comparison in comparisons for place in _best(shown, comparison)}
    lines = [f"% {note}" for note in notes]
    lines.append(f"\\begin{{tabular}}{{{''.join(column.align[0] for column in shown)}}}")
    lines += ["\\toprule", " & ".join(_escaped_latex(column.header) for column in shown) + r" \\", "\\midrule"]
    for row in range(len(shown[0].cells)):
        cells = [_latex_cell(column, row, (row, number) in bold) for number, column in enumerate(shown)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, "\\bottomrule", "\\end{tabular}"])


def _best(columns: Sequence[Column], comparison: Comparison) -> list[tuple[int, int]]:
    sign = 1 if comparison.larger_is_better else -1
    found = {place: columns[place[1]].cells[place[0]] for place in comparison.cells}
    estimates = {place: cell for place, cell in found.items() if isinstance(cell, Estimate)}
    if not estimates:
        return []
    best = max(estimates.values(), key=lambda cell: sign * cell.value)
    if best.low is None or best.high is None:
        return []
    return [
        place
        for place, cell in estimates.items()
        if cell.low is not None and cell.high is not None and cell.low <= best.high and best.low <= cell.high
    ]


def _text(cell: Cell, form: str, interval: Callable[[str, str], str] = "[{}, {}]".format) -> str:
    if cell is None:
        return "-"
    if isinstance(cell, Estimate):
        value = format(cell.value, form)
        if cell.low is None or cell.high is None:
            return f"{value} -"
        return f"{value} {interval(format(cell.low, form), format(cell.high, form))}"
    return format(cell, form) if isinstance(cell, float) else str(cell)


def _latex_cell(column: Column, row: int, is_bold: bool) -> str:
    text = _escaped_latex(_text(column.cells[row], column.form))
    return f"\\textbf{{{text}}}" if is_bold else text


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else " " for character in text)


def _escaped_markdown(text: str) -> str:
    """The text with a backslash before each character that means something in a Markdown table."""
    return re.sub(r"([\\|*<`])", r"\\\1", _printable(text))


_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    **{character: f"\\{character}" for character in "&%$#_{}"},
}


def _escaped_latex(text: str) -> str:
    escaped = "".join(_LATEX.get(character, character) for character in _printable(text))
    return re.sub(r"(?<![\w-])-(?=\d)", "$-$", escaped)  # a minus, no hyphen
