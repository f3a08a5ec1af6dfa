"""pogo-plot: files with the numbers of the runs, and one line for every wrong input."""

import csv
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from pogo.cli.plot import main
from tests.helpers.run_folders import actors, config, episodes, one_actor, write_curve, write_run, write_training
from tests.helpers.runs import REPOSITORY, Outcome, call, environment

pytest.importorskip("matplotlib")


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """Two seeds of each of two algorithms, two actors each."""
    for index, algorithm in enumerate(("awac", "iql")):
        for seed in range(2):
            first, second = 10.0 * index + seed, 10.0 * index + 5.0 + seed
            resolved = config(seed, algorithm__name=algorithm, algorithm__beta=float(index + 1))
            run = write_run(
                tmp_path / "runs" / f"{algorithm}_{seed}", resolved, episodes(first), episodes(second),
                reference_returns=[0.0, 100.0],
            )  # fmt: skip
            write_curve(
                run,
                at_1000=actors(one_actor(1.0, 1.0), one_actor(2.0, 2.0)),
                at_3000=actors(one_actor(first, first), one_actor(second, second)),
            )
            write_training(
                run, at_3000={"critic/loss": 0.5, "actor_0/probe_energy": -1.0, "actor_1/w2_squared": 0.25 + seed}
            )
    return tmp_path / "runs"


def plot(*given: object) -> Outcome:
    return call(main, *map(str, given))


def refused(*given: object) -> str:
    outcome = plot(*given)
    outcome.assert_code(2)
    assert outcome.output.count("\n") == 1, outcome.output
    return outcome.output


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_without_options_curves_are_drawn_in_this_folder(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = plot(runs)
    outcome.assert_code(0)
    assert outcome.output.splitlines()[-1] == "curves.pdf: 2 panels, 4 lines; mean over 2 runs with 95 % intervals."
    assert (tmp_path / "curves.pdf").read_bytes().startswith(b"%PDF")


def test_the_data_are_the_numbers_drawn(runs: Path, tmp_path: Path) -> None:
    data = tmp_path / "curves.csv"
    given = ("--x", "updates", "--y", "normalized_score", "--by", "algorithm", "--facet", "dataset", "--actor", "last")
    plot(runs, *given, "--per-seed", "--out", tmp_path / "curves.svg", "--data", data).assert_code(0)
    rows = table(data)
    keys = ("dataset", "algorithm", "quantity", "x_axis", "what", "x", "value", "runs", "seeds")
    beginning = ["pendulum", "iql", "normalized_score", "updates"]
    assert [[row[key] for key in keys] for row in rows if row["algorithm"] == "iql"] == [
        [*beginning, "estimate", "1000.0", "2.0", "2", "0 1"],
        [*beginning, "estimate", "3000.0", "15.5", "2", "0 1"],
        [*beginning, "seed", "1000.0", "2.0", "1", "0"],
        [*beginning, "seed", "3000.0", "15.0", "1", "0"],
        [*beginning, "seed", "1000.0", "2.0", "1", "1"],
        [*beginning, "seed", "3000.0", "16.0", "1", "1"],
    ]
    assert [float(row["value"]) for row in rows if row["what"] == "data"] == [-800.0]
    (end,) = [row for row in rows if row["algorithm"] == "iql" and row["what"] == "estimate" and row["x"] == "3000.0"]
    assert 15.0 <= float(end["low"]) < 15.5 < float(end["high"]) <= 16.0


KINDS = {
    "curves": ("--x", "updates"),
    "bars": ("--per-seed",),
    "dots": ("--statistic", "iqm", "--interval", "80"),
    "chain": (),
    "profile": ("--interval", "none"),
    "returns": ("--y", "return"),
    "ablation": ("--over", "algorithm.beta", "--facet", "none", "--log-x"),
}


@pytest.mark.parametrize("ending", ["pdf", "svg", "png"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_in_every_format(runs: Path, tmp_path: Path, kind: str, ending: str) -> None:
    out, data = tmp_path / f"figure.{ending}", tmp_path / "figure.csv"
    outcome = plot(runs, "--kind", kind, *KINDS[kind], "--out", out, "--data", data)
    outcome.assert_code(0)
    assert out.stat().st_size > 2000
    assert {row["what"] for row in table(data)} >= {"quartiles" if kind == "returns" else "estimate"}
    assert outcome.output.splitlines()[-1].startswith(f"{out}: ")


def test_episodes_in_the_data(runs: Path, tmp_path: Path) -> None:
    data = tmp_path / "returns.csv"
    given = ("--kind", "returns", "--actor", "1", "--out", tmp_path / "a.png", "--data", data)
    outcome = plot(runs, *given)
    outcome.assert_code(0)
    assert "median and quartiles of the episodes of 2 runs." in outcome.output
    rows = [(row["x"], row["what"], row["value"], row["seeds"]) for row in table(data) if row["what"] != "data"]
    assert rows == [
        ("awac", "quartiles", "5.5", "0 1"),
        ("iql", "quartiles", "15.5", "0 1"),
        ("awac", "episode", "5.0", "0"),
        ("awac", "episode", "6.0", "1"),
        ("iql", "episode", "15.0", "0"),
        ("iql", "episode", "16.0", "1"),
    ]


def test_several_folders(runs: Path, tmp_path: Path) -> None:
    given = ("--kind", "dots", "--actor", "0", "--out", tmp_path / "a.png", "--data", tmp_path / "a.csv")
    plot(runs / "iql_0", runs / "iql_1", runs / "iql_1" / ".." / "iql_0", *given).assert_code(0)
    assert [(row["x"], row["value"], row["runs"]) for row in table(tmp_path / "a.csv") if row["what"] != "data"] == [
        ("iql", "10.5", "2")
    ]


WRONG = {
    "kind": (("--kind", "bar"), "--kind=bar is unknown. Did you mean 'bars'?"),
    "quantity": (("--y", "critic_loss"), "--y=critic_loss is unknown. Did you mean 'critic/loss'?"),
    "two quantities": (
        ("--y", "return,critic/loss"),
        "--kind curves shows one quantity; name one, or use --kind chain",
    ),
    "no quantity": (("--y", "return,"), "--y=return,: names are to be written once each"),
    "x": (("--x", "steps"), "invalid choice: 'steps'"),
    "other x": (("--x", "env_steps"), "--x=env_steps: these runs count updates; use --x updates, or --x hours"),
    "hours": (("--x", "hours"), "without wall_seconds, which --x hours needs; use --x updates"),
    "x of bars": (("--kind", "bars", "--x", "updates"), "--x=updates is what curves are drawn against"),
    "by": (("--by", "algoritm"), "--by=algoritm is unknown. Did you mean 'algorithm'?"),
    "by hyperparameter": (
        ("--by", "algorithm.betta"),
        "--by=algorithm.betta is unknown. Did you mean 'algorithm.beta'?",
    ),
    "by what tells nothing": (("--by", "log.every"), "--by=log.every: runs that differ in it alone are one group"),
    "facet": (("--facet", "datasets"), "--facet=datasets is unknown. Did you mean 'dataset'?"),
    "twice": (
        ("--by", "algorithm", "--facet", "algorithm.name"),
        "algorithm is named twice by --by, --facet and --over",
    ),
    "twice in one": (("--by", "actor,actor"), "--by=actor,actor: names are to be written once each"),
    "over without ablation": (("--over", "algorithm.beta"), "use --kind ablation, not --kind curves"),
    "ablation without over": (("--kind", "ablation"), "--kind ablation needs --over SETTING"),
    "over": (("--kind", "ablation", "--over", "beta"), "--over=beta is unknown."),
    "over nothing": (("--kind", "ablation", "--over", "chain.learning_rate"), "no run sets it"),
    "actor": (("--actor", "first"), "--actor first: use all, or numbers and last"),
    "no such actor": (("--actor", "5"), "--actor=5: no run has normalized_score of such an actor; use some of 0,1"),
    "actor of a metric": (("--y", "critic/loss", "--actor", "1"), "--y=critic/loss is one metric: leave --actor out"),
    "mode": (("--mode", "best"), "invalid choice: 'best'"),
    "no such mode": (("--mode", "stochastic"), "no run has stochastic results; use --mode deterministic"),
    "mode of a metric": (("--y", "critic/loss", "--mode", "both"), "--y=critic/loss is of training: leave --mode out"),
    "actor by actor": (("--kind", "chain", "--by", "actor"), "--kind chain has the actors side by side"),
    "last of a chain": (("--kind", "chain", "--actor", "last"), "--kind chain shows one actor after the other"),
    "chain of a metric": (("--kind", "chain", "--y", "critic/loss"), "--kind chain shows what each actor has"),
    "returns of a metric": (("--kind", "returns", "--y", "critic/loss"), "--kind returns shows episodes"),
    "statistic": (("--statistic", "median"), "invalid choice: 'median'"),
    "statistic of returns": (("--kind", "returns", "--statistic", "iqm"), "shows a distribution, not a --statistic"),
    "seeds of a profile": (("--kind", "profile", "--per-seed"), "is of every run or episode already"),
    "interval": (("--interval", "wide"), "--interval=wide is no percentage; use a number such as 95, or none"),
    "interval beyond": (("--interval", "100"), "--interval 100: use a number of percent"),
    "interval of nan": (("--interval", "nan"), "--interval nan: use a number of percent"),
    "logarithm": (("--kind", "bars", "--log-x"), "along the x axis are awac, iql, no numbers"),
    "logarithm of a negative": (("--y", "actor/probe_energy", "--log-y"), "goes down to -1, which has no logarithm"),
    "ending": (("--out", "figure.jpg"), "--out=figure.jpg: its name says no format; end it in .pdf, .svg, .png"),
    "no ending": (("--out", "figure"), "--out=figure: its name says no format"),
    "no folder": (("--out", "nowhere/a.pdf"), "--out=nowhere/a.pdf cannot be written: there is no folder nowhere"),
    "no folder for data": (("--data", "nowhere/a.csv"), "--data=nowhere/a.csv cannot be written: there is no folder"),
    "folder for data": (("--data", "."), "--data=. cannot be written: it is a folder"),
    "data in the figure": (("--out", "a.pdf", "--data", "./a.pdf"), "--data=a.pdf is the figure's own file"),
    "style": (("--style", "nowhere"), "--style=nowhere is no style of matplotlib"),
    "option": (("--colour", "red"), "no such option; see pogo-plot --help"),
}


@pytest.mark.parametrize(("given", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_input_is_refused_in_one_line(
    runs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: tuple[str, ...], message: str
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert message in refused(runs, *given)
    assert not list((tmp_path / "elsewhere").iterdir())


def test_folders_without_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "/nowhere is no folder" in refused("/nowhere")
    assert f"{tmp_path} holds no runs" in refused(tmp_path)
    assert "see pogo-plot --help" in refused()


def test_options_are_checked_before_runs_are_read(tmp_path: Path) -> None:
    for given in (("--kind", "ablation"), ("--out", "a.jpg"), ("--by", "nothing"), ("--style", "nowhere")):
        assert "/nowhere is no folder" not in refused("/nowhere", *given)


def test_without_matplotlib_it_says_what_to_install(runs: Path) -> None:
    code = (
        f"import sys; sys.modules['matplotlib'] = None; from pogo.cli.plot import main; sys.exit(main([{str(runs)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment(), cwd=REPOSITORY, check=False
    )
    assert done.returncode == 2
    assert done.stderr == "pogo-plot: figures need matplotlib, not installed here: pip install 'pogo[plot]'.\n"


def test_help_and_version() -> None:
    shown = plot("--help")
    shown.assert_code(0)
    assert "Exit codes:" in shown.output
    assert max(map(len, shown.output.splitlines())) <= 120
    plot("--version").assert_code(0)


def commands_of_the_page() -> list[list[str]]:
    lines = (REPOSITORY / "docs" / "plots.md").read_text().splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("    pogo-plot ")]


def test_the_commands_of_the_page_are_accepted(tmp_path: Path) -> None:
    found = commands_of_the_page()
    assert {word for given in found for word in given if word in KINDS} == KINDS.keys() - {"curves"}
    for given in found:
        # So far as the folder, which is looked for last.
        assert "is no folder; give one that holds runs" in refused(*given, "--out", tmp_path / "a.pdf")


def test_one_panel_where_none_is_asked_for(runs: Path, tmp_path: Path) -> None:
    given = (runs, "--out", tmp_path / "figure.svg")
    assert "figure.svg: 2 panels, 4 lines" in plot(*given).output
    assert "figure.svg: 1 panel, 4 lines" in plot(*given, "--facet", "none").output
    assert "figure.svg: 1 panel, 2 lines" in plot(*given, "--facet", "none", "--kind", "bars").output
