"""`pogo doctor`: what is there, and how to get what is not."""

import pytest

from pogo.cli import doctor
from pogo.core.environments import rendering
from pogo.core.system import packages


def test_what_is_missing_is_named_with_its_mend(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = packages.Package("nothing-like-it", "nothing_like_it", "export", "nothing")
    monkeypatch.setattr(packages, "PACKAGES", (*packages.PACKAGES, absent))
    monkeypatch.setattr(rendering, "working_renderer", lambda: None)
    assert doctor.main(["doctor"]) == 0
    said = capsys.readouterr().out
    assert "missing: pip install 'pogo[export]'" in said
    assert "cannot draw: apt install libegl1" in said
    assert "cpu (" in said


def test_a_machine_without_a_backend_is_told_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(packages, "PACKAGES", ())
    monkeypatch.setattr(rendering, "working_renderer", lambda: "egl")
    monkeypatch.setattr("importlib.util.find_spec", lambda *_: None)
    assert doctor.main(["doctor"]) == 1
    said = capsys.readouterr().out
    assert "backend=torch needs torch, not installed here: pip install 'pogo[torch]'." in said
    assert "backend=jax needs jax, not installed here" in said


def test_other_words_are_refused_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert doctor.main(["docto"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
