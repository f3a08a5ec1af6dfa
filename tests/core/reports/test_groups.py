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
from pogo.core.reports.groups import Row, make_report
from tests.helpers.run_folders import PLAIN, Results, actors, config, one_actor, write_curve, write_run
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
    )
    assert (rows[1].return_mean, rows[1].return_std_over_seeds) == (-203.0, 2.0)
    assert (rows[1].normalized_score_mean, rows[1].normalized_score_std_over_seeds) == (None, None)
    assert (rows[2].return_mean, rows[2].return_std_over_seeds) == (-51.0, 1.0)


def test_the_table_is_markdown(tmp_path: Path) -> None:
    write_run(tmp_path / "a", config(0), {"deterministic": (-110.0, 10.0), "stochastic": None})
    write_run(tmp_path / "b", config(1), {"deterministic": (-120.04, 20.0), "stochastic": None})
    write_run(tmp_path / "c", config(7, dataset__name="a|b"), one_actor(1.0), behaviour={"return_mean": None})
    left = ("| dataset  | algorithm | backend | w2 weights | actor | kind          | mode          ",
            "| -------- | --------- | ------- | ---------- | ----: | ------------- | ------------- ",
           r"| a\|b     | iql       | torch   | [10]       |     0 | deterministic | deterministic ",
            "| pendulum | iql       | torch   | [10]       |     0 | deterministic | deterministic ")  # fmt: skip
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
    assert [(row["dataset"], row["algorithm"], row["backend"], row["w2 weights"], row["return"]) for row in rows] == [
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
            }
        ],
        "measured": [],
        "unfinished": [f"{tmp_path}/d"],
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
        ["w2 weights", "actor", "at", "seeds", "step", "Q"],
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
    weights = [(row["w2 weights"], row["seeds"]) for row in table(tmp_path)[0]]
    assert sorted(weights) == [("[10]", "2"), ("steps [0.1]", "1"), ("steps [0.2]", "1")]


def test_csv(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger="pogo")
    write_run(tmp_path / "a", config(0), one_actor(1.25))
    write_run(tmp_path / "b", config(4), one_actor(3.25))
    write_run(tmp_path / "c", config(0, train__batch_size=8, chain__w2_weights=[10.0]), one_actor(7.0))
    write_run(tmp_path / "d", config(9), finished=False)
    rows = list(csv.DictReader(io.StringIO(report(tmp_path, "--csv").output)))
    keys = ("w2_weights", "settings", "num_seeds", "seeds", "return_mean", "return_std_over_seeds")
    assert [[row[key] for key in keys] for row in rows] == [
        ["[10]", "train.batch_size=8", "1", "0", "7.0", ""],
        ["[10]", "train.batch_size=64", "2", "0 4", "2.25", str(2**0.5)],
    ]
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
    assert "not allowed with" in refused(str(tmp_path), "--json", "--csv")


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
