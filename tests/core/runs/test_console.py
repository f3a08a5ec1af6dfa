"""What a run shows, on a terminal and elsewhere."""

import dataclasses
import io
import re

import pytest

from pogo.core.environments.checks import Fault
from pogo.core.runs.console import RunConsole
from pogo.core.runs.evaluation import ActorEvaluation, ModeResult


def result(mean: float, std: float, score: float | None = None) -> ModeResult:
    return ModeResult(mean, std, score, (mean,), (1,))


class Clock:
    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


class Terminal(io.StringIO):
    encoding = "utf-8"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def isatty(self) -> bool:
        return True


class Broken(Terminal):
    def write(self, _: str) -> int:
        raise BrokenPipeError

    def flush(self) -> None:
        raise BrokenPipeError


class Ascii(io.StringIO):
    encoding = "ascii"  # pyright: ignore[reportAssignmentType, reportIncompatibleMethodOverride]

    def write(self, text: str) -> int:
        return super().write(text.encode("ascii").decode())


@pytest.fixture(autouse=True)
def _plain_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)


ROWS = [
    ActorEvaluation(0, "gaussian", result(-123.44, 5.55, 61.25), result(-130.0, 10.0, 58.0)),
    ActorEvaluation(1, "deterministic", result(3000.0, 0.0), None),
    ActorEvaluation(2, "stochastic", None, None),
    ActorEvaluation(3, "gaussian", None, result(1.0, 0.0), failed={"deterministic": Fault("it fell", "")}),
]


def table_cells(text: str) -> list[list[str]]:
    rows = [re.split("[│┃|]", line)[1:-1] for line in text.splitlines() if re.search(r"[│|]", line)]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_chains_table_has_what_is_measured() -> None:
    stream = io.StringIO()
    measures = {"q": 12.34, "data_distance": 0.4567, "saturated": 0.25}
    rows = [dataclasses.replace(ROWS[0], measures=measures)]
    rows.append(dataclasses.replace(ROWS[1], measures={**measures, "from_reference": 0.0991, "from_actor_0": 0.1}))
    RunConsole(10, stream=stream).chain_table(rows, (0.1,), 0.4)
    assert "step made (asked)" in stream.getvalue()
    assert table_cells(stream.getvalue())[-3:] == [
        ["data", "-", "-", "-", "0.400", "-"],
        ["0", "-", "-", "12.3", "0.457", "25%"],
        ["1", "0.099 (0.1)", "0.100", "12.3", "0.457", "25%"],
    ]


def test_the_table_has_a_row_per_actor() -> None:
    stream = io.StringIO()
    RunConsole(10, stream=stream).evaluation_table("update 5000", ROWS)
    assert "update 5000" in stream.getvalue()
    assert "deterministic return" in stream.getvalue()
    assert table_cells(stream.getvalue())[-4:] == [
        ["0", "gaussian", "-123.4 ± 5.5", "61.2", "-130.0 ± 10.0", "58.0"],
        ["1", "deterministic", "3000.0 ± 0.0", "-", "-", "-"],
        ["2", "stochastic", "-", "-", "-", "-"],
        ["3", "gaussian", "failed", "-", "1.0 ± 0.0", "-"],
    ]


def test_the_table_fits_a_stream_without_the_sign() -> None:
    stream = Ascii()
    RunConsole(10, stream=stream).evaluation_table("update 5000", ROWS)
    assert "-123.4 +- 5.5" in stream.getvalue()


def test_the_datas_own_policy_has_the_first_row() -> None:
    stream = io.StringIO()
    RunConsole(10, stream=stream).evaluation_table("update 5000", ROWS, (-802.5, 447.4, None))
    assert table_cells(stream.getvalue())[-5] == ["data", "as recorded", "-", "-", "-802.5 ± 447.4", "-"]


@pytest.mark.parametrize(("stream", "bars"), [(io.StringIO(), ("▁▅█", "██▁")), (Ascii(), ("_=#", "##_"))])
def test_curves_share_a_scale(stream: io.StringIO, bars: tuple[str, str]) -> None:
    RunConsole(10, stream=stream).curves("returns:", {"actor 0": [0.0, 5.0, 10.0], "actor 10": [10.0, 10.0, 0.0]})
    assert stream.getvalue().splitlines() == [
        "returns:",
        f"  actor 0   {bars[0]}  0.0 ... 10.0",
        f"  actor 10  {bars[1]}  10.0 ... 0.0",
    ]


def test_a_curve_that_does_not_move_is_drawn() -> None:
    stream = io.StringIO()
    RunConsole(10, stream=stream).curves("returns:", {"actor 0": [3.0, 3.0]})
    assert "▁▁  3.0 ... 3.0" in stream.getvalue()


def test_elsewhere_progress_is_a_line_now_and_then() -> None:
    clock, stream = Clock(), io.StringIO()
    with RunConsole(1000, start=200, stream=stream, clock=clock) as console:
        for update in range(201, 1001):
            clock.seconds += 0.1
            console.advance(update)
    shown = stream.getvalue().splitlines()
    assert shown[0] == "update 500/1000  50%  10.0 updates/s  ETA 0:00:50"
    assert len(shown) == 3
    assert shown[-1] == "update 1000/1000  100%  10.0 updates/s  ETA 0:00:00"
    assert "\x1b" not in stream.getvalue()


def test_pauses_do_not_count_in_the_speed() -> None:
    clock = Clock()
    with RunConsole(100, stream=io.StringIO(), clock=clock) as console:
        assert console.per_second == 0
        clock.seconds += 5
        console.advance(50)
        with console.pause():
            clock.seconds += 1000
        clock.seconds += 5
        console.advance(100)
        assert console.per_second == pytest.approx(10)


def test_on_a_terminal_there_is_a_bar_with_speed_and_time_left() -> None:
    clock, stream = Clock(), Terminal()
    with RunConsole(20_000, stream=stream, clock=clock) as console:
        for update in range(1, 10_001):
            clock.seconds += 0.002
            console.advance(update)
        console.evaluation_table("update 10000", ROWS)
        console.message("saved [10, 10] [bold]")
    shown = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", stream.getvalue())
    assert "10000/20000" in shown
    assert "500 updates/s  ETA 0:00:20" in shown
    assert "saved [10, 10] [bold]" in shown
    assert "gaussian" in shown
    assert shown.count("ETA") < 300, "drawn at most ten times a second"


def test_progress_can_be_off() -> None:
    clock, stream = Clock(), io.StringIO()
    with RunConsole(10, stream=stream, clock=clock, progress=False) as console:
        clock.seconds += 100
        console.advance(10)
        assert stream.getvalue() == ""
        console.message("done")
    assert stream.getvalue() == "done\n"


def test_long_messages_stay_one_line() -> None:
    stream = io.StringIO()
    RunConsole(1, stream=stream).message("x " * 200)
    assert len(stream.getvalue().splitlines()) == 1


def test_a_console_that_went_away_does_not_end_the_run() -> None:
    clock = Clock()
    with RunConsole(10, stream=Broken(), clock=clock) as console:
        for update in range(1, 11):
            clock.seconds += 100
            console.advance(update)
        console.evaluation_table("update 10", ROWS)
        console.message("done")
    closed = io.StringIO()
    console = RunConsole(10, stream=closed, clock=clock)
    closed.close()
    console.message("done")
