"""pogo-report: what it finds in a folder of runs, what it puts together, and the numbers it makes of them."""

import csv
import io
import json
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from pogo.cli.report import main
from pogo.core.reports.rows import Row, make_report
from tests.helpers.run_folders import PLAIN, Results, actors, config, episodes, one_actor, write_curve, write_run
from tests.helpers.runs import Outcome, call


def report(folder: Path, *options: str) -> Outcome:
    outcome = call(main, str(folder), *options)
    outcome.assert_code(0)
    return outcome


def table(folder: Path, *options: str) -> tuple[list[dict[str, str]], str]:
    """The Markdown table, a mapping per row, and what is below it."""
    shown, _, below = report(folder, *options).output.partition("\n\n")
    header, rule, *lines = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in shown.splitlines()]
    assert all(set(cell) <= set("-:") for cell in rule)
    return [dict(zip(header, line, strict=True)) for line in lines], below


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, logger="pogo")


def test_mean_and_spread_over_seeds(tmp_path: Path) -> None:
    for seed, (deterministic, stochastic) in enumerate([(-110.0, -201.0), (-120.0, -205.0), (-160.0, -203.0)]):
        results = {"deterministic": (deterministic, 10.0 * seed), "stochastic": (stochastic, None)}
        write_run(tmp_path / f"seed_{seed}", config(seed), results, one_actor(-50.0 - seed))
    rows = make_report(tmp_path).rows
    assert [(row.actor, row.kind, row.mode) for row in rows] == [
        (0, "gaussian", "deterministic"),
        (0, "gaussian", "stochastic"),
        (1, "deterministic", "deterministic"),
    ]
    # (-110 - 120 - 160) / 3 = -130; squares of 20, 10, -30 sum to 1400, over n - 1: 700.
    assert rows[0] == Row(
        dataset="pendulum",
        algorithm="iql",
        backend="torch",
        w2_weights=(10.0,),
        steps=(),
        settings={},
        actor=0,
        kind="gaussian",
        mode="deterministic",
        updates=3000,
        env_steps=None,
        num_seeds=3,
        seeds=(0, 1, 2),
        return_mean=-130.0,
        return_std_over_seeds=pytest.approx(700**0.5, rel=1e-12),  # type: ignore[arg-type] - compares as a number
        normalized_score_mean=10.0,
        normalized_score_std_over_seeds=10.0,
        behaviour_return_mean=-800.0,
        returns=(-110.0, -120.0, -160.0),
        scores=(0.0, 10.0, 20.0),
    )
    assert (rows[1].return_mean, rows[1].return_std_over_seeds) == (-203.0, 2.0)
    assert (rows[1].normalized_score_mean, rows[1].normalized_score_std_over_seeds) == (None, None)
    assert (rows[2].return_mean, rows[2].return_std_over_seeds) == (-51.0, 1.0)


def test_the_table_is_markdown(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), {"deterministic": (-110.0, 10.0), "stochastic": None})
    write_run(tmp_path / "b", config(1), {"deterministic": (-120.04, 20.0), "stochastic": None})
    write_run(tmp_path / "c", config(7, dataset__name="a|b"), one_actor(1.0), behaviour={"return_mean": None})
    left = ("| dataset  | algorithm | backend | chain | actor | kind          | mode          ",
            "| -------- | --------- | ------- | ----- | ----: | ------------- | ------------- ",
           r"| a\|b     | iql       | torch   | [10]  |     0 | deterministic | deterministic ",
            "| pendulum | iql       | torch   | [10]  |     0 | deterministic | deterministic ")  # fmt: skip
    right = ("| updates | seeds | return | std | score | score std | behaviour |",
             "| ------: | ----: | -----: | --: | ----: | --------: | --------: |",
             "|    3000 |     1 |    1.0 |   - |     - |         - |         - |",
             "|    3000 |     2 | -115.0 | 7.1 |  15.0 |       7.1 |    -800.0 |")  # fmt: skip
    assert report(tmp_path).output.splitlines() == [a + b for a, b in zip(left, right, strict=True)]


def test_online_runs_count_environment_steps(tmp_path: Path) -> None:
    online = config(1, dataset__name="online", env="Pendulum-v1", train={"updates": None, "env_steps": 500})
    summary = {"dataset": "Pendulum-v1", "updates": 400, "env_steps": 500, "behaviour": {"return_mean": None}}
    write_run(tmp_path / "online", online, one_actor(-5.0), **summary)
    (row,), _ = table(tmp_path)
    assert row["env steps"] == "500"
    assert "updates" not in row
    write_run(tmp_path / "offline", config(0), one_actor(-6.0))
    rows, _ = table(tmp_path)
    assert [(row["dataset"], row["updates"], row["env steps"]) for row in rows] == [
        ("Pendulum-v1", "", "500"),
        ("pendulum", "3000", ""),
    ]
    (tmp_path / "online" / "summary.json").unlink()
    (tmp_path / "online" / "eval.jsonl").write_text(json.dumps({"env_step": 250, "failed": "no display"}) + "\n")
    curve = report(tmp_path / "online", "--curve").output
    assert f"1 failed evaluation: {tmp_path}/online at env step 250 (no display)." in curve


def test_modes(tmp_path: Path) -> None:
    write_run(tmp_path / "run", config(), PLAIN, one_actor(-1.0))
    assert [(row["actor"], row["mode"]) for row in table(tmp_path)[0]] == [
        ("0", "deterministic"),
        ("0", "stochastic"),
        ("1", "deterministic"),
    ]
    assert [row["return"] for row in table(tmp_path, "--mode", "stochastic")[0]] == ["-200.0"]
    assert [row["return"] for row in table(tmp_path, "--mode", "deterministic")[0]] == ["-100.0", "-1.0"]


def test_where_and_how_a_run_was_made_is_no_difference(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path / "deep" / "er" / "first", config(0))
    elsewhere = config(
        1,
        device="cuda",
        threads=8,
        resume="must",
        run__dir="/elsewhere",
        logger__wandb=True,
        checkpoint__every=5,
        log__every=7,
        dataset__cache_dir="/cache",
        dataset__sha256="0" * 64,
        train__save_replay="/elsewhere/replay.hdf5",
        resume_from="/elsewhere/run",
        sources={"algorithm.beta": "the command line"},
        asked={"seed": 1},
        eval__new=None,  # a setting that is not set, of a newer pogo
    )
    write_run(tmp_path / "second", elsewhere)
    rows, below = table(tmp_path, "--mode", "deterministic")
    assert [(row["seeds"], row["return"], row["std"]) for row in rows] == [("2", "-100.0", "0.0")]
    assert "settings" not in rows[0]
    assert below == ""
    assert caplog.messages == []


def test_labels_part_groups_without_settings(tmp_path: Path) -> None:
    variants = [
        {},
        {"algorithm__name": "awac"},
        {"backend__name": "jax"},
        {"dataset__name": "hopper"},
        {"chain__w2_weights": [5.0, 20.0]},
    ]
    for number, changes in enumerate(variants):
        write_run(tmp_path / str(number), config(**changes), one_actor(float(number)))
    rows, _ = table(tmp_path)
    assert [(row["dataset"], row["algorithm"], row["backend"], row["chain"], row["return"]) for row in rows] == [
        ("hopper", "iql", "torch", "[10]", "3.0"),
        ("pendulum", "awac", "torch", "[10]", "1.0"),
        ("pendulum", "iql", "jax", "[10]", "2.0"),
        ("pendulum", "iql", "torch", "[5, 20]", "4.0"),
        ("pendulum", "iql", "torch", "[10]", "0.0"),
    ]
    assert "settings" not in rows[0]


def test_other_settings_part_groups_and_are_shown(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0, train__batch_size=1024), one_actor(1.0))
    write_run(tmp_path / "b", config(0, chain__energy="loss"), one_actor(2.0))
    write_run(tmp_path / "c", config(1, chain__energy="loss"), one_actor(4.0))
    write_run(tmp_path / "d", config(0, algorithm__name="awac", algorithm__beta=1.0), one_actor(5.0))
    rows, _ = table(tmp_path)
    assert [(row["settings"], row["seeds"], row["return"]) for row in rows] == [
        ("", "1", "5.0"),  # alone with its labels: beta tells it from nothing
        ("chain.energy=loss train.batch_size=64", "2", "3.0"),
        ("chain.energy=value train.batch_size=1024", "1", "1.0"),
    ]
    assert make_report(tmp_path).rows[1].settings == {"chain.energy": "loss", "train.batch_size": 64}


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    for size in (1024, 64, 256):
        write_run(tmp_path / str(size), config(train__batch_size=size), one_actor(1.0))
    assert [row["settings"] for row in table(tmp_path)[0]] == [f"train.batch_size={size}" for size in (64, 256, 1024)]


def test_a_file_is_known_by_its_name_and_its_path(tmp_path: Path) -> None:
    for number in (1, 2):
        resolved = config(dataset__name="custom", dataset__path=f"/data/{number}/mine.hdf5")
        write_run(tmp_path / str(number), resolved, one_actor(1.0), dataset="mine")
    assert [(row["dataset"], row["settings"]) for row in table(tmp_path)[0]] == [
        ("mine", "dataset.path=/data/1/mine.hdf5"),
        ("mine", "dataset.path=/data/2/mine.hdf5"),
    ]


def test_of_two_runs_with_one_seed_the_newest_counts(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name, seconds in (("old", 1_000), ("new", 3_000), ("older", 500)):
        run = write_run(tmp_path / name, config(3), one_actor(float(seconds)))
        os.utime(run / "summary.json", (seconds, seconds))
    rows, _ = table(tmp_path)
    assert [(row["seeds"], row["return"]) for row in rows] == [("1", "3000.0")]
    assert caplog.messages == [
        f"seed 3 of pendulum iql torch [10.0] is there 3 times: {tmp_path}/new is the newest and kept, "
        f"{tmp_path}/older, {tmp_path}/old left out."
    ]


DAMAGE = {
    "torn config": ("config.json", '{"algorithm": {', "config.json is not valid JSON: Expecting"),
    "torn summary": ("summary.json", "", "summary.json is not valid JSON: Expecting value"),
    "binary summary": ("summary.json", b"\xff\xfe\x00", "summary.json is not valid JSON: 'utf-16-le' codec"),
    "nested summary": ("summary.json", "[" * 100_000, "summary.json is not valid JSON: maximum recursion"),
    "list for a config": ("config.json", "[1]", "config.json has no dataset.name"),
    "another program's config": ("config.json", '{"model": "bert"}', "config.json has no dataset.name"),
    "no seed": ("config.json", {"seed": None}, "config.json: seed is None, not a whole number"),
    "word for a section": ("config.json", {"algorithm": "iql"}, "config.json has no algorithm.name"),
    "word for weights": ("config.json", {"chain": {"w2_weights": "10"}}, "chain.w2_weights is '10', not a list"),
    "words in weights": ("config.json", {"chain": {"w2_weights": ["x"]}}, "w2_weights[0] is 'x', not a finite number"),
    "dataset that leaves": ("config.json", {"dataset": {"name": "..", "path": None}}, "dataset.name='..' must be"),
    "no actors": ("summary.json", {"actors": None}, "summary.json: actors is None, not a list"),
    "no mode": ("summary.json", {"actors": [{"index": 0, "kind": "gaussian"}]}, "actors[0] has no deterministic"),
    "infinite return": ("summary.json", {"actors": actors(one_actor(float("inf")))}, "return_mean is inf, not a"),
    "null return": ("summary.json", {"actors": actors(one_actor(None))}, "return_mean is None"),  # type: ignore[arg-type]
    "huge return": ("summary.json", {"actors": actors(one_actor(10**400))}, "return_mean is 1000"),
    "switch for updates": ("summary.json", {"updates": True}, "updates is True, not a whole number"),
    "no behaviour": ("summary.json", {"behaviour": {}}, "summary.json has no behaviour.return_mean"),
    "measures of no actor": ("summary.json", {"measures": {"first": {}}}, "measures has 'first', which is no actor's"),
    "measures in words": ("summary.json", {"measures": {"0": {"q": "high"}}}, "measures.0.q is 'high', not a finite"),
    "another run's summary": ("summary.json", {"seed": 8}, "summary.json is of another run than config.json"),
}


@pytest.mark.parametrize(("file", "content", "message"), DAMAGE.values(), ids=DAMAGE.keys())
def test_a_run_that_cannot_be_read_costs_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, file: str, content: Any, message: str
) -> None:
    write_run(tmp_path / "good", config(0), one_actor(-5.0))
    path = write_run(tmp_path / "bad", config(1)) / file
    if isinstance(content, dict):
        content = json.dumps(json.loads(path.read_text()) | content)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows, _ = table(tmp_path)
    assert [(row["seeds"], row["return"]) for row in rows] == [("1", "-5.0")]
    (warning,) = caplog.messages
    assert warning.startswith(str(path))
    assert message in warning
    assert warning.endswith("; the run is left out.")
    assert "\n" not in warning


def test_a_summary_without_a_config(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path / "good", config(0))
    config_file = write_run(tmp_path / "bad", config(1)) / "config.json"
    config_file.unlink()
    report(tmp_path)
    assert caplog.messages == [f"{config_file} cannot be read: No such file or directory; the run is left out."]


def test_nothing_below_checkpoints_is_a_run(tmp_path: Path) -> None:
    run = write_run(tmp_path / "checkpoints" / "run", config())  # but a folder above runs may have any name
    write_run(run / "checkpoints" / "000000005", config(1))
    assert [row["seeds"] for row in table(tmp_path, "--mode", "stochastic")[0]] == ["1"]
    assert [row["seeds"] for row in table(run, "--mode", "stochastic")[0]] == ["1"]  # a run's own folder


def test_unfinished_runs_are_named(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), one_actor(1.0))
    write_run(tmp_path / "b", config(1), finished=False)
    # Extended, on the other backend: its summary is of the shorter run.
    write_run(tmp_path / "c", config(2, train__updates=9000), updates=3000, backend="jax")
    rows, below = table(tmp_path)
    assert [(row["seeds"], row["updates"]) for row in rows] == [("1", "3000")]
    assert below == f"2 unfinished runs: {tmp_path}/b, {tmp_path}/c.\n"


def test_only_unfinished_runs(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), finished=False)
    assert report(tmp_path).output == f"No results to show.\n\n1 unfinished run: {tmp_path}/a.\n"


def test_failed_and_missing_evaluations_are_no_scores(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), one_actor(1.0))
    nothing: Results = {"deterministic": None, "stochastic": None}
    write_run(tmp_path / "b", config(1), nothing, evaluation_failed="GymError: no\n  display")
    write_run(tmp_path / "c", config(2, eval__episodes=0), nothing)
    rows, below = table(tmp_path)
    assert [(row["seeds"], row["return"]) for row in rows] == [("1", "1.0")]
    assert below == (
        f"1 failed evaluation: {tmp_path}/b at update 3000 (GymError: no display).\n\n"
        f"1 unevaluated run: {tmp_path}/c.\n"
    )


def test_a_failed_mode_costs_no_other_result(tmp_path: Path) -> None:
    why = "actor 0 (gaussian), deterministic, at update 3000: gives non-finite actions."
    part = [{"index": 0, "kind": "gaussian", "deterministic": None, "stochastic": {"return_mean": 2.0,
             "normalized_score": None}, "failed": {"deterministic": why}}]  # fmt: skip
    run = write_run(tmp_path / "a", config(0), actors=part)
    write_curve(run, at_3000=part)
    for options in ((), ("--curve",)):
        rows, below = table(tmp_path, *options)
        assert [(row["mode"], row["return"]) for row in rows] == [("stochastic", "2.0")]
        assert below == f"1 failed evaluation: {tmp_path}/a at update 3000 ({why.rstrip('.')}).\n"


def test_a_null_that_stands_for_nan_is_a_failed_evaluation(tmp_path: Path) -> None:
    """As pogo once wrote where a reward was NaN."""
    nan = {"return_mean": None, "return_std": None, "normalized_score": None, "returns": [None], "lengths": [50]}
    write_run(
        tmp_path / "a",
        config(0),
        actors=[{"index": 0, "kind": "deterministic", "deterministic": nan, "stochastic": None}],
    )
    assert report(tmp_path).output == (
        f"No results to show.\n\n1 failed evaluation: {tmp_path}/a at update 3000 "
        "(actor 0 (deterministic), deterministic: its return is not finite).\n"
    )


def test_the_curve_is_every_evaluation(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    runs = [write_run(tmp_path / str(seed), config(seed), finished=seed < 2) for seed in range(4)]
    write_curve(runs[0], at_1000=actors(one_actor(-30.0, 1.0)), at_2000=actors(one_actor(-20.0, 5.0)))
    write_curve(runs[1], at_1000=actors(one_actor(-34.0, 3.0)), at_2000="GymError: no display")
    write_curve(runs[2], at_1000=actors(one_actor(-35.0, 2.0)), at_2000=actors(one_actor(-26.0, 5.0)))
    with (runs[2] / "eval.jsonl").open("a") as file:
        file.write('{"update": 3000, "act')
    rows, below = table(tmp_path, "--curve")  # run 3 has just begun
    # -99 / 3 = -33; 9 + 1 + 4 = 14, over 2: 7. (-20 - 26) / 2 = -23; 9 + 9 = 18, over 1.
    assert [[row[key] for key in ("updates", "seeds", "return", "std", "score", "score std")] for row in rows] == [
        ["1000", "3", "-33.0", "2.6", "2.0", "1.0"],
        ["2000", "2", "-23.0", "4.2", "5.0", "0.0"],
    ]
    assert "behaviour" not in rows[0]
    assert below == (
        f"2 unfinished runs: {runs[2]}, {runs[3]}.\n\n"
        f"1 failed evaluation: {runs[1]} at update 2000 (GymError: no display).\n"
    )
    assert caplog.messages == [f"{runs[2]}/eval.jsonl: its last line is cut short and left out."]


def test_a_curve_with_a_broken_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for seed in range(3):
        write_curve(write_run(tmp_path / str(seed), config(seed)), at_1000=actors(one_actor(-1.0)))
    (tmp_path / "1" / "eval.jsonl").write_text('{"update": 1000, "actors": []}\n{"upd\n')
    (tmp_path / "2" / "eval.jsonl").unlink()
    rows, _ = table(tmp_path, "--curve")
    assert [row["seeds"] for row in rows] == ["1"]
    assert len(caplog.messages) == 2
    assert caplog.messages[0].startswith(f"{tmp_path}/1/eval.jsonl:2 is not valid JSON")
    assert caplog.messages[1].startswith(f"{tmp_path}/2/eval.jsonl cannot be read: No such file")


def test_equal_settings_on_other_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_run(tmp_path / "a", config(0), one_actor(1.0))
    write_run(tmp_path / "b", config(1), one_actor(1.0), behaviour={"return_mean": -800.0001})
    assert [row["behaviour"] for row in table(tmp_path)[0]] == ["-800.0"]
    assert caplog.messages == []
    write_run(tmp_path / "c", config(2), one_actor(1.0), behaviour={"return_mean": -700})
    assert [row["behaviour"] for row in table(tmp_path)[0]] == ["-"]
    (warning,) = caplog.messages
    assert "had different data: behaviour returns from -800 to -700." in warning


def test_a_score_is_over_all_seeds_or_none(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), one_actor(1.0, 5.0))
    write_run(tmp_path / "b", config(1), one_actor(3.0, None))
    assert [(row["return"], row["score"]) for row in table(tmp_path)[0]] == [("2.0", "-")]


def test_json(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), one_actor(1.0, 5.0))
    write_run(tmp_path / "b", config(4), one_actor(2.0, 6.0))
    write_run(tmp_path / "c", config(5), evaluation_failed="GymError: no display")
    write_run(tmp_path / "d", config(6, train__batch_size=8), finished=False)
    document = json.loads(report(tmp_path, "--json").output)
    assert document == {
        "rows": [
            {
                "dataset": "pendulum",
                "algorithm": "iql",
                "backend": "torch",
                "w2_weights": [10.0],
                "steps": [],
                "settings": {},
                "actor": 0,
                "kind": "deterministic",
                "mode": "deterministic",
                "updates": 3000,
                "env_steps": None,
                "num_seeds": 2,
                "seeds": [0, 4],
                "return_mean": 1.5,
                "return_std_over_seeds": pytest.approx(0.5**0.5),
                "normalized_score_mean": 5.5,
                "normalized_score_std_over_seeds": pytest.approx(0.5**0.5),
                "behaviour_return_mean": -800.0,
                "checkpoint": "last",
                "returns": [1.0, 2.0],
                "scores": [5.0, 6.0],
                "estimates": {},
                "told": {},
            }
        ],
        "measured": [],
        "unfinished": [f"{tmp_path}/d"],
        "failed_runs": [],
        "failed_evaluations": [{"run": f"{tmp_path}/c", "update": 3000, "error": "GymError: no display"}],
        "not_evaluated": [],
    }


def measured(*of_actors: dict[str, float]) -> dict[str, dict[str, float]]:
    return {str(index): measures for index, measures in enumerate(of_actors)}


def test_measures_of_actors_are_means_over_the_seeds_that_all_have_them(tmp_path: Path) -> None:
    steps = {"chain__steps": [0.1], "chain__w2_weights": [10.0]}
    first = measured({"q": 1.0}, {"q": 2.0, "from_reference": 0.08, "std": 0.5})
    second = measured({"q": 2.0}, {"q": 4.0, "from_reference": 0.12})
    for seed, measures in enumerate((first, second)):
        write_run(tmp_path / str(seed), config(seed, **steps), PLAIN, PLAIN, measures=measures)
    lines = report(tmp_path, "--chain").output.splitlines()
    cells = [[cell.strip() for cell in line.split("|")[4:-1]] for line in lines if line.startswith("|")]
    assert cells == [
        ["chain", "actor", "at", "seeds", "step", "Q"],
        [cells[1][0], *cells[1][1:]],
        ["steps [0.1]", "0", "3000", "2", "-", "1.5"],
        ["steps [0.1]", "1", "3000", "2", "0.1", "3"],
    ]
    rows = list(csv.DictReader(io.StringIO(report(tmp_path, "--chain", "--csv").output)))
    assert [(row["steps"], row["actor"], row["q"], row["from_reference"]) for row in rows] == [
        ("[0.1]", "0", "1.5", ""),
        ("[0.1]", "1", "3.0", "0.1"),
    ]
    assert [each["measures"] for each in json.loads(report(tmp_path, "--json").output)["measured"]] == [
        {"q": 1.5},
        {"q": 3.0, "from_reference": pytest.approx(0.1)},
    ]


def test_chains_of_other_steps_are_other_groups(tmp_path: Path) -> None:
    plain = {"chain__carry": False, "chain__begin_at": 0, "probe__critic": False}
    for name, sizes in (("a", [0.1]), ("b", [0.2]), ("c", [])):
        write_run(tmp_path / name, config(0, chain__steps=sizes, **plain), one_actor(1.0))
    # Of a pogo that had none of these settings: as c, which has them as they are by default.
    write_run(tmp_path / "d", config(1), one_actor(3.0))
    weights = [(row["chain"], row["seeds"]) for row in table(tmp_path)[0]]
    assert sorted(weights) == [("[10]", "2"), ("steps [0.1]", "1"), ("steps [0.2]", "1")]


def test_csv_has_a_line_per_run_actor_and_mode(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pogo")
    write_run(tmp_path / "a", config(0), episodes(1.0, 3.0), one_actor(1.25))
    write_run(tmp_path / "b", config(4), one_actor(3.25))
    write_run(tmp_path / "c", config(0, train__batch_size=8), one_actor(7.0))
    write_run(tmp_path / "d", config(9), finished=False)
    rows = list(csv.DictReader(io.StringIO(report(tmp_path, "--csv").output)))
    keys = ("settings", "seed", "actor", "updates", "return_mean", "return_std", "normalized_score", "episodes", "run")
    assert [[row[key] for key in keys] for row in rows] == [
        ["train.batch_size=8", "0", "0", "3000", "7.0", "", "", "", f"{tmp_path}/c"],
        ["train.batch_size=64", "0", "0", "3000", "2.0", "1.0", "2.0", "2", f"{tmp_path}/a"],
        ["train.batch_size=64", "0", "1", "3000", "1.25", "", "", "", f"{tmp_path}/a"],
        ["train.batch_size=64", "4", "0", "3000", "3.25", "", "", "", f"{tmp_path}/b"],
    ]
    assert {row["w2_weights"] for row in rows} == {"[10]"}
    assert caplog.messages == [f"1 unfinished run: {tmp_path}/d."]  # beside the table, for stderr


def test_a_csv_without_rows_has_a_header(tmp_path: Path) -> None:
    write_run(tmp_path / "run", config(), one_actor(1.0))
    reader = csv.DictReader(io.StringIO(report(tmp_path, "--csv", "--mode", "stochastic").output))
    assert "return_mean" in (reader.fieldnames or [])
    assert list(reader) == []


def refused(*given: str) -> str:
    outcome = call(main, *given)
    outcome.assert_code(2)
    assert outcome.output.count("\n") == 1
    return outcome.output


def test_bad_input_is_refused(tmp_path: Path) -> None:
    assert "holds no runs; a run's folder holds config.json and" in refused(str(tmp_path))
    file = tmp_path / "file"
    file.write_text("mine")
    assert f"{file} is no folder; give one that holds runs" in refused(str(file))
    assert "/nowhere is no folder" in refused("/nowhere")
    assert "see pogo-report --help" in refused()
    assert "'best'" in refused(str(tmp_path), "--mode", "best")
    assert "only one of --json, --csv and --latex can go to stdout" in refused(str(tmp_path), "--json", "--csv")
    assert "there is no folder /nowhere; make it first" in refused(str(tmp_path), "--csv", "/nowhere/file.csv")
    assert f"--latex {tmp_path} is a folder" in refused(str(tmp_path), "--latex", str(tmp_path))
    assert "--statistics mode: there is no such statistic; use all, or some of mean," in refused(
        str(tmp_path), "--statistics", "iqm,mode"
    )
    assert "--interval 100: use a number of percent between 0 and 100" in refused(str(tmp_path), "--interval", "100")
    assert "--checkpoint first: use last, best, or mean:10" in refused(str(tmp_path), "--checkpoint", "first")
    assert "--checkpoint mean:0: use last" in refused(str(tmp_path), "--checkpoint", "mean:0")
    assert "--actor -1: use all, or numbers and last" in refused(str(tmp_path), "--actor=-1")
    assert "--curve shows every evaluation, and --checkpoint best chooses; use one of them" in refused(
        str(tmp_path), "--curve", "--checkpoint", "best"
    )


def test_runs_of_which_none_can_be_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "config.json").write_text("{}")
    assert f"{tmp_path}: no run can be read, of 1;" in refused(str(tmp_path))
    assert len(caplog.messages) == 1


def test_reading_changes_nothing(tmp_path: Path) -> None:
    write_curve(write_run(tmp_path / "run", config()), at_1000=actors(PLAIN))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    report(tmp_path, "--curve")
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before


def test_help_and_version() -> None:
    shown = call(main, "--help")
    shown.assert_code(0)
    assert "Exit codes:" in shown.output
    call(main, "--version").assert_code(0)


def section(folder: Path, title: str, *options: str) -> list[dict[str, str]]:
    """The table below a title."""
    _, _, rest = report(folder, *options).output.partition(f"**{title}**\n\n")
    header, _, *lines = [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in rest.partition("\n\n")[0].splitlines()
    ]
    return [dict(zip(header, line, strict=True)) for line in lines]


def scored(*scores: float) -> Results:
    """A deterministic actor whose episodes score so."""
    return episodes(*scores)


def test_statistics_have_intervals_over_seeds(tmp_path: Path) -> None:
    for seed, score in enumerate((10.0, 20.0, 30.0, 90.0, 110.0)):
        write_run(tmp_path / str(seed), config(seed), scored(score), reference_returns=[0.0, 100.0])
    (row,), below = table(tmp_path, "--statistics", "all")
    # The middle three of five: scipy's trim_mean leaves out one on either side.
    assert row["iqm [95 %]"].startswith("46.7 [")
    assert row["median [95 %]"].startswith("30.0 [")
    assert row["mean [95 %]"].startswith("52.0 [")
    assert row["optimality gap [95 %]"].startswith("50.0 [")
    assert "return" not in row
    assert below == ""
    (row,), _ = table(tmp_path, "--statistics", "mean", "--interval", "50")
    assert list(row)[-2:] == ["mean [50 %]", "behaviour"]
    wide, narrow = (
        [float(bound) for bound in table(tmp_path, *options)[0][0]["mean [95 %]"].split("[")[1].strip("]").split(", ")]
        for options in (("--statistics", "mean"), ("--statistics", "mean", "--method", "percentile"))
    )
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_one_seed_has_no_interval_and_few_seeds_a_remark(tmp_path: Path) -> None:
    write_run(tmp_path / "0", config(0), scored(10.0))
    (row,), below = table(tmp_path, "--statistics", "iqm")
    assert row["iqm [95 %]"] == "10.0 -"
    assert below == ""
    write_run(tmp_path / "1", config(1), scored(20.0))
    _, below = table(tmp_path, "--statistics", "iqm")
    assert "Intervals over 2 seeds cover less than they say" in below


def test_run_by_run(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_run(tmp_path / str(seed), config(seed), scored(10.0 + seed, 14.0 + seed))
    rows = section(tmp_path, "Run by run", "--per-seed")
    assert [(row["seed"], row["return"], row["std over episodes"], row["score"]) for row in rows] == [
        ("0", "12.0", "2.0", "12.0"),
        ("1", "13.0", "2.0", "13.0"),
    ]


def test_evaluations_that_stand_for_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = write_run(tmp_path / "0", config(0), scored(30.0))
    write_curve(
        run, **{f"at_{at}": actors(scored(score)) for at, score in ((1, 10.0), (2, 60.0), (3, 20.0), (4, 30.0))}
    )
    for option, score, remark in (
        ("last", "30.0", ""),
        ("mean:2", "25.0", "Each run counts by the mean of the last 2 of its evaluations."),
        ("best", "60.0", "The best of n noisy evaluations is biased"),
    ):
        (row,), below = table(tmp_path, "--checkpoint", option)
        assert row["score"] == score
        assert remark in below
    assert caplog.messages == []
    table(tmp_path, "--checkpoint", "mean:9")
    assert caplog.messages == [f"{run} has 4 evaluations, fewer than 9: its mean is over those."]


def test_actors_are_chosen_by_number_or_as_the_last(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), scored(1.0), scored(2.0), scored(3.0))
    write_run(tmp_path / "b", config(0, algorithm__name="awac"), scored(4.0), scored(5.0))
    rows, _ = table(tmp_path, "--actor", "0,last")
    assert [(row["algorithm"], row["actor"], row["score"]) for row in rows] == [
        ("awac", "0", "4.0"),
        ("awac", "1", "5.0"),
        ("iql", "0", "1.0"),
        ("iql", "2", "3.0"),
    ]


def test_averages_name_what_they_lack(tmp_path: Path) -> None:
    for dataset, score in (("hopper-medium-v2", 40.0), ("walker2d-medium-v2", 60.0)):
        write_run(tmp_path / dataset, config(dataset__name=dataset), scored(score))
    write_run(tmp_path / "c", config(dataset__name="hopper-medium-v2", algorithm__name="awac"), scored(30.0))
    rows = section(tmp_path, "Scores over datasets", "--average")
    assert [(row["algorithm"], row["datasets"], row["mean [95 %]"]) for row in rows] == [
        ("awac", "average of 1 of 2", "30.0 -"),
        ("iql", "average of 2", "50.0 -"),
    ]
    below = report(tmp_path, "--average").output
    lacks = "no scores of walker2d-medium-v2, which averages leave out: awac torch [10] actor 0 deterministic."
    assert lacks in below


def test_corls_layout(tmp_path: Path) -> None:
    for seed in range(2):
        for dataset, score in (("hopper-medium-v2", 40.0), ("walker2d-medium-v2", 60.0), ("pen-human-v1", 80.0)):
            write_run(tmp_path / f"{dataset}{seed}", config(seed, dataset__name=dataset), scored(score + 2 * seed))
    write_run(
        tmp_path / "c",
        config(dataset__name="hopper-medium-v2", algorithm__name="awac", backend__name="jax"),
        scored(30.0),
    )
    rows, below = table(tmp_path, "--layout", "corl")
    values = [(row["dataset"], row["awac jax"].split()[0], row["iql torch"].split()[0]) for row in rows]
    assert values == [
        ("pen-human-v1", "-", "81.0"),
        ("hopper-medium-v2", "30.0", "41.0"),
        ("walker2d-medium-v2", "-", "61.0"),
        ("locomotion average", "30.0", "51.0"),
        ("average of all", "30.0", "61.0"),
    ]
    lacks = (
        "no scores of pen-human-v1, walker2d-medium-v2, which averages leave out: awac jax [10] actor 0 deterministic."
    )
    assert lacks in below


def test_gains_are_paired_episode_by_episode(tmp_path: Path) -> None:
    """Returns that differ widely between episodes, and by 2 and 4 within each: the interval is of the differences."""
    for seed in (0, 1):
        first = [0.0, 50.0, 100.0, 10.0 + seed]
        later = [value + (2.0 if index % 2 else 4.0) + seed for index, value in enumerate(first)]
        write_run(tmp_path / str(seed), config(seed), scored(*first), scored(*later), reference_returns=[0.0, 50.0])
    (row,) = section(tmp_path, "Gain over actor 0 of the same run", "--paired")
    assert (row["actor"], row["seeds"], row["unit"]) == ("1", "2", "score")
    # 3 and 4 of return; 50 of return are 100 points of score.
    assert row["gain, over seeds"].startswith("7.0 [")
    rows = section(tmp_path, "Gain over actor 0, run by run", "--paired", "--per-seed")
    assert [row["gain, over episodes"].split()[0] for row in rows] == ["6.0", "8.0"]
    low, high = (float(bound) for bound in rows[0]["gain, over episodes"].split("[")[1].strip("]").split(", "))
    assert 4.0 <= low < 6.0 < high <= 8.0


def test_runs_without_episodes_cannot_be_paired(tmp_path: Path) -> None:
    write_run(tmp_path / "0", config(0), one_actor(1.0), one_actor(2.0))
    output = report(tmp_path, "--paired").output
    assert f"1 run whose evaluations kept no episodes to pair: {tmp_path}/0." in output


def test_how_often_one_beats_the_other(tmp_path: Path) -> None:
    for seed, (ours, theirs) in enumerate(((1.0, 0.0), (2.0, 1.5), (3.0, 9.0))):
        write_run(tmp_path / f"a{seed}", config(seed), scored(ours))
        write_run(tmp_path / f"b{seed}", config(seed, algorithm__name="awac"), scored(theirs))
    (row,) = section(tmp_path, "How often a run beats a run", "--compare", "algorithm")
    assert (row["compared"], row["with"], row["datasets"]) == ("iql", "awac", "1")
    assert row["probability of improvement"].startswith("0.56 [")  # 1 + 2 + 2 of 9


def test_share_of_runs_above_a_score(tmp_path: Path) -> None:
    for seed, score in enumerate((5.0, 15.0, 25.0, 95.0)):
        write_run(tmp_path / str(seed), config(seed), scored(score))
    (row,) = section(tmp_path, "Share of runs above a score", "--profile")
    assert [row[f"> {score}"] for score in (0, 10, 20, 90, 100)] == ["1.00", "0.75", "0.50", "0.25", "0.00"]


def test_a_bandit_of_actors(tmp_path: Path) -> None:
    """Actors that always score the same: after a rollout of each the best one is known."""
    for seed in (0, 1):
        write_run(
            tmp_path / str(seed), config(seed), scored(10.0, 10.0), scored(40.0, 40.0), scored(25.0, 25.0),
            reference_returns=[0.0, 100.0],
        )  # fmt: skip
    (row,) = section(tmp_path, "Deployed after n rollouts", "--bandit", "20")
    assert (row["actors"], row["actor 0"], row["last"], row["best"]) == ("3", "10.0", "25.0", "40.0")
    assert float(row["n = 1"].split()[0]) == pytest.approx(25.0, abs=1.5)  # one of the three, at random
    assert row["n = 5"].split()[0] == "40.0"
    assert "n = 50" not in row


def test_latex_is_bold_where_intervals_meet(tmp_path: Path) -> None:
    for seed in range(6):
        write_run(tmp_path / f"a{seed}", config(seed), scored(50.0 + seed))
        write_run(tmp_path / f"b{seed}", config(seed, algorithm__name="awac"), scored(51.0 + seed))
        write_run(tmp_path / f"c{seed}", config(seed, algorithm__name="td3_bc"), scored(10.0 + seed))
    lines = report(tmp_path, "--latex", "--statistics", "mean").output.splitlines()
    assert lines[:2] == [r"\begin{tabular}{llllrllrrrr}", r"\toprule"]
    assert lines[-2:] == [r"\bottomrule", r"\end{tabular}"]
    bold = {line.split(" & ")[1]: r"\textbf{" in line for line in lines if line.startswith("pendulum")}
    assert bold == {"awac": True, "iql": True, r"td3\_bc": False}
    # Over one seed nothing says which is better.
    for name in "abc":
        for seed in range(1, 6):
            (tmp_path / f"{name}{seed}" / "summary.json").unlink()
    assert r"\textbf" not in report(tmp_path, "--latex", "--statistics", "mean").output


def test_files_are_written_beside_the_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pogo")
    write_run(tmp_path / "0", config(0), scored(10.0))
    names = {"--csv": "r.csv", "--json": "r.json", "--latex": "r.tex"}
    options = [part for option, name in names.items() for part in (option, str(tmp_path / name))]
    assert "| pendulum |" in report(tmp_path / "0", *options).output
    assert (tmp_path / "r.csv").read_text().startswith("dataset,algorithm,")
    assert json.loads((tmp_path / "r.json").read_text())["rows"][0]["scores"] == [10.0]
    assert (tmp_path / "r.tex").read_text().endswith("\\end{tabular}\n")
    assert [f"wrote {tmp_path}/{name}." in caplog.messages for name in names.values()] == [True] * 3


def test_a_failed_run_is_named_with_its_reason(tmp_path: Path) -> None:
    write_run(tmp_path / "good", config(0), scored(1.0))
    write_run(tmp_path / "bad", config(1), scored(1.0), failed="update 300: ValueError: no.\nmore")
    assert f"1 failed run: {tmp_path}/bad (update 300: ValueError: no. more)." in report(tmp_path).output


def test_several_folders_and_a_run_in_two_of_them(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        write_run(tmp_path / name, config(ord(name)), scored(1.0))
    outcome = call(main, str(tmp_path / "a"), str(tmp_path / "b"), str(tmp_path / "a"))
    outcome.assert_code(0)
    assert "|     2 |" in outcome.output


def told(document: dict[str, Any], **sources: str) -> dict[str, Any]:
    """A config that says which settings its command gave; a key of `sources` has __ for a dot."""
    return document | {"sources": {name.replace("__", "."): source for name, source in sources.items()}}


def test_averages_are_of_equal_settings(tmp_path: Path) -> None:
    """What a command gave is no part of another's average, what is published for a dataset is."""
    given = {"algorithm__beta": "command line"}
    published = {"algorithm__beta": "conf/published/iql.yaml"}
    for name, dataset, beta, sources, score in (
        ("a", "hopper-medium-v2", 10.0, given, 10.0),
        ("b", "hopper-medium-v2", 3.0, published, 20.0),
        ("c", "walker2d-medium-v2", 5.0, published, 40.0),
        ("d", "walker2d-medium-v2", 10.0, given, 70.0),
    ):
        document = config(dataset__name=dataset)
        document["algorithm"]["beta"] = beta
        write_run(tmp_path / name, told(document, **sources), scored(score))
    rows = section(tmp_path, "Scores over datasets", "--average")
    assert [(row["datasets"], row["settings"], row["mean [95 %]"]) for row in rows] == [
        ("average of 2", "", "30.0 -"),
        ("average of 2", "algorithm.beta=10.0", "40.0 -"),
    ]


def test_algorithms_are_compared_with_all_else_the_same(tmp_path: Path) -> None:
    for seed in (0, 1):
        for name, updates, score in (("iql", 3000, 5.0), ("awac", 3000, 4.0), ("td3_bc", 500, 3.0)):
            document = config(seed, algorithm__name=name, train__updates=updates)
            sources = {"train__updates": "command line"}
            write_run(tmp_path / f"{name}{seed}", told(document, **sources), scored(score))
    (row,) = section(tmp_path, "How often a run beats a run", "--compare", "algorithm")
    assert (row["compared"], row["with"]) == ("iql", "awac")
    assert "train.updates=3000" in row["of"]


def test_actors_are_compared_in_their_order(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), *(scored(float(index)) for index in range(11)))
    rows = section(tmp_path, "How often a run beats a run", "--compare", "actor")
    assert all(int(row["compared"]) > int(row["with"]) for row in rows)
    assert {row["probability of improvement"] for row in rows} == {"1.00 -"}


def test_the_best_evaluation_has_no_update_of_its_own(tmp_path: Path) -> None:
    run = write_run(tmp_path / "0", config(0), scored(30.0))
    write_curve(run, at_1=actors(scored(60.0)), at_2=actors(scored(30.0)))
    (row,) = csv.DictReader(io.StringIO(report(tmp_path, "--csv", "--checkpoint", "best").output))
    assert (row["return_mean"], row["updates"], row["checkpoint"]) == ("60.0", "", "best")


def test_one_run_has_no_spread_in_json(tmp_path: Path) -> None:
    write_run(tmp_path / "0", config(0), scored(30.0))
    (row,) = json.loads(report(tmp_path, "--json", "--statistics", "all").output)["rows"]
    assert "std" not in row["estimates"]
    assert row["estimates"]["iqm"] == {"value": 30.0, "low": None, "high": None}


def test_gains_of_the_last_actor_are_over_actor_0(tmp_path: Path) -> None:
    write_run(tmp_path / "0", config(0), scored(1.0, 2.0), scored(4.0, 5.0))
    (row,) = section(tmp_path, "Gain over actor 0 of the same run", "--paired", "--actor", "last")
    assert (row["actor"], row["gain, over seeds"]) == ("1", "3.0 -")


def test_tables_without_rows_say_why(tmp_path: Path) -> None:
    write_run(tmp_path / "0", config(0), one_actor(1.0))
    below = report(tmp_path, "--average", "--paired", "--compare", "algorithm", "--profile", "--bandit").output
    for why in (
        "No averages: no run has normalised scores.",
        "No gains: no run has a later actor whose episodes can be paired.",
        "No comparison: no two values of algorithm have scores of one dataset with all else the same.",
        "No profile: no run has normalised scores.",
        "No bandit: no run has two actors whose evaluation kept its episodes.",
    ):
        assert why in below


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--chain", "--statistics", "iqm"], "--chain is a table of its own: drop --statistics."),
        (["--chain", "--layout", "corl"], "--chain is a table of its own: drop --layout."),
        (["--layout", "corl", "--curve"], "--layout corl has one evaluation of each run: drop --curve."),
        (["--layout", "corl", "--statistics", "mean,iqm"], "--layout corl shows one statistic: name one."),
        (["--average", "--curve"], "--average is of one evaluation of each run: drop --curve."),
        (["--paired", "--checkpoint", "best"], "--paired is of one evaluation: use --checkpoint last."),
        (["--bandit", "--checkpoint", "mean:3"], "--bandit draws from one evaluation: use --checkpoint last."),
        (["--bandit", "--actor", "0,1"], "--bandit chooses among all actors: drop --actor."),
        (["--bandit", "0"], "--bandit 0 is no number of rollouts."),
        (["--latex", "--paired"], "--latex has no --paired; use --json, or name a FILE."),
        (["--actor", "7"], "--actor 7: these runs have no such actor; use some of 0, last, or all."),
    ],
)
def test_options_without_effect_are_refused(tmp_path: Path, options: list[str], message: str) -> None:
    write_run(tmp_path / "0", config(0), one_actor(1.0))
    assert message in refused(str(tmp_path), *options)


def test_two_formats_need_two_files(tmp_path: Path) -> None:
    write_run(tmp_path / "0", config(0), one_actor(1.0))
    file = str(tmp_path / "same")
    assert f"--csv {file} is the file of --json too" in refused(str(tmp_path), "--json", file, "--csv", file)
