"""The numbers of figures are those of the run folders, and none is made of runs that differ in more than their seed."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.reports.drawing import Drawing, Line
from pogo.core.reports.lines import MOST_POINTS
from pogo.core.reports.request import Request
from pogo.core.reports.selection import ActorChoice
from pogo.core.reports.series import make_drawing
from pogo.core.reports.statistics import Resampling, estimate, performance_profile
from tests.helpers.run_folders import (
    Results,
    actors,
    config,
    episodes,
    one_actor,
    write_curve,
    write_run,
    write_training,
)


@pytest.fixture(autouse=True)
def _messages(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pogo")


def score(number: float) -> Results:
    """Of an actor whose returns are ten times its scores."""
    return one_actor(10 * number, number)


def draw(*folders: Path, **request: Any) -> Drawing:
    return make_drawing(folders, Request(**request))


def only(drawing: Drawing) -> Line:
    (line,) = drawing.lines
    return line


def along(line: Line) -> list[tuple[float | str, float]]:
    return [(point.x, point.estimate.value) for point in line.points]


def write_scores(folder: Path, seed: int, by_update: dict[int, float], **changes: object) -> Path:
    """A run of one actor that was evaluated so; its summary has the last."""
    *_, last = by_update.values()
    run = write_run(folder, config(seed, **changes), score(last), reference_returns=[0.0, 1000.0])
    write_curve(run, **{f"at_{update}": actors(score(number)) for update, number in by_update.items()})
    return run


def test_a_curve_is_the_mean_over_seeds_with_its_interval(tmp_path: Path) -> None:
    values = np.array([[10.0, 40.0], [20.0, 50.0], [60.0, 90.0]])
    for seed, (first, second) in enumerate(values):
        write_scores(tmp_path / str(seed), seed, {1000: first, 3000: second})
    drawing = draw(tmp_path, per_seed=True)
    assert (drawing.x, drawing.quantities) == ("updates", ["normalized_score"])
    line = only(drawing)
    assert along(line) == [(1000, 30.0), (3000, 60.0)]
    assert [point.estimate for point in line.points] == [estimate([column], "mean") for column in values.T]
    assert [point.seeds for point in line.points] == [(0, 1, 2)] * 2
    assert [(mark.seed, mark.x, mark.y) for mark in line.marks] == [
        (seed, x, values[seed, column]) for seed in range(3) for column, x in enumerate((1000, 3000))
    ]
    # The data's mean return is -800, and 0 and 1000 score 0 and 100.
    (panel,) = drawing.panels
    assert (panel.title, panel.data) == ("pendulum, iql", -80.0)


def test_statistic_and_interval_are_as_asked_for(tmp_path: Path) -> None:
    numbers = [0.0, 10.0, 20.0, 90.0]
    for seed, number in enumerate(numbers):
        write_scores(tmp_path / str(seed), seed, {3000: number})
    (point,) = only(draw(tmp_path, statistic="iqm", level=80.0)).points
    assert point.estimate == estimate([numbers], "iqm", Resampling(80.0))
    assert point.estimate.value == 15.0  # of the middle two
    (point,) = only(draw(tmp_path, level=None)).points
    assert point.estimate == (30.0, None, None)


def test_one_seed_has_no_interval(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_scores(tmp_path / "a", 0, {1000: 1.0, 3000: 2.0})
    assert [point.estimate.low for point in only(draw(tmp_path)).points] == [None, None]
    assert caplog.messages == ["each point is of one run: no interval can be drawn."]


def test_seeds_with_unequal_points_are_interpolated_between_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_scores(tmp_path / "a", 0, {1000: 10.0, 3000: 30.0})
    write_scores(tmp_path / "b", 1, {2000: 40.0, 3000: 60.0})
    drawing = draw(tmp_path, per_seed=True)
    line = only(drawing)
    # At 2000 seed 0 is half way between its own; at 1000 seed 1 has not begun.
    assert along(line) == [(1000, 10.0), (2000, 30.0), (3000, 45.0)]
    assert [point.seeds for point in line.points] == [(0,), (0, 1), (0, 1)]
    assert [(mark.seed, mark.x) for mark in line.marks] == [(0, 1000), (0, 3000), (1, 2000), (1, 3000)]
    assert "1 of 3 points of curves take a seed's value between its own, by a straight line, and 1 are over fewer" in (
        caplog.text
    )


def test_an_unfinished_run_is_drawn_as_far_as_it_is(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_scores(tmp_path / "a", 0, {1000: 10.0, 3000: 30.0})
    (write_scores(tmp_path / "b", 1, {1000: 20.0}) / "summary.json").unlink()
    assert along(only(draw(tmp_path))) == [(1000, 15.0), (3000, 30.0)]
    assert caplog.messages[0] == f"1 unfinished, drawn as far as they are: {tmp_path}/b."
    caplog.clear()
    assert along(only(draw(tmp_path, kind="dots"))) == [("iql", 30.0)]
    assert caplog.messages[0] == f"1 unfinished, left out: {tmp_path}/b."


def test_hours_are_the_seeds_own(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed, (first, second) in enumerate([(3600, 7200), (7200, 10800)]):
        run = write_scores(tmp_path / str(seed), seed, {1000: 10.0, 3000: 20.0})
        lines = [json.loads(line) for line in (run / "eval.jsonl").read_text().splitlines()]
        timed = [line | {"wall_seconds": at} for line, at in zip(lines, (first, second), strict=True)]
        (run / "eval.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in timed))
    line = only(draw(tmp_path, x="hours", per_seed=True))
    assert along(line) == [(1.5, 10.0), (2.5, 20.0)]
    assert [mark.x for mark in line.marks] == [1.0, 2.0, 2.0, 3.0]
    old = write_scores(tmp_path / "old", 2, {1000: 10.0})
    assert along(only(draw(tmp_path, x="hours"))) == [(1.5, 10.0), (2.5, 20.0)]
    assert f"{old}: logged by an older pogo, without wall_seconds; what lacks them is left out." in caplog.text
    with pytest.raises(BadInput, match=r"old: logged by an older pogo, without wall_seconds, which --x hours needs"):
        draw(old, x="hours")


def test_a_long_curve_is_drawn_in_windows(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(2):
        run = write_run(tmp_path / str(seed), config(seed))
        number = 2 * MOST_POINTS
        write_training(run, **{f"at_{index}": {"q": float(index + seed)} for index in range(1, number + 1)})
    line = only(draw(tmp_path, y=("q",), level=None, per_seed=True))
    assert along(line)[:2] == [(1.5, 2.0), (3.5, 4.0)]  # 1 and 2 of seed 0, 2 and 3 of seed 1
    assert len(line.points) == MOST_POINTS
    assert [(mark.x, mark.y) for mark in line.marks][:1] == [(1.5, 1.5)]
    assert f"a curve has more than {MOST_POINTS} points: each is the mean of up to 2." in caplog.messages


def test_metrics_of_training_by_key_and_by_actor(tmp_path: Path) -> None:
    for seed in range(2):
        run = write_run(tmp_path / str(seed), config(seed))
        write_training(
            run,
            at_100={"critic/loss": 1.0 + seed, "actor_1/w2_squared": 0.5, "actor_2/w2_squared": 0.7},
            at_200={"critic/loss": 3.0 + seed, "actor_1/w2_squared": None, "actor_2/w2_squared": 0.9},
        )
    assert along(only(draw(tmp_path, y=("critic/loss",)))) == [(100, 1.5), (200, 3.5)]
    assert along(only(draw(tmp_path, y=("actor_1/w2_squared",)))) == [(100, 0.5)]  # null: it was not finite
    each = draw(tmp_path, y=("actor/w2_squared",))
    assert {line.label: along(line) for line in each.lines} == {
        "actor 1": [(100, 0.5)],
        "actor 2": [(100, 0.7), (200, 0.9)],
    }
    (last,) = draw(tmp_path, y=("actor/w2_squared",), actors=ActorChoice.parse("last")).lines
    assert last.key == ("last",)
    assert along(last) == [(100, 0.7), (200, 0.9)]


def test_an_unknown_metric_is_refused_with_near_ones(tmp_path: Path) -> None:
    write_training(write_run(tmp_path / "a", config()), at_100={"critic/loss": 1.0, "actor_1/q": 2.0})
    with pytest.raises(BadInput, match=r"--y=critic_loss is unknown. Did you mean 'critic/loss'\?"):
        draw(tmp_path, y=("critic_loss",))
    with pytest.raises(BadInput, match=r"--y=actor/qq is unknown. Did you mean 'actor/q'\?"):
        draw(tmp_path, y=("actor/qq",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"update": 100, "q": 1.0}\n{"upd\n', "train.jsonl:2 is not valid JSON"),
        ('{"q": 1.0}\n', "train.jsonl:1 has no update"),
        ('{"update": 100, "q": "high"}\n', "train.jsonl:1: q is 'high', not a finite number"),
        ("[1]\n", "train.jsonl:1 has no update"),
        (None, "train.jsonl cannot be read: No such file"),
    ],
)
def test_a_damaged_log_costs_its_run_and_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str | None, message: str
) -> None:
    write_training(write_run(tmp_path / "good", config(0)), at_100={"q": 5.0})
    bad = write_run(tmp_path / "bad", config(1))
    if content is not None:
        (bad / "train.jsonl").write_text(content)
    assert along(only(draw(tmp_path, y=("q",)))) == [(100, 5.0)]
    assert f"{bad}/{message}" in caplog.messages[0]
    assert caplog.messages[0].endswith("; the run is left out.")


def test_a_last_line_that_is_cut_short_is_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = write_run(tmp_path / "a", config())
    (run / "train.jsonl").write_text('{"update": 100, "q": 5.0}\n{"update": 200, "q"')
    assert along(only(draw(tmp_path, y=("q",)))) == [(100, 5.0)]
    assert caplog.messages[0] == f"{run}/train.jsonl: its last line is cut short and left out."


def test_what_differs_and_is_not_named_is_added(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_scores(tmp_path / "a", 0, {3000: 10.0}, algorithm__beta=1.0)
    write_scores(tmp_path / "b", 0, {3000: 20.0}, algorithm__beta=5.0)
    write_scores(tmp_path / "c", 0, {3000: 40.0}, algorithm__name="awac", algorithm__beta=5.0)
    drawing = draw(tmp_path, by=("algorithm",))
    assert drawing.by == ("algorithm", "algorithm.beta")
    assert {line.label: along(line)[0][1] for line in drawing.lines} == {
        "awac, beta=5": 40.0,
        "iql, beta=1": 10.0,
        "iql, beta=5": 20.0,
    }
    assert "runs differ in algorithm.beta too, which was added to --by." in caplog.messages


def test_weights_and_steps_tell_chains_apart(tmp_path: Path) -> None:
    write_scores(tmp_path / "a", 0, {3000: 1.0}, chain__w2_weights=[10.0])
    write_scores(tmp_path / "b", 0, {3000: 2.0}, chain__steps=[0.1])
    write_scores(tmp_path / "c", 0, {3000: 3.0}, chain__w2_weights=[])
    labels = {line.label: along(line)[0][1] for line in draw(tmp_path).lines}
    assert labels == {"weights [10]": 1.0, "steps [0.1]": 2.0, "no chain": 3.0}


def test_facets_part_panels_in_a_grid(tmp_path: Path) -> None:
    for index, (dataset, algorithm) in enumerate(
        [("hopper", "iql"), ("hopper", "awac"), ("ant", "iql"), ("ant", "awac")]
    ):
        write_scores(tmp_path / str(index), 0, {3000: float(index)}, dataset__name=dataset, algorithm__name=algorithm)
    drawing = draw(tmp_path)
    assert [panel.title for panel in drawing.panels] == ["ant, awac", "ant, iql", "hopper, awac", "hopper, iql"]
    assert [along(line) for line in drawing.lines] == [[(3000, float(index))] for index in (3, 2, 1, 0)]
    assert drawing.columns == 2
    (panel,) = draw(tmp_path, by=("algorithm", "dataset"), facet=("none",)).panels
    assert (panel.title, len(panel.lines), panel.data) == ("", 4, None)  # of two datasets, which have no one return


def test_modes_and_actors_are_chosen(tmp_path: Path) -> None:
    both: Results = {"deterministic": (1.0, 10.0), "stochastic": (2.0, 20.0)}
    run = write_run(tmp_path / "a", config(), both, both, both)
    write_curve(run, at_3000=actors(both, both, both))
    assert [line.label for line in draw(tmp_path).lines] == ["actor 0", "actor 1", "actor 2"]
    chosen = draw(tmp_path, actors=ActorChoice.parse("0,last"), modes=("deterministic", "stochastic"))
    assert {line.label: along(line)[0][1] for line in chosen.lines} == {
        "actor 0, deterministic": 10.0,
        "actor 0, stochastic": 20.0,
        "last actor, deterministic": 10.0,
        "last actor, stochastic": 20.0,
    }
    with pytest.raises(BadInput, match=r"--actor=7: no run has normalized_score of such an actor; use some of 0,1,2"):
        draw(tmp_path, actors=ActorChoice.parse("7"))


def test_scores_or_else_returns(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path / "a", config(0), score(5.0))
    assert draw(tmp_path, kind="dots").quantities == ["normalized_score"]
    unscored = write_run(tmp_path / "b", config(1), one_actor(7.0))
    drawing = draw(tmp_path, kind="dots")
    assert drawing.quantities == ["return"]
    assert along(only(drawing)) == [("iql", 28.5)]
    assert along(only(draw(tmp_path, kind="dots", y=("normalized_score",)))) == [("iql", 5.0)]
    assert f"{unscored}: no reference returns are known" in caplog.text
    with pytest.raises(BadInput, match="no run has a normalized_score: no reference returns are known; use --y return"):
        draw(unscored, kind="dots", y=("normalized_score",))
    with pytest.raises(BadInput, match="no run has stochastic results; use --mode deterministic"):
        draw(unscored, kind="dots", modes=("stochastic",))


def test_bars_stand_side_by_side_along_what_differs_first(tmp_path: Path) -> None:
    for seed in range(2):
        write_run(tmp_path / f"i{seed}", config(seed), score(10.0 + seed), score(20.0 + seed))
        write_run(tmp_path / f"a{seed}", config(seed, algorithm__name="awac"), score(30.0 + seed), score(40.0 + seed))
    drawing = draw(tmp_path, kind="bars", per_seed=True)
    assert drawing.categories == ("awac", "iql")
    assert {line.label: along(line) for line in drawing.lines} == {
        "actor 0": [("awac", 30.5), ("iql", 10.5)],
        "actor 1": [("awac", 40.5), ("iql", 20.5)],
    }
    assert [(mark.seed, mark.x, mark.y) for mark in drawing.lines[0].marks] == [
        (0, "awac", 30.0), (1, "awac", 31.0), (0, "iql", 10.0), (1, "iql", 11.0),
    ]  # fmt: skip


def test_scores_of_several_datasets_are_strata(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    numbers = {"hopper": [10.0, 30.0], "ant": [50.0, 90.0, 100.0]}
    for dataset, values in numbers.items():
        for seed, number in enumerate(values):
            # What is tuned per dataset parts no groups of different datasets.
            changes = {"dataset__name": dataset, "algorithm__beta": float(len(values))}
            write_run(tmp_path / f"{dataset}{seed}", config(seed, **changes), score(number))
    strata = [numbers["ant"], numbers["hopper"]]
    (point,) = only(draw(tmp_path, kind="bars", facet=("none",))).points
    assert point.estimate == estimate(strata, "mean")
    assert point.estimate.value == 50.0  # (20 + 80) / 2
    (row,) = draw(tmp_path, kind="bars", facet=("none",)).rows()
    assert (row["runs"], row["seeds"]) == (5, "0 0 1 1 2")
    profile = only(draw(tmp_path, kind="profile"))
    thresholds = [float(point.x) for point in profile.points]
    assert thresholds == [10 - 4.5, 10.0, 30.0, 50.0, 90.0, 100.0, 100 + 4.5]
    assert [point.estimate.value for point in profile.points] == pytest.approx([1.0, 0.8, 0.6, 0.4, 0.2, 0.0, 0.0])
    assert [point.estimate for point in profile.points] == performance_profile(strata, thresholds)
    # Returns have no common scale.
    drawing = draw(tmp_path, kind="bars", facet=("none",), y=("return",))
    assert [along(line) for line in drawing.lines] == [[("ant", 800.0), ("hopper", 200.0)]]
    caplog.clear()
    write_run(tmp_path / "more", config(0, algorithm__name="awac", dataset__name="ant"), score(1.0))
    draw(tmp_path, kind="profile")
    assert "these are not over the same datasets, and do not compare: awac: ant; iql: ant, hopper." in caplog.messages


def test_a_chain_against_its_actors(tmp_path: Path) -> None:
    for seed in range(2):
        run = write_run(tmp_path / str(seed), config(seed), score(10.0 + seed), score(20.0 + seed))
        write_training(
            run,
            at_100={"actor_0/probe_energy": 9.0, "actor_1/probe_energy": 9.0, "actor_1/w2_squared": 9.0},
            at_200={"actor_0/probe_energy": -1.0, "actor_1/probe_energy": -2.0, "actor_1/w2_squared": 0.25},
        )
    drawing = draw(tmp_path, kind="chain")
    assert (drawing.x, drawing.columns) == ("actor", 3)
    assert {panel.quantity: along(panel.lines[0]) for panel in drawing.panels} == {
        "normalized_score": [(0, 10.5), (1, 20.5)],
        "actor/probe_energy": [(0, -1.0), (1, -2.0)],
        "actor/w2_squared": [(1, 0.25)],
    }
    chosen = draw(tmp_path, kind="chain", y=("return", "actor/w2_squared"), actors=ActorChoice.parse("1"))
    assert [along(line) for line in chosen.lines] == [[(1, 205.0)], [(1, 0.25)]]


def test_a_chain_of_a_pogo_that_logged_no_energy(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_training(write_run(tmp_path / "a", config(), score(1.0), score(2.0)), at_100={"actor_1/w2_squared": 0.5})
    assert draw(tmp_path, kind="chain").quantities == ["normalized_score", "actor/w2_squared"]
    assert "no run logs actor/probe_energy of these actors; there is no panel of it." in caplog.messages
    with pytest.raises(BadInput, match="--y=actor/probe_energy is unknown"):
        draw(tmp_path, kind="chain", y=("actor/probe_energy",))


def test_an_ablation_over_a_setting(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for beta in (10.0, 3.0):
        for seed in range(2):
            write_run(tmp_path / f"{beta}_{seed}", config(seed, algorithm__beta=beta), score(beta + seed))
    other = write_run(tmp_path / "other", config(algorithm={"name": "td3_bc", "alpha": 2.5}), score(7.0))
    drawing = draw(tmp_path, kind="ablation", over="algorithm.beta")
    assert (drawing.x, drawing.categories) == ("algorithm.beta", ())
    assert along(only(drawing)) == [(3.0, 3.5), (10.0, 10.5)]
    assert f"{other}: without algorithm.beta, and left out." in caplog.messages
    with pytest.raises(BadInput, match=r"--over=algorithm.betta is unknown. Did you mean 'algorithm.beta'\?"):
        draw(tmp_path, kind="ablation", over="algorithm.betta")
    with pytest.raises(BadInput, match=r"--over=chain.learning_rate: no run sets it"):
        draw(tmp_path, kind="ablation", over="chain.learning_rate")


def test_an_ablation_over_the_last_weight_and_over_words(tmp_path: Path) -> None:
    for weight in (100.0, 1.0):
        write_run(tmp_path / f"{weight}", config(chain__w2_weights=[10.0, weight]), score(weight))
    write_run(tmp_path / "steps", config(chain__steps=[0.1], chain__w2_weights=[10.0]), score(3.0))
    drawing = draw(tmp_path, kind="ablation", over="chain.last_w2_weight")
    assert along(only(drawing)) == [(1.0, 1.0), (100.0, 100.0)]
    drawing = draw(tmp_path, kind="ablation", over="w2_weights", by=("steps",))
    assert drawing.categories == ("[10]", "[10, 1]", "[10, 100]")


def test_returns_are_every_episode(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), episodes(0.0, 10.0, 20.0))
    write_run(tmp_path / "b", config(1), episodes(30.0, 40.0))
    line = only(draw(tmp_path, kind="returns"))
    assert [(mark.seed, mark.y) for mark in line.marks] == [(0, 0), (0, 10), (0, 20), (1, 30), (1, 40)]
    (point,) = line.points
    assert (point.x, point.estimate) == ("iql", (20.0, 10.0, 30.0))


def test_returns_as_scores(tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", config(0), episodes(0.0, 10.0), reference_returns=[0.0, 1000.0])
    drawing = draw(run, kind="returns", y=("normalized_score",))
    assert [mark.y for mark in only(drawing).marks] == [0.0, 1.0]
    assert drawing.panels[0].data == -80.0


def test_figures_of_the_end_take_the_last_line_of_training(tmp_path: Path) -> None:
    for seed, last in enumerate((4.0, 6.0)):
        write_training(write_run(tmp_path / str(seed), config(seed)), at_100={"q": 1.0}, at_200={"q": last})
    assert along(only(draw(tmp_path, kind="dots", y=("q",)))) == [("iql", 5.0)]
    assert [x for x, _ in along(only(draw(tmp_path, kind="profile", y=("q",))))][1:-1] == [4.0, 6.0]


def test_returns_of_a_pogo_that_kept_no_episodes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old = write_run(tmp_path / "a", config(0), one_actor(1.0))
    write_run(tmp_path / "b", config(1), episodes(30.0, 40.0))
    assert len(only(draw(tmp_path, kind="returns")).marks) == 2
    assert f"{old}: an older pogo kept no returns of episodes; left out." in caplog.messages
    with pytest.raises(
        BadInput, match="an older pogo kept no returns of episodes, which --kind returns shows; use --kind dots"
    ):
        draw(old, kind="returns")


def test_failed_evaluations_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_scores(tmp_path / "a", 0, {3000: 1.0})
    run = write_run(tmp_path / "b", config(1))
    write_curve(run, at_1000=actors(score(3.0)), at_3000="GymError: no display")
    assert along(only(draw(tmp_path))) == [(1000, 3.0), (3000, 1.0)]
    assert f"an evaluation failed, and is not in the figure: {run}; pogo-report says why." in caplog.messages


def test_online_and_offline_runs_have_no_common_count(tmp_path: Path) -> None:
    online = config(1, dataset__name="online", env="Pendulum-v1", train={"updates": None, "env_steps": 500})
    run = write_run(
        tmp_path / "online",
        online,
        score(1.0),
        dataset="Pendulum-v1",
        env_steps=500,
        updates=400,
        behaviour={"return_mean": None},
    )
    (run / "eval.jsonl").write_text(json.dumps({"env_step": 250, "actors": actors(score(4.0))}) + "\n")
    drawing = draw(tmp_path)
    assert (drawing.x, along(only(drawing))) == ("env_steps", [(250, 4.0)])
    with pytest.raises(BadInput, match="--x=updates: these runs count env_steps; use --x env_steps, or --x hours"):
        draw(tmp_path, x="updates")
    write_scores(tmp_path / "offline", 0, {3000: 1.0})
    with pytest.raises(BadInput, match="some runs count updates, others environment steps: use --x hours"):
        draw(tmp_path)


def test_other_data_of_one_name_have_no_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path / "a", config(0), one_actor(1.0))
    write_run(tmp_path / "b", config(1), one_actor(1.0), behaviour={"return_mean": -700})
    assert [panel.data for panel in draw(tmp_path, kind="dots").panels] == [None]
    assert "had different data of one name: the line of the data is left out." in caplog.text


def test_nothing_to_draw(tmp_path: Path) -> None:
    nothing: Results = {"deterministic": None, "stochastic": None}
    run = write_run(tmp_path / "a", config(), nothing)
    (run / "eval.jsonl").write_text("")
    with pytest.raises(BadInput, match="no run has been evaluated, so there are no returns to draw; --y takes"):
        draw(tmp_path)
    (run / "summary.json").unlink()
    with pytest.raises(BadInput, match="no run is finished, of 1; --kind curves draws them as far as they are"):
        draw(tmp_path, kind="bars")
