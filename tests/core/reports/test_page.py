"""The HTML report: what its data says of run folders, its size, and what it keeps out."""

import html
import json
import os
import re
import sys
import time
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from pogo.cli.report import main
from pogo.core.config.compose import compose_config
from pogo.core.config.resolution import resolve
from pogo.core.reports.live import Watcher
from pogo.core.reports.page import script_text, vega_bundle, write_page
from pogo.core.reports.page_data import page_data
from pogo.core.reports.rows import make_report
from tests.helpers.run_folders import actors, config, one_actor, write_curve, write_run, write_whole_run
from tests.helpers.runs import call

pytest.importorskip("vl_convert")
MEGABYTE = 1_000_000


def document(folder: Path) -> dict[str, Any]:
    """What a page of these runs says, as a browser reads it."""
    out = folder.parent / f"{folder.name}_report"
    call(main, str(folder), "--html", str(out)).assert_code(0)
    return data_of((out / "index.html").read_text())


def data_of(page: str) -> dict[str, Any]:
    found = re.findall(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert len(found) == 1
    return json.loads(found[0])


def row_of(data: dict[str, Any], actor: int, mode: str) -> dict[str, Any]:
    (row,) = [row for row in data["results"] if (row["actor"], row["mode"]) == (actor, mode)]
    return row


def test_results_are_those_of_the_run_folders(tmp_path: Path) -> None:
    for seed in range(3):
        write_whole_run(tmp_path / "runs" / f"seed_{seed}", config(seed))
    data = document(tmp_path / "runs")
    row = row_of(data, 2, "deterministic")
    # Of seed s after the fourth evaluation: s + 20 + 4.
    assert row["runs"] == [[0, 24.0, 2.4], [1, 25.0, 2.5], [2, 26.0, 2.6]]
    mean, low, high = row["return"]
    assert mean == 25.0
    assert 24.0 <= low < 25.0 < high <= 26.0
    assert row["score"] == pytest.approx([mean / 10, low / 10, high / 10])
    assert row_of(data, 2, "stochastic")["return"][0] == -75.0
    assert (row["at"], row["clock"], row["behaviour"]) == (3000, "updates", -800.0)
    # As pogo-report's own table has them.
    tabled = {(found.actor, found.mode): found.return_mean for found in make_report(tmp_path / "runs").rows}
    assert tabled == {(found["actor"], found["mode"]): found["return"][0] for found in data["results"]}


def test_curves_and_measures(tmp_path: Path) -> None:
    write_whole_run(tmp_path / "runs" / "run", config(5))
    data = document(tmp_path / "runs")
    (run,) = data["runs"]
    assert run["at"] == [750, 1500, 2250, 3000]
    assert run["wall_at"] == [30, 60, 90, 120]
    curve = next(curve for curve in run["curves"] if (curve["actor"], curve["mode"]) == (1, "deterministic"))
    assert curve["return"] == [16, 17, 18, 19]
    assert curve["score"] == [1.6, 1.7, 1.8, 1.9]
    assert run["measured"]["2"] == {"q": -2.0, "from_actor_0": 0.2}
    assert [row["measures"].get("from_actor_0") for row in data["chain"]] == [None, 0.1, 0.2]


def test_a_run_s_settings_sources_versions_device_and_command(tmp_path: Path) -> None:
    resolved = config(
        0,
        sources={"algorithm.beta": "command line", "train.batch_size": "default of iql", "device": "default"},
        command=["pogo-train", "algorithm.beta=3", "run.dir=my runs"],
        pogo={"version": "0.2", "commit": "abc"},
    )
    write_whole_run(tmp_path / "runs" / "run", resolved)
    data = document(tmp_path / "runs")
    (run,) = data["runs"]
    given, rest = ([data["settings"][number] for number in numbers] for numbers in run["settings"])
    assert given == [["algorithm.beta", "3.0", "command line"]]
    assert ["train.batch_size", "64", "default of iql"] in rest
    assert ["algorithm.hidden_sizes", "[256, 256]", None] in rest
    assert not [name for name, *_ in rest if name.startswith(("sources", "command", "pogo", "machine"))]
    facts = dict(data["facts"][number] for number in run["facts"])
    assert (facts["device"], facts["device name"], facts["python"]) == ("cpu", "a processor", "3.11.7")
    assert (facts["pogo version"], facts["pogo commit"]) == ("0.2", "abc")
    assert run["command"] == "pogo-train algorithm.beta=3 'run.dir=my runs'"
    assert (run["wall"], run["host"]) == (120.0, "workstation")


def test_an_unfinished_run_s_versions_are_those_of_its_newest_checkpoint(tmp_path: Path) -> None:
    run = write_whole_run(tmp_path / "runs" / "run", config(), finished=False)
    for step, version in (("000000100", "0.1"), ("000000200", "0.2")):
        (run / "checkpoints" / step).mkdir(parents=True)
        record = {"run": {"versions": {"jax": version}}}
        (run / "checkpoints" / step / "records.json").write_text(json.dumps(record))
    data = document(tmp_path / "runs")
    assert ["jax", "0.2"] in [data["facts"][number] for number in data["runs"][0]["facts"]]


def test_what_went_wrong_is_named(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    write_curve(write_run(runs / "a", config(0)), at_1000="GymError: no\n display", at_3000=actors(one_actor(1.0)))
    write_run(runs / "b", config(1), updates=7, failed="update 7: loss is nan.")
    write_whole_run(runs / "c", config(2), finished=False)
    write_run(runs / "d", config(3))
    (runs / "d" / "summary.json").write_text("{")
    write_run(runs / "e", config(0))  # seed 0 once more
    data = document(runs)
    by_path = {run["path"]: run for run in data["runs"]}
    assert by_path["a"]["failures"] == [[1000, "GymError: no display"]]
    assert (by_path["b"]["status"], by_path["b"]["note"]) == ("failed", "update 7: loss is nan")
    assert (by_path["c"]["status"], by_path["c"]["position"]) == ("running", 1500)
    assert len(data["warnings"]) == 2
    assert f"{runs}/d/summary.json is not valid JSON" in data["warnings"][0]
    assert "seed 0 of pendulum iql torch [10.0] is there 2 times" in data["warnings"][1]


def test_unfinished_runs_are_drawn_and_not_counted(tmp_path: Path) -> None:
    write_whole_run(tmp_path / "runs" / "done", config(0))
    write_whole_run(tmp_path / "runs" / "going", config(1), finished=False)
    data = document(tmp_path / "runs")
    assert [run["group"] for run in data["runs"]] == [0, 0]
    assert data["runs"][1]["at"] == [750, 1500]
    assert [number for number, *_ in row_of(data, 0, "deterministic")["runs"]] == [0]


def test_a_finished_run_counts_though_its_seed_is_run_again(tmp_path: Path) -> None:
    write_whole_run(tmp_path / "runs" / "done", config(0))
    again = write_whole_run(tmp_path / "runs" / "again", config(0), finished=False)
    os.utime(again / "config.json", (time.time() + 100, time.time() + 100))
    data = document(tmp_path / "runs")
    assert row_of(data, 0, "deterministic")["runs"] == [[1, 4.0, 0.4]]
    assert data["warnings"] == []


def test_a_score_that_a_seed_lacks_is_no_mean(tmp_path: Path) -> None:
    for seed, score in enumerate((10.0, 20.0, None)):
        write_run(tmp_path / "runs" / str(seed), config(seed), one_actor(1.0, score))
    assert row_of(document(tmp_path / "runs"), 0, "deterministic")["score"] is None


def test_the_command_says_each_warning_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path / "runs" / "a", config(0))
    write_run(tmp_path / "runs" / "b", config(0))
    outcome = call(main, str(tmp_path / "runs"), "--html", str(tmp_path / "out"))
    outcome.assert_code(0)
    assert len(caplog.messages) == 1
    assert f"{tmp_path}/out/index.html: 2 runs\n" in outcome.output


HOSTILE = "<script>alert(1)</script><!--<img src=x onerror=alert(2)>"


def test_what_comes_from_files_is_no_markup(tmp_path: Path) -> None:
    folder = tmp_path / "runs<b>" / HOSTILE.replace("/", "_")
    write_whole_run(folder, config(0, algorithm__beta=HOSTILE, dataset__name="x<i>"))
    out = tmp_path / "out"
    call(main, str(tmp_path / "runs<b>"), "--html", str(out)).assert_code(0)
    page = (out / "index.html").read_text()
    assert HOSTILE in json.dumps(data_of(page)["settings"])
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "x<i>" not in page
    assert f"<title>{html.escape(f'pogo: runs in {tmp_path}/runs<b>')}</title>" in page
    # The library and the page's three scripts are the only ones, and the only ones that a browser may run.
    assert len(re.findall(r"<script>", page)) == 4
    assert len(re.findall(r"'sha256-[^']{44}'", page)) == 4
    assert "unsafe-eval" not in page


def test_a_script_stays_inside_its_element() -> None:
    code = 'a="</script>";b="<\\/script><!-- </SCRIPT >";c=1<2'
    assert script_text(code) == r'a="\x3c/script>";b="<\/script>\x3c!-- \x3c/SCRIPT >";c=1<2'


def test_videos_are_copied_beside_the_page(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    run = write_whole_run(runs / "a #1", config())
    (run / "videos").mkdir()
    (run / "videos" / "actor_2.mp4").write_bytes(b"film")
    inner = write_whole_run(run / "inner", config(1))
    (inner / "own.mp4").write_bytes(b"other")
    out = run / "report"
    for _ in range(2):  # the second finds the first's copies, which are nobody's videos
        seen = Watcher(runs).look(time.time())
        write_page(runs, out, seen)
        data = page_data(runs, seen, None, out).document
        assert [entry["videos"] for entry in data["runs"]] == [  # type: ignore[index, union-attr] - a list of mappings
            ["videos/a #1/videos/actor_2.mp4"], ["videos/a #1/inner/own.mp4"],
        ]  # fmt: skip
    assert (out / "videos" / "a #1" / "videos" / "actor_2.mp4").read_bytes() == b"film"
    assert (out / "videos" / "a #1" / "inner" / "own.mp4").read_bytes() == b"other"


def test_a_page_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    write_run(tmp_path / "runs", config())
    (tmp_path / "file").write_text("mine")
    outcome = call(main, str(tmp_path / "runs"), "--html", str(tmp_path / "file"))
    outcome.assert_code(2)
    assert "give --html a folder" in outcome.output
    assert (tmp_path / "file").read_text() == "mine"


def test_what_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_run(tmp_path / "runs", config())
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    vega_bundle.cache_clear()
    outcome = call(main, str(tmp_path / "runs"), "--html", str(tmp_path / "out"))
    outcome.assert_code(2)
    assert "needs vl-convert-python, not installed here: pip install 'pogo[report]'." in outcome.output
    assert not (tmp_path / "out").exists()


def test_reading_changes_nothing(tmp_path: Path) -> None:
    write_whole_run(tmp_path / "runs" / "run", config())
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")}
    document(tmp_path / "runs")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "runs").rglob("*")} == before


@cache
def real_config(algorithm: str) -> dict[str, Any]:
    """Every setting and its source, as a run records them."""
    return resolve(compose_config([f"algorithm={algorithm}", "backend=jax", "train.updates=100000"])).to_json()


def test_two_hundred_runs_are_a_page_of_less_than_five_megabytes(tmp_path: Path) -> None:
    """Of 4 algorithms on 5 data sets, 10 seeds, 20 evaluations of 3 actors in both modes."""
    runs = tmp_path / "runs"
    for algorithm in ("iql", "td3_bc", "awac", "cql"):
        for dataset in ("hopper", "walker", "ant", "pen", "door"):
            resolved = real_config(algorithm) | {"dataset": real_config(algorithm)["dataset"] | {"name": dataset}}
            for seed in range(10):
                folder = runs / dataset / algorithm / f"seed_{seed}"
                write_whole_run(folder, resolved | {"seed": seed}, evaluations=20)
    began = time.perf_counter()
    data = document(runs)
    seconds = time.perf_counter() - began
    size = (tmp_path / "runs_report" / "index.html").stat().st_size
    assert (len(data["runs"]), len(data["groups"]), len(data["results"])) == (200, 20, 120)
    assert size < 5 * MEGABYTE, f"{size / MEGABYTE:.2f} MB"
    assert seconds < 60, f"{seconds:.1f} s"
    # What runs share is stored once: of 20 000 settings those that differ.
    assert len(data["settings"]) < 500
