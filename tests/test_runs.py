"""Runs from the command line to their folders, on both backends, as a user types them."""

import dataclasses
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pogo.cli import evaluate, golden, parity
from pogo.core.problem.w2 import W2Config
from pogo.core.system.machine import processor_name
from tests.helpers.runs import (
    ALGORITHMS,
    BACKENDS,
    NETWORKS,
    PENDULUM,
    REPOSITORY,
    arguments,
    array_bytes,
    assert_same_run,
    call,
    environment,
    fingerprint,
    lines,
    shared_folder,
    steps,
    summary,
    train,
)

SUMMARY_KEYS = {
    "backend",
    "algorithm",
    "dataset",
    "seed",
    "updates",
    "updates_per_second",
    "compile_seconds",
    "wall_seconds",
    "actors",
}
GOLDENS = REPOSITORY / "tests" / "golden"
MIXED = "[{kind: gaussian},{kind: deterministic},{kind: stochastic}]"


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> "Runs":
    return Runs(tmp_path_factory)


class Runs:
    """One finished run per backend and algorithm, made when first asked for."""

    def __init__(self, factory: pytest.TempPathFactory) -> None:
        self._factory = factory

    def __call__(self, backend: str, algorithm: str) -> Path:
        pytest.importorskip(backend)
        with shared_folder(self._factory, f"{algorithm}_{backend}") as folder:
            run_dir = folder / "run"
            if not run_dir.exists():
                every = {f"{section}__every": 6 for section in ("eval", "checkpoint")}
                changes: dict[str, Any] = {"train__updates": 12, "log__every": 3, "chain__actors": MIXED} | every
                train(*arguments(run_dir, backend, algorithm, **changes)).assert_code(0)
            return run_dir


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_folder_holds_what_the_design_says(runs: Runs, backend: str, algorithm: str) -> None:
    run_dir = runs(backend, algorithm)
    names = {path.name for path in run_dir.iterdir()}
    events = {name for name in names if name.startswith("events.out.tfevents.")}
    assert len(events) == 1
    assert names - events == {
        ".checkpointed",
        "checkpoints",
        "config.json",
        "eval.jsonl",
        "run.log",
        "summary.json",
        "train.jsonl",
    }
    assert steps(run_dir) == [6, 12]
    assert {path.name for path in (run_dir / "checkpoints").iterdir()} == {"000000006", "000000012"}
    said = [line.split(" ", 2)[2] for line in (run_dir / "run.log").read_text().splitlines()]
    device = f"cpu ({processor_name()})"
    assert said[:3] == [
        f"{algorithm} on {backend}, {device}, 1 thread: 3 actors.",
        "pendulum-medium-replay, 24000 rows; evaluated in Pendulum-v1, 2 episodes per actor and mode.",
        f"starting from update 0 of 12 in {run_dir}.",
    ]
    assert said[-1] == f"done: {run_dir}"
    evaluations = lines(run_dir / "eval.jsonl")
    results = {
        f"update {line['update']}: actor {actor['index']} ({actor['kind']}), {mode}": actor[mode]
        for line in evaluations
        for actor in line["actors"]
        for mode in ("deterministic", "stochastic")
        if actor[mode] is not None
    }
    assert len(results) == 2 * (2 + 1 + 2)
    assert [line for line in said if " episodes" in line][1:] == [
        f"{where}: {found['return_mean']:.1f} ± {found['return_std']:.1f}, "
        f"score {found['normalized_score']:.1f}, 2 episodes"
        for where, found in results.items()
    ]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_summary_has_what_scripts_read(runs: Runs, backend: str, algorithm: str) -> None:
    found = summary(runs(backend, algorithm))
    assert found.keys() >= SUMMARY_KEYS
    assert (found["backend"], found["algorithm"], found["seed"], found["updates"]) == (backend, algorithm, 0, 12)
    assert found["dataset"] == "pendulum-medium-replay"
    assert found["updates_per_second"] > 0
    assert found["wall_seconds"] > found["compile_seconds"] >= 0
    assert (found["compile_seconds"] > 0) == (backend == "jax")
    assert [actor["index"] for actor in found["actors"]] == [0, 1, 2]
    assert [actor["kind"] for actor in found["actors"]] == ["gaussian", "deterministic", "stochastic"]
    for actor in found["actors"]:
        modes = [actor["deterministic"]] + ([actor["stochastic"]] if actor["stochastic"] is not None else [])
        assert (actor["stochastic"] is None) == (actor["kind"] == "deterministic")
        for mode in modes:
            assert -2000 < mode["return_mean"] < 0
            assert mode["return_std"] >= 0
            assert math.isfinite(mode["normalized_score"])
            assert len(mode["returns"]) == 2
            low, high = found["reference_returns"]
            assert mode["normalized_score"] == pytest.approx(100 * (mode["return_mean"] - low) / (high - low))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_logs_have_a_line_per_interval(runs: Runs, backend: str, algorithm: str) -> None:
    run_dir = runs(backend, algorithm)
    training = [json.loads(line) for line in (run_dir / "train.jsonl").read_text().splitlines()]
    assert [line["update"] for line in training] == [3, 6, 9, 12]
    assert all(value is not None and math.isfinite(value) for line in training for value in line.values())
    losses = {"critic/loss", "critic/gradient_norm", "q", "td_target", "actor_0/loss", "actor_1/energy"}
    of_policies = {"actor_0/std", "actor_0/entropy", "actor_2/std", "actor_2/w2_squared", "actor_2/gradient_norm"}
    assert losses | of_policies | {"updates_per_second"} <= training[0].keys()
    evaluations = lines(run_dir / "eval.jsonl")
    assert [line["update"] for line in evaluations] == [6, 12]
    assert evaluations[-1]["actors"] == summary(run_dir)["actors"]
    for mode in evaluations[0]["actors"][0]["deterministic"], evaluations[0]["actors"][2]["stochastic"]:
        assert len(mode["returns"]) == 2
        assert mode["lengths"] == [200, 200]
    seconds = [json.loads(line)["wall_seconds"] for line in (run_dir / "eval.jsonl").read_text().splitlines()]
    assert training[1]["wall_seconds"] < seconds[0] < training[2]["wall_seconds"] < training[3]["wall_seconds"]
    assert training[3]["wall_seconds"] < seconds[1] < summary(run_dir)["wall_seconds"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_recorded_config_has_every_default_filled_in(runs: Runs, backend: str) -> None:
    config = json.loads((runs(backend, "iql") / "config.json").read_text())
    assert config["chain"]["w2_weights"] == [10, 10]
    assert config["algorithm"]["cosine_updates"] == 12
    assert config["algorithm"]["expectile"] == 0.7
    assert config["threads"] == 1
    assert config["backend"]["name"] == backend


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_equal_runs_write_equal_bytes(runs: Runs, tmp_path: Path, backend: str, algorithm: str) -> None:
    first = runs(backend, algorithm)
    # Other intervals of checkpoints: what is saved when does not change what is computed.
    every = {"eval__every": 6, "checkpoint__every": 4}
    changes: dict[str, Any] = {"train__updates": 12, "log__every": 3, "chain__actors": MIXED} | every
    train(*arguments(tmp_path / "run", backend, algorithm, **changes)).assert_code(0)
    assert_same_run(first, tmp_path / "run")


def test_a_config_runs_again_to_the_same_bits(runs: Runs, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """In the folder that its settings give, not in that of the other; there it is found finished, or gone on with."""
    first = runs("torch", "iql")
    before = fingerprint(first)
    again = ("--config", str(first / "config.json"), f"run.root={tmp_path}")
    train(*again).assert_code(0)
    (run_dir,) = {path.parent for path in tmp_path.rglob("summary.json")}
    assert run_dir.relative_to(tmp_path).parts[:3] == ("pendulum-medium-replay", "iql_torch", "w2_10_10")
    assert_same_run(run_dir, first)
    assert summary(run_dir)["actors"] == summary(first)["actors"]
    assert json.loads((run_dir / "config.json").read_text())["command"] == ["pogo-train", *again]
    caplog.clear()
    train(*again).assert_code(0)
    assert caplog.messages == [f"{run_dir} is finished at update 12; nothing to do."]
    train(*again, "algorithm.beta=5").assert_code(0)
    assert len({path.parent for path in tmp_path.rglob("summary.json")}) == 2
    assert fingerprint(first) == before
    caplog.clear()
    train("--config", str(first / "config.json"), f"run.dir={first}").assert_code(0)
    assert caplog.messages == [f"{first} is finished at update 12; nothing to do."]


def test_a_config_is_run_over_several_values(runs: Runs, tmp_path: Path) -> None:
    config = runs("torch", "iql") / "config.json"
    outcome = train("-m", "--cfg", "--config", str(config), "seed=0,1", f"run.root={tmp_path}")
    outcome.assert_code(0)
    cells = [line.partition(" # ") for line in outcome.output.splitlines()]
    assert [Path(folder).name for *_, folder in cells] == ["seed_0", "seed_1"]
    assert len({Path(folder).parent for *_, folder in cells}) == 1
    assert all(str(config) in command for command, *_ in cells)


@pytest.mark.parametrize("backend", BACKENDS)
def test_another_seed_is_another_run(runs: Runs, tmp_path: Path, backend: str) -> None:
    changes: dict[str, Any] = {"train__updates": 12, "chain__actors": MIXED, "eval__episodes": 0}
    train(*arguments(tmp_path / "run", backend, seed=1, **changes)).assert_code(0)
    assert array_bytes(tmp_path / "run") != array_bytes(runs(backend, "iql"))


def test_every_key_that_scripts_use_is_accepted(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    outcome = train(
        *("backend=torch", "algorithm=iql", f"dataset.path={PENDULUM}", "env=Pendulum-v1", "seed=3"),
        *("train.updates=4", "train.batch_size=8", "eval.every=2", "eval.episodes=1", "checkpoint.every=2"),
        *("checkpoint.keep=1", "chain.num_actors=2", "chain.w2_weights=[3.5]", "chain.energy=advantage"),
        *("chain.actors=[{kind: gaussian},{kind: stochastic}]", "w2.solver=exact", "w2.num_samples=3", "w2.blur=0.1"),
        *(f"run.dir={tmp_path / 'run'}", "resume=never", "device=cpu", "dtype=float64", "threads=1", "log.every=2"),
        *("w2.noise=independent", "algorithm.expectile=0.8", "algorithm.hidden_sizes=[16]"),
    )
    outcome.assert_code(0)
    assert steps(tmp_path / "run") == [4]
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["algorithm"]["expectile"] == 0.8
    given = {"solver": "exact", "noise": "independent", "num_samples": 3, "blur": 0.1}
    assert config["w2"] == dataclasses.asdict(W2Config()) | given


@pytest.mark.parametrize(
    ("given", "folder"),
    [
        ([], "pendulum-medium-replay/iql_torch/w2_10_10/{small}/seed_0"),
        (["seed=7", "chain.w2_weights=[0.5,2]"], "pendulum-medium-replay/iql_torch/w2_0.5_2/{small}/seed_7"),
        (["chain.num_actors=1"], "pendulum-medium-replay/iql_torch/w2_none/{small}/seed_0"),
        (["chain.steps=0.1"], "pendulum-medium-replay/iql_torch/steps_0.1_0.1/{small}/seed_0"),
        ([f"dataset.path={PENDULUM}", "dataset.name=mine"], "mine/iql_torch/w2_10_10/{small}/seed_0"),
        (["algorithm.expectile=0.9", "algorithm.beta=3"],
         "pendulum-medium-replay/iql_torch/w2_10_10/algorithm.expectile=0.9,{small}/seed_0"),
        (["run.variant=mine"], "pendulum-medium-replay/iql_torch/w2_10_10/mine/seed_0"),
    ],
)  # fmt: skip
def test_the_default_folder_tells_runs_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: list[str], folder: str
) -> None:
    """What the command line changes from the defaults, and no other part of the path says, is a folder of its own."""
    pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    small: dict[str, Any] = {"run__dir": None, "train__updates": 1, "eval__episodes": 0}
    options = [option for option in arguments(tmp_path, **small) if not option.startswith("run.dir=")]
    train(*options, *given).assert_code(0)
    folder = folder.format(small="algorithm.hidden_sizes=32_32,train.batch_size=32")
    assert (tmp_path / "runs" / folder / "summary.json").is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"runs"}, "Hydra left something"


def test_a_run_of_a_pogo_without_such_folders_goes_on_where_it_is(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = [f"run.root={tmp_path}", *arguments(tmp_path, run__dir=None, train__updates=1, eval__episodes=0)]
    train(*options).assert_code(0)
    plain = tmp_path / "pendulum-medium-replay" / "iql_torch" / "w2_10_10"
    (variant,) = plain.iterdir()
    (variant / "seed_0").rename(plain / "seed_0")
    variant.rmdir()
    train(*options).assert_code(0)
    assert [path.name for path in plain.iterdir()] == ["seed_0"]
    train(*options, "algorithm.beta=5").assert_code(0)  # that folder is another run's
    assert len(list(plain.glob("algorithm.beta=5.0,*/seed_0"))) == 1


def test_a_home_folder_is_expanded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch")
    monkeypatch.setenv("HOME", str(tmp_path))
    train(*arguments(Path("~/run"), train__updates=1, eval__episodes=0)).assert_code(0)
    assert (tmp_path / "run" / "summary.json").is_file()


@pytest.mark.parametrize(
    "name", ["a=b", "a b", "a,b", "(a)", "it's", 'say "a"', "[a]", "{a}", "#1", "a\\", "1e3", "äß", "$x"]
)
def test_any_name_will_do_for_a_folder(tmp_path: Path, name: str) -> None:
    pytest.importorskip("torch")
    train(*arguments(tmp_path / name, train__updates=1, eval__episodes=0, logger__tensorboard="false")).assert_code(0)
    assert (tmp_path / name / "summary.json").is_file()


def test_compiled_programs_are_kept_for_the_next_run(tmp_path: Path) -> None:
    """In the user's cache folder, where no other is named: the second run loads them, and computes the same."""
    pytest.importorskip("jax")
    keeps = {"XDG_CACHE_HOME": str(tmp_path / "cache"), "JAX_COMPILATION_CACHE_DIR": ""}
    folders, kept = [tmp_path / "first", tmp_path / "second"], []
    for folder in folders:
        code = (
            "import os; os.environ.pop('JAX_COMPILATION_CACHE_DIR'); from pogo.cli.train import main; sys.exit(main())"
        )
        given = arguments(folder, backend="jax", train__updates=4, eval__episodes=0)
        done = subprocess.run(
            [sys.executable, "-c", f"import sys; {code}", *given], env=environment(**keeps), check=False
        )
        assert done.returncode == 0
        kept.append({path.name for path in (tmp_path / "cache" / "pogo" / "jax").rglob("*-cache")})
    assert any("train_window" in name for name in kept[0])
    assert kept[0] == kept[1]
    assert array_bytes(folders[0]) == array_bytes(folders[1])


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_without_an_environment_has_no_returns(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    run_dir = tmp_path / "run"
    train(*arguments(run_dir, backend, train__updates=2, env="none")).assert_code(0)
    found = summary(run_dir)
    assert found["environment"] is None
    assert [actor["deterministic"] for actor in found["actors"]] == [None] * 3
    assert (run_dir / "eval.jsonl").read_bytes() == b""
    outcome = call(evaluate.main, str(run_dir))
    outcome.assert_code(2)
    assert "give one with --env ID" in outcome.output
    call(evaluate.main, str(run_dir), "--env", "Pendulum-v1", "--episodes", "1").assert_code(0)


def test_config_can_be_looked_at_without_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcome = train("--cfg", "algorithm=rebrac")
    outcome.assert_code(0)
    assert "updates: 20000" in outcome.output
    assert "batch_size: 1024" in outcome.output
    assert "policy_freq: 2" in outcome.output
    assert list(tmp_path.iterdir()) == []


def test_settings_published_for_a_dataset_are_its_own() -> None:
    outcome = train("--cfg", "algorithm=iql", "dataset=hopper-medium-v2")
    assert "updates: 1000000" in outcome.output
    assert "tau: 0.001" in outcome.output
    outcome = train("--cfg", "algorithm=iql", "dataset=hopper-medium-v2", "algorithm.tau=0.01")
    assert "tau: 0.01" in outcome.output


def evaluated(run_dir: Path, *given: str) -> dict:
    outcome = call(evaluate.main, str(run_dir), "--json", *given)
    outcome.assert_code(0)
    return json.loads(outcome.output)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_eval_repeats_the_runs_own_evaluation(runs: Runs, backend: str, algorithm: str) -> None:
    run_dir = runs(backend, algorithm)
    before = fingerprint(run_dir)
    found = evaluated(run_dir, "--episodes", "2")
    assert fingerprint(run_dir) == before, "an evaluation writes nothing"
    assert found["update"] == 12
    assert found["actors"] == summary(run_dir)["actors"]
    earlier = evaluated(run_dir, "--episodes", "2", "--checkpoint", "6", "--actor", "1")
    assert earlier["update"] == 6
    assert earlier["actors"] == [lines(run_dir / "eval.jsonl")[0]["actors"][1]]


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_eval_on_the_other_backend_gives_the_same_returns(runs: Runs, backend: str, algorithm: str) -> None:
    other = next(name for name in BACKENDS if name != backend)
    pytest.importorskip(other)
    run_dir = runs(backend, algorithm)
    found = evaluated(run_dir, "--episodes", "2", "--backend", other)
    assert found["backend"] == other
    for ours, theirs in zip(found["actors"], summary(run_dir)["actors"], strict=True):
        for mode in ("deterministic", "stochastic"):
            if theirs[mode] is None:
                assert ours[mode] is None
            else:
                assert ours[mode]["returns"] == pytest.approx(theirs[mode]["returns"], rel=1e-3)


def test_eval_shows_a_table(runs: Runs) -> None:
    outcome = call(evaluate.main, str(runs("torch", "iql")), "--episodes", "1")
    outcome.assert_code(0)
    assert "update 12" in outcome.output
    assert "stochastic return" in outcome.output


@pytest.mark.parametrize(
    ("given", "fragment"),
    [
        (("--checkpoint", "7"), "has no checkpoint 7; it has 6, 12."),
        (("--actor", "3"), "the run has actors 0 to 2"),
        (("--actor", "-1"), "the run has actors 0 to 2"),
        (("--backend", "troch"), "Did you mean 'torch'?"),
        (("--episodes", "0"), "episodes 0: use at least 1."),
        (("--seed", "-1"), "seed -1: use a whole number"),
        (("--env", "MountainCarContinuous-v0"), "MountainCarContinuous-v0"),
        (("--env", "Nowhere-v0"), "env=Nowhere-v0 cannot be made"),
        (("--device", "tpu"), "device=tpu"),
    ],
)
def test_eval_refuses_what_the_run_does_not_have(runs: Runs, given: tuple[str, ...], fragment: str) -> None:
    outcome = call(evaluate.main, str(runs("torch", "iql")), *given)
    outcome.assert_code(2)
    assert fragment in outcome.output
    assert outcome.output.count("\n") == 1


def test_parity_prints_the_drift() -> None:
    for backend in BACKENDS:
        pytest.importorskip(backend)
    # In a process of its own: float64 is a switch of the whole process in JAX.
    outcome = subprocess.run(
        [sys.executable, "-m", "pogo.cli.parity", "algorithm=rebrac", "train.updates=3", *_sizes("rebrac")],
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert outcome.returncode == 0, outcome.stderr
    printed = outcome.stdout.splitlines()
    assert printed[0].startswith("rebrac, deterministic -> deterministic -> deterministic, float64")
    assert [line.split()[1] for line in printed[1:4]] == ["1", "2", "3"]
    assert printed[-1].endswith("within tolerances")


def _sizes(algorithm: str) -> list[str]:
    return [f"{key}={value}" for key, value in NETWORKS[algorithm].items()]


def test_parity_says_when_it_is_past_the_tolerances(monkeypatch: pytest.MonkeyPatch) -> None:
    for backend in BACKENDS:
        pytest.importorskip(backend)
    monkeypatch.setattr("pogo.core.verify.parity.TOLERANCES", {"float32": (1e-30, 1e-30), "float64": (1e-30, 1e-30)})
    outcome = call(parity.main, "algorithm=rebrac", "dtype=float32", "train.updates=2", *_sizes("rebrac"))
    outcome.assert_code(1)
    assert "PAST TOLERANCES" in outcome.output


@pytest.mark.parametrize("backend", BACKENDS)
def test_golden_says_how_it_went(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    file = GOLDENS / "rebrac.npz"
    outcome = call(golden.main, str(file), "--backend", backend)
    outcome.assert_code(0)
    assert "0 failures" in outcome.output
    outcome = call(golden.main, str(file), "--backend", backend, "--json")
    outcome.assert_code(0)
    document = json.loads(outcome.output)
    assert document.keys() == {"errors", "metrics"}
    assert all(len(entry) == 3 for step in document["errors"].values() for entry in step.values())


def test_speeds_of_the_log_add_up_to_the_runs(tmp_path: Path) -> None:
    """Each line's speed is of its own window: the windows' seconds are together those of the run."""
    pytest.importorskip("torch")
    run_dir = tmp_path / "run"
    train(*arguments(run_dir, train__updates=12, log__every=4, eval__every=0, checkpoint__every=0)).assert_code(0)
    log = (run_dir / "train.jsonl").read_text().splitlines()
    speeds = [json.loads(line)["updates_per_second"] for line in log]
    assert len(speeds) == 3
    whole = summary(run_dir)
    assert sum(4 / speed for speed in speeds) == pytest.approx(whole["updates"] / whole["updates_per_second"])
