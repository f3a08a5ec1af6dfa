"""A study's file: what it means, and what is refused by file, key and mend before anything starts."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pogo.core.errors import BadInput
from pogo.core.tuning.plan import Objective, PrunerPlan, SamplerPlan, StudyPlan, check_plan, read_plan
from pogo.core.tuning.space import Choice, Real, Whole, literal

WHOLE: dict[str, Any] = {
    "name": "study",
    "options": ["backend=jax", "algorithm=iql", "train.updates=1000", "eval.every=100"],
    "space": {"algorithm.beta": {"float": [0.3, 10], "log": True}},
    "seeds": [0, 1],
    "trials": 5,
}


def plan_of(tmp_path: Path, **changes: Any) -> StudyPlan:
    """A plan with some keys in place of the usual ones; None takes one away."""
    content = {key: value for key, value in (WHOLE | changes).items() if value is not None}
    file = tmp_path / "study.yaml"
    file.write_text(yaml.safe_dump(content))
    return read_plan(file)


def test_defaults(tmp_path: Path) -> None:
    plan = plan_of(tmp_path)
    assert plan.folder == Path("runs/tuning/study")
    assert plan.objective == Objective(None, "deterministic", "normalized_score", 1, "mean")
    assert plan.sampler == SamplerPlan("tpe", seed=0, startup=10)
    assert plan.pruner == PrunerPlan("median", startup=5, warmup=0, percent=50.0, reduction=4)
    assert plan.run_folder(3, 1) == Path("runs/tuning/study/trials/0003/seed_1")


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    file = tmp_path / "study.yaml"
    file.write_text(
        """\
name: all-of-it
root: elsewhere
options: [algorithm=iql]
space:
  algorithm.beta: {float: [1e-1, 10], log: true}
  algorithm.expectile: {float: [0.5, 0.95], step: 0.05}
  train.batch_size: {int: [64, 256], step: 64}
  algorithm.hidden_sizes: {choice: [[64, 64], "[256,256]"]}
  chain.learning_rate: {choice: [null, 3e-4, true]}
objective: {actor: 0, mode: stochastic, metric: return, evaluations: 5, over_seeds: min}
seeds: [7]
trials: 3
sampler: {name: random, seed: 2}
pruner: {name: successive_halving, warmup: 1000, reduction: 3}
"""
    )
    plan = read_plan(file)
    assert plan.space == {
        "algorithm.beta": Real(0.1, 10.0, log=True, step=None),
        "algorithm.expectile": Real(0.5, 0.95, log=False, step=0.05),
        "train.batch_size": Whole(64, 256, log=False, step=64),
        "algorithm.hidden_sizes": Choice(("[64,64]", "[256,256]")),
        "chain.learning_rate": Choice(("null", "0.0003", "true")),
    }
    assert plan.objective == Objective(0, "stochastic", "return", 5, "min")
    assert (plan.sampler.name, plan.sampler.seed) == ("random", 2)
    assert (plan.pruner.name, plan.pruner.warmup, plan.pruner.reduction) == ("successive_halving", 1000, 3)


@pytest.mark.parametrize("name", ["random", "tpe"])
def test_a_name_may_stand_for_a_sampler(tmp_path: Path, name: str) -> None:
    assert plan_of(tmp_path, sampler=name).sampler.name == name


def test_values_are_written_as_the_command_line_takes_them() -> None:
    assert [literal(value) for value in (None, True, 3, 1e-5, "copy")] == ["null", "true", "3", "1e-05", "copy"]
    assert literal([{"kind": "gaussian", "hidden_sizes": [8, 8]}]) == "[{kind: gaussian,hidden_sizes: [8,8]}]"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"trails": 3}, "key=trails is unknown. Did you mean 'trials'?"),
        ({"trials": None}, "trials: nothing is no whole number of at least 1"),
        ({"trials": 0}, "trials: 0 is no whole number of at least 1"),
        ({"trials": True}, "trials: True is no whole number"),
        ({"name": None}, "name: None names no folder"),
        ({"name": "a/b"}, "name: 'a/b' names no folder"),
        ({"root": 3}, "root: 3 is no folder"),
        ({"options": "backend=jax"}, "options: 'backend=jax' is no list"),
        ({"options": [{"backend": "jax"}]}, "options: write each as KEY=VALUE"),
        ({"options": ["seed=3"]}, "options: seed has no place here; list them under seeds"),
        ({"options": ["run.dir=x"]}, "options: run.dir has no place here"),
        ({"options": ["launcher=slurm"]}, "options: launcher has no place here; write it behind pogo-tune"),
        ({"options": ["algorithm.beta=3"]}, "space: algorithm.beta stands in options too"),
        ({"space": None}, "space: nothing is searched over"),
        ({"space": ["algorithm.beta"]}, "space: ['algorithm.beta'] is no mapping"),
        ({"space": {"seed": {"int": [0, 3]}}}, "space: seed has no place here"),
        ({"space": {"algorithm.beta": [1, 2]}}, "space.algorithm.beta: [1, 2] is no mapping"),
        ({"space": {"algorithm.beta": {"log": True}}}, "space.algorithm.beta: write one of float: [LOW, HIGH], int:"),
        ({"space": {"algorithm.beta": {"float": [1]}}}, "space.algorithm.beta.float: [1] are no two numbers"),
        ({"space": {"algorithm.beta": {"float": [2, 1]}}}, "float: [2, 1] goes nowhere; write the lower end first"),
        ({"space": {"algorithm.beta": {"float": [0, 1], "log": True}}}, "a logarithmic range begins above 0, not at 0"),
        ({"space": {"algorithm.beta": {"float": [1, 2], "log": "yes"}}}, "log: 'yes' is neither true nor false"),
        ({"space": {"algorithm.beta": {"float": [1, 2], "steps": 1}}}, "key=steps is unknown. Did you mean 'step'?"),
        ({"space": {"algorithm.beta": {"float": [1, 2], "log": True, "step": 1}}}, "drop step, or log"),
        ({"space": {"algorithm.beta": {"float": [0, 1], "step": 0.3}}}, "steps of 0.3 from 0 do not reach 1; end"),
        ({"space": {"algorithm.beta": {"float": [0, 1], "step": 0}}}, "step: 0 leads nowhere"),
        ({"space": {"train.batch_size": {"int": [1.5, 3]}}}, "int: [1.5, 3] are no whole numbers"),
        ({"space": {"algorithm.beta": {"choice": [1]}}}, "choice: write two values or more, each once"),
        ({"space": {"algorithm.beta": {"choice": [1, 1]}}}, "choice: write two values or more, each once"),
        ({"objective": {"actor": "first"}}, "objective.actor: 'first' is no actor; write its number, or last"),
        ({"objective": {"mode": "stochastc"}}, "objective.mode=stochastc is unknown. Did you mean 'stochastic'?"),
        ({"objective": {"metric": "score"}}, "objective.metric=score is unknown"),
        ({"objective": {"evaluations": 0}}, "objective.evaluations: 0 is no whole number of at least 1"),
        ({"objective": {"over_seeds": "max"}}, "objective.over_seeds=max is unknown"),
        ({"objective": {"actors": 1}}, "objective: key=actors is unknown. Did you mean 'actor'?"),
        ({"seeds": []}, "seeds: [] is no list"),
        ({"seeds": [0, 0]}, "seeds: [0, 0]: write whole numbers from 0 on, each once"),
        ({"sampler": "cmaes"}, "sampler.name=cmaes is unknown. Known: random, tpe"),
        ({"sampler": {"name": "random", "startup": 3}}, "sampler: key=startup is unknown"),
        ({"pruner": {"name": "median", "reduction": 3}}, "pruner: key=reduction is unknown"),
        ({"pruner": {"name": "successive_halving"}}, "pruner.warmup: nothing is no whole number of at least 1"),
        ({"pruner": {"name": "percentile", "percent": 100}}, "pruner.percent: 100 keeps all or none"),
    ],
    ids=str,
)  # fmt: skip
def test_refusals_name_file_key_and_mend(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)) as refused:
        plan_of(tmp_path, **changes)
    assert str(refused.value).startswith(f"{tmp_path / 'study.yaml'}: ")
    assert "\n" not in str(refused.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"none\.yaml cannot be read: No such file"):
        read_plan(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [")
    with pytest.raises(BadInput, match=r"broken\.yaml is no YAML"):
        read_plan(broken)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"algorithm.bta": {"float": [1, 2]}}}, "Did you mean 'algorithm.beta'?"),
        ({"space": {"algorithm.expectile": {"float": [0.5, 1.5]}}}, "algorithm.expectile"),
        ({"space": {"algorithm.beta": {"choice": [1, "many"]}}}, "algorithm.beta=many"),
        ({"space": {"train.batch_size": {"float": [1.5, 2.5]}}}, "train.batch_size"),
        ({"options": ["algorithm=iqll"]}, "algorithm=iqll is unknown"),
        ({"options": ["train.updates=10,20"]}, "one run takes one value"),
        ({"options": ["algorithm=iql", "eval.episodes=0"]}, "objective: these runs are never evaluated"),
        ({"objective": {"actor": 3}}, "objective.actor: 3: the chain has actors 0 to 2; use last"),
        ({"objective": {"evaluations": 11}}, "a run of 1000 updates has 10; lower it, or eval.every=100"),
        ({"options": ["algorithm=td3_bc"], "space": {"algorithm.alpha": {"float": [1, 3]}},
          "objective": {"mode": "stochastic"}}, "objective.mode: stochastic: the actor is deterministic"),
    ],
    ids=str,
)  # fmt: skip
def test_every_end_and_choice_is_composed(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    pytest.importorskip("jax")
    plan = plan_of(tmp_path, **changes)
    with pytest.raises(BadInput, match=re.escape(message)) as refused:
        check_plan(plan)
    assert str(refused.value).startswith(f"{plan.file}: ")


def test_what_can_be_run_passes(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    choices = {"algorithm.hidden_sizes": {"choice": [[64, 64], [32]]}, "algorithm.beta": {"float": [1e-3, 10]}}
    check_plan(plan_of(tmp_path, space=choices, objective={"actor": 2, "mode": "stochastic", "evaluations": 10}))
