"""Whatever is wrong with what the user asks for: one line that says what, where and the mend, code 2, and no folder."""

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from pogo.cli import evaluate, golden, parity
from pogo.cli import train as train_command
from pogo.core.errors import RunFailed
from pogo.core.learner.metrics import check_finite, check_parameters, check_seeds_finite
from tests.helpers.runs import BACKENDS, PENDULUM, arguments, call, run_command, train


def refused(tmp_path: Path, *fragments: str, more: tuple[str, ...] = (), **changes: object) -> str:
    """The message of a refused pogo-train, after all checks that hold of every refusal."""
    run_dir = tmp_path / "run"
    outcome = train(*arguments(run_dir, **changes), *more)  # type: ignore[arg-type]
    outcome.assert_code(2)
    assert outcome.output.count("\n") == 1, outcome.output
    assert outcome.output.startswith("pogo-train: ")
    assert outcome.output.endswith((".\n", "?\n"))
    for fragment in fragments:
        assert fragment in outcome.output
    assert not run_dir.exists()
    return outcome.output


NAMES = {
    "backend": ({"backend": "troch"}, "backend=troch is unknown. Did you mean 'torch'? Known: jax, torch."),
    "algorithm": (
        {"more": ("algorithm=rebrack",), "algorithm__hidden_sizes": None},
        "algorithm=rebrack is unknown. Did you mean 'rebrac'? Known: ",
    ),
    "no algorithm": (
        {"more": ("algorithm=null",), "algorithm__hidden_sizes": None},
        "algorithm=None is unknown. Known: ",
    ),
    "dataset": ({"dataset": "hoper-medium-v2"}, "Did you mean 'hopper-medium-v2'?"),
    "actor kind": (
        {"chain__actors": "[{},{kind: gausian}]"},
        "chain.actors[1] kind=gausian is unknown. Did you mean 'gaussian'? Known: deterministic, gaussian, stochastic",
    ),
    "actor option": ({"chain__actors": "[{hiden_sizes: [8]}]"}, "chain.actors[0] option=hiden_sizes is unknown."),
    "solver": (
        {"w2__solver": "sinkhorn"},
        "w2.solver=sinkhorn is unknown. Known: exact, fused, geomloss, library, ott.",
    ),
    "a library of the other backend": (
        {"w2__solver": "ott"},
        "w2.solver=ott is a library of backend=jax; use that, or w2.solver=fused, which both have.",
    ),
    "noise": ({"w2__noise": "comon"}, "w2.noise=comon is unknown. Did you mean 'common'?"),
    "energy": ({"chain__energy": "vale"}, "chain.energy=vale is unknown. Did you mean 'value'?"),
    "init": ({"chain__init": "copied"}, "chain.init=copied is unknown. Did you mean 'copy'?"),
    "resume": ({"resume": "maybe"}, "resume=maybe is unknown. Known: auto, must, never."),
    "dtype": ({"dtype": "float16"}, "dtype=float16 is unknown.", "float32, float64"),
    "view": ({"dataset__view": "fulll"}, "dataset.view=fulll is unknown. Did you mean 'full'?"),
    "published settings": ({"algorithm_dataset": "iql_hopper"}, "algorithm_dataset=iql_hopper is unknown."),
    "another algorithm's published settings": (
        {"algorithm_dataset": "cql_hopper-medium-v2"},
        "algorithm_dataset=cql_hopper-medium-v2 is of algorithm=cql, and this is algorithm=iql; "
        "use algorithm_dataset=iql_hopper-medium-v2.",
    ),
    "settings published for another algorithm alone": (
        {"algorithm_dataset": "sac_n_walker2d-medium-v2"},
        "is of algorithm=sac_n, and this is algorithm=iql; drop it, or use algorithm=sac_n.",
    ),
    "environment": ({"env": "Pendulm-v1"}, "env=Pendulm-v1 cannot be made", "'Pendulum-v1'"),
}

VALUES = {
    "few weights": (
        {"chain__w2_weights": "[1]", "chain__num_actors": 3},
        "chain.w2_weights has 1 entries for chain.num_actors=3; give one per actor after the first, 2 in all.",
    ),
    "many weights": ({"chain__w2_weights": "[1,2,3]", "chain__num_actors": 3}, "chain.w2_weights has 3 entries"),
    "weights of one actor": ({"chain__w2_weights": "[1]", "chain__num_actors": 1}, "0 in all"),
    "negative weight": ({"chain__w2_weights": "[1,-2]"}, "chain.w2_weights[1]=-2.0", "finite number >= 0"),
    "few steps": (
        {"chain__steps": "[0.1]", "chain__num_actors": 3},
        "chain.steps has 1 entries for chain.num_actors=3; give one number for all, or one per actor",
    ),
    "no step": ({"chain__steps": "[0.1,0]"}, "chain.steps[1]=0.0 is not a step", "such as 0.1"),
    "steps in percent": ({"chain__steps": 5}, "chain.steps[0]=5.0 is not a step", "at most 2"),
    "step is nan": ({"chain__steps": "nan"}, "chain.steps[0]=nan is not a step"),
    "word for steps": ({"chain__steps": "small"}, "chain.steps=small is not a list of numbers or a number."),
    "words for steps": ({"chain__steps": "[a]"}, "chain.steps=['a'] is not a list of numbers or a number."),
    "weight 0 that follows": (
        {"chain__steps": 0.1, "chain__w2_weights": "[0,1]"},
        "chain.w2_weights[0]=0.0 is where a weight that follows chain.steps begins",
    ),
    "weights' rate": ({"chain__weight_learning_rate": 0}, "chain.weight_learning_rate=0.0 is out of range"),
    "a chain that never begins": (
        {"chain__begin_at": 100, "train__updates": 100},
        "chain.begin_at=100 is past the run's 100 updates",
    ),
    "frozen from the start": ({"chain__freeze": "true"}, "chain.freeze=true would train no critic", "chain.begin_at=N"),
    "a loss by |Q|": (
        {"chain__normalize_energy": "true", "chain__energy": "loss"},
        "chain.normalize_energy=true divides an energy of Q",
    ),
    "no base": ({"chain__base": "nowhere"}, "chain.base=nowhere holds no checkpoints"),
    "base of seeds": (
        {"backend": "jax", "chain__base": "nowhere", "train__num_seeds": 2, "run__dir": None},
        "chain.base is one run of one seed",
    ),
    "no weight": ({"chain__w2_weights": "[nan,1]"}, "chain.w2_weights[0]=nan"),
    "infinite weight": ({"chain__w2_weights": "[inf,1]"}, "chain.w2_weights[0]=inf"),
    "many actors": (
        {"chain__actors": "[{},{},{},{}]", "chain__num_actors": 3},
        "chain.actors has 4 entries for chain.num_actors=3; drop some or raise num_actors.",
    ),
    "no actors": (
        {"chain__num_actors": 0},
        "chain.num_actors=0 is too small; use a whole number of at least 1; actor 0 alone is 1.",
    ),
    "energy of others": (
        {"algorithm": "rebrac", "chain__energy": "advantage"},
        "chain.energy=advantage is not defined for algorithm=rebrac; use loss or value.",
    ),
    "chain rate": ({"chain__learning_rate": -1}, "chain.learning_rate=-1.0", "null for actor 0's"),
    "one sample": ({"w2__num_samples": 1}, "w2.num_samples=1", "at least 2"),
    "many samples": ({"w2__num_samples": 100_000}, "w2.num_samples=100000 is too large", "use 2 to 256."),
    "no blur": ({"w2__blur": 0}, "w2.blur=0.0"),
    "negative blur": ({"w2__blur": -0.05}, "w2.blur=-0.05"),
    "blur is nan": ({"w2__blur": "nan"}, "w2.blur=nan"),
    "negative seed": ({"seed": -1}, "seed=-1 is too small", "of at least 0"),
    "long seed": ({"seed": 2**63}, "is out of range"),
    "no updates": ({"train__updates": 0}, "train.updates=0 is too small"),
    "more updates than have names": ({"train__updates": 10**9}, "train.updates=1000000000 is too large"),
    "no batch": ({"train__batch_size": 0}, "train.batch_size=0 is too small"),
    "evaluation interval": ({"eval__every": -1}, "eval.every=-1 is too small"),
    "episodes": ({"eval__episodes": -1}, "eval.episodes=-1 is too small"),
    "simulator processes": (
        {"eval__processes": -1},
        "eval.processes=-1 is too small; use a whole number of at least 0; null has it chosen.",
    ),
    "log interval": ({"log__every": 0}, "log.every=0 is too small"),
    "checkpoint interval": ({"checkpoint__every": -5}, "checkpoint.every=-5 is too small"),
    "nothing kept": ({"checkpoint__keep": 0}, "checkpoint.keep=0 is too small"),
    "no threads": ({"threads": 0}, "threads=0 is out of range"),
    "more threads than processors": ({"threads": 100_000}, "threads=100000 is out of range; this process may use"),
    "discount": ({"algorithm__discount": 1.5}, "algorithm.discount=1.5", "from 0 to 1"),
    "rate": ({"algorithm__actor_learning_rate": 0}, "algorithm.actor_learning_rate=0.0"),
    "beta": ({"algorithm__beta": "inf"}, "algorithm.beta=inf is out of range; use a finite number of at least 0."),
    "infinite rate": ({"algorithm__actor_learning_rate": "inf"}, "use a finite number above 0."),
    "no limit": ({"algorithm__max_advantage_weight": "nan"}, "use a finite number above 0, or inf for no limit."),
    "cosine": ({"algorithm__cosine_updates": 0}, "algorithm.cosine_updates=0"),
    "hidden size": ({"algorithm__hidden_sizes": "[0]"}, "hidden_sizes=(0,) is out of range"),
    "dropout": ({"chain__actors": "[{dropout: 1.0}]"}, "dropout=1.0 is out of range"),
    "actor's number": ({"chain__actors": "[{dropout: much}]"}, "chain.actors[0]", "dropout='much' is not a finite"),
    "actor's nan": ({"chain__actors": "[{log_std_init: nan}]"}, "log_std_init=nan is not a finite number"),
    "actor's switch": ({"chain__actors": "[{layer_norm: yesno}]"}, "layer_norm='yesno' is not true or false"),
    "actor's sizes": ({"chain__actors": "[{hidden_sizes: 3}]"}, "hidden_sizes=3 is not a list of whole numbers"),
    "actor's fractions": ({"chain__actors": "[{hidden_sizes: [3.5]}]"}, "is not a list of whole numbers"),
    "actor's name": ({"chain__actors": "[{kind: [gaussian]}]"}, "chain.actors[0] kind=['gaussian'] is unknown"),
    "an actor's bound": (
        {"chain__actors": "[{kind: gaussian, max_action: 2.0}]"},
        "chain.actors[0]: max_action=2.0 is no option: the action box is fixed at [-1, 1]",
    ),
    "an option of other kinds": (
        {"chain__actors": "[{}, {kind: deterministic, log_std_init: -2}]"},
        "chain.actors[1]: log_std_init=-2 has no effect with kind=deterministic, only with kind=gaussian or",
    ),
    "a start beyond its limits": (
        {"chain__actors": "[{log_std_init: -30}]"},
        "chain.actors[0]: log_std_init=-30 is cut to [log_std_min, log_std_max] = [-20, 2]",
    ),
    "digest": ({"dataset__sha256": "abc"}, "dataset.sha256=abc is not a SHA-256"),
    "other digest": ({"dataset__sha256": "0" * 64, "dataset__path": PENDULUM, "env": "Pendulum-v1"}, "SHA-256"),
    "size limit": ({"dataset__max_gib": 1e-9}, "dataset.max_gib=1e-09"),
    "mirror": ({"dataset__mirrors": "['ftp://host']"}, "dataset.mirrors: 'ftp://host'"),
}

TYPES = {
    "word for a whole number": ({"seed": "x"}, "seed=x: Value 'x'", "Write a whole number in digits."),
    "fraction for a whole number": ({"seed": 1.5}, "seed=1.5"),
    "exponent": ({"train__updates": "1e3"}, "train.updates=1e3", "in digits"),
    "switch for a whole number": ({"seed": "true"}, "seed=true"),
    "word for a number": ({"algorithm__beta": "abc"}, "algorithm.beta=abc", "Write a number, such as"),
    "nothing for a number": ({"algorithm__beta": "null"}, "algorithm.beta=null: algorithm.beta cannot be null; give"),
    "nothing for a name": ({"chain__energy": "null"}, "chain.energy=null: chain.energy cannot be null; give a value"),
    "number for a list": (
        {"algorithm__hidden_sizes": 32},
        "algorithm.hidden_sizes=32: ",
        "write algorithm.hidden_sizes=[32]",
    ),
    "words in a list": ({"algorithm__hidden_sizes": "[a]"}, "algorithm.hidden_sizes=[a]"),
    "number for weights": ({"chain__w2_weights": 3}, "chain.w2_weights=3: ", "is a list; write chain.w2_weights=[3]."),
    "mapping for weights": ({"chain__w2_weights": "{a: 1}"}, "is a list; write chain.w2_weights=[...]."),
    "word for actors": ({"chain__actors": "stochastic"}, "chain.actors=stochastic: ", "=[{kind: stochastic}]."),
    "words for actors": ({"chain__actors": "[gaussian]"}, "chain.actors=[gaussian]: ", "=[{kind: gaussian}]."),
    "one actor for actors": (
        {"chain__actors": "{kind: gaussian}"},
        "chain.actors={kind: gaussian}: ",
        "in a list; write",
    ),
    "nothing for an actor": ({"chain__actors": "[null]"}, "chain.actors=[null]: each actor is a mapping"),
    "numbers for keys": ({"chain__actors": "[{1: 2}]"}, "chain.actors=[{1: 2}]: each actor is a mapping"),
    "words for actors in a section": ({"chain": "{actors: [gaussian]}"}, "write chain.actors=[{kind: gaussian}]."),
    "no switch": ({"backend__compile": "maybe"}, "backend.compile=maybe", "Write true or false."),
    "no device": ({"device": "null"}, "device=null", "cannot be null"),
    "list for a word": ({"device": "[cpu]"}, "device=[cpu]", "Write a single value."),
    "word for a section": (
        {"w2": "exact"},
        "w2=exact: w2 is a section; write w2.KEY=VALUE, such as w2.solver=exact, where",
    ),
    "key for a section": ({"logger": "wandb"}, "write logger.KEY=VALUE, where KEY is one of tensorboard, video, "),
    "list for a section": ({"w2": "[1]"}, "w2 is a section"),
    "nothing for a section": (
        {"chain": "null"},
        "chain is a section; write chain.KEY=VALUE, where KEY is one of num_actors",
    ),
}

SYNTAX = {
    "unknown key": ({"sede": 1}, "config key=sede is unknown. Did you mean 'seed'?"),
    "unknown section": ({"trian__updates": 1}, "Did you mean 'train.updates'?"),
    "another algorithm's": ({"algorithm__actor_bc_coef": 1}, "with algorithm=iql, config key=algorithm.actor_bc_coef"),
    "unknown in a section": (
        {"train": "{upates: 1}"},
        "config key=train.upates is unknown. Did you mean 'train.updates'",
    ),
    "added": ({"more": ("+x=1",)}, "+x=1: keys can be set, not added or removed"),
    "removed": ({"more": ("~seed",)}, "~seed: keys can be set"),
    "hydra": ({"more": ("hydra.run.dir=x",)}, "hydra.run.dir=x: pogo keeps its own run folder; set run.dir"),
    "hydra group": ({"more": ("hydra/launcher=x",)}, "hydra/launcher=x: pogo starts many runs by -m"),
    "hydra chdir": ({"more": ("hydra.job.chdir=true",)}, "hydra.job.chdir=true"),
    "choices": ({"seed": "1,2"}, "seed=1,2: one run takes one value; add -m"),
    "range": ({"seed": "range(1,3)"}, "one run takes one value"),
    "groups": ({"more": ("algorithm=iql,rebrac",)}, "one run takes one value"),
    "part of a group": ({"more": ("backend.name=jax",)}, "backend.name=jax: write backend=jax"),
    "part of an algorithm": ({"more": ("algorithm.name=rebrac",)}, "write algorithm=rebrac"),
    "config folder": ({"more": ("--config-path=/tmp",)}, "--config-path=/tmp: no such option"),
    "no value": ({"more": ("seed",)}, "seed"),
    "no key": ({"more": ("=1",)}, "=1: nothing is named before the ="),
    "neither": ({"more": ("=",)}, "nothing is named before the ="),
    "nothing": ({"more": ("",)}, "Overrides are written key=value"),
    "open list": ({"seed": "[1"}, "Overrides are written key=value"),
    "control character": ({"seed": "\x01"}, "Overrides are written key=value"),
    "interpolation of another type": ({"seed": "${oc.env:PATH}"}, "could not be converted to Integer"),
    "interpolation of nothing": ({"run__root": "${oc.env:POGO_NOWHERE}"}, "POGO_NOWHERE"),
    "interpolation of itself": ({"algorithm__beta": "${algorithm.beta}"}, "Recursive"),
    "package": ({"more": ("algorithm@x=iql",)}, "algorithm@x"),
}

TARGETS = {
    "at the root": ({"_target_": "os.system"}, "_target_=os.system: _target_ has no place here"),
    "in a section": ({"algorithm___target_": "os.system"}, "algorithm._target_=os.system: _target_ has no place"),
    "added": ({"more": ("+train._target_=os.system",)}, "keys can be set, not added"),
    "in an actor": ({"chain__actors": "[{_target_: os.system}]"}, "_target_ has no place"),
    "inside an actor": ({"chain__actors": "[{kind: {_target_: os.system}}]"}, "_target_ has no place"),
    "as a dataset": ({"dataset": "{_target_: os.system}"}, "_target_ has no place"),
    "as a section": ({"train": "{_target_: os.system}"}, "_target_ has no place"),
    "as a seed": ({"seed": "{_target_: os.system}"}, "_target_ has no place"),
}

PLACES = {
    "parent as dataset": ({"dataset": "../x"}, "dataset=../x is unknown"),
    "root as dataset": ({"dataset": "/etc/passwd"}, "dataset=/etc/passwd is unknown"),
    "file as dataset": ({"dataset": "x.hdf5"}, "dataset=x.hdf5 is a file, not a name; use dataset.path=x.hdf5."),
    "name with a separator": ({"dataset__path": PENDULUM, "dataset__name": "a/b"}, "without path separators"),
    "name that leaves": ({"dataset__path": PENDULUM, "dataset__name": ".."}, "without path separators"),
    "no path": ({"dataset__path": ""}, "dataset.path= is empty; give it a value"),
    "missing file": ({"dataset__path": "/nowhere.hdf5", "env": "Pendulum-v1"}, "/nowhere.hdf5: no such file"),
    "folder": ({"dataset__path": "/tmp", "env": "Pendulum-v1"}, "/tmp: not a regular file; name a file of data"),
    "custom without a file": ({"dataset": "custom"}, "needs a file: dataset.path=FILE.hdf5"),
    "not there, offline": (
        {"dataset": "hopper-medium-v2", "dataset__offline": "true", "dataset__cache_dir": "/nowhere"},
        "dataset hopper-medium-v2 is not at /nowhere/hopper_medium-v2.hdf5",
        "dataset.path=FILE",
    ),
    "discrete environment": ({"env": "CartPole-v1"}, "env=CartPole-v1 has actions Discrete(2)"),
    "environment of other sizes": (
        {"env": "MountainCarContinuous-v0"},
        "those of env=MountainCarContinuous-v0",
        "name the environment that the data is from",
    ),
    "no environment": ({"env": ""}, "env= cannot be made"),
}


def cases(*tables: dict) -> list:
    return [pytest.param(*entry, id=name) for table in tables for name, entry in _rows(table)]


def _rows(table: dict) -> list:
    return [(name, (changes, fragments)) for name, (changes, *fragments) in table.items()]


@pytest.mark.parametrize(("changes", "fragments"), cases(NAMES, VALUES, TYPES, SYNTAX, TARGETS, PLACES))
def test_bad_input_is_refused(tmp_path: Path, changes: dict, fragments: list[str]) -> None:
    refused(tmp_path, *fragments, **changes)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("device", ["tpu", "cuda:99", "cpu:7", "cuda:x", "cuda:-1", "meta"])
def test_devices_that_are_not_there(tmp_path: Path, backend: str, device: str) -> None:
    pytest.importorskip(backend)
    refused(tmp_path, f"device={device}", "use ", backend=backend, device=device)


def test_jax_is_compiled_throughout(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    refused(tmp_path, "backend.compile=false has no meaning", backend="jax", backend__compile="false")


@pytest.mark.parametrize("name", ["", "/below", "/far/below"])
def test_a_file_is_no_run_folder(tmp_path: Path, name: str) -> None:
    file = tmp_path / "file"
    file.write_text("mine")
    outcome = train(*arguments(Path(f"{file}{name}"), train__updates=1))
    outcome.assert_code(2)
    assert f"{file} is a file; name a folder." in outcome.output
    assert file.read_text() == "mine"


def test_a_name_that_no_folder_can_have() -> None:
    outcome = train(*arguments(Path("x" * 300), train__updates=1))
    outcome.assert_code(2)
    assert "300 bytes, and a name has at most 255; shorten run.variant" in outcome.output
    assert outcome.output.count("\n") == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    outcome = train(*arguments(tmp_path / "run", train__updates=1))
    tmp_path.chmod(0o700)
    outcome.assert_code(2)
    assert "cannot be used" in outcome.output


def pendulum_with(path: Path, change: str) -> Path:
    """The shipped file with one thing wrong."""
    with h5py.File(PENDULUM) as source, h5py.File(path, "w") as target:
        for key in source:
            source.copy(key, target)
        DAMAGE[change](target)
    return path


def _replace(key: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        values = change(file[key][()])  # type: ignore[index]
        del file[key]
        file[key] = values

    return damage


def _set(key: str, row: tuple[int, ...], value: float) -> Callable[[h5py.File], None]:
    def damage(file: h5py.File) -> None:
        file[key][row] = value  # type: ignore[index]

    return damage


def _empty(file: h5py.File) -> None:
    for key in ("observations", "actions", "rewards", "terminals", "timeouts", "next_observations"):
        if key in file:
            _replace(key, lambda values: values[:0])(file)


def _link(file: h5py.File) -> None:
    del file["rewards"]
    file["rewards"] = h5py.ExternalLink("/etc/passwd", "x")


DAMAGE: dict[str, Callable[[h5py.File], None]] = {
    "nan": _set("observations", (7, 1), np.nan),
    "infinite": _set("rewards", (3,), np.inf),
    "bounds": _set("actions", (5, 0), 2.5),
    "missing": lambda file: file.__delitem__("rewards"),
    "lengths": _replace("actions", lambda values: values[:-1]),
    "empty": _empty,
    "flags": _replace("terminals", lambda values: values.astype(np.float32) + 0.5),
    "constant": _replace("rewards", lambda values: 0 * values - 1),
    "text": _replace("rewards", lambda values: np.array([b"x"] * len(values))),
    "link": _link,
}
FILES = {
    "nan": "observations holds nan at row 7 (1 such values); drop or repair",
    "infinite": "rewards holds inf at row 3",
    "bounds": "actions[5, 0] = 2.5 is outside the environment's bounds [-2, 2]",
    "missing": "no rewards",
    "lengths": "lengths must be equal",
    "empty": "no rows",
    "flags": "terminals holds",
    "text": "rewards has type",
    "link": "rewards is a link",
}


def test_rewards_that_have_no_range(tmp_path: Path) -> None:
    path = pendulum_with(tmp_path / "mine.hdf5", "constant")
    changes = {"dataset__path": path, "env": "Pendulum-v1", "algorithm__normalize_rewards": "true"}
    refused(tmp_path, f"{path}: ", "for this dataset: algorithm.normalize_rewards=false.", **changes)


@pytest.mark.parametrize("change", FILES)
def test_files_with_something_wrong(tmp_path: Path, change: str) -> None:
    path = pendulum_with(tmp_path / "mine.hdf5", change)
    refused(tmp_path, f"{path}: ", FILES[change], dataset__path=path, env="Pendulum-v1")


def test_a_truncated_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.hdf5"
    path.write_bytes(PENDULUM.read_bytes()[:100_000])
    refused(tmp_path, f"{path}: ", "truncated", dataset__path=path, env="Pendulum-v1")


def test_a_file_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "mine.hdf5"
    path.write_bytes(b"\x80\x04\x95 a pickle, say")
    refused(tmp_path, f"{path}: not a readable HDF5 file", dataset__path=path, env="Pendulum-v1")


def test_a_pickle_in_an_npz(tmp_path: Path) -> None:
    path = tmp_path / "mine.npz"
    objects = np.array([{"a": 1}] * 4, dtype=object)
    np.savez(path, observations=objects, actions=objects, rewards=objects, terminals=objects)
    refused(tmp_path, f"{path}: ", dataset__path=path, env="Pendulum-v1")


REFUSED_WITHOUT_DATA = {
    "energy": (
        ("algorithm=td3_bc", "chain.energy=advantage"),
        "chain.energy=advantage is not defined for algorithm=td3_bc",
    ),
    "kind": (("chain.actors=[{kind: foo}]",), "chain.actors[0] kind=foo is unknown"),
    "option": (("chain.actors=[{kind: gaussian, std_floor: 0.1}]",), "std_floor=0.1 has no effect with std=exp"),
    "weights": (
        ("chain.w2_weights=[1,2,3]", "chain.num_actors=3"),
        "chain.w2_weights has 3 entries for chain.num_actors=3",
    ),
}


@pytest.mark.parametrize("case", REFUSED_WITHOUT_DATA)
@pytest.mark.parametrize("main", [train_command.main, parity.main], ids=["--cfg", "pogo-parity"])
def test_what_needs_no_data_to_be_refused(main: Callable, case: str) -> None:
    given, message = REFUSED_WITHOUT_DATA[case]
    if main is parity.main:
        for backend in BACKENDS:
            pytest.importorskip(backend)
    outcome = call(main, *given, *(["--cfg"] if main is train_command.main else ["train.updates=1"]))
    outcome.assert_code(2)
    assert message in outcome.output
    assert outcome.output.count("\n") == 1


def test_a_config_without_data_can_be_looked_at(tmp_path: Path) -> None:
    """But not one that names a file with nothing in its name."""
    given = ["--cfg", "dataset=hopper-medium-v2", f"dataset.cache_dir={tmp_path}", "dataset.offline=true"]
    train(*given).assert_code(0)
    train("--cfg", "dataset.path=").assert_code(2)


def test_an_experiment_chooses_the_algorithm_too() -> None:
    outcome = train("experiment=sac/hopper", "algorithm_dataset=iql_hopper-medium-v2")
    outcome.assert_code(2)
    assert "is of algorithm=iql, and this is algorithm=sac; drop it, or use algorithm=iql." in outcome.output


@pytest.mark.parametrize(
    "given", [("iql", "max_advantage_weight"), ("awac", "max_advantage_weight"), ("td3_bc", "noise_clip")]
)
def test_a_limit_may_be_none(given: tuple[str, str]) -> None:
    for backend in BACKENDS:
        pytest.importorskip(backend)
    algorithm, limit = given
    small = ("train.updates=2", "train.batch_size=8", "algorithm.hidden_sizes=[8]", "chain.num_actors=1")
    outcome = call(parity.main, f"algorithm={algorithm}", f"algorithm.{limit}=inf", *small)
    outcome.assert_code(0)
    assert "within tolerances" in outcome.output


def test_metrics_that_are_not_finite_are_counted() -> None:
    kept = "; the last good checkpoint is kept, if there is one."
    for bad, alone, of_several in (
        ({"q": 3, "v": 4}, "update 3: q is not finite", "seed 1, update 3: q is not finite"),
        ({"q": 3, "v": 3}, "update 3: each of q, v is not finite", "seed 1, update 3: q, v are not finite"),
    ):
        with pytest.raises(RunFailed, match=alone + kept):
            check_finite(bad)
        with pytest.raises(RunFailed, match=of_several + kept):
            check_seeds_finite({0: {"q": -1}, 1: bad})
    with pytest.raises(RunFailed, match="update 5: each of a, b is not finite after it" + kept):
        check_parameters(5, {name: np.full(2, np.nan) for name in "ab"})


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_backend_that_is_not_installed(tmp_path: Path, backend: str) -> None:
    hide = f"import sys, tests.conftest as c; sys.meta_path.insert(0, c.Hidden(c.FRAMEWORKS[{backend!r}]))"
    (tmp_path / "hiding.py").write_text(f"{hide}\nfrom pogo.cli.train import main\n")
    repository = Path(__file__).resolve().parents[1]
    outcome = run_command(
        *arguments(tmp_path / "run", backend=backend),
        module="hiding",
        PYTHONPATH=f"{tmp_path}{os.pathsep}{repository}",
    )
    outcome.assert_code(2)
    assert outcome.output == (
        f"pogo-train: backend={backend} needs {backend}, not installed here: pip install 'pogo[{backend}]'.\n"
    )
    assert not (tmp_path / "run").exists()
    shown = run_command(
        *arguments(tmp_path / "run", backend=backend),
        "--cfg",
        module="hiding",
        PYTHONPATH=f"{tmp_path}{os.pathsep}{repository}",
    )
    shown.assert_code(0)


EVAL = {
    "no folder": (("/nowhere",), "/nowhere is no folder; give a run's own folder"),
    "no run": (("/tmp",), "/tmp holds no checkpoints"),
    "nothing": ((), "pogo-eval --help"),
    "watch: no folder": (("--watch", "/nowhere"), "/nowhere is no folder", "give one that holds runs"),
    "watch: no run": (("--watch", "/dev/shm", "--once"), "/dev/shm holds no runs"),
    "watch: a run too": (("/tmp", "--watch", "/tmp"), "RUN_DIR /tmp does not go with --watch", "above the runs"),
    "watch: checkpoint": (("--watch", "/tmp", "--checkpoint", "5"), "--checkpoint does not go with --watch"),
    "watch: actor": (("--watch", "/tmp", "--actor", "0"), "--actor does not go with --watch"),
    "watch: seed": (("--watch", "/tmp", "--seed", "1"), "--seed does not go with --watch"),
    "watch: env": (("--watch", "/tmp", "--env", "Pendulum-v1"), "--env does not go with --watch"),
    "watch: video": (("--watch", "/tmp", "--video", "v"), "--video does not go with --watch"),
    "watch: json": (("--watch", "/tmp", "--json"), "--json does not go with --watch"),
    "watch: poll": (("--watch", "/tmp", "--poll", "0"), "--poll 0: use a number of seconds above 0"),
    "watch: episodes": (("--watch", "/tmp", "--episodes", "0"), "--episodes 0: use at least 1"),
    "watch: processes": (("--watch", "/tmp", "--processes", "-1"), "--processes -1"),
    "watch: backend": (("--watch", "/tmp", "--backend", "troch"), "Did you mean 'torch'?"),
    "poll alone": (("/tmp", "--poll", "5"), "--poll is for --watch ROOT"),
    "once alone": (("/tmp", "--once"), "--once is for --watch ROOT"),
    "unknown option": (("/tmp", "--foo"), "--foo", "pogo-eval --help"),
    "word for a number": (("/tmp", "--actor", "x"), "pogo-eval --help"),
}


@pytest.mark.parametrize(("given", "fragments"), [(given, rest) for given, *rest in EVAL.values()], ids=EVAL.keys())
def test_eval_refuses(given: tuple[str, ...], fragments: list[str]) -> None:
    outcome = call(evaluate.main, *given)
    outcome.assert_code(2)
    assert outcome.output.count("\n") == 1
    for fragment in fragments:
        assert fragment in outcome.output


@pytest.mark.parametrize(
    ("given", "fragment"),
    [
        (("/nowhere.npz",), "/nowhere.npz"),
        (("/etc/passwd",), "/etc/passwd"),
        (("/tmp",), "/tmp"),
        (("/nowhere.npz", "--backend", "troch"), "Did you mean 'torch'?"),
        ((), "pogo-golden --help"),
    ],
)
def test_golden_refuses(given: tuple[str, ...], fragment: str) -> None:
    outcome = call(golden.main, *given)
    outcome.assert_code(2)
    assert fragment in outcome.output
    assert outcome.output.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "fragment"),
    [
        (("algorithm=rebrack",), "Did you mean 'rebrac'?"),
        (("w2.blur=0",), "w2.blur=0.0"),
        (("-x",), "-x"),
        (("algorithm=sac", "env=Pendulum-v1"), "nothing is collected; drop env="),
    ],
)
def test_parity_refuses(given: tuple[str, ...], fragment: str) -> None:
    for backend in BACKENDS:
        pytest.importorskip(backend)
    outcome = call(parity.main, *given)
    outcome.assert_code(2)
    assert fragment in outcome.output
    assert outcome.output.count("\n") == 1


@pytest.mark.parametrize("module", ["train", "evaluate", "collect", "parity", "golden", "report"])
def test_help_and_version_are_never_refused(module: str) -> None:
    import importlib

    main = importlib.import_module(f"pogo.cli.{module}").main
    shown = call(main, "seed=x", "--help")
    shown.assert_code(0)
    assert "Exit codes:" in shown.output
    shown = call(main, "--version")
    shown.assert_code(0)
    assert shown.output.startswith("pogo ")
