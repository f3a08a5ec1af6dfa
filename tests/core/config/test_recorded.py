"""A config.json as options: the same settings, those that follow others among them, with what is given changed."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from pogo.core.config.compose import compose_config
from pogo.core.config.resolution import resolve
from pogo.core.config.schema import value_at
from pogo.core.errors import BadInput
from pogo.core.runs.plan import check_settings
from pogo.core.system.machine import available_cpus
from tests.helpers.runs import train

Write = Callable[..., Path]


def resolved(*options: str) -> dict[str, Any]:
    return resolve(compose_config(list(options), in_sweep=True)).to_json()


@pytest.fixture
def written(tmp_path: Path) -> Write:
    """Writes the config.json of a run with these options, its folder known, as a run does."""

    def write(*options: str, **changes: Any) -> Path:
        values = resolved(*options)
        values["run"] |= {"dir": "old/folder", "variant": values["run"]["variant"] or "inferred"}
        values |= {"machine": {"device": "cpu"}, "command": ["pogo-train", *options], "pogo": {"version": "0.0.7"}}
        for key, value in changes.items():
            section, _, name = key.partition("__")
            if name:
                values[section][name] = value
            else:
                values[section] = value
        path = tmp_path / "it's" / "config.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(values))
        return path

    return write


def option_of(path: Path) -> str:
    """What --config stands for."""
    escaped = str(path).replace("'", "\\'")
    return f"hydra.job.config_file='{escaped}'"


def again(path: Path, *options: str) -> dict[str, Any]:
    return resolved(option_of(path), *options)


RUNS: list[Sequence[str]] = [
    ["algorithm=iql", "backend=jax"],
    ["train.updates=300", "algorithm.hidden_sizes=[64,64]", "seed=7", "run.root=elsewhere"],
    ["chain.steps=0.05", "chain.num_actors=4"],
    ["chain.w2_weights=[1,2,3]", "chain.last_w2_weight=20", "probe.critic=true"],
    ["chain.num_actors=1", "eval.episodes=0", "threads=1", "run.variant=mine"],
    ["chain.actors=[{kind: gaussian},{kind: stochastic,hidden_sizes:[8,8]}]", "algorithm=td3_bc"],
    ["algorithm=rebrac", "env=none"],
    ["algorithm=iql", "dataset=hopper-medium-v2"],
    ["algorithm=pogo", "dataset.path=my data/a=b.hdf5", "env=Pendulum-v1", "dataset.max_episode_steps=50"],
    ["algorithm=sac", "env=Pendulum-v1", "train.env_steps=2000", "train.learning_starts=100"],
    ["experiment=pendulum"],
]


@pytest.mark.parametrize("options", RUNS, ids=str)
def test_a_config_by_itself_is_the_same_settings_from_the_same_sources(written: Write, options: list[str]) -> None:
    expected = resolved(*options)
    found = again(written(*options))
    # The folder is made by the settings, as it was.
    assert (found["run"].pop("dir"), expected["run"].pop("dir")) == (None, None)
    assert found == expected


def test_the_run_goes_where_its_settings_say(written: Write) -> None:
    options = ["algorithm=iql", "algorithm.beta=5", "seed=3"]
    there = check_settings(compose_config(options)).run_dirs
    file = option_of(written(*options, "run.dir=/somewhere").parent)  # the folder will do
    assert check_settings(compose_config([file])).run_dirs == there
    other = check_settings(compose_config([file, "run.root=/other"])).run_dirs
    assert other == {3: Path("/other") / there[3].relative_to("runs")}
    assert check_settings(compose_config([file, "run.dir=/mine"])).run_dirs == {3: Path("/mine")}
    changed = check_settings(compose_config([file, "algorithm.tau=0.1"])).run_dirs[3]
    assert changed.parts[-2] == "algorithm.beta=5.0,algorithm.tau=0.1"


@pytest.mark.parametrize(
    ("options", "further", "expected"),
    [
        ([], ["train.updates=77"], {"train.updates": 77, "algorithm.cosine_updates": 77, "algorithm.beta": 3.0}),
        (["algorithm.cosine_updates=50"], ["train.updates=77"], {"algorithm.cosine_updates": 50}),
        ([], ["chain.num_actors=5"], {"chain.w2_weights": [10.0] * 4}),
        (["chain.num_actors=2"], ["chain.w2_weights=[5]"], {"chain.w2_weights": [5.0], "chain.num_actors": 2}),
        (["chain.last_w2_weight=7"], ["chain.w2_weights=[5,6]"], {"chain.w2_weights": [5.0, 6.0]}),
        (["chain.last_w2_weight=7"], ["seed=2"], {"chain.w2_weights": [10.0, 7.0], "seed": 2}),
        ([], ["chain.steps=0.1"], {"chain.steps": [0.1, 0.1], "chain.carry": True}),
        (["algorithm.expectile=0.9", "train.updates=9", "chain.num_actors=2"], ["algorithm=td3_bc", "backend=jax"],
         {"algorithm.name": "td3_bc", "algorithm.policy_freq": 2, "backend.compile": True, "train.updates": 9,
          "chain.w2_weights": [10.0]}),
        (["algorithm=rebrac", "train.batch_size=64"], ["algorithm=iql"],
         {"train.batch_size": 64, "train.updates": 1_000_000}),
        (["algorithm=rebrac"], ["algorithm=iql"], {"train.batch_size": 256}),
        (["algorithm=iql", "log.every=5"], ["dataset=hopper-medium-v2"],
         {"dataset.name": "hopper-medium-v2", "algorithm.tau": 0.001, "train.updates": 1_000_000, "log.every": 5}),
        (["algorithm=sac", "env=Pendulum-v1", "train.env_steps=2000", "train.learning_starts=100"],
         ["train.env_steps=3000"], {"train.updates": 2900, "train.random_steps": 50}),
    ],
    ids=str,
)  # fmt: skip
def test_options_change_it_and_what_follows_from_them(
    written: Write, options: list[str], further: list[str], expected: dict[str, Any]
) -> None:
    found = again(written(*options), *further)
    assert {key: value_at(found, key) for key in expected} == expected
    given = {option.partition("=")[0] for option in further} - {"algorithm", "backend", "dataset"}
    assert {found["sources"][key] for key in given} <= {"command line"}


def test_what_was_inferred_is_as_it_came_to_then(written: Write) -> None:
    """By another pogo it may have come to something else."""
    path = written("algorithm=iql", "dataset=hopper-medium-v2", train__batch_size=123, chain__init="independent")
    found = again(path)
    assert (found["train"]["batch_size"], found["sources"]["train.batch_size"]) == (123, "default of iql")
    assert (found["chain"]["init"], found["sources"]["chain.init"]) == ("independent", "default")


def test_more_threads_than_this_machine_has_are_not_taken_over(
    written: Write, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pogo")
    path = written(threads=available_cpus() + 1)
    assert again(path)["threads"] == available_cpus()
    assert caplog.messages == [
        f"{path}: that run had {available_cpus() + 1} threads; this process may use {available_cpus()} CPUs."
    ]


def test_settings_of_another_pogo_are_named(written: Write, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "pogo")
    path = written("algorithm=iql", "chain.num_actors=2", "algorithm.beta=5")
    values = json.loads(path.read_text())
    del values["probe"], values["chain"]["carry"], values["algorithm"]["tau"]
    path.write_text(json.dumps(values))
    found = again(path)
    (said,) = caplog.messages
    assert said == (
        f"{path}, of another pogo, has no algorithm.tau, chain.carry, probe.critic: these are as by default."
    )
    assert found["chain"]["carry"] is False
    assert (found["algorithm"]["tau"], found["algorithm"]["beta"]) == (0.005, 5.0)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"chain__wiggle": 3, "w2__fuzz": 1}, "chain.wiggle, w2.fuzz"),
        ({"algorithm__gamma": 0.9}, "algorithm.gamma"),
        ({"extra": {"a": 1}}, "extra.a"),
        ({"whole": 1}, "whole"),
    ],
    ids=str,
)
def test_settings_that_are_unknown_are_refused_by_name(written: Write, changes: dict[str, Any], named: str) -> None:
    with pytest.raises(BadInput) as caught:
        again(written("algorithm=iql", **changes))
    assert f"has {named}, which pogo" in str(caught.value)
    assert str(caught.value).endswith("or run it with the pogo that wrote it (0.0.7).")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "is not what pogo writes (Expecting property name"),
        ("[1]", "is not what pogo writes"),
        ("{}", "is not what pogo writes (it has no 'backend.name')"),
        ('{"backend": {"name": 1}, "algorithm": {"name": "iql"}, "dataset": {"name": "x"}}', "has no name"),
        ('{"backend": {"name": "torch"}, "algorithm": {"name": "iqll"}, "dataset": {"name": "x"}}', "mean 'iql'?"),
        ('{"backend": {"name": "torch"}, "algorithm": {"name": "iql", "tau": "x"}, "dataset": {"name": "x"}}',
         "algorithm.tau=x"),
        (None, "cannot be read (No such file or directory); give a run's config.json"),
    ],
)  # fmt: skip
def test_what_is_no_config_is_refused_in_one_line(tmp_path: Path, text: str | None, reason: str) -> None:
    path = tmp_path / "config.json"
    if text is not None:
        path.write_text(text)
    outcome = train("--config", str(path))
    outcome.assert_code(2)
    (*_, line) = outcome.output.splitlines()
    assert str(path) in line
    assert reason in line


@pytest.mark.parametrize("option", ["experiment=pendulum", "algorithm_dataset=iql_hopper-medium-v2"])
def test_another_source_of_all_settings_is_refused(written: Write, option: str) -> None:
    with pytest.raises(BadInput, match=f"{option} beside --config .* drop one"):
        again(written(), option)


def test_the_option_needs_a_file() -> None:
    outcome = train("--config")
    outcome.assert_code(2)
    assert outcome.output == "pogo-train: --config: give a run's config.json.\n"


def test_a_config_without_its_option_is_said_to_need_it() -> None:
    with pytest.raises(BadInput, match=r"runs/a/config.json is no setting; .*: --config runs/a/config.json\."):
        compose_config(["runs/a/config.json"])
