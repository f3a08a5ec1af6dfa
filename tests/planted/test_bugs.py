"""Each bug that can be planted names one place in the source; that it is caught is what `make planted-bugs` shows."""

import pytest

import pogo
from tests.planted.bugs import BUGS, Bug
from tests.planted.run import POGO, TESTS


@pytest.mark.parametrize("bug", BUGS, ids=[bug.what for bug in BUGS])
def test_it_can_be_planted(bug: Bug) -> None:
    assert (POGO / bug.file).read_text().count(bug.old) == 1
    paths = bug.caught_by.partition(" -k ")[0].split()
    assert paths
    assert all((TESTS / path).exists() for path in paths)
    assert pogo.__version__
