import argparse
import sys
from pathlib import Path

import pytest

from pogo.cli.common import CommandParser, run_command


def test_a_module_in_the_current_folder_is_found_after_all_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By every command, so that env=module:ID needs no PYTHONPATH; and it hides no module of a package's."""
    (tmp_path / "module_of_ones_own.py").write_text("VALUE = 7")
    (tmp_path / "gymnasium.py").write_text("raise ImportError('the wrong one')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.delitem(sys.modules, "gymnasium.spaces", raising=False)

    def command(_: argparse.Namespace) -> int:
        import gymnasium.spaces  # noqa: F401
        import module_of_ones_own  # type: ignore[import-not-found]

        return module_of_ones_own.VALUE

    assert run_command(lambda: CommandParser("pogo-train", "", "", ""), command, []) == 7
