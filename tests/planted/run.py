"""Plant bugs one at a time in a copy of the tree, and see whether their tests fail: python -m tests.planted.run [WORD].

With WORD, only the bugs whose description holds it. Exit code 1 if one goes unnoticed.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.planted.bugs import BUGS, Bug

REPOSITORY = Path(__file__).resolve().parents[2]
POGO, TESTS = REPOSITORY / "pogo", REPOSITORY / "tests"
COPIED = ("pogo", "conf", "tests", "docs", "pyproject.toml", "README.md")


def main(words: list[str]) -> int:
    """Plant each bug; returns the exit code."""
    bugs = [bug for bug in BUGS if all(word in bug.what for word in words)]
    unnoticed = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = REPOSITORY / name
            (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
        for bug in bugs:
            is_caught = _is_caught(bug, copy)
            sys.stdout.write(f"{'caught   ' if is_caught else 'UNNOTICED'}  {bug.what}  ({bug.file})\n")
            sys.stdout.flush()
            if not is_caught:
                unnoticed.append(bug.what)
    sys.stdout.write(f"{len(bugs) - len(unnoticed)} of {len(bugs)} planted bugs are caught.\n")
    return 1 if unnoticed else 0


def _is_caught(bug: Bug, copy: Path) -> bool:
    file = copy / "pogo" / bug.file
    text = file.read_text()
    file.write_text(text.replace(bug.old, bug.new))
    paths, *chosen = bug.caught_by.split(" -k ")
    selected = [f"tests/{path}" for path in paths.split()] + [part for name in chosen for part in ("-k", name)]
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "pytest",
                "-x",
                "-q",
                "-n",
                "2",
                "-p",
                "no:cacheprovider",
                "-m",
                "not slow",
                *selected,
            ],
            cwd=copy,
            env=None,
            capture_output=True,
            text=True,
            check=False,
        )
    finally:
        file.write_text(text)
    # Stopped at the first failure, xdist ends as if it were interrupted. A module that cannot be imported is none.
    return done.returncode in (1, 2) and " failed" in done.stdout.splitlines()[-1]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
