"""The commit that pogo runs from, where that is a checkout of its own. By git's files: no program is started."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_COMMIT = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")  # SHA-1 or SHA-256


def commit(root: Path = ROOT) -> str | None:
    """The commit that is checked out in `root`, as hex digits.

    None where there is no checkout of pogo's, as where it is installed, or copied into another's repository; and where
    git keeps the commit in another form than files.
    """
    try:
        if not (root / ".git").exists() or not _is_pogos(root):
            return None
        folder = _git_folder(root)
        head = (folder / "HEAD").read_text().strip()
        found = _commit_of(folder, head.removeprefix("ref: ")) if head.startswith("ref: ") else head
    except (OSError, ValueError):
        return None
    return found if _COMMIT.fullmatch(found) else None


def _is_pogos(root: Path) -> bool:
    return tomllib.loads((root / "pyproject.toml").read_text()).get("project", {}).get("name") == "pogo"


def _git_folder(root: Path) -> Path:
    """Where HEAD is: .git, or what the file .git of a worktree or submodule names."""
    git = root / ".git"
    return git if git.is_dir() else root / git.read_text().strip().removeprefix("gitdir: ")


def _commit_of(folder: Path, branch: str) -> str:
    """The commit of a branch; empty where it has none yet."""
    shared = folder / "commondir"  # of a worktree: where the branches are
    common = folder / shared.read_text().strip() if shared.exists() else folder
    if (common / branch).is_file():
        return (common / branch).read_text().strip()
    lines = (line.split() for line in (common / "packed-refs").read_text().splitlines())
    return next((line[0] for line in lines if line[1:] == [branch]), "")
