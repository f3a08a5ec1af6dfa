"""The tables that a run shows. Where there is little room columns go, the least needed first; no digit is cut."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rich.cells import cell_len
from rich.table import Table
from rich.text import Text

from pogo.core.learner.interface import MODES, Mode
from pogo.core.runs.evaluation import ActorEvaluation, ModeResult

Behaviour = tuple[float, float, float | None]  # mean return, its spread, and score of the data's own policy


@dataclass(frozen=True)
class _Column:
    """A column that may go where there is no room, those of the lowest worth first; of none: it stays."""

    header: str
    cells: list[str]
    worth: int | None = None
    is_text: bool = False

    @property
    def width(self) -> int:
        return max(cell_len(text) for text in (*self.header.split("\n"), *self.cells))

    @property
    def folded(self) -> "_Column":
        """The column with its header on two lines, split where both are shortest."""
        words = self.header.split(" ")
        splits = [(" ".join(words[:count]), " ".join(words[count:])) for count in range(1, len(words))]
        if not splits:
            return self
        return replace(self, header="\n".join(min(splits, key=lambda parts: max(map(len, parts)))))


def returns_table(
    title: str, rows: Sequence[ActorEvaluation], behaviour: Behaviour | None, width: int, plus_minus: str = "±"
) -> Table:
    """Returns (mean and spread over episodes) and normalised scores, a row per actor.

    The data's own policy has the first row. It acts at random, as the stochastic mode does, and stands in that mode's
    columns; where these are not shown, as of a chain of deterministic actors or for want of room, in those that are.

    Args:
        title: of the table.
        rows: the actors.
        behaviour: of the data's own policy; none: no such row.
        width: columns of characters that there is room for.
        plus_minus: the sign between a mean and its spread.
    """
    is_stochastic = any(row.stochastic is not None or "stochastic" in row.failed for row in rows)
    table = None
    if is_stochastic:
        table = _fitting(title, _returns(rows, behaviour, MODES, plus_minus), width)
    if table is None:
        columns = _returns(rows, behaviour, MODES[:1], plus_minus)
        table = _fitting(title, columns, width) or _table(title, _needed(columns))
    return table


def _returns(
    rows: Sequence[ActorEvaluation], behaviour: Behaviour | None, modes: Sequence[Mode], plus_minus: str
) -> list[_Column]:
    data = [] if behaviour is None else ["data"]
    columns = [
        _Column("actor", [*data, *(str(row.index) for row in rows)]),
        _Column("kind", [*("as recorded" for _ in data), *(row.kind for row in rows)], worth=1, is_text=True),
    ]
    for mode in modes:
        cells = [_cells(_result(row, mode), mode in row.failed, plus_minus) for row in rows]
        if behaviour is not None:
            cells.insert(0, _return_and_score(*behaviour, plus_minus) if mode == modes[-1] else ("-", "-"))
        returns, scores = (list(column) for column in zip(*cells, strict=True))
        columns.append(_Column(f"{mode} return", returns))
        columns.append(_Column("score", scores, worth=3 if mode == "deterministic" else 2))
    return columns


_MEASURES = {  # header and worth by measure
    "from_actor_0": ("from actor 0", 4),
    "q": ("Q", None),
    "q_independent": ("independent Q", 2),
    "data_distance": ("from the data", 3),
    "saturated": ("at the side", 1),
}


def chain_table(
    rows: Sequence[ActorEvaluation], steps: Sequence[float], data_distance: float | None, width: int
) -> Table:
    """What each actor is measured by, a row per actor.

    Args:
        rows: the actors, with their measures.
        steps: that actors 1, 2, ... were asked to make; none: their weights are given.
        data_distance: mean distance of the data's own actions to another row's; none: no such row.
        width: columns of characters that there is room for.
    """
    columns = [
        _Column("actor", [str(row.index) for row in rows]),
        _Column("step made" + (" (asked)" if steps else ""), [_step(row, steps) for row in rows]),
    ]
    for measure, (header, worth) in _MEASURES.items():
        if any(measure in row.measures for row in rows):
            columns.append(_Column(header, [_measure(row.measures.get(measure), measure) for row in rows], worth))
    if data_distance is not None:
        own = {"actor": "data", _MEASURES["data_distance"][0]: _measure(data_distance, "data_distance")}
        for column in columns:
            column.cells.insert(0, own.get(column.header, "-"))
    title = "what the chain did, in units of the action box"
    return _fitting(title, columns, width) or _table(title, _needed(columns))


def _fitting(title: str, columns: Sequence[_Column], width: int) -> Table | None:
    """A table of this width at most: with headers on two lines where one is too wide, then without columns; or none."""
    if _width(columns) <= width:
        return _table(title, columns)
    shown = [column.folded for column in columns]
    while _width(shown) > width:
        worths = [column.worth for column in shown if column.worth is not None]
        if not worths:
            return None
        shown = [column for column in shown if column.worth != min(worths)]
    return _table(title, shown)


def _needed(columns: Sequence[_Column]) -> list[_Column]:
    """What is shown where there is room for nothing: a terminal wraps it, and no digit is lost."""
    return [column.folded for column in columns if column.worth is None]


def _width(columns: Sequence[_Column]) -> int:
    """With a space at either side of each column, and a line around each."""
    return sum(column.width + 3 for column in columns) + 1


def _table(title: str, columns: Sequence[_Column]) -> Table:
    # Of its own width, not of the console's, which would cut it.
    table = Table(title=title, title_justify="left", width=_width(columns))
    for column in columns:
        table.add_column(Text(column.header), justify="left" if column.is_text else "right", no_wrap=True)
    for cells in zip(*(column.cells for column in columns), strict=True):
        table.add_row(*map(Text, cells))
    return table


def _result(row: ActorEvaluation, mode: Mode) -> ModeResult | None:
    return row.deterministic if mode == "deterministic" else row.stochastic


def _cells(returns: ModeResult | None, has_failed: bool, plus_minus: str) -> tuple[str, str]:
    if returns is None:
        return "failed" if has_failed else "-", "-"
    return _return_and_score(returns.return_mean, returns.return_std, returns.normalized_score, plus_minus)


def _return_and_score(mean: float, std: float, score: float | None, plus_minus: str) -> tuple[str, str]:
    return f"{mean:.1f} {plus_minus} {std:.1f}", "-" if score is None else f"{score:.1f}"


def _step(row: ActorEvaluation, steps: Sequence[float]) -> str:
    step = row.measures.get("from_reference")
    return "-" if step is None else f"{step:.3f}" + (f" ({steps[row.index - 1]:g})" if steps else "")


def _measure(value: float | None, measure: str) -> str:
    if value is None:
        return "-"
    if measure == "saturated":
        return f"{value:.0%}"
    return f"{value:.1f}" if measure in ("q", "q_independent") else f"{value:.3f}"
