"""Run folders that an older pogo made are resumed, evaluated and reported as their own."""

import json
from pathlib import Path

import pytest

from pogo.cli import evaluate as evaluate_command
from pogo.cli import report as report_command
from pogo.core.config.compose import compose_config
from pogo.core.config.resolution import resolve
from tests.helpers.runs import call, fingerprint, lines, steps, summary, train
from tests.old_runs.runs import ENV_STEPS, SEEDS_OF_ONE_PROGRAM, UPDATES, options_of_runs, unpack

OPTIONS = options_of_runs()
LONGER = 3
# The rest of them are resumed by the slow tests: a program for JAX is compiled for each.
OFTEN = [
    name
    for name in OPTIONS
    if any(part in name for part in ("iql_", "fql_torch", "cql_torch", "rebrac_torch", "v1/sac_torch"))
]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return unpack(tmp_path)


def given(options: dict[str, object], root: Path) -> list[str]:
    return [f"{key}={value}" for key, value in {**options, "run.root": root}.items()]


def longer(options: dict[str, object]) -> dict[str, object]:
    key = "train.env_steps" if "train.env_steps" in options else "train.updates"
    return {**options, key: int(str(options[key])) + LONGER}


def assert_goes_on(root: Path, name: str) -> None:
    options, run_dir = OPTIONS[name], root / name
    length = ENV_STEPS if "train.env_steps" in options else UPDATES
    before = fingerprint(run_dir)
    train(*given(options, root)).assert_code(0)
    assert fingerprint(run_dir) == before, "a finished run is changed by its own command"
    logged = lines(run_dir / "train.jsonl")
    if options["algorithm"] == "iql":  # its schedule was to end with the run
        options = options | {"algorithm.cosine_updates": UPDATES + LONGER}
    train(*given(longer(options), root)).assert_code(0)
    assert f"resuming {run_dir} from" in (run_dir / "run.log").read_text()
    assert steps(run_dir) == [length + LONGER]
    assert lines(run_dir / "train.jsonl")[: len(logged)] == logged
    assert len(lines(run_dir / "train.jsonl")) == len(logged) + 1
    assert len(summary(run_dir)["actors"]) == 3


@pytest.mark.parametrize("name", OFTEN)
def test_a_longer_run_goes_on(root: Path, name: str) -> None:
    assert_goes_on(root, name)


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in OPTIONS if name not in OFTEN])
def test_a_longer_run_of_any_algorithm_goes_on(root: Path, name: str) -> None:
    assert_goes_on(root, name)


@pytest.mark.slow
def test_seeds_of_one_program_go_on(root: Path) -> None:
    train(*given(longer(SEEDS_OF_ONE_PROGRAM), root)).assert_code(0)
    for seed in (5, 6):
        assert steps(root / f"pendulum-medium-replay/td3_bc_jax/w2_10_10/seed_{seed}") == [UPDATES + LONGER]


@pytest.mark.parametrize("name", OPTIONS)
def test_an_evaluation_gives_the_recorded_returns(root: Path, name: str) -> None:
    outcome = call(evaluate_command.main, str(root / name), "--episodes", "1", "--processes", "0", "--json")
    outcome.assert_code(0)
    recorded = summary(root / name)["actors"]
    found = json.loads(outcome.output)["actors"]
    for ours, theirs in zip(found, recorded, strict=True):
        for mode in ("deterministic", "stochastic"):
            if theirs[mode] is None:
                assert ours[mode] is None
            else:  # another machine rounds otherwise
                assert ours[mode]["return_mean"] == pytest.approx(theirs[mode]["return_mean"], rel=1e-3)


@pytest.mark.parametrize("name", OPTIONS)
def test_its_config_is_that_of_a_new_run(root: Path, name: str) -> None:
    path = root / name / "config.json"
    recorded = json.loads(path.read_text())
    found = resolve(compose_config([f"hydra.job.config_file='{path}'"])).to_json()
    for section, value in recorded.items():
        if isinstance(value, dict) and section not in ("run", "sources", "machine"):
            numbers = {key: float(entry) if entry in ("inf", "-inf") else entry for key, entry in value.items()}
            assert {key: found[section][key] for key in value} == numbers, section
        elif not isinstance(value, dict):
            assert found[section] == value, section


def test_the_report_reads_all_of_them(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    outcome = call(report_command.main, str(root), "--json")
    outcome.assert_code(0)
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    rows = json.loads(outcome.output)["rows"]
    reported = {(row["dataset"], row["algorithm"], row["backend"]): sorted(row["seeds"]) for row in rows}
    expected = {(name.split("/")[0], *name.split("/")[1].rsplit("_", 1)): [0] for name in OPTIONS}
    assert reported == expected | {("pendulum-medium-replay", "td3_bc", "jax"): [0, 5, 6]}
