"""All that is measured on a GPU, one table after the other, as Markdown.

    python benchmarks/gpu.py > gpu.md
    python benchmarks/gpu.py --device cpu --quick       # the same commands where there is none, in a few minutes

Updates per second of one seed on both backends, with chains of three; seeds side by side in one program; and where one
step's time goes, with the share of it that the device worked.
"""

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def commands(device: str, quick: bool) -> list[list[str]]:
    """Arguments of each benchmark."""
    train = ["train.py", "--device", device, *(["--rounds", "1", "--seconds", "0.3"] if quick else [])]
    actors, seeds = (["1"], ["1", "2"]) if quick else (["1", "3"], ["1", "2", "4", "8", "16", "32", "64"])
    profile = ["step_profile.py", "--device", device, "--algorithm", "iql"]
    return [
        [*train, "--algorithms", "iql", "td3_bc", "--actors", *actors, "--compile"],
        [*train, "--backends", "jax", "--algorithms", "rebrac", "--actors", "1", "--seeds", *seeds],
        [*profile, "--backend", "torch"],
        [*profile, "--backend", "jax"],
    ]


def main() -> int:
    """Run them all; returns the number that failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", help="cpu, cuda or cuda:<n>")
    parser.add_argument("--quick", action="store_true", help="fewer cases, shorter")
    options = parser.parse_args()
    failed = 0
    for script, *arguments in commands(options.device, options.quick):
        print(f"\n    python benchmarks/{script} {' '.join(arguments)}\n", flush=True)
        failed += subprocess.run([sys.executable, str(HERE / script), *arguments], check=False).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
