"""Sweeps drawn at random, good and bad, for whoever compares two ways to plan them."""

import json
import random
from pathlib import Path

from pogo.core.config.compose import compose_config
from pogo.core.config.resolution import resolve
from tests.helpers.runs import PENDULUM

FILES = {
    "algorithm/bold.yaml": "defaults: [iql, _self_]\nbeta: 10.0\n",
    "dataset/mydata.yaml": f"defaults: [dataset_schema, _self_]\nname: mydata\npath: {PENDULUM}\n",
    "experiment/mine.yaml": "# @package _global_\ndefaults:\n  - override /algorithm: bold\ntrain:\n"
    "  updates: 300\n  batch_size: ${train.updates}\nsweep:\n  algorithm.expectile: [0.6, '${algorithm.tau}']\n"
    "  chain.w2_weights: [[1, 2], [3, 4]]\n",
    "experiment/cells.yaml": "# @package _global_\nsweep:\n"
    "  - {dataset: mydata, chain.w2_weights: [[5, 5]], algorithm.beta: 2.0}\n"
    "  - {dataset: pendulum-medium-replay, chain.w2_weights: [[1, 1], [2, 2]]}\n",
    "tuning/small.yaml": "# @package _global_\ntrain: {batch_size: 64}\n",
    "tuning/large.yaml": "# @package _global_\ntrain: {batch_size: 512}\nrun: {variant: 'of_${seed}'}\n",
    "primary.yaml": "defaults:\n  - config\n  - tuning: small\n  - _self_\ntrain: {updates: 77}\n",
}
# What a key may be given: a few values of it are taken, together or one by one.
SETTINGS = {
    "seed": ("0", "1", "7", "range(2,4)", "x", "1.5", "+3", "???", "-1", "null", "${train.batch_size}"),
    "dtype": ("float32", "float64", "float16", "null", "3"),
    "deterministic": ("true", "false", "yes", "maybe", "1"),
    "env": ("Pendulum-v1", "none", "null", "''"),
    "threads": ("1", "null", "0", "one"),
    "train.updates": ("200", "300", "1e3", "null", "0", "'400'", "${nothing}"),
    "train.batch_size": ("8", "16", "[8]", "8.0"),
    "train.num_seeds": ("1", "2"),
    "train": ("{updates: 50}", "{updates: 60, batch_size: 4}", "{updatez: 1}", "5"),
    "train.env_steps": ("2000", "null"),
    "algorithm.beta": ("1", "2.5", "1e-1", "inf", "high", "null", "'3'"),
    "algorithm.tau": ("0.005", "0.01", "${algorithm.discount}", "2", "${oc.env:NOT_SET_ANYWHERE}"),
    "algorithm.hidden_sizes": ("[64,64]", "[32]", "[64,x]", "64", "[]", "null"),
    "algorithm.normalize_rewards": ("true", "false", "off", "2"),
    "algorithm.policy_freq": ("1", "2", "two"),
    "chain.w2_weights": ("[1,2]", "[3,4]", "[5]", "7", "null", "[a]", "[1,${seed}]"),
    "chain.last_w2_weight": ("1", "10", "null", "-1"),
    "chain.num_actors": ("1", "2", "3", "0"),
    "chain.steps": ("0.1", "[0.1,0.2]", "null", "[[1]]"),
    "chain.energy": ("value", "advantage", "nothing"),
    "chain.actors": ("[{kind: gaussian}]", "[{kind: stochastic, hidden_sizes: [8]}]", "[gaussian]", "[]"),
    "chain.base": ("runs/${seed}", "${run.root}/x", "null"),
    "logger": ("{tensorboard: false}", "{video: maybe}", "null"),
    "run.root": ("here", "there", "~"),
    "run.dir": ("one", "null", "${run.root}/${seed}"),
    "run.variant": ("x", "../x", "null", "''", "'a b'"),
    "dataset.path": (str(PENDULUM), "nowhere.hdf5", "a=b.hdf5"),
    "dataset.name": ("mine", "custom", "a/b"),
    "dataset.view": ("full", "d4rl", "half"),
    "dataset.mirrors": ("[]", "[https://host/a]", "[nothing]"),
    "w2.num_samples": ("4", "8", "0", "many"),
}
GROUPS = {
    "backend": ("torch", "jax", "numpy"),
    "algorithm": ("iql", "td3_bc", "cql", "rebrac", "pogo", "sac", "bold", "td3bc"),
    "dataset": ("pendulum-medium-replay", "hopper-medium-v2", "mydata", "custom", "online", "x.hdf5"),
}
# What there is not, or what has no place in most sweeps.
ODD = {
    "algorithm_dataset": ("rebrac_pendulum-medium-replay", "iql_hopper-medium-v2", "null"),
    "tuning": ("small", "large", "huge", "{batch_size: 3}"),
    "algorithm.bta": ("1", "2"),
    "nothing": ("1", "2"),
    "train.updates.more": ("1",),
    "algorithm.name": ("iql",),
    "sweep": ("{seed: [1]}",),
    "hydra.run.dir": ("x",),
    "+new": ("1",),
    "~seed": ("0",),
    "++seed": ("4", "5"),
    "seed@there": ("1",),
}
# Sweeps that are planned as they are, so that each kind of experiment is among those drawn.
EXPERIMENTS = (
    ["experiment=chain_steps", "seed=0,1", "algorithm=td3_bc"],
    ["experiment=chain_steps", "algorithm=iql,awac", "seed=0", "chain.steps=[0.1],[0.2,0.3]", "run.root=elsewhere"],
    ["experiment=chain_weights", "seed=4"],
    ["experiment=pendulum", "seed=0", "algorithm=iql,pogo"],
    ["experiment=comparison", "algorithm=iql", "dataset=hopper-medium-v2", "seed=0"],
    ["experiment=pogo_antmaze_steps", "dataset=antmaze-umaze-v2"],
    ["experiment=pogo_antmaze_steps", "chain.w2_weights=[1]"],
    ["experiment=mine", "seed=0,1"],
    ["experiment=cells"],
    ["experiment=cells", "dataset=mydata"],
    ["experiment=cells", "dataset=mydata,hopper-medium-v2"],
    ["experiment=sac/pendulum"],
    ["algorithm=sac", "env=Pendulum-v1,Hopper-v5", "seed=0,1", "train.env_steps=20000"],
    ["algorithm=sac", "env=Pendulum-v1", "train.save_replay=replay.hdf5", "seed=0,1"],
    ["hydra.job.config_name=primary", "tuning=small,large", "seed=0,1"],
    ["hydra.job.config_name=primary", "tuning={batch_size: 3}", "seed=0,1"],
    ["hydra.job.config_file=config.json", "seed=3,4", "algorithm.beta=1,2"],
    ["hydra.job.config_file=config.json", "algorithm=iql,td3_bc"],
    ["hydra.job.config_file=config.json", "experiment=pendulum"],
)


def write_files(folder: Path) -> None:
    """The groups of a user's, and a run's config.json, that the sweeps name."""
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    recorded = resolve(compose_config(["algorithm=iql", "algorithm.beta=4", "seed=2", "train.updates=90"]))
    (folder / "config.json").write_text(json.dumps(recorded.to_json()))


def random_sweep(draw: random.Random, folder: Path) -> list[str]:
    """The options of one sweep of a few runs; half can be planned, the others have a fault or two."""
    if draw.random() < 0.25:
        given = list(draw.choice(EXPERIMENTS))
        given += [_option(draw, SETTINGS, draw.choice(list(SETTINGS)))] * (draw.random() < 0.4)
    else:
        given = [_option(draw, GROUPS, key) for key in draw.sample(list(GROUPS), draw.choice((0, 0, 1, 1, 2)))]
        given += [_option(draw, SETTINGS, key) for key in draw.sample(list(SETTINGS), draw.choice((1, 1, 2, 3)))]
        given += [_option(draw, ODD, draw.choice(list(ODD)))] * (draw.random() < 0.15)
        draw.shuffle(given)
    return [_in_folder(option, folder) for option in given] + [f'hydra.searchpath=["{folder}"]']


def _option(draw: random.Random, known: dict[str, tuple[str, ...]], key: str) -> str:
    """A key with one or two values, mostly of the first two, which are good."""
    values = known[key]
    chosen = draw.choices(values, [12.0 if index < 2 else 1.0 for index in range(len(values))], k=draw.randint(1, 2))
    return f"{key}={','.join(dict.fromkeys(chosen))}"


def _in_folder(option: str, folder: Path) -> str:
    return option.replace("=config.json", f"='{folder}/config.json'")
