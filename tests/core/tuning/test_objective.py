"""What runs are worth, by folders that are made up."""

from pathlib import Path

import pytest

from pogo.core.errors import RunFailed
from pogo.core.tuning.objective import course_of, over_seeds
from pogo.core.tuning.plan import Objective
from tests.helpers.run_folders import actors, config, write_curve, write_run

LAST = Objective(None, "deterministic", "normalized_score", 1, "mean")


def run_of(folder: Path, *scores: tuple[float, float], finished: bool = True) -> Path:
    """A run of two actors with these scores, deterministic; stochastic ones are 5 less, returns 1000 less."""
    run = write_run(folder, config(chain__num_actors=2, train__updates=100 * len(scores)), finished=finished)
    lines = {
        f"at_{100 * number}": actors(
            *(
                {"deterministic": (each - 1000, each), "stochastic": (each - 1005, each - 5)}
                for each in pair
            )
        )
        for number, pair in enumerate(scores, 1)
    }  # fmt: skip
    write_curve(run, **lines)
    return run


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (LAST, {100: 10.0, 200: 20.0, 300: 60.0}),
        (Objective(0, "deterministic", "normalized_score", 1, "mean"), {100: 1.0, 200: 2.0, 300: 3.0}),
        (Objective(1, "deterministic", "normalized_score", 2, "mean"), {100: 10.0, 200: 15.0, 300: 40.0}),
        (Objective(None, "stochastic", "return", 3, "mean"), {100: -995.0, 200: -990.0, 300: -975.0}),
    ],
    ids=str,
)  # fmt: skip
def test_a_run_at_each_of_its_evaluations(tmp_path: Path, objective: Objective, expected: dict[int, float]) -> None:
    run = run_of(tmp_path / "run", (1, 10), (2, 20), (3, 60))
    assert course_of(run, objective) == expected


def test_a_run_that_goes_on_is_judged_by_what_there_is(tmp_path: Path) -> None:
    assert course_of(tmp_path / "none", LAST) == {}
    run = run_of(tmp_path / "run", (1, 10), (2, 20), finished=False)
    assert course_of(run, LAST) == {100: 10.0, 200: 20.0}
    (run / "eval.jsonl").unlink()
    assert course_of(run, LAST) == {}


def test_an_evaluation_that_failed_has_no_say(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", config(chain__num_actors=1), finished=False)
    result = {"deterministic": (1.0, 50.0), "stochastic": None}
    write_curve(run, at_100=actors(result), at_200="the simulator broke")
    assert course_of(run, LAST) == {100: 50.0}


def test_over_seeds_at_the_steps_that_all_have() -> None:
    courses = [{100: 1.0, 200: 3.0, 300: 9.0}, {100: 2.0, 200: 5.0}]
    assert over_seeds(courses, LAST) == {100: 1.5, 200: 4.0}
    assert over_seeds(courses, Objective(None, "deterministic", "return", 1, "min")) == {100: 1.0, 200: 3.0}
    assert over_seeds([courses[0], {}], LAST) == {}


def test_what_has_no_result_is_said(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", config(chain__num_actors=1), finished=False)
    write_curve(run, at_100=actors({"deterministic": (1.0, None), "stochastic": None}))
    with pytest.raises(RunFailed, match="have no normalised scores; write objective: metric: return"):
        course_of(run, LAST)
    with pytest.raises(RunFailed, match="at 100 has no actor 0, stochastic"):
        course_of(run, Objective(0, "stochastic", "return", 1, "mean"))
    (run / "eval.jsonl").write_text("{}\n")
    with pytest.raises(RunFailed, match=r"eval\.jsonl:1"):
        course_of(run, LAST)
