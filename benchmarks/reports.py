"""How long pogo-report takes to read many runs: copies of one run's files, each with a seed and settings of its own.

python benchmarks/reports.py
python benchmarks/reports.py --runs 5000 --episodes 50
"""

import argparse
import copy
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import pogo

EVALUATIONS, SEEDS = 20, 10


def write_runs(source: Path, root: Path, number: int) -> None:
    """Copies of a run with 10 seeds of each setting and 20 evaluations in each log."""
    config, summary = (json.loads((source / name).read_bytes()) for name in ("config.json", "summary.json"))
    evaluation = json.loads((source / "eval.jsonl").read_bytes().splitlines()[-1])
    for index in range(number):
        folder = root / f"run_{index}"
        folder.mkdir(parents=True)
        own = copy.deepcopy(config)
        own["seed"], own["algorithm"]["beta"] = index % SEEDS, float(index // SEEDS)
        (folder / "config.json").write_text(json.dumps(own, indent=2))
        (folder / "summary.json").write_text(json.dumps(summary | {"seed": own["seed"]}, indent=2))
        updates = config["train"]["updates"]
        lines = [evaluation | {"update": (at + 1) * updates // EVALUATIONS} for at in range(EVALUATIONS)]
        (folder / "eval.jsonl").write_text("".join(f"{json.dumps(line)}\n" for line in lines))


def main() -> None:
    """Print a Markdown table of seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--episodes", type=int, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        overrides = {"train.updates": 20, "eval.episodes": options.episodes, "run.dir": f"{folder}/source"}
        run = pogo.train("iql", overrides=overrides, progress=False)
        write_runs(run.path, Path(folder) / "runs", options.runs)
        print("| command | seconds |\n|---|---:|")
        for asked in ([], ["--curve"], ["--statistics", "iqm", "--checkpoint", "mean:10", "--average"]):
            start = time.perf_counter()
            command = [sys.executable, "-m", "pogo.cli.report", f"{folder}/runs", *asked]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            print(f"| `pogo-report {' '.join(['runs', *asked])}` | {time.perf_counter() - start:.1f} |", flush=True)


if __name__ == "__main__":
    main()
