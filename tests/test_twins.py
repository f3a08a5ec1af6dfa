"""Twins stay twins: the same files, functions, classes and parameters, in the same order, on both backends."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "pogo"
TORCH, JAX = PACKAGE / "torch_backend", PACKAGE / "jax_backend"

ONE_SIDED_FILES = {
    "cuda_graphs.py": "torch replays recorded steps on a GPU; JAX compiles its loop instead",
    "memory.py": "torch asks malloc for every array; a compiled program plans its memory once",
    "compilation.py": "what XLA is told; torch.compile is told where it is called",
    "group.py": "JAX trains many seeds in one program; torch's eager step is bound by the host, not by its arithmetic",
}
ONE_SIDED_NAMES = {
    "check_exact": "what torch solves on a CPU alone, JAX solves anywhere",
    "check_library": "one of GeomLoss's backends needs a package of its own; OTT's need none",
    "run_if": "JAX needs lax.cond for what torch writes as an if",
    "start_client": "JAX looks for its devices once a process, on so many threads",
    "export_torch": "a format of torch's",
    "export_onnx": "torch's exporter writes it for both",
    "export_stablehlo": "a format of JAX's",
    "dtype": "a field of a flax module, a property of a torch one",
    "action_size": "an attribute of a torch module, a property of a flax one",
    "forward": "flax calls it __call__",
    "load_canonical": "a flax module keeps no parameters",
    "canonical_parameters": "a method of a torch module, a function of a flax one's variables",
    "nested_parameters": "a flax module takes its parameters as a tree",
}
RENAMED = {"TorchLearner": "Learner", "JaxLearner": "Learner"}  # each names its framework in tracebacks


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.py")}


def public(body: list[ast.stmt], prefix: str = "") -> Iterator[tuple[str, tuple[str, ...]]]:
    """Public functions, classes and methods in order, with their parameters or bases."""
    for node in body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        name = RENAMED.get(node.name, node.name)
        if name in ONE_SIDED_NAMES:
            continue
        if isinstance(node, ast.FunctionDef):
            given = node.args
            starred = [argument for argument in (given.vararg, given.kwarg) if argument is not None]
            names = [argument.arg for argument in (*given.posonlyargs, *given.args, *given.kwonlyargs, *starred)]
            yield prefix + name, tuple(names)
        else:
            yield prefix + name, ()
            yield from public(node.body, f"{prefix}{name}.")


def shape(path: Path) -> list[tuple[str, tuple[str, ...]]]:
    return list(public(ast.parse(path.read_text()).body))


def test_both_backends_have_the_same_files() -> None:
    assert files(TORCH) ^ files(JAX) == set(ONE_SIDED_FILES)


@pytest.mark.parametrize("name", sorted(files(TORCH) & files(JAX)))
def test_twins_have_the_same_names_and_parameters_in_order(name: str) -> None:
    assert shape(TORCH / name) == shape(JAX / name)


@pytest.mark.parametrize("name", sorted(files(TORCH) & files(JAX)))
def test_twins_name_each_other(name: str) -> None:
    for ours, theirs in ((TORCH, JAX), (JAX, TORCH)):
        if name.endswith("__init__.py"):
            continue
        docstring = ast.get_docstring(ast.parse((ours / name).read_text())) or ""
        assert f"Twin: pogo/{theirs.name}/{name}" in " ".join(docstring.split()), f"{ours.name}/{name}"


def test_the_exceptions_are_still_needed() -> None:
    found = {path.name for path in (*TORCH.rglob("*.py"), *JAX.rglob("*.py"))}
    assert set(ONE_SIDED_FILES) <= found
    text = "".join(path.read_text() for path in (*TORCH.rglob("*.py"), *JAX.rglob("*.py")))
    for name in (*ONE_SIDED_NAMES, *RENAMED):
        assert f"def {name}(" in text or f"class {name}(" in text
