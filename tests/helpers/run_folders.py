"""Run folders as pogo leaves them, made up: for what reads many of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# By mode: the mean return, its score, and the returns of the episodes.
Results = Mapping[str, tuple[float, float | None] | tuple[float, float | None, list[float]] | None]
PLAIN: Results = {"deterministic": (-100.0, 50.0), "stochastic": (-200.0, 40.0)}


def config(seed: int = 0, **changes: object) -> dict[str, Any]:
    """A resolved config; a key of `changes` has __ for a dot."""
    document: dict[str, Any] = {
        "algorithm": {"name": "iql", "beta": 3.0, "hidden_sizes": [256, 256]},
        "backend": {"name": "torch", "compile": False},
        "chain": {"w2_weights": [10.0], "num_actors": 2, "learning_rate": None, "actors": []},
        "checkpoint": {"every": 1000, "keep": 3},
        "dataset": {"name": "pendulum", "path": None, "cache_dir": None, "offline": False},
        "device": "auto",
        "eval": {"every": 0, "episodes": 2},
        "log": {"every": 100},
        "logger": {"wandb": False},
        "resume": "auto",
        "run": {"root": "runs", "dir": None},
        "seed": seed,
        "threads": 1,
        "train": {"updates": 3000, "batch_size": 64},
    }
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            document.setdefault(section, {})[key] = value
        else:
            document[section] = value
    return document


def actors(*results: Results) -> list[dict[str, Any]]:
    return [
        {
            "index": index,
            "kind": "gaussian" if modes["stochastic"] else "deterministic",
            **{mode: result and _mode(result) for mode, result in modes.items()},
        }
        for index, modes in enumerate(results)
    ]


def _mode(result: tuple[Any, ...]) -> dict[str, Any]:
    mean, score, *returns = result
    episodes = {"returns": returns[0], "lengths": [200] * len(returns[0])} if returns else {}
    return {"return_mean": mean, "return_std": 9.0, "normalized_score": score, **episodes}


def episodes(*returns: float) -> Results:
    """Results of a deterministic actor's episodes, where returns are scores."""
    mean = sum(returns) / len(returns)
    return {"deterministic": (mean, mean, list(returns)), "stochastic": None}


def write_run(folder: Path, resolved: dict[str, Any], *results: Results, finished: bool = True, **more: object) -> Path:
    """A run's folder as pogo leaves it; `more` goes into the summary."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(resolved))
    summary = {
        "dataset": resolved["dataset"]["name"],
        "algorithm": resolved["algorithm"]["name"],
        "backend": resolved["backend"]["name"],
        "seed": resolved["seed"],
        "updates": resolved["train"]["updates"],
        "actors": actors(*(results or (PLAIN,))),
        "behaviour": {"return_mean": -800.0},
        **more,
    }
    if finished:
        (folder / "summary.json").write_text(json.dumps(summary))
    return folder


def write_curve(run: Path, **lines: object) -> None:
    """eval.jsonl; a name is at_<update>, a value a list of actors or an error."""
    documents = [
        {"update": int(name.removeprefix("at_")), ("failed" if isinstance(value, str) else "actors"): value}
        for name, value in lines.items()
    ]
    (run / "eval.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))


def one_actor(deterministic: float, score: float | None = None) -> Results:
    return {"deterministic": (deterministic, score), "stochastic": None}


def write_training(run: Path, **lines: Mapping[str, float | None]) -> None:
    """train.jsonl; a name is at_<update>, a value its metrics."""
    documents = [{"update": int(name.removeprefix("at_")), **metrics} for name, metrics in lines.items()]
    (run / "train.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))


def write_whole_run(folder: Path, resolved: dict[str, Any], *, evaluations: int = 4, finished: bool = True) -> Path:
    """A run of three actors as pogo leaves it, all of its files.

    At evaluation k (from 1) actor i returns seed + 10 i + k, deterministic, and 100 less, stochastic; its score is a
    tenth of that, Q is -i, and it is i tenths away from actor 0. A run that is not finished is half done.
    """
    seed, length = resolved["seed"], resolved["train"]["updates"]

    def lines_of(number: int) -> dict[str, Any]:
        returns = [float(seed + 10 * index + number) for index in range(3)]
        results: list[Results] = [
            {"deterministic": (value, value / 10), "stochastic": (value - 100, value / 10 - 10)} for value in returns
        ]
        measures = {str(index): {"q": -float(index), "from_actor_0": index / 10} for index in range(1, 3)}
        return {"actors": actors(*results), "measures": {"0": {"q": 0.0}} | measures, "wall_seconds": 30.0 * number}

    documents = [{"update": number * length // evaluations} | lines_of(number) for number in range(1, evaluations + 1)]
    if not finished:
        documents = documents[: evaluations // 2]
    machine = {"device": "cpu", "device_name": "a processor"}
    more = {"versions": {"python": "3.11.7", "jax": "0.10.2"}, "wall_seconds": 30.0 * evaluations, **machine}
    results = lines_of(evaluations)
    results.pop("wall_seconds")
    write_run(folder, resolved | {"machine": machine}, finished=finished, **(more | results))
    (folder / "eval.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))
    write_speeds(folder, *((document["update"], 50.0) for document in documents))
    (folder / "events.out.tfevents.1700000000.workstation").touch()
    return folder


def write_speeds(run: Path, *lines: tuple[int, float], **more: float) -> None:
    """train.jsonl: updates and the speed in them, and `more` in each line."""
    documents = [{"update": update, "updates_per_second": speed, **more} for update, speed in lines]
    (run / "train.jsonl").write_text("".join(f"{json.dumps(document)}\n" for document in documents))
