"""The HTML report in a browser, from a file: it draws, sorts, filters, opens, and asks no network for anything."""

import json
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pogo.core.reports.live import Watcher
from pogo.core.reports.page import write_page
from tests.helpers.run_folders import config, one_actor, write_run, write_whole_run

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytest.importorskip("vl_convert")
playwright = pytest.importorskip("playwright.sync_api", reason="playwright, of pogo[dev], drives the browser")
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
if CHROMIUM is None:
    pytest.skip("no Chromium here: apt install chromium", allow_module_level=True)

# Nothing of the browser's own may look like the page's: it talks to nobody.
OPTIONS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()
HOSTILE = "<img src=x onerror=stolen=1><script>stolen=1<"
PATIENCE = 60_000  # milliseconds


def write_report(runs: Path, reload_seconds: float | None = None) -> Path:
    out = runs.parent / "report"
    write_page(runs, out, Watcher(runs).look(time.time()), reload_seconds)
    return out / "index.html"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two algorithms of two seeds on one data set, and on another a run without scores, one half done, one failed."""
    runs = tmp_path_factory.mktemp("page") / "runs"
    for algorithm, seeds in {"iql": (0, 2), "awac": (5, 7)}.items():
        for seed in seeds:
            write_whole_run(runs / algorithm / f"seed_{seed}", config(seed, algorithm__name=algorithm))
    sources = {"algorithm.beta": "command line"}
    hostile = config(0, dataset__name="hopper", algorithm__beta=HOSTILE, sources=sources)
    film = write_run(runs / HOSTILE / "film", hostile, one_actor(7.5)) / "actor_0.mp4"
    film.write_bytes(b"film")
    write_whole_run(runs / "half", config(1, dataset__name="hopper", algorithm__beta=2.0), finished=False)
    write_run(runs / "bad", config(2, dataset__name="hopper"), updates=7, failed=f"update 7: {HOSTILE} is nan")
    return write_report(runs)


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=CHROMIUM, args=OPTIONS)
        yield chromium
        chromium.close()


@dataclass
class Opened:
    """A page in the browser, and what it said and asked for on its way."""

    page: "Page"
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def rows(self, table: str) -> list[list[str]]:
        """The cells of a table's rows, without those that a row opens."""
        rows = self.page.locator(f"#{table} > .box > table > tbody > tr:not(.detail)").all()
        return [row.locator("> td").all_inner_texts() for row in rows]

    def column(self, table: str, title: str) -> list[str]:
        heads = self.page.locator(f"#{table} > .box > table > thead > tr > *").all_inner_texts()
        index = heads.index(title)
        return [row[index] for row in self.rows(table)]

    def sort(self, table: str, title: str) -> None:
        self.page.locator(f"#{table} thead").first.get_by_role("button", name=title, exact=True).click()

    def filter(self, text: str) -> None:
        self.page.locator("#filter").fill(text)
        self.drawn()

    def drawn(self) -> None:
        """Wait for what is drawn at the time, or will be."""
        self.page.evaluate("new Promise((resolve) => setTimeout(resolve, 20)).then(() => drawing)")

    def lines(self, view: str = "curves") -> int:
        """Lines in a figure."""
        return self.page.evaluate(
            """(name) => {
                if (!views[name]) return 0;
                const count = (item) => (item.marktype === "line" ? 1 : 0)
                    + (item.items ?? []).reduce((sum, each) => sum + count(each), 0);
                return count(views[name].scenegraph().root);
            }""",
            view,
        )


@pytest.fixture
def opened(browser: "Browser", report: Path) -> Iterator[Opened]:
    with browser.new_context(viewport={"width": 1400, "height": 900}) as context:
        yield open_page(context.new_page(), report)


def open_page(page: "Page", report: Path) -> Opened:
    opened = Opened(page)
    page.on("console", lambda message: opened.said.append(message.text))
    page.on("pageerror", lambda error: opened.said.append(str(error)))
    page.on("request", lambda request: opened.asked.append(request.url))
    page.goto(report.as_uri())
    page.wait_for_selector("html[data-drawn]", timeout=PATIENCE)
    return opened


def test_it_draws_without_a_word_and_without_a_network(opened: Opened, report: Path) -> None:
    for place in opened.page.locator("#runs button.open").all():
        place.click()
    opened.page.wait_for_timeout(200)
    assert opened.said == []
    films = [address for address in opened.asked if address.endswith(".mp4")]
    assert set(opened.asked) - set(films) == {report.as_uri()}
    assert len(films) == 1
    assert films[0].startswith(report.parent.as_uri())
    assert opened.page.locator("#summary p").inner_text() == (
        "7 runs of 5 groups on 2 data sets: 5 finished, 1 running, 1 failed. All with backend torch, chain [10]."
    )


def test_results_and_the_runs_behind_them(opened: Opened) -> None:
    # Of seeds 0 and 2, actor 2 after the fourth evaluation: 24 and 26; a tenth of that are the scores.
    opened.filter("iql pendulum deterministic")
    assert opened.column("results", "return") == ["5.0", "15.0", "25.0"]
    assert opened.column("results", "score") == ["0.5", "1.5", "2.5"]
    opened.page.get_by_role("button", name="actor 2, deterministic").click()
    runs = opened.page.locator("#results tr.detail:visible tbody tr").all()
    assert [run.locator("td").all_inner_texts() for run in runs] == [
        ["iql/seed_0", "0", "24.0", "2.4"], ["iql/seed_2", "2", "26.0", "2.6"],
    ]  # fmt: skip


def test_a_click_on_a_header_sorts(opened: Opened) -> None:
    opened.filter("deterministic")
    unscored = ["-"]  # last in both directions
    opened.sort("results", "score")
    assert opened.column("results", "score") == ["0.5", "1.0", "1.5", "2.0", "2.5", "3.0", *unscored]
    head = opened.page.locator("#results th", has_text="score")
    assert head.get_attribute("aria-sort") == "ascending"
    opened.page.keyboard.press("Enter")  # the button has the focus
    assert opened.column("results", "score") == ["3.0", "2.5", "2.0", "1.5", "1.0", "0.5", *unscored]
    assert head.get_attribute("aria-sort") == "descending"
    # By value: as texts, 10.0 would come before 5.0, and 7.5 last.
    opened.sort("results", "return")
    assert opened.column("results", "return") == ["5.0", "7.5", "10.0", "15.0", "20.0", "25.0", "30.0"]
    assert head.get_attribute("aria-sort") is None
    opened.sort("runs", "run")
    # Of the seven, those that have been evaluated; that of the hostile name comes first.
    assert opened.column("runs", "run")[1:4] == ["awac/seed_5", "awac/seed_7", "half"]


def test_the_filter_is_for_tables_and_figures(opened: Opened) -> None:
    # Four whole runs and half of one, of three actors each; the one without a log has no curve.
    assert (len(opened.rows("runs")), opened.lines()) == (7, 15)
    opened.filter("AWAC")
    assert opened.column("runs", "run") == ["awac/seed_5", "awac/seed_7"]
    assert set(opened.column("results", "algorithm")) == {"awac"}
    assert opened.lines() == 6
    assert opened.page.locator("#filtered").inner_text() == "2 of 7 runs"
    opened.filter("awac seed_7")
    assert (len(opened.rows("runs")), opened.lines()) == (1, 3)
    opened.filter("nothing such")
    assert (opened.rows("runs"), opened.lines()) == ([], 0)
    assert opened.page.locator("#runs .empty").inner_text() == "No row matches the filter."
    opened.filter("")
    assert (len(opened.rows("runs")), opened.lines()) == (7, 15)
    assert opened.said == []


def test_runs_and_actors_are_taken_out_of_the_figures(opened: Opened) -> None:
    opened.page.locator("#picker summary").click()
    opened.page.locator("#picker label[title='iql/seed_2'] input").uncheck()
    opened.drawn()
    assert (opened.lines(), opened.lines("Q")) == (12, 4)
    opened.page.locator("#controls fieldset").get_by_label("1", exact=True).uncheck()
    opened.drawn()
    assert opened.lines() == 8
    assert len(opened.rows("runs")) == 7
    opened.page.select_option("#choose-dataset", "pendulum")
    opened.page.select_option("#choose-value", "return")
    opened.page.select_option("#choose-axis", "wall_at")
    opened.page.select_option("#choose-mode", "stochastic")
    opened.drawn()
    assert opened.lines() == 6
    points = opened.page.evaluate("views.curves.data('source_0').filter((each) => each.run === 'iql/seed_0')")
    assert [(point["x"], point["y"]) for point in points if point["actor"] == 2] == [
        (30, -79), (60, -78), (90, -77), (120, -76),
    ]  # fmt: skip
    assert opened.said == []


def test_a_point_says_which_run_it_is_of(opened: Opened) -> None:
    opened.filter("awac seed_5")
    place = opened.page.evaluate(
        """() => {
            const all = (item) => [item, ...(item.items ?? []).flatMap(all)];
            const [point] = all(views.curves.scenegraph().root)
                .filter((item) => item.datum?.actor === 2 && item.mark?.marktype === "symbol");
            const canvas = document.querySelector("#curves canvas");
            canvas.scrollIntoView({ block: "center" });
            const box = canvas.getBoundingClientRect();
            const [left, top] = views.curves.origin();
            const { left: before, top: above } = views.curves.padding();
            return [box.x + before + left + point.x, box.y + above + top + point.y];
        }"""
    )
    opened.page.mouse.move(place[0] - 3, place[1])
    opened.page.mouse.move(*place)
    tooltip = opened.page.locator("#vg-tooltip-element.visible")
    tooltip.wait_for()
    assert re.split(r"\s+", tooltip.inner_text()) == ["run", "awac/seed_5", "actor", "2", "at", "750", "score", "2.6"]


def test_a_run_shows_its_settings_with_their_sources_first_those_that_were_given(opened: Opened) -> None:
    opened.page.get_by_role("button", name=f"details of {HOSTILE}").click()
    detail = opened.page.locator("#runs tr.detail:visible")
    given, rest = detail.locator("table").all()
    assert given.locator("tbody td").all_inner_texts() == ["algorithm.beta", HOSTILE, "command line"]
    assert not rest.is_visible()
    detail.get_by_text("at their defaults").click()
    assert rest.locator("tr", has_text="train.batch_size").inner_text().split() == ["train.batch_size", "64", "-"]
    film = detail.locator("video").evaluate("(video) => decodeURIComponent(video.src)")
    assert film.endswith(f"/report/videos/{HOSTILE}/film/actor_0.mp4")


def test_what_is_unfinished_or_failed_is_named(opened: Opened) -> None:
    found = {row[0]: row[1:] for row in opened.rows("troubles")}
    assert found["half"] == ["running", "1\u202f500", ""]
    assert found["bad"] == ["failed", "0", f"update 7: {HOSTILE} is nan"]


def test_markup_from_files_is_text(opened: Opened) -> None:
    assert opened.page.evaluate("typeof stolen") == "undefined"
    assert f"{HOSTILE}/film" in opened.column("runs", "run")
    # Were it ever taken for markup, it would not run.
    opened.page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"stolen=1\">')")
    opened.page.wait_for_timeout(100)
    assert opened.page.evaluate("typeof stolen") == "undefined"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_narrow_window_scrolls_tables_and_not_the_page(browser: "Browser", report: Path, scheme: str) -> None:
    with browser.new_context(viewport={"width": 400, "height": 800}, color_scheme=scheme) as context:  # type: ignore[arg-type] - one of its words
        opened = open_page(context.new_page(), report)
        opened.page.locator("#runs button.open").first.click()
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 400
        assert opened.page.locator("#results .box").evaluate("(box) => box.scrollWidth > box.clientWidth")
        assert opened.said == []


def test_a_page_of_runs_that_go_on_loads_itself_anew_and_keeps_what_was_chosen(
    browser: "Browser", tmp_path: Path
) -> None:
    runs = tmp_path / "runs"
    for number in range(12):
        write_whole_run(runs / f"iql_{number}", config(number), finished=number > 0)
    with browser.new_context(viewport={"width": 900, "height": 500}) as context:
        opened = open_page(context.new_page(), write_report(runs, reload_seconds=5.0))
        opened.filter("iql_")
        opened.sort("runs", "seed")
        opened.sort("runs", "seed")
        opened.page.get_by_role("button", name="details of iql_11", exact=True).click()
        opened.page.evaluate("window.scrollTo(0, 700)")
        write_whole_run(runs / "iql_12", config(12))
        write_report(runs)  # and no more after that
        opened.page.locator("#filtered", has_text="13 of 13 runs").wait_for(timeout=PATIENCE)
        opened.page.wait_for_selector("html[data-drawn]", timeout=PATIENCE)
        assert opened.column("runs", "seed") == [str(number) for number in range(12, -1, -1)]
        assert opened.page.locator("#runs tr.detail:visible").count() == 1
        assert opened.page.locator("#filter").input_value() == "iql_"
        assert opened.page.evaluate("window.scrollY") == 700
        assert opened.page.locator("#reloading").is_hidden()
        assert opened.said == []


def test_a_folder_without_a_finished_run_is_a_page_too(browser: "Browser", tmp_path: Path) -> None:
    write_run(tmp_path / "runs" / "run", config(), finished=False)
    with browser.new_context() as context:
        opened = open_page(context.new_page(), write_report(tmp_path / "runs"))
        assert opened.column("runs", "state") == ["running"]
        assert opened.page.locator("#curves").inner_text() == "Nothing to draw of what is chosen."
        assert opened.said == []


def test_the_data_is_what_the_page_was_given(opened: Opened, report: Path) -> None:
    found = re.search(r'id="data">(.*?)</script>', report.read_text(), re.DOTALL)
    assert found is not None
    assert opened.page.evaluate("data") == json.loads(found[1])
