"""What matplotlib draws is what the numbers of a figure say, and lines differ in more than colour."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.reports.drawing import Drawing, Line, Mark, Panel, Point
from pogo.core.reports.request import Request
from pogo.core.reports.statistics import Estimate

matplotlib = pytest.importorskip("matplotlib")

from matplotlib.axes import Axes  # noqa: E402 - once it is known to be there
from matplotlib.colors import to_hex  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402

from pogo.core.reports import plots  # noqa: E402

GREY = "#707070"


@pytest.fixture(autouse=True)
def _style() -> Iterator[None]:
    with matplotlib.rc_context(plots.read_style(plots.STYLE)):
        yield


def points(*values: tuple[Any, ...]) -> tuple[Point, ...]:
    """Points of x, value and, where there is one, interval."""
    return tuple(Point(x, Estimate(*rest), (0, 1)) for x, *rest in values)


def drawing(*panels: Panel, **options: Any) -> Drawing:
    kind = options.pop("kind", "curves")
    return Drawing(
        Request(kind=kind), options.pop("x", "updates"), options.pop("by", ("actor",)), ("dataset",), panels, **options
    )


def panel(*lines: Line, **options: Any) -> Panel:
    return Panel(
        (), options.pop("title", "ant"), options.pop("quantity", "normalized_score"), lines, ("ant",), **options
    )


def line(index: int, *values: tuple[Any, ...], marks: tuple[Mark, ...] = ()) -> Line:
    return Line((index,), f"actor {index}", points(*values), marks)


def lines_of(axes: Axes, label: str) -> list[Any]:
    return [each for each in axes.lines if each.get_label() == label]


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for each in figure.legends for text in each.get_texts()]


def band(axes: Axes, index: int = 0) -> np.ndarray:
    """The corners of a filled interval, each once and in order."""
    return np.unique(axes.collections[index].get_paths()[0].vertices, axis=0)


def test_a_curve_has_its_points_its_band_and_its_seeds() -> None:
    marks = (Mark("ant", 1, 20.0, 5.0), Mark("ant", 1, 10.0, 1.0), Mark("ant", 0, 10.0, 3.0))
    curve = line(0, (10.0, 2.0, 1.0, 3.0), (20.0, 5.0, 4.0, 7.0), marks=marks)
    figure = plots.draw(drawing(panel(curve, line(1, (10.0, 8.0)), data=6.0)))
    (axes,) = figure.axes
    (drawn,) = lines_of(axes, "actor 0")
    np.testing.assert_array_equal(drawn.get_xydata(), [[10, 2], [20, 5]])
    np.testing.assert_array_equal(band(axes), [[10, 1], [10, 3], [20, 4], [20, 7]])
    assert len(axes.collections) == 1  # none for the other, which has no interval
    thin = [each.get_xydata().tolist() for each in axes.lines if each.get_linewidth() < 0.9]
    assert thin == [[[10, 3]], [[10, 1], [20, 5]]]
    (data,) = lines_of(axes, plots.DATA)
    assert list(data.get_ydata()) == [6, 6]
    assert legend(figure) == ["actor 0", "actor 1", plots.DATA]
    assert (axes.get_title(), axes.get_xlabel(), axes.get_ylabel()) == ("ant", "updates", "normalised score")


def test_one_line_needs_no_legend() -> None:
    assert legend(plots.draw(drawing(panel(line(0, (1.0, 2.0)))))) == []


def test_twelve_lines_all_look_different_without_colour_too() -> None:
    figure = plots.draw(drawing(panel(*(line(index, (1.0, 2.0), (2.0, 3.0)) for index in range(12)))))
    drawn = figure.axes[0].lines
    assert len({(str(each._dash_pattern), each.get_marker()) for each in drawn}) == 12  # type: ignore[attr-defined]
    assert len({(to_hex(each.get_color()), str(each._dash_pattern)) for each in drawn}) == 12  # type: ignore[attr-defined]
    assert GREY not in {to_hex(each.get_color()) for each in drawn}
    assert len(legend(figure)) == 12


def test_of_two_dimensions_one_has_the_colours_and_one_the_line_styles() -> None:
    lines = [
        Line((name, actor), f"{name}, actor {actor}", points((1.0, 2.0), (2.0, 3.0)))
        for name in ("awac", "iql")
        for actor in (0, 1, 2)
    ]
    drawn = plots.draw(drawing(panel(*lines), by=("algorithm", "actor"))).axes[0].lines
    assert [to_hex(each.get_color()) for each in drawn] == ["#0072b2"] * 3 + ["#d55e00"] * 3
    styles = [str(each._dash_pattern) for each in drawn]  # type: ignore[attr-defined]
    assert styles[:3] == styles[3:]
    assert len(set(styles)) == 3


def test_lines_that_look_alike_are_said_to(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="pogo")
    plots.draw(drawing(panel(*(line(index, (1.0, 2.0)) for index in range(28)))))
    assert caplog.messages == []
    plots.draw(drawing(panel(*(line(index, (1.0, 2.0)) for index in range(29)))))
    assert caplog.messages == ["29 lines, of which some look alike: choose by --actor, or part them by --facet."]


def test_a_line_looks_the_same_in_every_panel() -> None:
    figure = plots.draw(drawing(panel(line(0, (1.0, 2.0)), line(1, (1.0, 2.0))), panel(line(1, (1.0, 2.0)))))
    first, second = (lines_of(axes, "actor 1")[0] for axes in figure.axes)
    assert (first.get_color(), first.get_marker()) == (second.get_color(), second.get_marker())


@pytest.mark.parametrize("number", [1, 2, 4, 6, 7])
def test_panels_stand_in_a_grid_without_gaps_or_overlaps(number: int) -> None:
    titles = [f"a dataset of a long name, an algorithm of another {index}" for index in range(number)]
    panels = (panel(*(line(index, (1e6, 2.0), (2e6, 3.0)) for index in range(12)), title=title) for title in titles)
    figure = plots.draw(drawing(*panels))
    figure.draw_without_rendering()
    shown = [axes for axes in figure.axes if axes.axison]
    assert [axes.get_title().replace("\n", " ") for axes in shown] == titles
    boxes = [axes.get_tightbbox() for axes in shown] + [figure.legends[0].get_window_extent()]
    for index, box in enumerate(boxes):
        assert box is not None
        assert box.x0 >= -1
        assert box.y0 >= -1
        assert box.x1 <= figure.bbox.x1 + 1
        assert box.y1 <= figure.bbox.y1 + 1
        assert not any(other.overlaps(box) for other in boxes[:index] if other is not None)
    assert all(axes.get_position().height * figure.get_figheight() > 1.0 for axes in shown)  # inches


def test_panels_of_scores_share_their_scale_and_losses_do_not() -> None:
    def heights(quantity: str) -> set[tuple[float, float]]:
        figure = plots.draw(
            drawing(panel(line(0, (1.0, 2.0)), quantity=quantity), panel(line(0, (1.0, 90.0)), quantity=quantity))
        )
        return {axes.get_ylim() for axes in figure.axes}

    for quantity in ("normalized_score", "return"):
        ((low, high),) = heights(quantity)
        assert low < 2.0
        assert high > 90.0
    assert len(heights("critic/loss")) == 2


def categories(kind: str) -> Axes:
    marks = (Mark("ant", 0, "iql", 1.0), Mark("ant", 1, "iql", 5.0), Mark("ant", 0, "awac", 7.0))
    lines = (
        line(0, ("awac", 7.0), ("iql", 3.0, 1.0, 6.0), marks=marks),
        line(1, ("iql", 4.0, 2.0, 5.0)),
    )
    figure = plots.draw(drawing(panel(*lines), kind=kind, x="algorithm", categories=("awac", "iql")))
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["awac", "iql"]
    assert legend(figure) == ["actor 0", "actor 1"]
    return axes


def test_bars_and_their_errors() -> None:
    axes = categories("bars")
    bars = axes.patches
    assert [bar.get_height() for bar in bars] == [7, 3, 4]  # type: ignore[attr-defined]
    middles = [bar.get_x() + bar.get_width() / 2 for bar in bars]  # type: ignore[attr-defined]
    assert middles == pytest.approx([-0.2, 0.8, 1.2])
    assert len({bar.get_hatch() for bar in bars}) == 2
    segments = [segment for each in axes.collections for segment in each.get_segments()]  # type: ignore[attr-defined]
    # Of three bars one is of a single run, and has no interval.
    assert [segment[:, 1].tolist() for segment in segments if segment.size] == [[1, 6], [2, 5]]
    seeds = [each for each in axes.lines if each.get_markerfacecolor() == "white"]
    assert [each.get_ydata().tolist() for each in seeds] == [[1, 5, 7]]


def test_dots_and_their_errors() -> None:
    axes = categories("dots")
    dots = [each for each in axes.lines if each.get_marker() in ("o", "s") and each.get_markerfacecolor() != "white"]
    assert [each.get_ydata().tolist() for each in dots] == [[7, 3], [4]]
    assert len({each.get_marker() for each in dots}) == 2


def test_episodes_lie_in_their_box() -> None:
    marks = tuple(Mark("ant", 0, "iql", float(y)) for y in (0, 10, 20, 30, 40))
    box = Line((0,), "actor 0", points(("iql", 20.0, 10.0, 30.0)), marks)
    figure = plots.draw(drawing(panel(box, quantity="return"), kind="returns", x="algorithm", categories=("iql",)))
    (axes,) = figure.axes
    (patch,) = axes.patches
    assert (patch.get_y(), patch.get_height()) == (10, 20)  # type: ignore[attr-defined]
    (episodes,) = axes.lines
    assert list(episodes.get_ydata()) == [0, 10, 20, 30, 40]  # type: ignore[arg-type]
    assert np.ptp(episodes.get_xdata()) < 0.8
    assert axes.collections[0].get_segments()[0][:, 1].tolist() == [20, 20]  # type: ignore[attr-defined]


def test_a_profile_is_a_step_function() -> None:
    figure = plots.draw(drawing(panel(line(0, (0.0, 1.0, 1.0, 1.0), (50.0, 0.5, 0.0, 1.0))), kind="profile"))
    (axes,) = figure.axes
    (steps,) = axes.lines
    assert steps.get_drawstyle() == "steps-post"
    np.testing.assert_array_equal(steps.get_xydata(), [[0, 1], [50, 0.5]])
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("normalised score", "share of runs above")


def test_ablation_ticks_are_the_values() -> None:
    swept = drawing(panel(line(0, (1.0, 2.0), (100.0, 3.0))), kind="ablation", x="chain.last_w2_weight")
    axes = plots.draw(swept, log_x=True).axes[0]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_xticklabels()] == ["1", "100"]
    assert axes.get_xlabel() == "chain.last_w2_weight"


def test_logarithms_of_what_is_not_above_0_are_refused() -> None:
    curve = drawing(panel(line(0, (0.0, -1.0), (1.0, 2.0))))
    with pytest.raises(BadInput, match=r"--log-y: normalized_score goes down to -1, which has no logarithm"):
        plots.draw(curve, log_y=True)
    with pytest.raises(BadInput, match=r"--log-x: updates goes down to 0, which has no logarithm"):
        plots.draw(curve, log_x=True)
    bars = drawing(panel(line(0, ("iql", 1.0))), kind="bars", categories=("iql",))
    with pytest.raises(BadInput, match=r"--log-x: along the x axis are iql, no numbers"):
        plots.draw(bars, log_x=True)


@pytest.mark.parametrize(
    ("ending", "start"), [(".pdf", b"%PDF"), (".svg", b"<?xml"), (".png", b"\x89PNG"), (".PNG", b"\x89PNG")]
)
def test_a_file_is_of_the_format_that_its_name_says_and_always_the_same(
    tmp_path: Path, ending: str, start: bytes
) -> None:
    written = []
    for name in ("a", "b"):
        out = tmp_path / f"{name}{ending}"
        plots.check_out(out)
        plots.save(drawing(panel(line(0, (1.0, 2.0)), line(1, (1.0, 2.0)))), out, plots.read_style(plots.STYLE))
        written.append(out.read_bytes())
    assert written[0].startswith(start)
    assert len(written[0]) > 2000
    assert written[0] == written[1]


def test_a_style_of_ones_own(tmp_path: Path) -> None:
    style = tmp_path / "mine.mplstyle"
    style.write_text("axes.prop_cycle: cycler('color', ['ff0000'])\nfigure.figsize: 7, 2\n")
    with matplotlib.rc_context(plots.read_style(style)):
        figure = plots.draw(drawing(panel(line(0, (1.0, 2.0)))))
    assert tuple(figure.get_size_inches()) == (7, 2)
    assert to_hex(figure.axes[0].lines[0].get_color()) == "#ff0000"
    style.write_text("axes.colour: red\n")
    with pytest.raises(BadInput, match=r"no style of matplotlib: there is no setting 'axes.colour'; start from a copy"):
        plots.read_style(style)
    style.write_text("axes.grid: perhaps\n")
    with pytest.raises(BadInput, match=r"no style of matplotlib: .*Cannot convert 'perhaps' to bool"):
        plots.read_style(style)
    with pytest.raises(BadInput, match=r"nowhere is no style of matplotlib: .*No such file"):
        plots.read_style(tmp_path / "nowhere")
