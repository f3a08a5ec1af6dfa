"""The numbers of a figure: panels of lines of points, and the same as rows of a table."""

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from pogo.core.reports.dimensions import DATASET, plainly
from pogo.core.reports.request import Request
from pogo.core.reports.statistics import Estimate


@dataclass(frozen=True)
class Point:
    """A statistic over runs at a place along the x axis; of episodes, their median and quartiles."""

    x: float | str
    estimate: Estimate
    seeds: tuple[int, ...]  # of the runs; a seed stands once for each dataset that it is of


@dataclass(frozen=True)
class Mark:
    """A number of a single run: a point of its own thin line, or one of its episodes."""

    dataset: str
    seed: int
    x: float | str
    y: float


@dataclass(frozen=True)
class Line:
    """What is drawn in one manner."""

    key: tuple[Hashable, ...]  # its value of each dimension of `by`
    label: str
    points: tuple[Point, ...]
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True)
class Panel:
    """One pair of axes."""

    key: tuple[Hashable, ...]  # its value of each dimension of `facet`
    title: str
    quantity: str
    lines: tuple[Line, ...]
    datasets: tuple[str, ...]
    data: float | None = None  # what the data's own policy has of the quantity; None: unknown, or of several datasets


@dataclass(frozen=True)
class Drawing:
    """All that a figure shows."""

    request: Request
    x: str  # what is along the x axis
    by: tuple[str, ...]  # the dimensions that tell lines apart
    facet: tuple[str, ...]  # and panels
    panels: tuple[Panel, ...]
    columns: int | None = None  # of the grid of panels; None: as many as look well
    categories: tuple[str, ...] = ()  # along the x axis, in order, where there are no numbers

    @property
    def lines(self) -> list[Line]:
        """Those of all panels."""
        return [line for panel in self.panels for line in panel.lines]

    @property
    def quantities(self) -> list[str]:
        """What the panels show, each once."""
        return list(dict.fromkeys(panel.quantity for panel in self.panels))

    def columns_of_rows(self) -> list[str]:
        """The names of what `rows` have, in order."""
        places = ["quantity", "x_axis", "what", "x", "value", "low", "high", "runs", "seeds"]
        return list(dict.fromkeys([*self.facet, *self.by, DATASET, *places]))

    def rows(self) -> list[dict[str, Any]]:
        """The numbers drawn, one row each.

        `what` says of which kind: estimate (with its interval), seed (a single run's), data (the line of the data's own
        policy); of episodes, quartiles (the median between them) and episode.
        """
        of_episodes = self.request.kind == "returns"
        found: list[dict[str, Any]] = []
        for panel in self.panels:
            datasets = {DATASET: panel.datasets[0]} if len(panel.datasets) == 1 else {}
            where = datasets | dict(zip(self.facet, map(plainly, panel.key), strict=True))
            where |= {"quantity": panel.quantity, "x_axis": self.x}
            if panel.data is not None:
                found.append(where | {"what": "data", "value": panel.data})
            for line in panel.lines:
                own = where | dict(zip(self.by, map(plainly, line.key), strict=True))
                for point in line.points:
                    row = {"what": "quartiles" if of_episodes else "estimate", "x": point.x}
                    row |= point.estimate._asdict() | {"runs": len(point.seeds), "seeds": _in_words(point.seeds)}
                    found.append(own | row)
                for mark in line.marks:
                    row = {"what": "episode" if of_episodes else "seed", "x": mark.x, "value": mark.y}
                    found.append(own | row | {"runs": 1, "seeds": str(mark.seed), DATASET: mark.dataset})
        return found


def _in_words(seeds: tuple[int, ...]) -> str:
    return " ".join(map(str, seeds))
