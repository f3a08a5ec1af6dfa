"""Groups of a user's own folder, and Hydra's own options."""

import subprocess
import sys
from pathlib import Path

import pytest

from pogo.cli import train as train_command
from pogo.core.config.compose import compose_config
from pogo.core.config.provenance import SOURCES
from pogo.core.config.resolution import resolve
from pogo.core.config.search_path import config_folder
from pogo.core.errors import BadInput
from pogo.core.sweeps.planning import plan_sweep
from tests.helpers.runs import PENDULUM, call, environment

FILES = {
    "dataset/mydata.yaml": f"defaults: [dataset_schema, _self_]\nname: mydata\npath: {PENDULUM}\n",
    "algorithm/iql_bold.yaml": "defaults: [iql, _self_]\nbeta: 10.0\n",
    "algorithm/iql_bolder.yaml": "defaults: [iql_bold, _self_]\nexpectile: 0.9\n",
    "algorithm/nothing.yaml": "beta: 3\n",
    "experiment/mine.yaml": "# @package _global_\ndefaults:\n  - override /algorithm: iql_bold\n"
    "  - override /dataset: mydata\ntrain: {updates: 100}\n",
    "experiment/many.yaml": "# @package _global_\nsweep: {seed: [0, 1, 2]}\n",
    "primary.yaml": "defaults:\n  - config\n  - override algorithm: rebrac\n  - _self_\ntrain: {updates: 77}\n",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of groups, with a space and a quote in its name."""
    root = tmp_path / "user's groups"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def shown(*given: object) -> str:
    outcome = call(train_command.main, *map(str, given))
    outcome.assert_code(0)
    return outcome.output


def refused(*given: object) -> str:
    outcome = call(train_command.main, *map(str, given))
    outcome.assert_code(2)
    assert outcome.output.count("\n") == 1
    return outcome.output


@pytest.mark.parametrize("spelling", ["--config-dir {}", "-cd {}", "--config-dir={}", "hydra.searchpath=[{!r}]"])
def test_every_group_is_found(folder: Path, spelling: str) -> None:
    option, takes_the_next, _ = spelling.partition(" ")
    named = [option, str(folder)] if takes_the_next else [spelling.replace("{!r}", '"{}"').format(folder)]
    text = shown(*named, "experiment=mine", "--cfg")
    assert f"  path: {PENDULUM}  # {folder}/dataset/mydata.yaml\n" in text
    assert f"  beta: 10.0  # {folder}/algorithm/iql_bold.yaml\n" in text
    assert f"  updates: 100  # {folder}/experiment/mine.yaml\n" in text
    assert "  expectile: 0.7  # default of iql\n" in text


def test_a_choice_may_build_on_another_of_the_users(folder: Path) -> None:
    config = compose_config(["algorithm=iql_bolder", f'hydra.searchpath=["{folder}"]'])
    found = {key: config["algorithm"][key] for key in ("name", "beta", "expectile", "tau")}
    assert found == {"name": "iql", "beta": 10.0, "expectile": 0.9, "tau": 0.005}
    with pytest.raises(BadInput, match=r"nothing\.yaml names no algorithm; begin it with defaults: \[iql\]"):
        compose_config(["algorithm=nothing", f'hydra.searchpath=["{folder}"]'])


def test_runs_of_a_users_experiment_and_choices(folder: Path) -> None:
    where = f'hydra.searchpath=["{folder}"]'
    cells = plan_sweep([where, "experiment=many", "dataset=mydata"])
    assert [cell.config.seed for cell in cells] == [0, 1, 2]
    assert all("mydata" in str(cell.run_dir) for cell in cells)
    cells = plan_sweep([where, "dataset=mydata", "algorithm=iql,iql_bold"])
    assert len({cell.run_dir for cell in cells}) == 2
    assert [cell.config.algorithm.hyperparameters.beta for cell in cells] == [3.0, 10.0]


def test_a_primary_file_of_the_users(folder: Path) -> None:
    text = shown("--config-dir", folder, "--config-name", "primary", "--cfg", "job", "--resolve")
    assert f"  updates: 77  # {folder}/primary.yaml\n" in text
    assert "  name: rebrac  # conf/algorithm/rebrac.yaml\n" in text
    assert "--config-name absent: absent.yaml is not in" in refused("--config-name", "absent")


def test_a_run_in_a_process_of_its_own(folder: Path, tmp_path: Path) -> None:
    given = ("--config-dir", folder, "experiment=mine", "train.updates=3", "eval.episodes=0", "threads=1")
    command = [sys.executable, "-m", "pogo.cli.train", *map(str, given), f"run.dir={tmp_path / 'run'}"]
    subprocess.run(command, check=True, env=environment(), capture_output=True)
    assert (tmp_path / "run" / "summary.json").exists()


def test_what_hydra_knows_is_shown(folder: Path) -> None:
    rows = shown("--info", "defaults", "--config-dir", folder, "experiment=mine").splitlines()
    names = [row.split()[0] for row in rows]
    assert names[-1] == "experiment/mine"
    assert names.index("algorithm/iql") < names.index("algorithm/iql_bold") < names.index("dataset/mydata")
    assert shown("--info=searchpath", "--config-dir", folder) == f"{config_folder()}\n{folder}\n"
    assert shown("--info") == shown("--info", "defaults")
    assert "dataset/custom" in shown("--info", f"dataset.path={PENDULUM}")
    job, own = shown("--cfg"), shown("--cfg", "hydra")
    assert own.startswith("hydra:\n")
    assert shown("--cfg", "all") == job + own
    assert shown("--cfg=job") == shown("-r", "--cfg") == job


def test_a_shell_completes(folder: Path) -> None:
    assert "complete -o nospace" in shown("-sc", "install=bash")
    done = subprocess.run(
        [sys.executable, "-m", "pogo.cli.train", "-sc", "query=bash"],
        check=True,
        capture_output=True,
        text=True,
        env=environment(COMP_LINE="pogo-train algorithm=re"),
    )
    assert done.stdout.split() == ["algorithm=rebrac", "algorithm=rebrac_schema"]


def test_a_known_key_may_be_forced(tmp_path: Path) -> None:
    assert compose_config(["++seed=4"]) == compose_config(["seed=4"])
    with pytest.raises(BadInput, match=r"config key=sed is unknown\. Did you mean 'seed'"):
        compose_config(["++sed=4"])
    with pytest.raises(BadInput, match="keys can be set, not added"):
        compose_config(["+seed=4"])


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--config-dir", "/absent"), "/absent is no folder; name one that holds groups"),
        (("--config-dir",), "--config-dir: give a folder"),
        (("hydra.searchpath=/tmp",), "hydra.searchpath=/tmp is no list; write hydra.searchpath=[file://FOLDER]"),
        (("hydra.searchpath=[pkg://no.such.package]",), "pkg://no.such.package is no package that is installed here"),
        (("--cfg=some",), "--cfg=some is none of job, hydra, all."),
        (("--info=plugins",), "--info=plugins is none of defaults, searchpath."),
        (("-sc", "install=tcsh"), "write install=SHELL or uninstall=SHELL"),
        (("--jobs", "0", "-m"), "--jobs 0: use a whole number of at least 1."),
    ],
)
def test_what_is_refused(given: tuple[str, ...], message: str) -> None:
    assert message in refused(*given)


@pytest.mark.parametrize(
    ("options", "number"),
    [
        ([], 3),
        (["chain.w2_weights=[1]"], 2),
        (["chain.w2_weights=[]"], 1),
        (["chain.w2_weights=[1,2,3,4]", "chain.actors=[{kind: stochastic}]"], 5),
        (["chain.actors=[{kind: stochastic}]"], 3),
        (["chain.actors=[{kind: gaussian},{kind: gaussian},{kind: gaussian},{kind: stochastic}]"], 4),
        (["chain.num_actors=2"], 2),
    ],
)
def test_the_number_of_actors_is_that_of_weights_or_kinds(options: list[str], number: int) -> None:
    resolved = resolve(compose_config(options)).to_json()
    assert resolved["chain"]["num_actors"] == number == len(resolved["chain"]["w2_weights"]) + 1
    if "chain.w2_weights=[1]" in options:
        assert resolved[SOURCES]["chain.num_actors"] == "as chain.w2_weights"


def test_weights_and_a_number_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(BadInput, match=r"chain\.w2_weights has 1 entries for chain\.num_actors=3"):
        resolve(compose_config(["chain.num_actors=3", "chain.w2_weights=[1]"]))
