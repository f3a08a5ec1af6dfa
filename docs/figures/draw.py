"""Draws what the actors of a chain do, from run folders; docs/learning.md has the commands that made the runs.

python docs/figures/draw.py runs
"""

import argparse
import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pogo.core.runs.stored_run import StoredRun

mpl.use("svg")

HERE = Path(__file__).resolve().parent
DATASET = "pendulum-medium-replay"
COLOURS = ("#4c566a", "#d08770", "#5e81ac")  # of actors 0, 1, 2
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "font.size": 9,
    "svg.fonttype": "path",  # text as outlines: a page shows it alike everywhere
    "svg.hashsalt": "pogo",  # the same runs give the same file
}


def lines(path: Path) -> list[dict[str, Any]]:
    """The records of a run's `train.jsonl` or `eval.jsonl`."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def chain_figure(runs: dict[str, Path]) -> Figure:
    """What the actors of a chain do in one row of Pendulum's states, and how far each is from the one before it.

    Args:
        runs: run folders of three gaussian actors by the column's title.
    """
    figure, panels = plt.subplots(2, len(runs), figsize=(8.4, 5.2), sharey="row", squeeze=False, layout="constrained")
    for (title, folder), (above, below) in zip(runs.items(), panels.T, strict=True):
        _draw_policies(above, StoredRun(folder, device="cpu"))
        above.set_title(title)
        for actor in (1, 2):
            records = lines(folder / "train.jsonl")
            updates = [record["update"] for record in records]
            moved = np.sqrt([record[f"actor_{actor}/w2_squared"] for record in records])
            below.plot(updates, moved, color=COLOURS[actor], label=f"actor {actor} from actor {actor - 1}")
        below.set_yscale("log")
        below.set_xlabel("updates")
    panels[0, 0].set_ylabel("torque")
    panels[1, 0].set_ylabel("W2 distance, in largest torques")
    panels[0, 0].legend(loc="lower left", frameon=False)
    panels[1, 0].legend(loc="lower right", frameon=False)
    for axes in panels[1]:
        axes.set_yticks([0.02, 0.05, 0.1, 0.2], ["0.02", "0.05", "0.1", "0.2"])
        axes.minorticks_off()
    return figure


def _draw_policies(axes: Axes, run: StoredRun) -> None:
    degrees = np.linspace(-180, 180, 121)
    radians = np.radians(degrees)
    observations = np.stack([np.cos(radians), np.sin(radians), np.zeros_like(radians)], axis=1).astype(np.float32)
    seen = run.record.normalisation.observations(observations)
    for actor, colour in enumerate(COLOURS):
        noise = np.ones((len(degrees), run.spec.action_size), dtype=np.float32)
        middle, high, low = (
            run.record.normalisation.environment_actions(run.learner.act(seen, actor, drawn))[:, 0]
            for drawn in (None, noise, -noise)
        )
        axes.plot(degrees, middle, color=colour, linewidth=1.6, label=f"actor {actor}")
        axes.fill_between(degrees, low, high, color=colour, alpha=0.15, linewidth=0)
    axes.set_xlabel("angle from upright, degrees, at rest")
    axes.set_xticks([-180, -90, 0, 90, 180])


def main() -> None:
    """Read the runs below a folder, write the figure beside this file."""
    parser = argparse.ArgumentParser(description="Draw what the actors of a chain do, from run folders.")
    parser.add_argument("runs", type=Path, help="the folder that run.root named")
    root = parser.parse_args().runs
    plt.rcParams.update(STYLE)
    chains = {f"weights [{w}, {w}]": root / DATASET / "iql_jax" / f"w2_{w}_{w}" / "seed_0" for w in (10, 100)}
    # No date: the same runs give the same file.
    chain_figure(chains).savefig(HERE / "chain.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
