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
            **{
                mode: result
                and {"return_mean": result[0], "return_std": 9.0, "normalized_score": result[1], **_episodes(result)}
                for mode, result in modes.items()
            },
        }
        for index, modes in enumerate(results)
    ]


def _episodes(result: tuple[Any, ...]) -> dict[str, Any]:
    return {"returns": result[2], "lengths": [200] * len(result[2])} if len(result) > 2 else {}


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
