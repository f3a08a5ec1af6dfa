from pathlib import Path

import pytest

from pogo.core.errors import BadInput
from pogo.core.files.line_files import put_back


def write(path: Path, *updates: int, torn: str = "") -> dict[int, int]:
    """A log with a line of each update, each of its own length; by update, the bytes of its line."""
    texts = {update: f'{{"update": {update}, "pad": "{"x" * update}"}}\n' for update in updates}
    path.write_text("".join(texts[update] for update in updates) + torn)
    return {update: len(text) for update, text in texts.items()}


@pytest.mark.parametrize(
    ("updates", "counted", "last", "kept"),
    [
        pytest.param([5, 10, 15], [5, 10], 10, [5, 10], id="the run's own lines alone"),
        pytest.param([5, 10, 15], [], -1, [], id="a fresh start"),
        pytest.param([20, 5, 30, 10], [20], 25, [20, 5, 10], id="logged late, behind a line that is cut"),
        pytest.param([5, 10, 20, 30], [20], 25, [5, 10, 20], id="sorted in"),
        pytest.param([5, 10, 15, 20], [5, 20], 20, [5, 10, 15, 20], id="sorted in, all of it kept"),
        pytest.param([5, 20], [], 19, [5], id="one that the run owes and another has made"),
        pytest.param([20], [20], 19, [20], id="a failed attempt at one that is owed"),
    ],
)
def test_what_a_resumed_run_finds(
    tmp_path: Path, updates: list[int], counted: list[int], last: int, kept: list[int]
) -> None:
    path = tmp_path / "eval.jsonl"
    sizes = write(path, *updates, torn='{"upd')
    found = put_back(path, "update", sum(sizes[update] for update in counted), last)
    assert [line.count for line in found] == kept
    # A prefix is left to whoever opens the file there; what is no prefix is written anew.
    assert path.read_bytes().startswith(b"".join(line.text for line in found))


@pytest.mark.parametrize("updates", [[], [5]], ids=["missing", "shorter"])
def test_a_log_that_lacks_what_was_counted_is_refused(tmp_path: Path, updates: list[int]) -> None:
    path = tmp_path / "eval.jsonl"
    counted = sum(write(path, 5, 10).values())
    path.unlink()
    if updates:
        write(path, *updates)
    with pytest.raises(BadInput, match="is not the log that the checkpoint was taken with"):
        put_back(path, "update", counted, 20)
