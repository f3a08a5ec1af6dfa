"""Every algorithm with every kind of actor 0, trained for a moment on the shipped data, and the page that says so.

`python -m tests.test_matrix` writes the page.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pogo.core.algorithms import ALGORITHMS, load_algorithm
from pogo.core.config.compose import compose_config
from pogo.core.errors import BadInput
from pogo.core.problem.actors import ACTOR_KINDS
from pogo.core.registry import BACKENDS
from pogo.core.runs.learners import make_learner
from pogo.core.runs.plan import Plan, make_plans

PAGE = Path(__file__).resolve().parents[1] / "docs" / "matrix.md"
UPDATES, BATCH, WIDTH = 200, 64, 32
# Trained parameters that stay where they start, with these kinds as actor 0.
MAY_STAY = {"temperature/log_alpha": ("stochastic", "deterministic"), "actor_0/log_std": ("gaussian",)}
TEXT = f"""# Algorithms and actor kinds

Each cell is a chain of three actors of one kind, trained for {UPDATES} updates of {BATCH} rows of the shipped Pendulum
data on networks of width {WIDTH}. It `trains` if every metric was finite and every trained parameter moved, but for
those that the cell names; it is `refused` with the error that `pogo-train` ends with. Bold is the published kind.
`python -m tests.test_matrix` writes this page, `pytest -m slow tests/test_matrix.py` compares.

A kind without a density has no entropy to tune, so `temperature/log_alpha` stays; TD3's family and FQL use only the
mean of a gaussian actor 0, so `actor_0/log_std` stays. Actors 1+ sample, and train theirs.

{{table}}
"""


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what it was refused for, or else which parameters have not moved."""

    refusal: str | None = None
    still: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.refusal is not None:
            return f"refused: {self.refusal}".replace("|", "\\|")
        return ", but not ".join(["trains", *(f"`{name}`" for name in self.still)])


def published_kind(algorithm: str) -> str:
    shared = load_algorithm(algorithm)
    return shared.default_actor(shared.Hyperparameters()).kind


def plan_of(algorithm: str, kind: str, backend: str) -> Plan:
    """As pogo-train makes it, but with small networks."""
    asked = compose_config(
        [
            f"algorithm={algorithm}",
            f"backend={backend}",
            f"chain.actors=[{{kind: {kind}}}]",
            f"train.updates={UPDATES}",
            f"train.batch_size={BATCH}",
            *("device=cpu", "env=none", "threads=1"),
        ]
    )
    for name, value in asked["algorithm"].items():
        if name.endswith("hidden_sizes"):
            asked["algorithm"][name] = [WIDTH] * len(value)
        elif name.endswith("hidden_size"):
            asked["algorithm"][name] = WIDTH
    return make_plans(asked)[0]


@cache
def outcome(algorithm: str, kind: str, backend: str) -> Outcome:
    try:
        learner = make_learner(plan_of(algorithm, kind, backend))
    except BadInput as error:
        return Outcome(refusal=str(error))
    start = learner.snapshot()
    metrics = learner.train(UPDATES)
    assert metrics
    assert all(np.isfinite(value) for value in metrics.values()), metrics
    return Outcome(still=still(start, learner.snapshot(), kind))


def still(start: Mapping[str, Any], end: Mapping[str, Any], kind: str) -> tuple[str, ...]:
    """The parameters of trained networks that are where they were."""
    trained = {name.split("/")[1] for name in start if name.startswith("optimizer/")}
    names = [name for name in start if name.split("/")[0] in trained]
    found = tuple(name for name in names if np.array_equal(start[name], end[name]))
    for name in found:
        assert kind in MAY_STAY.get(name, ()), f"{name} never moved"
    return found


def row(algorithm: str) -> str:
    """The page's line of one algorithm, found by running it."""
    cells = []
    for kind in ACTOR_KINDS:
        texts = {backend: str(outcome(algorithm, kind, backend)) for backend in BACKENDS}
        if len(set(texts.values())) == 1:
            texts = {", ".join(BACKENDS): texts.popitem()[1]}
        cell = "; ".join(f"{backends}: {text}" for backends, text in texts.items())
        cells.append(f"**{cell}**" if kind == published_kind(algorithm) else cell)
    return f"| {' | '.join([algorithm, *cells])} |"


def render(rows: Mapping[str, str]) -> str:
    table = [f"| | {' | '.join(ACTOR_KINDS)} |", "|---" * (len(ACTOR_KINDS) + 1) + "|", *rows.values()]
    return TEXT.format(table="\n".join(table))


def committed_rows() -> dict[str, str]:
    lines = PAGE.read_text().splitlines()
    return {name: next((line for line in lines if line.startswith(f"| {name} |")), "") for name in ALGORITHMS}


# JAX compiles for longer than it trains here; parity holds it to torch.
@pytest.mark.parametrize("backend", ["torch", pytest.param("jax", marks=pytest.mark.slow)])
@pytest.mark.parametrize("algorithm", ALGORITHMS)  # a new entry is covered the day it is registered
def test_the_published_kind_trains(algorithm, backend):
    pytest.importorskip(backend)
    assert outcome(algorithm, published_kind(algorithm), backend) == Outcome()


def test_the_page_has_a_row_per_algorithm_and_a_column_per_kind():
    rows = committed_rows()
    assert PAGE.read_text() == render(rows), "python -m tests.test_matrix writes the page anew"
    for name, line in rows.items():
        assert line.count(" | ") == len(ACTOR_KINDS), name


@pytest.mark.slow
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_every_kind_does_what_the_page_says(algorithm):
    for backend in BACKENDS:
        pytest.importorskip(backend)
    assert row(algorithm) == committed_rows()[algorithm], "python -m tests.test_matrix writes the page anew"


if __name__ == "__main__":
    PAGE.write_text(render({algorithm: row(algorithm) for algorithm in ALGORITHMS}))
