"""Collects what chains did into a table, and draws it; docs/when_a_chain_helps.md has the commands of the runs.

python docs/figures/chain_evidence.py collect runs/chain     # run folders -> docs/figures/chain_evidence.csv
python docs/figures/chain_evidence.py draw                   # that table -> the figure and tables of the page
"""

import argparse
import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from scipy import stats

mpl.use("svg")

HERE = Path(__file__).resolve().parent
TABLE = HERE / "chain_evidence.csv"
PAGE = HERE.parent / "when_a_chain_helps.md"
STYLE: dict[Any, Any] = {
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
    "font.size": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "pogo",
}
COLOURS = {"td3_bc": "#d08770", "iql": "#5e81ac", "awac": "#a3be8c", "rebrac": "#b48ead", "fql": "#4c566a"}
LADDER = "0.01 0.02 0.07 0.2"
EQUAL = "0.1 0.1 0.1 0.1"
LARGE = "0.3"
MATURE = {"rebrac": 20_000, "fql": 20_000}  # updates before the chain of a study; 50 000 of all others
PUBLISHED_WEIGHTS = "10 10"
STRONGER = ("alpha=5", "beta=10")  # what a user would set instead of a chain


class Row(NamedTuple):
    """One actor of one run in one mode, beside actor 0 of the same run: episode by episode from the same starts."""

    dataset: str
    algorithm: str
    settings: str  # of the algorithm, as far as they are not the default
    seed: int
    begin_at: int  # the update at which the chain began; 0: no chain
    steps: str  # asked for
    weights: str  # given, where no steps are
    updates: int
    actor: int
    mode: str
    step: float | None  # made
    from_actor_0: float | None
    q: float
    data_distance: float
    return_mean: float
    score: float
    gain: float  # mean difference of returns to actor 0
    gain_se: float  # its standard error over episodes
    score_gain: float
    behaviour_score: float | None


def read(run: Path) -> Iterable[Row]:
    """The rows of one finished run that was evaluated."""
    config, summary = (json.loads((run / name).read_bytes()) for name in ("config.json", "summary.json"))
    measures = json.loads((run / "train.jsonl").read_bytes().splitlines()[-1])
    chain, algorithm = config["chain"], config["algorithm"]
    sources = config["sources"]
    own = [
        f"{key}={algorithm[key]}"
        for key in sorted(algorithm)
        if not sources.get(f"algorithm.{key}", "default").startswith("default") and key != "name"
    ]
    own += [f"chain.{key}={chain[key]}" for key in ("energy", "normalize_energy") if chain[key] not in ("value", False)]
    if config["w2"]["noise"] != "common":
        own.append(f"w2.noise={config['w2']['noise']}")
    first, behaviour = summary["actors"][0], summary["behaviour"]["return_mean"]
    if first["deterministic"] is None:
        return
    scored = first["deterministic"]["normalized_score"], first["deterministic"]["return_mean"]
    # Scores are linear in returns: two of them say how. A run of one deterministic actor has one, and gains nothing.
    pairs = [
        (actor[mode]["normalized_score"] - scored[0], actor[mode]["return_mean"] - scored[1])
        for actor in summary["actors"]
        for mode in ("stochastic", "deterministic")
        if actor[mode] is not None and actor[mode]["return_mean"] != scored[1]
    ]
    per_return = pairs[0][0] / pairs[0][1] if pairs else 0.0
    for actor in summary["actors"]:
        index = actor["index"]
        for mode in ("deterministic", "stochastic"):
            result = actor[mode]
            if result is None or first[mode] is None:
                continue
            differences = np.subtract(result["returns"], first[mode]["returns"])
            yield Row(
                dataset=summary["dataset"],
                algorithm=algorithm["name"],
                settings=" ".join(own),
                seed=config["seed"],
                begin_at=chain["begin_at"],
                steps=" ".join(f"{step:g}" for step in chain["steps"]),
                weights="" if chain["steps"] else " ".join(f"{weight:g}" for weight in chain["w2_weights"]),
                updates=summary["updates"],
                actor=index,
                mode=mode,
                step=measures.get(f"actor_{index}/step"),
                from_actor_0=measures.get(f"actor_{index}/from_actor_0"),
                q=measures[f"actor_{index}/q"],
                data_distance=measures[f"actor_{index}/data_distance"],
                return_mean=result["return_mean"],
                score=result["normalized_score"],
                gain=float(differences.mean()),
                gain_se=float(differences.std(ddof=1) / len(differences) ** 0.5),
                score_gain=float(differences.mean() * per_return),
                behaviour_score=scored[0] + (behaviour - scored[1]) * per_return if pairs else None,
            )


def collect(folders: Sequence[Path]) -> None:
    """Add the runs in folders to the table; a row that is there already is replaced."""
    keys = ("dataset", "algorithm", "settings", "seed", "begin_at", "steps", "weights", "updates", "actor", "mode")
    found = {tuple(getattr(row, key) for key in keys): row for row in load()} if TABLE.exists() else {}
    for folder in folders:
        for path in sorted(folder.rglob("summary.json")):
            found |= {tuple(getattr(row, key) for key in keys): row for row in read(path.parent)}
    with TABLE.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(Row._fields)
        for _, row in sorted(found.items()):
            writer.writerow([f"{value:.6g}" if isinstance(value, float) else value for value in row])


def load() -> list[Row]:
    """The rows of the table."""
    with TABLE.open(newline="") as file:
        return [Row(**{name: _read(name, text) for name, text in line.items()}) for line in csv.DictReader(file)]


def _read(name: str, text: str) -> Any:
    if name in ("seed", "begin_at", "updates", "actor"):
        return int(text)
    if name in ("dataset", "algorithm", "settings", "steps", "weights", "mode"):
        return text
    return float(text) if text else None


def interval(values: Sequence[float]) -> str:
    """Mean and 95 % interval over seeds, by Student's t; `-` for the interval of one seed."""
    mean = f"{np.mean(values):+.1f}"
    if len(values) < 2:
        return f"{mean} ± -"
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return f"{mean} ± {half:.1f}"


def mature(row: Row) -> int:
    """How long its algorithm trains before the chain of a study begins."""
    return MATURE.get(row.algorithm, 50_000)


def is_of_study(row: Row) -> bool:
    """Whether it is of a chain on the default settings of its algorithm, begun when that has matured."""
    return row.begin_at == mature(row) and not row.settings


def by_seed(rows: Iterable[Row], **wanted: Any) -> dict[tuple[str, str], dict[int, dict[int, Row]]]:
    """Rows of a study by algorithm and dataset, then seed, then actor."""
    found: dict[tuple[str, str], dict[int, dict[int, Row]]] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        if is_of_study(row) and all(getattr(row, key) == value for key, value in wanted.items()):
            found[row.algorithm, row.dataset][row.seed][row.actor] = row
    return dict(sorted(found.items()))


def gains(rows: Sequence[Row], mode: str, columns: Mapping[str, tuple[str, int]]) -> str:
    """A Markdown table: gains over actor 0 in points of score; each column is an actor of a chain of stated steps."""
    studies = {steps: by_seed(rows, steps=steps, mode=mode) for steps, _ in columns.values()}
    groups = sorted({group for study in studies.values() for group in study})
    lines = [
        f"| algorithm | dataset | data | actor 0 | {' | '.join(columns)} | seeds |",
        "|---|---|---|---|" + "---|" * (len(columns) + 1),
    ]
    for group in groups:
        cells, seeds = [], set()
        for steps, actor in columns.values():
            runs = studies[steps].get(group, {})
            values = [run[actor].score_gain for run in runs.values() if actor in run]
            seeds |= set(runs)
            cells.append(interval(values) if values else "-")
        actor_0 = {run[0].seed: run[0].score for study in studies.values() for run in study.get(group, {}).values()}
        data = next(
            run[0].behaviour_score or 0.0 for study in studies.values() for run in study.get(group, {}).values()
        )
        own = [f"{data:.1f}", f"{np.mean(list(actor_0.values())):.1f}"]
        lines.append(f"| {' | '.join([*group, *own, *cells, str(len(seeds))])} |")
    return "\n".join(lines)


def of_weights(rows: Sequence[Row]) -> str:
    """A Markdown table: what actors under the default weights gained, and how far from actor 0 they went."""
    groups = by_seed(rows, weights=PUBLISHED_WEIGHTS, mode="deterministic")
    lines = [
        "| algorithm | dataset | actor 1 | actor 2 | their distances from actor 0 | seeds |",
        "|---|---|---|---|---|---|",
    ]
    for group, runs in groups.items():
        gained = [interval([run[index].score_gain for run in runs.values()]) for index in (1, 2)]
        far = [np.mean([run[index].from_actor_0 or 0.0 for run in runs.values()]) for index in (1, 2)]
        distances = ", ".join(f"{each:.3f}" for each in far)
        lines.append(f"| {' | '.join([*group, *gained, distances, str(len(runs))])} |")
    return "\n".join(lines)


def instead(rows: Sequence[Row]) -> str:
    """A Markdown table of scores: a chain's second step of a tenth beside what else one would do, seed by seed."""
    lines = [
        "| algorithm | dataset | seed | actor 0 | two steps of 0.1 | 10 000 updates more | alpha = 5 or beta = 10 |",
        "|---|---|---|---|---|---|---|",
    ]
    alone = {
        (row.algorithm, row.dataset, row.seed, row.updates > mature(row), row.settings.removesuffix(".0")): row.score
        for row in rows
        if row.mode == "deterministic" and is_alone(row)
    }
    for (algorithm, dataset), runs in by_seed(rows, steps=EQUAL, mode="deterministic").items():
        for seed, run in sorted(runs.items()):
            of_run = (algorithm, dataset, seed)
            longer = alone.get((*of_run, True, ""))
            other = next((alone[*of_run, False, own] for own in STRONGER if (*of_run, False, own) in alone), None)
            if longer is not None or other is not None:
                scores = [run[0].score, run[2].score, longer, other]
                cells = ["-" if score is None else f"{score:.1f}" for score in scores]
                lines.append(f"| {' | '.join([algorithm, dataset, str(seed), *cells])} |")
    return "\n".join(lines)


def is_alone(row: Row) -> bool:
    """Whether it is of a run of actor 0 alone."""
    return not row.steps and not row.weights


def others(rows: Sequence[Row]) -> str:
    """A Markdown table of the chains that are not of the studies above: other settings, or a younger critic."""
    runs: dict[tuple, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        if row.mode == "deterministic" and not is_of_study(row) and not is_alone(row):
            chain = f"steps {row.steps}" if row.steps else f"weights {row.weights}"
            runs[row.algorithm, row.dataset, row.settings or "default", chain, row.begin_at, row.seed][row.actor] = row
    lines = [
        "| algorithm | dataset | settings | chain | begins at | seed | scores of actors 0, 1, ... |",
        "|---|---|---|---|---|---|---|",
    ]
    for key, run in sorted(runs.items()):
        scores = ", ".join(f"{run[index].score:.1f}" for index in sorted(run))
        lines.append(f"| {' | '.join([*map(str, key), scores])} |")
    return "\n".join(lines)


def made(rows: Sequence[Row]) -> str:
    """A Markdown table of the steps that were made, as multiples of those asked for: the least and the most."""
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        if row.mode == "deterministic" and row.steps and row.actor > 0 and row.step is not None and not row.settings:
            groups[row.algorithm, row.dataset].append(row.step / float(row.steps.split()[row.actor - 1]))
    lines = ["| algorithm | dataset | steps | least | most |", "|---|---|---|---|---|"]
    for group, ratios in sorted(groups.items()):
        lines.append(f"| {' | '.join(group)} | {len(ratios)} | {min(ratios):.3f} | {max(ratios):.3f} |")
    return "\n".join(lines)


def climbs(rows: Sequence[Row]) -> str:
    """In how many steps of all chains Q rose, on the frozen critics, and in how many the return did."""
    runs: dict[tuple, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        if row.mode == "deterministic" and row.steps:
            runs[row.algorithm, row.dataset, row.settings, row.seed, row.begin_at, row.steps][row.actor] = row
    pairs = [(run[index - 1], run[index]) for run in runs.values() for index in run if index > 0]
    rose = sum(after.q > before.q for before, after in pairs)
    helped = sum(after.return_mean > before.return_mean for before, after in pairs)
    return f"Q rose in {rose} of {len(pairs)} steps, the return in {helped}."


def figure(rows: Sequence[Row]) -> Figure:
    """Gain over actor 0 against the distance from it: a panel per dataset, a line per run of four growing steps."""
    groups = by_seed(rows, steps=LADDER, mode="deterministic")
    datasets = sorted({dataset for _, dataset in groups})
    with plt.rc_context(STYLE):
        made_of, axes = plt.subplots(1, len(datasets), figsize=(2.3 * len(datasets), 2.6), squeeze=False)
        for axis, dataset in zip(axes[0], datasets, strict=True):
            for (algorithm, of), runs in groups.items():
                if of != dataset:
                    continue
                for number, run in enumerate(runs.values()):
                    actors = [run[index] for index in sorted(run) if index > 0]
                    axis.plot(
                        [row.from_actor_0 for row in actors],
                        [row.score_gain for row in actors],
                        color=COLOURS[algorithm],
                        marker="o",
                        markersize=2.5,
                        linewidth=1.2,
                        label=algorithm if number == 0 else None,
                    )
            axis.axhline(0, color="#8a8a8a", linewidth=0.8)
            axis.set_xscale("log")
            axis.set_xticks([0.01, 0.1], ["0.01", "0.1"])
            axis.set_title(dataset, fontsize=8)
            axis.set_xlabel("distance from actor 0")
        axes[0][0].set_ylabel("gain in score over actor 0")
        named = {label: line for axis in axes[0] for line, label in zip(*axis.get_legend_handles_labels(), strict=True)}
        made_of.tight_layout(rect=(0, 0, 1, 0.93))
        made_of.legend(named.values(), named, frameon=False, loc="upper center", ncols=len(named))
    return made_of


def tables(rows: Sequence[Row]) -> dict[str, str]:
    """The tables of the page, by name."""
    steps = {"to 0.01": (LADDER, 1), "to 0.03": (LADDER, 2), "to 0.1": (LADDER, 3), "to 0.3": (LADDER, 4)}
    number = {"1 step of 0.1": (EQUAL, 1), "2": (EQUAL, 2), "3": (EQUAL, 3), "4": (EQUAL, 4), "1 of 0.3": (LARGE, 1)}
    return {
        "by distance": gains(rows, "deterministic", steps),
        "by distance, stochastic": gains(rows, "stochastic", steps),
        "by number": gains(rows, "deterministic", number),
        "by number, stochastic": gains(rows, "stochastic", number),
        "weights": of_weights(rows),
        "made": made(rows),
        "instead": instead(rows),
        "others": others(rows),
    }


def with_tables(page: str, made_of: Mapping[str, str]) -> str:
    """The page with its tables: each stands between two comments that name it.

    Raises:
        ValueError: the page has no place for one of them.
    """
    for name, table in made_of.items():
        place = re.compile(rf"(<!-- table: {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
        page, count = place.subn(lambda found, table=table: f"{found[1]}\n{table}\n{found[2]}", page)
        if count != 1:
            raise ValueError(f"{PAGE.name} has {count} places for the table {name!r}, not 1")
    return page


def draw() -> None:
    """Write the figure and the page's tables, and print what the page says in words."""
    rows = load()
    figure(rows).savefig(HERE / "chain_gain.svg", metadata={"Date": None})
    PAGE.write_text(with_tables(PAGE.read_text(), tables(rows)))
    print(climbs(rows))


def main() -> None:
    """Collect or draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("collect").add_argument("folders", type=Path, nargs="+")
    commands.add_parser("draw")
    options = parser.parse_args()
    if options.command == "collect":
        collect(options.folders)
    else:
        draw()


if __name__ == "__main__":
    main()
