"""The Python that README and docs/library.md show runs as it stands, on shorter runs; and so do the examples."""

import re
import runpy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pogo
from tests.helpers.slow import quick

REPOSITORY = Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SIZES = {"observations": 11, "actions": 3}  # of Hopper


def python_of(page: str) -> list[str]:
    """A page's blocks of Python, in order."""
    return BLOCK.findall((REPOSITORY / page).read_text())


@pytest.fixture
def short_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the runs of `pogo.train` go meanwhile: a few updates long, with short evaluations."""
    pytest.importorskip("jax")
    pytest.importorskip("torch")
    train, evaluate = pogo.train, pogo.evaluate
    shorter = {"train.updates": 10, "train.batch_size": 16, "run.root": tmp_path, "eval.episodes": 1, "eval.every": 5}

    def short_train(*arguments: Any, overrides: Any = (), **options: Any) -> pogo.Run:
        return train(*arguments, overrides={**dict(overrides), **shorter}, **options)

    monkeypatch.setitem(pogo.__dict__, "train", short_train)
    monkeypatch.setitem(pogo.__dict__, "evaluate", lambda run, **options: evaluate(run, **{**options, "episodes": 1}))
    monkeypatch.chdir(REPOSITORY)
    return tmp_path


def hopper_arrays() -> dict[str, Any]:
    """What the pages take for granted: five episodes of 20 steps, as arrays, episodes and steps."""
    rng = np.random.default_rng(0)
    observations = rng.standard_normal((100, SIZES["observations"]), dtype=np.float32)
    actions = rng.uniform(-1, 1, (100, SIZES["actions"])).astype(np.float32)
    rewards, terminals = rng.standard_normal(100), np.arange(100) % 20 == 19
    following = np.concatenate([observations[1:], observations[:1]])
    steps = list(zip(observations, actions, rewards, following, terminals, np.zeros(100, dtype=bool), strict=True))
    episodes = [
        {
            "observations": np.concatenate([observations[start : start + 20], following[start + 19 : start + 20]]),
            "actions": actions[start : start + 20],
            "rewards": rewards[start : start + 20],
            "terminated": True,
        }
        for start in range(0, 100, 20)
    ]
    return {
        "observations": observations,
        "actions": actions,
        "rewards": rewards,
        "terminals": terminals,
        "timeouts": np.zeros(100, dtype=bool),
        "observation": observations[0],
        "episodes": episodes,
        "steps": steps,
    }


@pytest.mark.parametrize("page", quick(["README.md", "docs/library.md"], ["README.md"]))
def test_a_pages_python_runs_as_it_stands(page: str, short_runs: Path) -> None:
    pytest.importorskip("mujoco")
    pytest.importorskip("flax")
    blocks = python_of(page)
    assert blocks
    namespace = {**hopper_arrays(), "folder": short_runs}
    for block in blocks:
        exec(compile(block, page, "exec"), namespace)
    assert namespace["action"].shape == namespace["policy"](namespace["observation"]).shape


def test_the_page_shows_the_example_as_it_is() -> None:
    example = (REPOSITORY / "examples" / "compare.py").read_text()
    assert example in python_of("docs/library.md")
    assert len(example.splitlines()) <= 30


@pytest.mark.slow
def test_the_search_tunes_and_stops_trials(
    short_runs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    arguments = ["search.py", "--trials", "5", "--evaluations", "2", "--updates", "10", "--folder", str(short_runs)]
    monkeypatch.setattr(sys, "argv", arguments)
    runpy.run_path(str(REPOSITORY / "examples" / "search.py"), run_name="__main__")
    said = capsys.readouterr().out
    assert "5 trials, " in said
    assert "'expectile': " in said
    assert len(list(short_runs.glob("trial_*"))) == 5


@pytest.mark.slow
def test_the_notebook_runs_from_arrays_to_a_figure_and_a_file(tmp_path: Path) -> None:
    nbclient, nbformat = pytest.importorskip("nbclient"), pytest.importorskip("nbformat")
    notebook = nbformat.read(REPOSITORY / "examples" / "arrays_to_onnx.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert (tmp_path / "runs" / "notebook" / "learning.png").stat().st_size > 10_000
    assert (tmp_path / "runs" / "notebook" / "policy.onnx").exists()
