"""The lines of a figure: from the courses of runs to points, each a statistic over seeds with its interval."""

import logging
import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeAlias

import numpy as np

from pogo.core.reports.dimensions import in_order
from pogo.core.reports.drawing import Line, Mark, Point
from pogo.core.reports.quantities import Course
from pogo.core.reports.request import Request
from pogo.core.reports.statistics import Estimate, Resampling, Statistic, estimate, performance_profile

MOST_POINTS = 300  # of a curve: beyond, windows of them are averaged
MOST_THRESHOLDS = 200  # of a profile: beyond, it is drawn at so many
_MARGIN = 0.05  # of a profile's thresholds, on either side
_ONLY_VALUE = Resampling(method="percentile", resamples=2)  # the interval is thrown away
logger = logging.getLogger("pogo")

Place: TypeAlias = Callable[[Course], float | str]
"""Where along the x axis a run stands that gives one number: at a number, or in a category."""


class LineMaker:
    """Makes lines of one kind of figure, and keeps what has to be said of them."""

    def __init__(self, request: Request, place: Place) -> None:
        self._request = request
        self._place = place
        self._statistic: Statistic = request.statistic or "mean"
        self._resampling = _ONLY_VALUE if request.level is None else Resampling(request.level)
        self._points = 0
        self._interpolated = 0
        self._over_fewer = 0
        self._width = 1

    def line(
        self, line_key: tuple[Hashable, ...], label: str, courses: Sequence[Course], of_panel: Sequence[Course]
    ) -> Line:
        """A line of these courses, one of several in a panel."""
        match self._request.kind:
            case "curves":
                points, marks = self._curve(courses)
            case "profile":
                points, marks = self._profile(courses, [course.values[-1] for course in of_panel]), []
            case "returns":
                points, marks = self._episodes(courses)
            case _:
                points, marks = self._ends(courses)
        with_marks = self._request.per_seed or self._request.kind == "returns"
        return Line(line_key, label, tuple(points), tuple(marks) if with_marks else ())

    def say_what_was_filled_in(self) -> None:
        """Tell what points of curves are of, where they are not simply of every seed's own."""
        if self._width > 1:
            logger.info("a curve has more than %d points: each is the mean of up to %d.", MOST_POINTS, self._width)
        if self._interpolated or self._over_fewer:
            logger.info(
                "seeds have points at different places: %d of %d points of curves take a seed's value between its "
                "own, by a straight line, and %d are over fewer seeds than their curve has; --data says which.",
                *(self._interpolated, self._points, self._over_fewer),
            )

    def _estimate(self, courses: Sequence[Course], values: Sequence[float]) -> Estimate:
        """The statistic of one number per run, and its interval."""
        found = estimate(list(_by_dataset(courses, values).values()), self._statistic, self._resampling)
        return self._as_asked(found)

    def _as_asked(self, found: Estimate) -> Estimate:
        return Estimate(found.value) if self._request.level is None else found

    def _ends(self, courses: Sequence[Course]) -> tuple[list[Point], list[Mark]]:
        """The last value of each run, place by place."""
        points = [
            Point(x, self._estimate(here, [course.values[-1] for course in here]), _seeds(here))
            for x, here in _by_place(courses, self._place)
        ]
        marks = [Mark(*_who(course), self._place(course), course.values[-1]) for course in courses]
        return points, marks

    def _episodes(self, courses: Sequence[Course]) -> tuple[list[Point], list[Mark]]:
        """Every episode of the last evaluations, and their quartiles."""
        points, marks = [], []
        for x, here in _by_place(courses, self._place):
            low, middle, high = np.quantile(np.concatenate([course.episodes for course in here]), [0.25, 0.5, 0.75])
            points.append(Point(x, Estimate(float(middle), float(low), float(high)), _seeds(here)))
            marks += [Mark(*_who(course), x, each) for course in here for each in course.episodes]
        return points, marks

    def _profile(self, courses: Sequence[Course], of_panel: Sequence[float]) -> list[Point]:
        """The share of runs above each threshold: it falls at each run's own value, and nowhere else."""
        values = [course.values[-1] for course in courses]
        low, high = min(of_panel), max(of_panel)
        margin = _MARGIN * ((high - low) or 1.0)
        thresholds = sorted({low - margin, *values, high + margin})
        if len(thresholds) > MOST_THRESHOLDS:
            thresholds = np.linspace(low - margin, high + margin, MOST_THRESHOLDS).tolist()
        shares = performance_profile(list(_by_dataset(courses, values).values()), thresholds, self._resampling)
        return [Point(x, self._as_asked(share), _seeds(courses)) for x, share in zip(thresholds, shares, strict=True)]

    def _curve(self, courses: Sequence[Course]) -> tuple[list[Point], list[Mark]]:
        """Points where any seed has one, and each seed's own."""
        counts = sorted({count for course in courses for count in course.counts})
        values = np.stack([_at(counts, course, course.values) for course in courses])  # [seeds, counts]
        places = np.stack([_at(counts, course, self._x_of(course)) for course in courses])
        width = math.ceil(len(counts) / MOST_POINTS)
        self._width = max(self._width, width)
        own = np.stack([np.isin(counts, course.counts) for course in courses])
        there = ~np.isnan(values)
        self._points += len(counts)
        self._interpolated += int((there & ~own).any(axis=0).sum())
        self._over_fewer += int((~there).any(axis=0).sum())
        marks = []
        for course, ours, at, is_own in zip(courses, values, places, own, strict=True):
            shown = np.where(is_own, ours, np.nan)
            marks += [
                Mark(*_who(course), float(x), float(y))
                for x, y in zip(_windows(at, width), _windows(shown, width), strict=True)
                if not np.isnan(y)
            ]
        points = []
        for ours, at in zip(_windows(values, width).T, _windows(places, width).T, strict=True):
            present = np.flatnonzero(~np.isnan(ours))
            here = [courses[int(index)] for index in present]
            centre = self._estimate(here, ours[present].tolist())
            points.append(Point(float(at[present].mean()), centre, _seeds(here)))
        return points, marks

    def _x_of(self, course: Course) -> Sequence[float]:
        if self._request.x != "hours":
            return course.counts
        return [seconds / 3600 for seconds in course.seconds if seconds is not None]


def _at(counts: Sequence[int], course: Course, values: Sequence[float]) -> np.ndarray:
    """A course at other counts: by straight lines between its own points, NaN before the first and after the last."""
    return np.interp(counts, course.counts, values, left=np.nan, right=np.nan)


def _windows(values: np.ndarray, width: int) -> np.ndarray:
    """Means of so many values in a row, [..., n] to [..., ceil(n / width)], without those that are NaN."""
    missing = -values.shape[-1] % width
    padded = np.concatenate([values, np.full((*values.shape[:-1], missing), np.nan)], axis=-1)
    parted = padded.reshape(*values.shape[:-1], -1, width)
    number = np.sum(~np.isnan(parted), axis=-1)
    return np.divide(np.nansum(parted, axis=-1), number, out=np.full(number.shape, np.nan), where=number > 0)


def _by_dataset(courses: Sequence[Course], values: Sequence[float]) -> dict[str, list[float]]:
    strata: dict[str, list[float]] = {}
    for course, each in zip(courses, values, strict=True):
        strata.setdefault(course.run.labels.dataset, []).append(each)
    return strata


def _by_place(courses: Sequence[Course], place: Place) -> list[tuple[float | str, list[Course]]]:
    found: dict[float | str, list[Course]] = {}
    for course in courses:
        found.setdefault(place(course), []).append(course)
    return sorted(found.items(), key=lambda entry: in_order(entry[0]))


def _who(course: Course) -> tuple[str, int]:
    return course.run.labels.dataset, course.run.seed


def _seeds(courses: Sequence[Course]) -> tuple[int, ...]:
    return tuple(sorted(course.run.seed for course in courses))
