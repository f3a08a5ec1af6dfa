"""The probe's rows, and the distance to the data by brute force."""

import numpy as np
import pytest

from pogo.core.learner import probe as probes
from pogo.core.learner.probe import make_probe


def arrays(rows: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    scale = np.array([1.0, 100.0, 0.0])  # a dimension that never changes too
    observations = (rng.standard_normal((rows, 3)) * scale).astype(np.float32)
    return {"observations": observations, "actions": rng.uniform(-1, 1, (rows, 2)).astype(np.float32)}


def test_neighbours_are_the_nearest_rows_but_the_row_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "STATES", 40)
    data = arrays(300)
    found = make_probe(data, 2, seed=1)
    assert found.neighbours is not None
    std = data["observations"].std(axis=0)
    scaled = data["observations"] / np.where(std > 0, std, 1)
    own = []
    for row, (observation, action) in enumerate(zip(found.batch["observations"], found.batch["actions"], strict=True)):
        at = int(np.flatnonzero((data["observations"] == observation).all(axis=1))[0])
        squared = ((scaled - scaled[at]) ** 2).sum(axis=1)
        squared[at] = np.inf
        nearest = np.sort(squared)[: probes.NEIGHBOURS]
        np.testing.assert_allclose(np.sort(found.neighbours.state_distances[row]), nearest, rtol=1e-3, atol=1e-5)
        own.append(np.sqrt((squared + ((data["actions"] - action) ** 2).sum(axis=1)).min()))
    assert found.neighbours.own_distance == pytest.approx(np.mean(own), rel=0.02)


def test_a_large_dataset_is_searched_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "SEARCHED_ROWS", 50)
    found = make_probe(arrays(400), 2, seed=1)
    assert found.neighbours is not None
    assert found.neighbours.state_distances.shape == (256, 49)
    assert np.isfinite(found.neighbours.state_distances).all()


def test_observations_alone_have_no_neighbours() -> None:
    found = make_probe({"observations": arrays(10)["observations"]}, 2, seed=1)
    assert found.neighbours is None
    assert found.around == {}
