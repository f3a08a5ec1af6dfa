"""What a run says at its end: what to type next."""

import dataclasses
import shlex
from pathlib import Path

import pytest

from pogo.cli import evaluate, report
from pogo.core.config.compose import compose_config
from pogo.core.runs.course import next_commands
from pogo.core.runs.plan import Plan, make_plans
from tests.helpers.runs import arguments, call, train


def plan_of(*options: str) -> Plan:
    pytest.importorskip("torch")
    return make_plans(compose_config(list(options)))[0]


def test_the_next_commands_name_the_run_and_its_like(tmp_path: Path) -> None:
    run_dir = "runs/pendulum-medium-replay/iql_torch/w2_10_10/seed_3"
    assert next_commands(plan_of("seed=3")) == [f"pogo-eval {run_dir} --episodes 50", "pogo-report runs"]
    assert next_commands(plan_of("env=none")) == ["pogo-report runs"]
    plan = plan_of(f"run.dir={tmp_path / 'my run'}")
    assert next_commands(plan) == [
        f"pogo-eval '{tmp_path}/my run' --episodes 50",
        f"pogo-report '{tmp_path}/my run'",
    ]
    inside = dataclasses.replace(plan.config.run, root=str(tmp_path))
    plan = dataclasses.replace(plan, config=dataclasses.replace(plan.config, run=inside))
    assert next_commands(plan)[1] == f"pogo-report {tmp_path}"


def test_actors_below_the_data_are_warned_of_in_the_second_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch")
    monkeypatch.setattr("pogo.core.runs.seed_run.below_data", lambda rows, behaviour: f"{len(rows)} actors are low.")
    train(*arguments(tmp_path, train__updates=5, eval__every=1, eval__episodes=1)).assert_code(0)
    said = (tmp_path / "run.log").read_text().splitlines()
    order = [line.split()[3].rstrip(":") if ", deterministic: " in line else "low" for line in said
             if "actor 0 (gaussian), deterministic: " in line or "WARNING 3 actors are low." in line]  # fmt: skip
    assert order == ["1", "2", "3", "low", "4", "low", "5", "low"]


def test_a_run_ends_with_commands_that_work(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    options = arguments(tmp_path, train__updates=2, eval__episodes=1, run__dir=None)
    outcome = train(f"run.root={tmp_path / 'all runs'}", *options)
    outcome.assert_code(0)
    said = [line.removeprefix("next: ") for line in outcome.output.splitlines() if line.startswith("next: ")]
    (_, *to_evaluate), (_, *to_report) = map(shlex.split, said)
    assert [each.split()[0] for each in said] == ["pogo-eval", "pogo-report"]
    call(evaluate.main, *to_evaluate[:-1], "1").assert_code(0)
    told = call(report.main, *to_report)
    told.assert_code(0)
    assert "iql" in told.output
