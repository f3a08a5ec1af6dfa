"""What a run shows, on a terminal and elsewhere."""

import dataclasses
import io
import logging
import re

import pytest

from pogo.core.environments.checks import Fault
from pogo.core.runs.console import RunConsole
from pogo.core.runs.evaluation import ActorEvaluation, ModeResult, Played


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


def shown(text: str) -> str:
    """What a terminal was told, without colours and the moves of its cursor."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "\n")


WIDE = [
    ActorEvaluation(0, "tanh_gaussian", result(-10352.4, 1105.5, 180.5), result(-11453.6, 1113.9, -171.6)),
    ActorEvaluation(1, "gaussian", result(-352.4, 105.5, 80.5), result(-453.6, 113.9, 71.6)),
]
RETURNS_AT = {  # the table's last row, of actor 1, by the terminal's width
    10: ["1", "-352.4 ± 105.5"],
    40: ["1", "-352.4 ± 105.5", "80.5"],
    60: ["1", "-352.4 ± 105.5", "80.5", "-453.6 ± 113.9"],
    80: ["1", "-352.4 ± 105.5", "80.5", "-453.6 ± 113.9", "71.6"],
    120: ["1", "gaussian", "-352.4 ± 105.5", "80.5", "-453.6 ± 113.9", "71.6"],
}
DATA_AT = {  # its first
    10: ["data", "-802.5 ± 447.4"],
    40: ["data", "-802.5 ± 447.4", "40.7"],
    60: ["data", "-", "-", "-802.5 ± 447.4"],
    80: ["data", "-", "-", "-802.5 ± 447.4", "40.7"],
    120: ["data", "as recorded", "-", "-", "-802.5 ± 447.4", "40.7"],
}


@pytest.mark.parametrize("width", RETURNS_AT)
def test_a_narrow_terminal_is_shown_fewer_columns_of_returns(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    RunConsole(10, stream=stream).evaluation_table("update 5000", WIDE, (-802.5, 447.4, 40.7))
    text = shown(stream.getvalue())
    assert max(map(len, text.splitlines())) <= max(width, 29)  # what is left at the least
    assert "…" not in text
    cells = table_cells(text)
    assert cells[-1] == RETURNS_AT[width]
    assert cells[-3] == DATA_AT[width]


def test_of_deterministic_actors_alone_the_data_stands_beside_them() -> None:
    stream = io.StringIO()
    RunConsole(10, stream=stream).evaluation_table("update 5000", ROWS[1:2], (-802.5, 447.4, 40.7))
    assert "stochastic" not in stream.getvalue()
    assert table_cells(stream.getvalue())[-2:] == [
        ["data", "as recorded", "-802.5 ± 447.4", "40.7"],
        ["1", "deterministic", "3000.0 ± 0.0", "-"],
    ]


CHAIN_AT = {
    10: ["1", "0.099 (0.1)", "12.3"],
    40: ["1", "0.099 (0.1)", "0.100", "12.3"],
    60: ["1", "0.099 (0.1)", "0.100", "12.3", "0.457"],
    80: ["1", "0.099 (0.1)", "0.100", "12.3", "11.0", "0.457", "25%"],
    120: ["1", "0.099 (0.1)", "0.100", "12.3", "11.0", "0.457", "25%"],
}


@pytest.mark.parametrize("width", CHAIN_AT)
def test_a_narrow_terminal_is_shown_fewer_measures(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    measures = {"q": 12.34, "q_independent": 11.0, "data_distance": 0.4567, "saturated": 0.25}
    measures |= {"from_reference": 0.0991, "from_actor_0": 0.1}
    stream = Terminal()
    RunConsole(10, stream=stream).chain_table([dataclasses.replace(ROWS[1], measures=measures)], (0.1,), 0.4)
    text = shown(stream.getvalue())
    assert max(map(len, text.splitlines())) <= max(width, 31)
    assert "…" not in text
    assert table_cells(text)[-1] == CHAIN_AT[width]


@pytest.mark.parametrize("width", [24, 40, 60, 80, 120])
def test_long_curves_are_thinned_to_the_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    stream = Terminal()
    RunConsole(10, stream=stream).curves("returns:", {"actor 0": [float(value) for value in range(200)]})
    line = shown(stream.getvalue()).splitlines()[1]
    assert line.endswith("  0.0 ... 199.0")
    assert len(line) == width if width > 24 else line == "  actor 0  0.0 ... 199.0"
    if width > 24:
        assert (line[11], line[-16]) == ("▁", "█")


@pytest.mark.parametrize(
    ("width", "updating", "evaluating"),
    [
        (27, "250000/1000000  ETA 0:25:00", "evaluating 12/60 episodes"),
        (40, "{bar:11}  250000/1000000  ETA 0:25:00", "{bar:13}  evaluating 12/60 episodes"),
        (60, "{bar:11}  250000/1000000  25%  500 updates/s  ETA 0:25:00",
         "250000/1000000  evaluating 12/60 episodes  step 340/1000"),
        (80, "{bar:31}  250000/1000000  25%  500 updates/s  ETA 0:25:00",
         "{bar:17}  250000/1000000  25%  evaluating 12/60 episodes  step 340/1000"),
        (120, "{bar:40}  250000/1000000  25%  500 updates/s  ETA 0:25:00",
         "{bar:40}  250000/1000000  25%  evaluating 12/60 episodes  step 340/1000"),
    ],
)  # fmt: skip
def test_the_bar_says_as_much_as_there_is_room_for(
    monkeypatch: pytest.MonkeyPatch, width: int, updating: str, evaluating: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    clock, stream = Clock(), Terminal()

    def last_line() -> str:
        line = shown(stream.getvalue()).rstrip("\n").splitlines()[-1]
        return re.sub(r"^[━╸╺ ]+(?=  \S)", lambda bar: f"{{bar:{len(bar[0])}}}", line)

    with RunConsole(1_000_000, stream=stream, clock=clock) as console:
        clock.seconds += 500
        console.advance(250_000)
        assert last_line() == updating
        with console.pause():
            clock.seconds += 1
            console.evaluating(Played(12, 60, 340, 1000))
            assert last_line() == evaluating
            console.evaluation_table("update 250000", ROWS)
            assert last_line() == updating, "the evaluation is over"


def test_what_is_at_work_is_said_where_there_is_no_bar() -> None:
    clock, stream = Clock(), io.StringIO()
    with RunConsole(1000, stream=stream, clock=clock) as console:
        console.compiling()
        console.compiling()  # one line for all programs
        clock.seconds += 40
        console.advance(1)
        for step in range(100):
            clock.seconds += 1
            console.evaluating(Played(step // 50, 2, step, 100))
    assert stream.getvalue().splitlines() == [
        "update 0/1000  compiling ...",
        "update 1/1000  0%  0.0 updates/s  ETA 11:06:00",
        "update 1/1000  evaluating 0/2 episodes, step 29/100",
        "update 1/1000  evaluating 1/2 episodes, step 59/100",
        "update 1/1000  evaluating 1/2 episodes, step 89/100",
    ]


def test_the_end_is_not_told_before_the_speed_is_known() -> None:
    """Neither at once nor by what compilation and evaluation take."""
    clock, stream = Clock(), Terminal()
    with RunConsole(1000, stream=stream, clock=clock) as console:
        clock.seconds += 60
        console.compiling()
        console.leave_out(60)
        with console.pause():
            clock.seconds += 60
        for update in range(1, 50):
            clock.seconds += 0.1
            console.advance(update)
        assert "compiling ..." in stream.getvalue()
        assert "10.0 updates/s" in stream.getvalue()
        assert "ETA" not in stream.getvalue()
        clock.seconds += 0.2
        console.advance(51)
    assert "51/1000  5%  10.0 updates/s  ETA 0:01:35" in shown(stream.getvalue())


def test_messages_to_the_same_terminal_stand_above_the_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    stream, elsewhere = Terminal(), io.StringIO()
    handlers = [logging.StreamHandler(stream), logging.StreamHandler(elsewhere)]
    logger = logging.getLogger("pogo")
    monkeypatch.setattr(logger, "handlers", handlers)
    with RunConsole(1000, stream=stream) as console:
        console.advance(500)
        logger.warning("careful")
    assert re.search(r"\ncareful\n+━", shown(stream.getvalue())), "on a line of its own, and the bar below it"
    assert elsewhere.getvalue() == "careful\n"
    assert [handler.stream for handler in handlers] == [stream, elsewhere]
    logger.warning("over")
    assert stream.getvalue().endswith("over\n")


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
    said = stream.getvalue().splitlines()
    assert said[0] == "update 500/1000  50%  10.0 updates/s  ETA 0:00:50"
    assert len(said) == 3
    assert said[-1] == "update 1000/1000  100%  10.0 updates/s  ETA 0:00:00"
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
    text = shown(stream.getvalue())
    assert "10000/20000" in text
    assert "500 updates/s  ETA 0:00:20" in text
    assert "saved [10, 10] [bold]" in text
    assert "gaussian" in text
    assert 100 < text.count("ETA") < 300, "drawn at most ten times a second"


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
