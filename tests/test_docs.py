"""The documentation does what it says: its example runs, its commands are accepted, its links lead somewhere."""

import itertools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pogo.core.algorithms import ALGORITHMS, entry_points, load_algorithm
from pogo.core.config.compose import compose_config, compose_launcher
from pogo.core.config.resolution import resolve
from pogo.core.config.schema import shared_settings
from pogo.core.sweeps.planning import plan_sweep
from pogo.core.verify.parity import drift, parity_case
from tests.helpers.problems import CHAINS, problem
from tests.helpers.runs import run_command

REPOSITORY = Path(__file__).resolve().parents[1]
DOCS = REPOSITORY / "docs"
PAGES = sorted([*REPOSITORY.glob("*.md"), *DOCS.rglob("*.md")])
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
EXAMPLE = "one_step"


def example_files() -> dict[str, str]:
    """The example's files, by path, as the page shows them."""
    blocks = [text for _, text in BLOCK.findall((DOCS / "add_an_algorithm.md").read_text())]
    named = [re.match(r"# (\S+\.(?:py|toml))\n", text) for text in blocks]
    return {found.group(1): text for found, text in zip(named, blocks, strict=True) if found is not None}


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the page's package is installed in, by pip."""
    source, target = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name, text in example_files().items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text)
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    return target


@pytest.fixture
def example(installed: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The page's algorithm, its package on the path of this process for the length of a test."""
    for framework in ("torch", "jax"):
        pytest.importorskip(framework)
    monkeypatch.syspath_prepend(str(installed))
    entry_points.cache_clear()
    yield EXAMPLE
    entry_points.cache_clear()


def test_the_example_has_every_file() -> None:
    assert set(example_files()) == {
        "pyproject.toml",
        *(f"pogo_{EXAMPLE}/{name}.py" for name in ("definition", "torch_half", "jax_half")),
    }


@pytest.mark.parametrize("backend", ["torch", "jax"])
def test_the_example_is_a_choice_of_the_command_line(installed: Path, tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    given = (f"algorithm={EXAMPLE}", f"backend={backend}", f"run.dir={tmp_path / 'run'}", "algorithm.hidden_sizes=[16]")
    small = ("train.updates=20", "train.batch_size=16", "env=none", "log.every=10", "threads=1")
    path = os.pathsep.join((str(REPOSITORY), str(installed)))
    run_command(*given, *small, PYTHONPATH=path).assert_code(0)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["algorithm"]["name"] == EXAMPLE
    assert config["algorithm"]["hidden_sizes"] == [16]
    assert config["algorithm"]["tau"] == 0.005
    assert config["train"]["updates"] == 20
    unknown = run_command(*given, "algorithm.beta=3", PYTHONPATH=path)
    unknown.assert_code(2)
    assert "algorithm.beta" in unknown.output


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("chain", ["as published", "stochastic, deterministic, gaussian"])
def test_the_example_passes_parity(example: str, chain: str, dtype: str) -> None:
    for found in drift(parity_case(problem(example, dtype, CHAINS[chain]), seed=0)):
        share, name = found.worst()
        assert share <= 1.0, f"update {found.update}, {name}: {share:.3g} times its tolerance"


def commands(page: Path) -> list[str]:
    """Lines of code blocks that start pogo-train with nothing left to fill in."""
    text = page.read_text()
    indented = re.findall(r"^ {4}(pogo-train .*)$", text, re.MULTILINE)
    fenced = [line.removeprefix("$ ") for _, block in BLOCK.findall(text) for line in block.splitlines()]
    found = [*indented, *(line for line in fenced if line.startswith("pogo-train "))]
    return [line for line in found if not re.search(r"<|\.\.\.|one_step|my_conf|FILE", line)]


@pytest.mark.parametrize("page", [page for page in PAGES if commands(page)], ids=lambda page: page.name)
def test_commands_are_accepted(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for line in commands(page):
        given = [word for word in shlex.split(line, comments=True)[1:] if word != "--cfg"]
        for name in (word.removeprefix("dataset.path=") for word in given if word.startswith("dataset.path=")):
            (tmp_path / name).touch()
        if "-m" in given:
            settings = itertools.takewhile(lambda word: word != ">", given)
            narrowed = [word for word in settings if not word.startswith("-") and not word.isdecimal()]
            compose_launcher(narrowed)
            assert plan_sweep([*narrowed, "seed=0"] if not any("seed=" in word for word in narrowed) else narrowed), (
                line
            )
        else:
            resolve(compose_config(given))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    for target, anchor in LINK.findall(page.read_text()):
        if target.startswith(("http://", "https://")):
            continue
        path = page.parent / target
        assert path.exists(), f"{page.name}: {target}"
        if anchor and path.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
            anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor[1:] in anchors, f"{page.name}: {target}{anchor}"


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_algorithm_has_a_page_and_its_options_are_explained(algorithm: str) -> None:
    page = (DOCS / "algorithms" / f"{algorithm}.md").read_text()
    assert f"algorithm={algorithm}" in page
    assert f"({algorithm}.md)" in (DOCS / "algorithms" / "README.md").read_text()
    explained = page + (DOCS / "hyperparameters.md").read_text()
    options = load_algorithm(algorithm).Hyperparameters.__dataclass_fields__
    missing = [name for name in options if f"`{name}`" not in explained and f"algorithm.{name}" not in explained]
    assert not missing, f"{algorithm}.md and hyperparameters.md say nothing of {missing}"


def test_every_option_has_its_line() -> None:
    page = (DOCS / "options.md").read_text()
    missing = [key for key in shared_settings() if f"`{key}`" not in page]
    assert not missing, f"options.md says nothing of {missing}"


def test_what_a_resumed_run_may_change_is_what_the_options_page_says():
    _, table = (DOCS / "options.md").read_text().split("## What a resumed run may change")
    said = {
        row.split("|")[1].split()[0]: set(re.findall(r"`([^`]+)`", row)) for row in table.splitlines() if "`" in row
    }
    held: dict[str, set[str]] = {}
    for key, entry in shared_settings().items():
        held.setdefault(entry.meaning.on_resume, set()).add(key)
    assert said == {"freely:": held["free"] - {"sweep"}, "from": held["from_here"], "to": held["may_grow"]}
