"""Studies in a folder of their own, whose runs are stand-ins."""

from pathlib import Path

import pytest

from pogo.core.tuning.plan import StudyPlan, read_plan
from tests.helpers.runs import REPOSITORY
from tests.helpers.stand_in import SECONDS, STUDY


class Studies:
    """Makes files of studies."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder, self._monkeypatch = folder, monkeypatch

    def make(self, *changes: tuple[str, str]) -> StudyPlan:
        """A study; each change is a text of its file and what stands there instead."""
        text = STUDY.format(root=self._folder / "tuning")
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = self._folder / "study.yaml"
        file.write_text(text)
        return read_plan(file)

    def take_their_time(self, seconds: float) -> None:
        """Have a run wait so long before each of its evaluations."""
        self._monkeypatch.setenv(SECONDS, str(seconds))


@pytest.fixture
def studies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Studies:
    pytest.importorskip("optuna")
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    return Studies(tmp_path, monkeypatch)
