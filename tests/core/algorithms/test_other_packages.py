"""Algorithms of other packages, found by their entry points; what is wrong with one is said in one line."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pogo.core.algorithms import ALGORITHMS, algorithm_names, entry_points, load_algorithm, load_mathematics
from pogo.core.errors import BadInput


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str, str], None]]:
    """Puts a package of one algorithm on the path: the algorithm's name, its module and what that holds."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(algorithm: str, module: str, content: str) -> None:
        (tmp_path / f"{module}.py").write_text(content)
        record = tmp_path / f"{module}-1.dist-info"
        record.mkdir()
        (record / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
        (record / "entry_points.txt").write_text(f"[pogo.algorithms]\n{algorithm} = {module}:DEFINITION\n")
        entry_points.cache_clear()

    yield install
    entry_points.cache_clear()
    load_algorithm.cache_clear()


def test_one_that_cannot_be_imported_is_named(install: Callable) -> None:
    install("torn", "torn_package", "raise RuntimeError('no\\nluck')")
    assert "torn" in algorithm_names()
    message = r"^algorithm=torn: the entry point torn_package:DEFINITION of .* \(RuntimeError: no\\nluck\); mend"
    with pytest.raises(BadInput, match=message):
        load_algorithm("torn")


def test_one_that_is_no_definition_is_refused(install: Callable) -> None:
    install("bare", "bare_package", "DEFINITION = {}")
    with pytest.raises(BadInput, match=r"^algorithm=bare: .* is a dict; name an instance of AlgorithmDefinition\.$"):
        load_algorithm("bare")


def test_pogos_own_names_are_not_taken(install: Callable) -> None:
    own = load_algorithm("iql")
    install("iql", "bold_package", "DEFINITION = {}")
    load_algorithm.cache_clear()
    assert type(load_algorithm("iql")) is type(own)
    assert algorithm_names().count("iql") == 1


def test_a_backend_that_it_has_not_is_refused(install: Callable) -> None:
    content = "from pogo_quadratic.definition import Quadratic, Hyperparameters\n\n\nclass Half(Quadratic):\n"
    content += "    modules = {'torch': 'half_package'}\n\n\nDEFINITION = Half(Hyperparameters)\n"
    install("half", "half_package", content)
    assert load_algorithm("half").modules == {"torch": "half_package"}
    with pytest.raises(BadInput, match=r"^algorithm=half is not written for backend=jax; use backend=torch\.$"):
        load_mathematics("half", "jax")


def test_its_modules_are_found() -> None:
    assert algorithm_names() == (*ALGORITHMS, "quadratic")
    pytest.importorskip("torch")
    assert load_mathematics("quadratic", "torch").__name__ == "pogo_quadratic.torch_half"
