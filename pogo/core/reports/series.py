"""From groups of runs to the numbers of a figure: each point a statistic over seeds, with its interval.

Nothing is put together that differs in more than its seed: where `--by` and `--facet` leave it open, the dimensions
that differ are added to `--by`, and a message says so. The one exception are normalised scores of several datasets,
where neither has the dataset: they come to the statistics of Agarwal et al. 2021 (arXiv:2108.13264), which draw dataset
by dataset.
"""

import itertools
import logging
import math
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pogo.core.errors import BadInput
from pogo.core.learner.interface import Mode
from pogo.core.reports.dimensions import (
    ACTOR,
    ALGORITHM,
    DATASET,
    MODE,
    check_known,
    in_order,
    key,
    plainly,
    value,
    what_else_differs,
    written,
)
from pogo.core.reports.drawing import Drawing, Panel
from pogo.core.reports.groups import Group, group_runs
from pogo.core.reports.lines import LineMaker, Place
from pogo.core.reports.quantities import (
    OF_EACH_ACTOR,
    RETURN,
    SCORE,
    Course,
    Courses,
    has_scores,
    is_of_evaluations,
    named,
)
from pogo.core.reports.request import Request
from pogo.core.reports.results import Run, read_runs
from pogo.core.reports.statistics import FEW_SEEDS

OF_A_CHAIN = (f"{OF_EACH_ACTOR}probe_energy", f"{OF_EACH_ACTOR}w2_squared")  # below the score, where runs log them
DEFAULT_MODES: tuple[Mode, ...] = ("deterministic",)
_SAME_DATA = 1e-6  # relative: the last bits of a mean depend on the machine
logger = logging.getLogger("pogo")


def make_drawing(
    folders: Sequence[Path], request: Request, watched: Callable[[list[Path]], Iterable[Path]] = iter
) -> Drawing:
    """Read the runs in folders, and make the numbers of a figure of them.

    Curves take every evaluation, of unfinished runs too; the rest takes the last one of finished runs. Where seeds were
    evaluated at different points, a curve has a point wherever one of them has one: for a seed that has none there, its
    value is interpolated linearly between its own; before its first and after its last it does not count. Each point
    names the seeds that it is over, and a message says that there are such points. Against hours, a point is at the
    mean of its seeds' hours.

    Args:
        folders: where to look for runs.
        request: what to draw.
        watched: is given what there is to read and gives it back one by one, as a progress bar does.

    Raises:
        BadInput: an option is wrong, no run can be read, or none has what is asked for.
    """
    request = request.checked()
    all_curve = request.is_of_a_course
    of_evaluations = all(map(is_of_evaluations, request.y))
    runs = read_runs(folders, curve=all_curve and of_evaluations, watched=watched)
    kept = [run for run in runs if run.is_finished or all_curve]
    unfinished = [run for run in runs if not run.is_finished]
    if not kept:
        raise BadInput(f"no run is finished, of {len(runs)}; --kind curves draws them as far as they are.")
    if unfinished:
        logger.info(
            "%d unfinished, %s: %s.", len(unfinished), "drawn as far as they are" if all_curve else "left out",
            named(unfinished),
        )  # fmt: skip
    if of_evaluations:
        _say_what_failed(kept)
    groups = group_runs(kept)
    courses = _courses(groups, request)
    if request.kind == "returns":
        courses = _with_episodes(courses)
    x = _x_axis(groups, request)
    if x == "hours":
        courses = _with_hours(courses)
    if request.over is not None:
        courses = _with_setting(courses, request.over)
    by, facet, over = _dimensions(courses, request)
    panels, categories = _panels(courses, request, by, facet, over)
    columns = len(courses) if len(courses) > 1 else _columns(facet, panels)
    drawing = Drawing(request, over or x, by, facet, panels, columns, categories)
    if request.level is not None and request.kind != "returns":
        _say_how_few(drawing)
    return drawing


def _say_what_failed(runs: Sequence[Run]) -> None:
    failed = [run for run in runs if any(evaluation.error is not None for evaluation in run.evaluations)]
    if failed:
        logger.warning("an evaluation failed, and is not in the figure: %s; pogo-report says why.", named(failed))


def _courses(groups: Sequence[Group], request: Request) -> dict[str, list[Course]]:
    """The courses of each quantity that is asked for, or that the kind of figure shows by default."""
    reader, modes = Courses(groups), request.modes or DEFAULT_MODES
    if request.y:
        return {quantity: reader.of(quantity, request.actors, modes) for quantity in request.y}
    first = SCORE if request.kind != "returns" and has_scores(groups) else RETURN
    found = {first: reader.of(first, request.actors, modes)}
    evaluated = {course.run.path for course in found[first]}
    for quantity in OF_A_CHAIN if request.kind == "chain" else ():
        try:
            of_all = reader.of(quantity, request.actors, modes)
        except BadInput:
            logger.info("no run logs %s of these actors; there is no panel of it.", quantity)
        else:
            found[quantity] = [course for course in of_all if course.run.path in evaluated]
    return {quantity: of_quantity for quantity, of_quantity in found.items() if of_quantity}


def _x_axis(groups: Sequence[Group], request: Request) -> str:
    """What curves are drawn against; of other figures, the name of the last thing that they show."""
    if request.kind == "profile":
        return "threshold"
    if request.kind != "curves" or request.x == "hours":
        return request.x or "at the end"
    units = {run.clock.units for group in groups for run in group.runs}
    if len(units) > 1:
        raise BadInput("some runs count updates, others environment steps: use --x hours, or folders of one kind.")
    (unit,) = units
    if request.x not in (None, unit):
        raise BadInput(f"--x={request.x}: these runs count {unit}; use --x {unit}, or --x hours.")
    return unit


def _with_episodes(courses: Mapping[str, Sequence[Course]]) -> dict[str, list[Course]]:
    """Those whose run has kept what each episode gave."""
    found = {quantity: [course for course in all_of_it if course.episodes] for quantity, all_of_it in courses.items()}
    without = [course.run for all_of_it in courses.values() for course in all_of_it if not course.episodes]
    if without:
        line = f"{named(without)}: an older pogo kept no returns of episodes"
        if not any(found.values()):
            raise BadInput(f"{line}, which --kind returns shows; use --kind dots.")
        logger.warning("%s; left out.", line)
    return found


def _with_hours(courses: Mapping[str, Sequence[Course]]) -> dict[str, list[Course]]:
    """The points that say how long their run had taken."""
    found: dict[str, list[Course]] = {}
    without: list[Run] = []
    for quantity, of_quantity in courses.items():
        for course in of_quantity:
            there = [index for index, seconds in enumerate(course.seconds) if seconds is not None]
            if len(there) < len(course.seconds):
                without.append(course.run)
            if there:
                counts, values, seconds = (
                    tuple(entries[index] for index in there)
                    for entries in (course.counts, course.values, course.seconds)
                )
                found.setdefault(quantity, []).append(replace(course, counts=counts, values=values, seconds=seconds))
    if without:
        line = f"{named(without)}: logged by an older pogo, without wall_seconds"
        if not found:
            raise BadInput(f"{line}, which --x hours needs; use --x updates (or env_steps).")
        logger.warning("%s; what lacks them is left out.", line)
    return found


def _with_setting(courses: Mapping[str, Sequence[Course]], over: str) -> dict[str, list[Course]]:
    """The courses of runs that set what an ablation is over."""
    every = list(itertools.chain(*courses.values()))
    check_known("--over", over, every)
    without = [course.run for course in every if value(course, over) is None]
    found = {
        quantity: [course for course in of_quantity if value(course, over) is not None]
        for quantity, of_quantity in courses.items()
    }
    if not any(found.values()):
        raise BadInput(f"--over={over}: no run sets it; use what the runs were swept over.")
    if without:
        logger.warning("%s: without %s, and left out.", named(without), over)
    values = {value(course, over) for course in every} - {None}
    if len(values) == 1:
        logger.warning("every run has %s: one value is no ablation yet.", written(over, values.pop()))
    return found


def _dimensions(
    courses: Mapping[str, Sequence[Course]], request: Request
) -> tuple[tuple[str, ...], tuple[str, ...], str | None]:
    """What tells lines apart, and panels, and what is along the x axis where that is a dimension too."""
    every = list(itertools.chain(*courses.values()))
    for option, names in (("--by", request.by), ("--facet", request.facet)):
        for name in names:
            check_known(option, name, every)
    over = ACTOR if request.kind == "chain" else request.over
    pooled = request.may_pool_datasets and set(courses) == {SCORE}
    by = list(request.by)
    for of_quantity in courses.values():
        by += what_else_differs(of_quantity, [*by, *request.facet, *([over] if over else [])], pooled=pooled)
    added = [name for name in by if name not in (*request.by, ACTOR, MODE)]
    if added:
        logger.info("runs differ in %s too, which was added to --by.", ", ".join(added))
    if request.is_in_categories:
        by = by or [ALGORITHM]
        over = next((name for name in by if len({value(course, name) for course in every}) > 1), by[0])
        by.remove(over)
    return tuple(by), request.facet, over


def _panels(
    courses: Mapping[str, Sequence[Course]],
    request: Request,
    by: tuple[str, ...],
    facet: tuple[str, ...],
    over: str | None,
) -> tuple[tuple[Panel, ...], tuple[str, ...]]:
    """The panels, with several quantities a row of them each, and the categories along their x axes."""
    every = list(itertools.chain(*courses.values()))
    place, categories = _places(every, request, over)
    varying = [index for index, name in enumerate(by) if len({value(course, name) for course in every}) > 1]
    maker = LineMaker(request, place)
    panels = []
    for panel_key, _ in _parted(every, facet):
        for quantity, of_quantity in courses.items():
            in_panel = [course for course in of_quantity if key(course, facet) == panel_key]
            parted = _parted(in_panel, by)
            panels.append(
                Panel(
                    panel_key,
                    ", ".join(map(written, facet, panel_key)),
                    quantity,
                    tuple(maker.line(each, _label(by, each, varying), in_line, in_panel) for each, in_line in parted),
                    datasets=tuple(sorted({course.run.labels.dataset for course in in_panel})),
                    data=_of_the_data(quantity, in_panel) if request.kind != "profile" else None,
                )
            )
            _warn_of_unequal_datasets(in_panel, [*by, *([over] if over else [])])
    maker.say_what_was_filled_in()
    return tuple(panels), categories


def _places(courses: Sequence[Course], request: Request, over: str | None) -> tuple[Place, tuple[str, ...]]:
    """Where along the x axis a run stands that gives one number: at a number, or in one of the categories."""
    if over is None:
        return lambda course: "", ()
    values = sorted({value(course, over) for course in courses}, key=in_order)
    if not request.is_in_categories and all(type(each) in (int, float) for each in values):
        return lambda course: float(value(course, over)), ()  # type: ignore[arg-type] - as was just seen
    in_words = plainly if request.kind == "ablation" else lambda each: written(over, each)
    return lambda course: in_words(value(course, over)), tuple(map(in_words, values))


def _parted(courses: Sequence[Course], names: Sequence[str]) -> list[tuple[tuple[Hashable, ...], list[Course]]]:
    found: dict[tuple[Hashable, ...], list[Course]] = {}
    for course in courses:
        found.setdefault(key(course, names), []).append(course)
    return sorted(found.items(), key=lambda entry: [in_order(each) for each in entry[0]])


def _label(by: Sequence[str], line_key: Sequence[Hashable], varying: Sequence[int]) -> str:
    """What tells a line from the others; of an only one, what it is."""
    shown = varying or [index for index, each in enumerate(line_key[:1]) if each is not None]
    return ", ".join(written(by[index], line_key[index]) for index in shown)


def _columns(facet: Sequence[str], panels: Sequence[Panel]) -> int | None:
    """Of a grid with a row for each value of one dimension and a column for each of another, if it has no gap."""
    values = [{panel.key[index] for panel in panels} for index in range(len(facet))]
    sizes = [len(each) for each in values if len(each) > 1]
    return sizes[1] if len(sizes) == 2 and math.prod(sizes) == len(panels) else None


def _of_the_data(quantity: str, courses: Sequence[Course]) -> float | None:
    """What the dataset's own policy has; unknown, with a warning, where runs on a dataset of one name had others."""
    if not is_of_evaluations(quantity) or len({course.run.labels.dataset for course in courses}) > 1:
        return None
    found = {course.run.behaviour: course.run for course in courses if course.run.behaviour is not None}
    if not found:
        return None
    low, high = min(found), max(found)
    if not math.isclose(low, high, rel_tol=_SAME_DATA):
        runs = named([found[low], found[high]])
        logger.warning("%s had different data of one name: the line of the data is left out.", runs)
        return None
    return found[low].score(low) if quantity == SCORE else low


def _warn_of_unequal_datasets(in_panel: Sequence[Course], names: Sequence[str]) -> None:
    """Say so where numbers side by side, which these dimensions tell apart, are over different datasets."""
    if DATASET in names:
        return
    datasets = {
        ", ".join(map(written, names, each)): ", ".join(sorted({course.run.labels.dataset for course in of_number}))
        for each, of_number in _parted(in_panel, names)
    }
    if len(set(datasets.values())) > 1:
        said = "; ".join(f"{label}: {names}" for label, names in datasets.items())
        logger.warning("these are not over the same datasets, and do not compare: %s.", said)


def _say_how_few(drawing: Drawing) -> None:
    sizes = {len(point.seeds) for line in drawing.lines for point in line.points if point.estimate.low is not None}
    if not sizes:
        logger.info("each point is of one run: no interval can be drawn.")
    elif min(sizes) < FEW_SEEDS:
        logger.info("intervals over %d runs: over fewer than %d they are rough.", min(sizes), FEW_SEEDS)
