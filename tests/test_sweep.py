"""pogo-train -m: what it runs, what it refuses before any run starts, and how it ends."""

import json
import math
import re
import signal

import pytest
import yaml

from pogo.cli import train as train_command
from pogo.core.algorithms import ALGORITHMS
from pogo.core.config.compose import compose_config
from pogo.core.config.provenance import annotated_yaml
from pogo.core.config.resolution import resolve
from pogo.core.config.search_path import config_folder
from pogo.core.errors import BadInput
from pogo.core.registry import BACKENDS
from pogo.core.sweeps.planning import plan_sweep
from tests.helpers.runs import call, run_command, start, stop, wait_for

EXPERIMENTS = sorted(path.stem for path in (config_folder() / "experiment").glob("*.yaml"))
SMALL = ("train.updates=4", "train.batch_size=8", "log.every=2", "eval.episodes=0", "threads=1")


def test_every_combination_is_a_run_of_its_own():
    cells = plan_sweep(["backend=torch,jax", f"algorithm={','.join(ALGORITHMS)}", "train.updates=200"])
    assert len(cells) == len({cell.run_dir for cell in cells}) == len(ALGORITHMS) * len(BACKENDS)
    assert cells[0].arguments == ("backend=torch", "algorithm=iql", "train.updates=200")
    assert cells[0].label == "backend=torch algorithm=iql"


@pytest.mark.parametrize(
    ("given", "folders"),
    [
        (["seed=range(0,3)"], ["seed_0", "seed_1", "seed_2"]),
        (["chain.w2_weights=[1,2],[3,4]"], ["w2_1_2/seed_0", "w2_3_4/seed_0"]),
        (["chain.w2_weights=[5,5],[50,50]", "chain.last_w2_weight=1,10"],
         ["w2_5_1/seed_0", "w2_5_10/seed_0", "w2_50_1/seed_0", "w2_50_10/seed_0"]),
        (["algorithm.expectile=0.7,0.9"], ["algorithm.expectile=0.7/seed_0", "algorithm.expectile=0.9/seed_0"]),
        (["algorithm.expectile=0.7,0.9", "algorithm.beta=5"],
         ["expectile=0.7,algorithm.beta=5.0/seed_0", "expectile=0.9,algorithm.beta=5.0/seed_0"]),
        (["seed=0,1", "algorithm.beta=5"], ["algorithm.beta=5.0/seed_0", "algorithm.beta=5.0/seed_1"]),
        (["chain.energy=value,advantage", "seed=4"], ["chain.energy=value/seed_4", "chain.energy=advantage/seed_4"]),
    ],
    ids=str,
)  # fmt: skip
def test_folders_tell_runs_apart(given, folders):
    found = [str(cell.run_dir) for cell in plan_sweep(given)]
    assert [path.endswith(folder) for path, folder in zip(found, folders, strict=True)] == [True] * len(folders), found


def test_files_are_swept_too(tmp_path):
    for name in ("a=b.hdf5", "c.hdf5"):
        (tmp_path / name).touch()
    cells = plan_sweep([f"dataset.path={tmp_path}/a=b.hdf5,{tmp_path}/c.hdf5", "env=Pendulum-v1"])
    assert [cell.run_dir.parts[1] for cell in cells] == ["a=b", "c"]


def test_a_long_folder_name_is_cut_and_still_tells_runs_apart():
    actor = "{kind: gaussian, hidden_sizes: [256, 256]}"
    given = [f"chain.actors=[{','.join([actor] * count)}]" for count in (9, 10)]
    first, second = (plan_sweep([each, "chain.num_actors=11", "seed=0"])[0].run_dir.parent for each in given)
    assert first.parent == second.parent
    assert first != second
    assert max(len(first.name), len(second.name)) <= 255


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_shipped_experiments_can_be_run(experiment):
    """One seed and its first dataset: to compose a config takes a while, and the others differ in names alone."""
    sweep = yaml.safe_load((config_folder() / "experiment" / f"{experiment}.yaml").read_text())["sweep"]
    if isinstance(sweep, list):  # the first of its mappings
        assert isinstance(sweep[0]["dataset"], str)
        cells = plan_sweep([f"experiment={experiment}", f"dataset={sweep[0]['dataset']}"])
        assert len(cells) == len({cell.run_dir for cell in cells}) == len(sweep[0]["chain.w2_weights"])
        return
    narrowed = {key: values[0] for key, values in sweep.items() if key in ("seed", "dataset")}
    expected = math.prod(len(values) for key, values in sweep.items() if key not in narrowed)
    cells = plan_sweep([f"experiment={experiment}", *(f"{key}={value}" for key, value in narrowed.items())])
    assert len(cells) == len({cell.run_dir for cell in cells}) == expected


CELLS = """\
sweep:
  - {dataset: hopper-medium-v2, chain.w2_weights: [[1, 2]], algorithm.beta: 5.0}
  - {dataset: hopper-medium-replay-v2, chain.w2_weights: [[3, 4], [5, 6]]}
  - {dataset: [hopper-medium-v2, hopper-medium-replay-v2], chain.w2_weights: [[3, 4]], algorithm: td3_bc}
"""


@pytest.fixture
def cells_of(tmp_path):
    """The runs of an experiment with this text, each by its dataset, algorithm, weights and seed."""

    def cells(*given, text=CELLS):
        (tmp_path / "experiment").mkdir(exist_ok=True)
        (tmp_path / "experiment" / "mine.yaml").write_text(f"# @package _global_\n{text}")
        planned = plan_sweep([f"hydra.searchpath=['{tmp_path}']", "experiment=mine", *given])
        assert len({cell.run_dir for cell in planned}) == len(planned)
        configs = [cell.config for cell in planned]
        return [
            (each.dataset.name.removeprefix("hopper-"), each.algorithm.name, each.chain.w2_weights, each.seed)
            for each in configs
        ]

    return cells


def test_a_sweep_may_be_a_list_of_cells(cells_of):
    assert cells_of() == [
        ("medium-v2", "iql", (1, 2), 0),
        ("medium-replay-v2", "iql", (3, 4), 0),
        ("medium-replay-v2", "iql", (5, 6), 0),
        ("medium-v2", "td3_bc", (3, 4), 0),
        ("medium-replay-v2", "td3_bc", (3, 4), 0),
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        # A choice picks the mappings that make it, whatever quotes it is written in.
        (["dataset='hopper-medium-v2'", "algorithm=iql"],
         [("medium-v2", "iql", (1, 2), 0), ("medium-v2", "iql", (3, 4), 0)]),
        # A setting takes the place of theirs, and what is the same then is one run.
        (["dataset=hopper-medium-replay-v2", "chain.w2_weights=[7,7]", "algorithm=td3_bc"],
         [("medium-replay-v2", "td3_bc", (7, 7), 0)]),
        (["dataset=walker2d-medium-v2", "algorithm.beta=1", "algorithm=iql", "seed=1"],
         [("walker2d-medium-v2", "iql", weights, 1) for weights in ((1, 2), (3, 4), (5, 6))]),
    ],
    ids=str,
)  # fmt: skip
def test_the_command_line_picks_and_replaces_cells(cells_of, given, expected):
    assert cells_of(*given) == expected


@pytest.mark.parametrize(
    ("text", "given", "message"),
    [
        (CELLS, ["dataset=hopper-medium-v2,hopper-expert-v2"], "dataset=hopper-expert-v2 is in no cell of"),
        ("sweep: [{dataset: hopper-medium-v2, algorithm: iql}, {dataset: hopper-expert-v2, algorithm: cql}]",
         ["dataset=hopper-medium-v2", "algorithm=cql"],
         "experiment=mine has no cell with dataset=hopper-medium-v2 and algorithm=cql; its file says which"),
        ("sweep: [{seed: 1}, 5]", [], "mine.yaml: its sweep has 5 in it; write KEY: [VALUE, VALUE], or a list of"),
        ("sweep: [{}]", [], "mine.yaml: its sweep has {} in it"),
        ("sweep: seed", [], "mine.yaml: its sweep has 'seed' in it"),
        ("sweep: {seed: []}", [], "mine.yaml: its sweep has no values for seed"),
        ("sweep: {train: {updates: [1, 2]}}", [], "its sweep has a mapping for train; name each of its keys"),
        ("sweep: [{seed: 1, dtype: float32}, {seed: 1}]", [], "they are the same run: drop one of them."),
    ],
    ids=str,
)  # fmt: skip
def test_cells_that_cannot_be_are_refused(cells_of, text, given, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        cells_of(*given, text=text)


def test_what_some_cells_set_is_in_the_folder_of_all(cells_of, tmp_path):
    cells_of(text="sweep: [{seed: [0, 1], algorithm.beta: 5.0}, {seed: 0}]")
    planned = plan_sweep([f"hydra.searchpath=['{tmp_path}']", "experiment=mine"])
    assert [cell.run_dir.parent.name for cell in planned] == ["algorithm.beta=5.0"] * 2 + ["algorithm.beta=3.0"]
    assert [cell.label for cell in planned] == ["seed=0 algorithm.beta=5.0", "seed=1 algorithm.beta=5.0", "seed=0"]


def test_an_experiment_of_too_many_runs_is_refused(cells_of):
    with pytest.raises(BadInput, match=r"experiment=mine makes this 20000 runs; one command starts at most 10000"):
        cells_of("seed=range(0,5000)", text="sweep: {chain.last_w2_weight: [1, 2, 3, 4]}")


def test_a_file_that_is_not_there_is_refused_before_anything_starts(tmp_path):
    """A name of D4RL's is downloaded when its turn comes."""
    (tmp_path / "there.hdf5").touch()
    missing = f"dataset.path={tmp_path}/nowhere.hdf5"
    outcome = call(train_command.main, "-m", f"dataset.path={tmp_path}/there.hdf5,{tmp_path}/nowhere.hdf5", "env=none")
    assert (outcome.code, outcome.output) == (2, f"pogo-train: {missing}: no such file; name one that is there.\n")
    with pytest.raises(BadInput, match=r"dataset.path=~nobody_here/x.hdf5 cannot be read"):
        plan_sweep(["dataset.path=~nobody_here/x.hdf5", "env=none"])
    assert len(plan_sweep(["dataset=hopper-medium-v2,walker2d-medium-v2"])) == 2


def test_a_sweep_is_no_option():
    with pytest.raises(BadInput, match=r"an experiment's file has a sweep; here a key takes several values"):
        plan_sweep(["sweep={seed: [1, 2]}"])


def test_the_command_line_narrows_an_experiment():
    cells = plan_sweep(["experiment=comparison", "algorithm=iql", "dataset=hopper-medium-v2", "seed=0,1"])
    assert len(cells) == 2 * 3
    weights = {cell.run_dir.parts[3] for cell in cells}
    assert weights == {"w2_10_1", "w2_10_10", "w2_10_100"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["algorithm=iql,td3bc"], "Did you mean 'td3_bc'"),
        (["algorithm=iql,td3_bc", "chain.energy=value,advantage"], "algorithm=td3_bc: chain.energy=advantage is not"),
        (["seed=0,1", "run.dir=runs/one"], "'seed=0' and 'seed=1' would share runs/one; drop run.dir, or let"),
        (["algorithm=glob(*)"], "algorithm=glob(*): list the values"),
        (["experiment=nothing"], "experiment=nothing is unknown"),
        (["experiment=comparison,pendulum"], "one experiment at a time"),
        (["run.variant=../x"], "would leave the run's root"),
        (["seed=1,2,2"], "seed_2; they are the same run: drop one of them."),
        (["chain.w2_weights=[1,1],[1,1.0000001]"], "start each by itself, with a run.variant=NAME of its own."),
        (["run.variant=x", "algorithm.beta=1,2"], "x/seed_0; drop run.variant, and each run gets a folder named by"),
        (["run.variant=x", "chain.w2_weights=[1,1],[1,1.0000001]"], "start each by itself, with a run.variant"),
        (["chain.num_actors=1", "chain.last_w2_weight=1,2"], "has no actor to weigh"),
    ],
    ids=str,
)  # fmt: skip
def test_what_cannot_be_run_is_refused_before_anything_runs(given, message):
    with pytest.raises(BadInput, match=re.escape(message)):
        plan_sweep(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("experiment=comparison",), "experiment=comparison is many runs; add -m"),
        (("-m", "--jobs", "none", "seed=0,1"), "--jobs none: use a whole number"),
        (("-m", "--jobs"), "--jobs: give a whole number"),
        (("sources={}",), "sources"),
    ],
    ids=str,
)
def test_the_command_refuses(given, message):
    outcome = call(train_command.main, *given)
    assert outcome.code == 2
    assert message in outcome.output


def test_cfg_shows_the_runs_and_starts_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = call(train_command.main, "-m", "seed=0,1", "algorithm=iql", "--cfg")
    assert outcome.code == 0
    assert outcome.output.splitlines()[0].startswith("pogo-train seed=0 algorithm=iql")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "jobs",
    [pytest.param((), marks=pytest.mark.slow), ("--jobs", "2")],
    ids=["one by one", "two at a time"],
)
def test_a_failed_run_does_not_stop_the_others(tmp_path, jobs):
    """The last seed's folder is a file: its run alone fails, and what is finished is not run again."""
    pytest.importorskip("torch")
    given = ("-m", *jobs, "backend=torch", "algorithm=iql", "seed=0,1,2", f"run.root={tmp_path}", *SMALL)
    blocked = tmp_path / "pendulum-medium-replay/iql_torch/w2_10_10/train.batch_size=8/seed_1"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("")
    outcome = run_command(*given)
    assert outcome.code == 1, outcome.output
    assert "2 of 3 runs done" in outcome.output
    for seed in (0, 2):
        assert json.loads((blocked.parent / f"seed_{seed}" / "summary.json").read_bytes())["updates"] == 4
    blocked.unlink()
    outcome = run_command(*given)
    assert outcome.code == 0, outcome.output
    assert outcome.output.count("done: ") == 2 + (not jobs)
    assert "3 of 3 runs done" in outcome.output


def test_a_signal_reaches_the_run_and_starts_no_other(tmp_path):
    pytest.importorskip("torch")
    given = ("-m", "backend=torch", "algorithm=iql", "seed=0,1", f"run.root={tmp_path}", *SMALL[1:])
    process = start(*given, "train.updates=1000000")
    folder = tmp_path / "pendulum-medium-replay/iql_torch/w2_10_10/train.batch_size=8"
    wait_for(lambda: (folder / "seed_0" / "train.jsonl").is_file(), process)
    outcome = stop(process, signal.SIGTERM)
    assert outcome.code == 143, outcome.output
    assert list((folder / "seed_0" / "checkpoints").iterdir())
    assert not (folder / "seed_1").exists()
    assert "not run" in outcome.output
    assert not list((folder / "seed_0").glob("lease*"))


def test_sources_say_where_each_setting_came_from():
    given = ["algorithm=cql", "dataset=hopper-medium-v2", "algorithm.cql_alpha=5", "logger={wandb: true}"]
    config = resolve(compose_config(given))
    resolved, sources = config.to_json(), config.sources
    assert sources["algorithm.cql_alpha"] == "command line"
    assert sources["algorithm.name"] == "command line"
    assert sources["algorithm.normalize_rewards"] == "conf/published/cql.yaml"
    assert sources["algorithm.tau"] == sources["train.updates"] == "default of cql"
    assert sources["logger.wandb"] == "command line"
    assert sources["logger.tensorboard"] == "default"
    assert sources["backend.name"] == "conf/backend/torch.yaml"
    text = annotated_yaml(config)
    assert "  cql_alpha: 5.0  # command line" in text.splitlines()
    assert yaml.safe_load(text) == {key: value for key, value in resolved.items() if key != "sources"}


def test_an_experiment_is_a_source_and_an_option_wins_over_it():
    resolved = resolve(compose_config(["experiment=pendulum", "eval.episodes=3"], in_sweep=True)).to_json()
    assert resolved["train"]["updates"] == 5000
    assert resolved["sources"]["train.updates"] == "conf/experiment/pendulum.yaml"
    assert resolved["eval"]["episodes"] == 3
    assert resolved["sources"]["eval.episodes"] == "command line"
    assert "sweep" not in resolved


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("algorithm.beta=interval(1,2)", "an interval has no values to list; write algorithm.beta=a,b"),
        ("seed=range(0,3,0)", "a range goes from start to stop by a step that is not 0"),
        ("seed=range(5,0)", "no values between 5 and 0 by steps of 1, and so no run."),
        ("seed=range(1,2,-1)", "no values between 1 and 2 by steps of -1, and so no run."),
        ("seed=range(0,1000000)", "1000000 values; one command starts at most 10000 runs."),
        ("seed=1,range(2,4)", "list the values; write seed=a,b"),
        ("seed=interval(1,2),3", "list the values; write seed=a,b"),
    ],
    ids=str,
)
def test_values_that_are_none_or_cannot_be_listed_are_refused(given, message):
    with pytest.raises(BadInput, match=re.escape(f"{given}: {message}")):
        plan_sweep([given])


def test_too_many_runs_are_counted_before_any_is_planned():
    with pytest.raises(
        BadInput, match=r"chain.last_w2_weight=range\(1,200\) makes this 19900 runs; one command starts"
    ):
        plan_sweep(["seed=range(0,100)", "chain.last_w2_weight=range(1,200)"])


@pytest.mark.parametrize(
    ("given", "beginning"),
    [
        (["seed=x"], "seed=x: Value"),
        (["seed=1,x"], "seed=x: Value"),
        (["algorithm.beta=1,2", "seed=1,x"], "algorithm.beta=1: seed=x: Value"),
    ],
)
def test_a_bad_value_is_named_once(given, beginning):
    with pytest.raises(BadInput) as caught:
        plan_sweep(given)
    assert str(caught.value).startswith(beginning)
    assert str(caught.value).count("seed=x") == 1


@pytest.mark.parametrize(
    ("given", "seeds"),
    [("seed=range(3,0,-1)", [3, 2, 1]), ("seed=sort(3,1)", [1, 3]), ("seed=choice(4)", [4]), ("experiment=null", [0])],
)
def test_what_hydras_grammar_lists_is_run(given, seeds):
    assert [cell.config.seed for cell in plan_sweep([given])] == seeds
