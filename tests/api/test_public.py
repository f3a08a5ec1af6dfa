"""The names that pogo offers, and what its own page says of them."""

import inspect
import pydoc
import re
import subprocess
import sys

import pytest

import pogo


def test_there_are_few_names_and_each_is_documented() -> None:
    assert len(pogo.__all__) <= 10
    for name in pogo.__all__:
        if name != "__version__":
            assert inspect.getdoc(getattr(pogo, name)), name
            assert f"    {name} " in (pogo.__doc__ or ""), name
    assert set(dir(pogo)) == set(pogo.__all__)


def test_help_reads_as_a_page() -> None:
    page = re.sub(".\b", "", pydoc.render_doc(pogo))  # without the backspaces of bold text
    assert "offline reinforcement learning as a JKO chain of policies" in page
    for line in ("class Dataset", "class Policy", "class Run", "train(algorithm", "load(path", "evaluate(run"):
        assert line in page


def test_an_unknown_name_is_refused_with_those_that_are_there() -> None:
    with pytest.raises(AttributeError, match="it has BadInput, Dataset"):
        getattr(pogo, "trian")  # noqa: B009 - pyright knows that it is not there


def test_importing_pogo_imports_no_framework() -> None:
    code = "import pogo, sys; pogo.train; pogo.load; print([n for n in ('torch', 'jax', 'flax') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
