"""FQL's energies, against the formula: the critics' mean, whatever `q_agg` says of the TD target. DESIGN, section 4."""

from types import SimpleNamespace

import numpy as np
import pytest

from pogo.core.algorithms.fql import Hyperparameters
from tests.backends import BACKENDS, Framework

Q = np.array([[1.0, -2.0, 3.0], [5.0, 4.0, -7.0]])


@pytest.mark.parametrize("q_agg", ["mean", "min"])
@pytest.mark.parametrize("normalize_q_loss", [False, True])
@pytest.mark.parametrize("backend", BACKENDS)
def test_value_is_the_critics_mean(
    monkeypatch: pytest.MonkeyPatch, backend: str, normalize_q_loss: bool, q_agg: str
) -> None:
    framework = Framework(backend)
    fql = framework.module("algorithms.fql")
    with framework.precision("float64"):
        monkeypatch.setattr(fql, "q_values", lambda *_: framework.array(Q))
        hp = Hyperparameters(q_agg=q_agg, normalize_q_loss=normalize_q_loss)
        algorithm = SimpleNamespace(hyperparameters=hp, spec=SimpleNamespace(chain=SimpleNamespace(energy="value")))
        actor = SimpleNamespace(action_in_box=lambda *_: None)
        state = SimpleNamespace(networks={"critic": {}})
        found = framework.numpy(fql.Algorithm.energy(algorithm, state, actor, {"observations": None}, {}))
    mean_q = Q.mean(axis=0)
    expected = -mean_q.mean() / (np.abs(mean_q).mean() if normalize_q_loss else 1.0)
    assert found == pytest.approx(expected)
