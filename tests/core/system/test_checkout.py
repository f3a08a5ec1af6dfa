"""The commit that a run's record names is the one that git names, and never another repository's."""

import shutil
import subprocess
from pathlib import Path

import pytest

from pogo.core.system.checkout import commit
from tests.helpers.runs import REPOSITORY

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def git(folder: Path, *given: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main")
    done = subprocess.run(["git", *identity, *given], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one commit, of a project that is called pogo."""
    folder = tmp_path / "checkout"
    folder.mkdir()
    (folder / "pyproject.toml").write_text('[project]\nname = "pogo"\n')
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_of_a_branch_packed_branches_and_none(root: Path) -> None:
    expected = git(root, "rev-parse", "HEAD")
    assert commit(root) == expected
    git(root, "pack-refs", "--all")
    assert not (root / ".git" / "refs" / "heads" / "main").exists()
    assert commit(root) == expected
    git(root, "commit", "-q", "--allow-empty", "-m", "second")
    newer = git(root, "rev-parse", "HEAD")
    assert commit(root) == newer != expected
    git(root, "checkout", "-q", "--detach", expected)
    assert commit(root) == expected


@pytest.mark.parametrize("packed", [False, True])
def test_of_a_worktree(root: Path, tmp_path: Path, packed: bool) -> None:
    git(root, "worktree", "add", "-q", "-b", "other", str(tmp_path / "other"))
    git(tmp_path / "other", "commit", "-q", "--allow-empty", "-m", "second")
    if packed:
        git(root, "pack-refs", "--all")
    assert commit(tmp_path / "other") == git(tmp_path / "other", "rev-parse", "HEAD") != commit(root)


def test_of_this_source_tree() -> None:
    if not (REPOSITORY / ".git").exists():
        pytest.skip("not a checkout")
    assert commit() == git(REPOSITORY, "rev-parse", "HEAD")


@pytest.mark.parametrize("what", ["another's repository", "no repository", "no commit yet", "damaged", "not toml"])
def test_nothing_where_there_is_no_checkout_of_pogos(root: Path, what: str) -> None:
    if what == "another's repository":
        (root / "pyproject.toml").write_text('[project]\nname = "mine"\n')
    elif what == "no repository":
        shutil.rmtree(root / ".git")
    elif what == "no commit yet":
        git(root, "checkout", "-q", "--orphan", "empty")
    elif what == "damaged":
        (root / ".git" / "HEAD").write_bytes(b"\xff\xfe")
    else:
        (root / "pyproject.toml").write_text("[project")
    assert commit(root) is None
