"""How far runs are, and how they are: pogo-report --live."""

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from pogo.cli.live import table, watch
from pogo.cli.report import main
from pogo.core.files.logs import last_line
from pogo.core.reports.live import RunState, Watch, Watcher, duration
from tests.helpers.run_folders import actors, config, one_actor, write_curve, write_run, write_speeds
from tests.helpers.runs import call, finish, start, wait_for

NOW = 2_000_000_000.0


def aged(run: Path, seconds: float) -> Path:
    """The run, its files changed so long before NOW."""
    for path in run.iterdir():
        os.utime(path, (NOW - seconds, NOW - seconds))
    return run


def unfinished(folder: Path, *lines: tuple[int, float], age: float = 1.0, **more: float) -> Path:
    run = write_run(folder, config(), finished=False)
    if lines:
        write_speeds(run, *lines, **more)
    return aged(run, age)


def state(run: Path) -> RunState:
    (found,) = Watcher(run).look(NOW).states
    return found


def shown(seen: Watch, folder: Path, width: int = 200, height: int | None = None) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(seen, folder, width, height))
    return console.file.getvalue()  # type: ignore[attr-defined] - a StringIO


def test_progress_speed_and_the_time_left(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "run", (500, 70.0), (1000, 50.0))
    found = state(run)
    assert (found.status, found.position, found.run.length, found.per_second) == ("running", 1000, 3000, 50.0)
    assert found.seconds_left == 2000 / 50.0
    # With the wall's clock, evaluations count: 1000 updates took 90 s, so 2000 take 180.
    assert state(unfinished(tmp_path / "timed", (1000, 50.0), wall_seconds=90.0)).seconds_left == 180.0


def test_a_run_that_has_just_begun(tmp_path: Path) -> None:
    found = state(unfinished(tmp_path / "run"))
    assert (found.status, found.position, found.per_second, found.seconds_left) == ("running", 0, None, None)
    assert (found.evaluation, found.host, found.note) == (None, None, None)


def test_an_online_run_counts_environment_steps(tmp_path: Path) -> None:
    online = config(1, dataset__name="online", env="Pendulum-v1", train={"updates": None, "env_steps": 500})
    run = write_run(tmp_path / "run", online, finished=False)
    (run / "train.jsonl").write_text(json.dumps({"env_step": 200, "env_steps_per_second": 20.0, "updates": 90}) + "\n")
    found = state(aged(run, 1.0))
    assert (found.position, found.run.length, found.per_second, found.seconds_left) == (200, 500, 20.0, 15.0)


def test_the_latest_scores_of_each_actor(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "run", (1000, 50.0))
    results = actors(one_actor(-5.0, 40.0), {"deterministic": None, "stochastic": (-7.0, 60.0)}, one_actor(-3.0))
    write_curve(run, at_1000=actors(one_actor(-9.0, 1.0)), at_2000=results)
    found = state(aged(run, 1.0))
    assert found.position == 2000  # an evaluation comes after the update it is of
    assert found.last_values == [40.0, 60.0, -3.0]


def test_no_sign_of_life(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "run", (1000, 50.0), age=12 * 60)
    found = state(run)
    assert (found.status, found.seconds_left, found.has_ended) == ("silent", None, False)
    assert "no sign of life for 12 min 0 s" in shown(Watcher(run).look(NOW), run)
    assert state(unfinished(tmp_path / "lately", (1000, 50.0), age=290)).status == "running"


def test_a_run_that_logs_seldom_is_given_time(tmp_path: Path) -> None:
    """log.every=100 at 0.2 updates a second: a line each 500 s, and three may be missing."""
    assert state(unfinished(tmp_path / "slow", (1000, 0.2), age=1400)).status == "running"
    assert state(unfinished(tmp_path / "slower", (1000, 0.2), age=1600)).status == "silent"


def test_failed_stopped_and_finished_runs(tmp_path: Path) -> None:
    failed = write_run(tmp_path / "failed", config(), updates=500, failed="update 500: critic/loss is\nnan.")
    assert (state(aged(failed, 5.0)).status, state(failed).note) == ("failed", "update 500: critic/loss is nan")
    stopped = unfinished(tmp_path / "stopped", (1000, 50.0))
    said = "stopped by SIGINT at update 1000; saved. The same command goes on."
    (stopped / "run.log").write_text(f"2026-01-01T00:00:00+0000 INFO {said}\n")
    assert (state(aged(stopped, 900.0)).status, state(stopped).note) == ("stopped", said)
    finished = aged(write_run(tmp_path / "finished", config()), 900.0)
    assert (state(finished).status, state(finished).position) == ("finished", 3000)
    seen = Watcher(tmp_path).look(NOW)
    assert seen.have_all_ended
    assert not seen.is_over  # the failed one is fresh: a sweep's next run may be about to begin
    aged(failed, 61.0)
    assert Watcher(tmp_path).look(NOW).is_over


def test_what_was_started_again_is_running(tmp_path: Path) -> None:
    failed = aged(write_run(tmp_path / "failed", config(), updates=500, failed="no space left"), 100.0)
    os.utime(failed / "config.json", (NOW - 2, NOW - 2))  # written anew at every start
    assert state(failed).status == "running"
    stopped = unfinished(tmp_path / "stopped")
    lines = [
        "INFO stopped by SIGINT at update 10; saved. The same command goes on.",
        "INFO resuming it from update 10.",
    ]
    (stopped / "run.log").write_text("".join(f"2026-01-01T00:00:00+0000 {line}\n" for line in lines))
    assert state(aged(stopped, 2.0)).status == "running"


def test_a_failed_evaluation_is_named(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "run", (1000, 50.0))
    write_curve(run, at_1000="GymError: no\n display")
    assert state(aged(run, 1.0)).note == "evaluation at update 1000 failed: GymError: no display"


def test_a_line_that_is_being_written_is_not_read(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "run", (1000, 50.0))
    with (run / "train.jsonl").open("a") as file:
        file.write('{"update": 20')
    assert state(aged(run, 1.0)).position == 1000


@pytest.mark.parametrize("size", [10, 2**16 - 1, 2**16, 2**16 + 1, 200_000])
def test_the_last_line_is_found_whatever_its_length(tmp_path: Path, size: int) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"a" * 70_000 + b"\n" + b"b" * size + b"\n" + b"c" * 5)
    assert last_line(path) == b"b" * size
    path.write_bytes(b"b" * size)
    assert last_line(path) is None
    assert last_line(tmp_path / "none") is None


def test_logs_are_read_from_their_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing but the last block of a long log, and of a finished run nothing at a second look."""
    run = unfinished(tmp_path / "run")
    write_speeds(run, *((update, 50.0) for update in range(100_000)), q=1.0)
    size = (aged(run, 1.0) / "train.jsonl").stat().st_size
    assert size > 4_000_000
    before = _bytes_read()
    assert state(run).position == 3000
    assert _bytes_read() - before < size / 10
    done = aged(write_run(tmp_path / "done", config(1)), 900.0)
    watcher = Watcher(done)
    (first,) = watcher.look(NOW).states
    (done / "config.json").write_text("{")
    aged(done, 900.0)
    assert watcher.look(NOW + 1).states == [first]


def _bytes_read() -> int:
    return int(Path("/proc/self/io").read_text().split()[1])


def test_a_run_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    unfinished(tmp_path / "good")
    bad = unfinished(tmp_path / "bad")
    (bad / "train.jsonl").write_text("{\n")
    seen = Watcher(tmp_path).look(NOW)
    assert [found.run.path.name for found in seen.states] == ["good"]
    assert len(seen.unreadable) == 1
    assert f"{bad}/train.jsonl: its last line is not valid JSON" in shown(seen, tmp_path)


def test_the_table_of_a_terminal(tmp_path: Path) -> None:
    unfinished(tmp_path / "[red]goes", (1500, 50.0))
    for number in range(30):
        aged(write_run(tmp_path / f"done_{number}", config(number + 1)), 900.0)
    seen = Watcher(tmp_path).look(NOW)
    wide = shown(seen, tmp_path, height=20).splitlines()
    assert len(wide) <= 20
    row = wide[1].split()
    assert (row[0], " ".join(row[2:])) == ("[red]goes", "1500 of 3000, 50 % 30 s 50 - - 1 s ago running")
    assert wide[-1].startswith("1 running, 30 finished; 17 more do not fit on the screen")
    narrow = shown(seen, tmp_path, width=80, height=20).splitlines()
    assert max(map(len, narrow)) <= 80
    assert "1500 of 3000, 50 %" in narrow[1]


def test_durations() -> None:
    seconds = (0.2, 59.4, 60, 725, 3599, 3600, 90_061)
    assert [duration(each) for each in seconds] == [
        *("0 s", "59 s", "1 min 0 s", "12 min 5 s", "59 min 59 s", "1 h 0 min", "1 d 1 h")
    ]


def watched(folder: Path, then: Iterator[object]) -> tuple[int, str]:
    """What `watch` shows: at each wait the next of `then` happens, and ten minutes pass."""
    times = iter(range(0, 100_000, 600))
    terminal = Console(file=io.StringIO(), force_terminal=True, width=150, height=30, highlight=False, markup=False)
    code = watch(
        *(Watcher(folder), folder, None, 5.0, terminal), clock=lambda: NOW + next(times), sleep=lambda _: next(then)
    )
    return code, terminal.file.getvalue()  # type: ignore[attr-defined] - a StringIO


def test_watching_ends_with_the_runs(tmp_path: Path) -> None:
    run = unfinished(tmp_path / "run", (1000, 50.0))

    def events() -> Iterator[object]:
        yield write_speeds(run, (2000, 50.0))
        (run / "summary.json").write_text(json.dumps({
            "dataset": "pendulum", "algorithm": "iql", "backend": "torch", "seed": 0, "updates": 3000,
            "actors": actors(one_actor(-1.0, 90.0)), "behaviour": {"return_mean": None},
        }))  # fmt: skip
        yield aged(run, 0.0)

    code, output = watched(tmp_path, events())
    assert code == 0
    assert output.index("1000 of 3000, 33 %") < output.index("2000 of 3000") < output.index("3000 of 3000, 100 %")
    assert output.rstrip().endswith("all runs have ended: 1 finished.")


def test_watching_ends_by_a_signal(tmp_path: Path) -> None:
    unfinished(tmp_path / "run", (1000, 50.0))

    def interrupt() -> Iterator[object]:
        yield None
        raise KeyboardInterrupt

    code, output = watched(tmp_path, interrupt())
    assert (code, "have ended" in output) == (0, False)


def test_watching_a_folder_before_its_first_run(tmp_path: Path) -> None:
    def events() -> Iterator[object]:
        yield aged(write_run(tmp_path / "run", config()), 900.0)

    _, output = watched(tmp_path, events())
    assert "no runs in" in output
    assert "all runs have ended: 1 finished." in output


def test_where_there_is_no_terminal_one_table_is_all(tmp_path: Path) -> None:
    aged(write_run(tmp_path / "run", config()), 0.0)
    outcome = call(main, str(tmp_path), "--live")
    outcome.assert_code(0)
    header, row, numbers = outcome.output.splitlines()
    assert header.split()[:3] == ["run", "progress", "done"]
    assert row.split()[0] == "run"
    assert numbers == "1 finished"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--every", "3"], "--every is for --live"),
        (["--live", "--every", "0"], "at least 0.1"),
        (["--live", "--every", "nan"], "at least 0.1"),
        (["--live", "--json"], "--json is for the tables"),
        (["--html", "out", "--curve"], "--curve is for the tables"),
        (["--html", "out", "--mode", "stochastic"], "--mode is for the tables"),
        (["--live"], "holds no runs"),
    ],
)
def test_what_does_not_go_together_is_refused(tmp_path: Path, options: list[str], message: str) -> None:
    outcome = call(main, str(tmp_path), *options)
    outcome.assert_code(2)
    assert message in outcome.output
    assert outcome.output.count("\n") == 1


def test_a_page_is_rewritten_without_a_terminal_until_a_signal(tmp_path: Path) -> None:
    pytest.importorskip("vl_convert")
    write_speeds(write_run(tmp_path / "runs" / "run", config(), finished=False), (1000, 50.0))
    page = tmp_path / "report" / "index.html"
    # Where this suite runs in the background of a script, Ctrl-C is ignored, and would be by what it starts.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = start(
        *(str(tmp_path / "runs"), "--html", str(page.parent), "--live", "--every", "0.2"), module="pogo.cli.report"
    )
    signal.signal(signal.SIGINT, before)
    wait_for(page.exists, process)
    assert '"reload":0.2' in page.read_text()
    first = page.stat().st_mtime_ns
    wait_for(lambda: page.stat().st_mtime_ns > first, process)
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    outcome = finish(process)
    outcome.assert_code(0)
    assert outcome.output == f"{page} is rewritten every 0.2 s: open it in a browser.\n"
    assert '"reload":null' in page.read_text()
