"""Every reader gives back the transitions, ends and returns that its file was made of, whatever the layout."""

from pathlib import Path

import numpy as np
import pytest

from pogo.core.data.dataset import Dataset
from tests.helpers.random_datasets import BOUND, Arrays, Case, interleaved_order, load_case, random_case

CASES = 600


def has_own_next_observations(case: Case) -> bool:
    return "without next_observations" not in case.layout


def expected_rows(case: Case, view: str) -> Arrays:
    """The known transitions that a view shows, in its order, by the rule of its page."""
    rows = case.rows()
    if case.layout == "hdf5 interleaved":
        order = interleaved_order(case)
        return {key: array[order] for key, array in rows.items()}
    if view == "full" and has_own_next_observations(case):
        return rows
    keep = ~rows["timeouts"]
    keep[-1] = False
    return {key: array[keep] for key, array in rows.items()}


def assert_observations(found: np.ndarray, known: np.ndarray, dataset: Dataset) -> None:
    """Equal to float32's rounding of what is left without the offset, which evaluation takes off as well."""
    mean = dataset.normalisation.observation_mean
    spread = np.abs(known - known.mean(axis=0)).max() + 1e-6
    np.testing.assert_allclose(found + mean, known, rtol=2e-7, atol=2e-7 * spread)
    np.testing.assert_array_equal(dataset.normalisation.observations(known), found)


@pytest.mark.parametrize("seed", range(CASES))
def test_what_is_read_is_what_was_written(seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    case = random_case(seed)
    view = "full" if case.layout == "hdf5 interleaved" or case.rng.integers(2) else "d4rl"
    dataset = load_case(case, tmp_path, monkeypatch, view)
    # An archive's next observations are always its own.
    known = expected_rows(case, "full" if "npz" in case.layout or "ogbench" in case.layout else view)
    transitions, where = dataset.transitions, f"seed {seed}: {case.layout}, view={view}"

    assert len(transitions) == len(known["rewards"]), where
    assert_observations(transitions.observations, known["observations"], dataset)
    goes_on = ~known["terminals"]  # d4rl's view shows another episode's start after a true end, where it is masked
    assert_observations(transitions.next_observations[goes_on], known["next_observations"][goes_on], dataset)
    np.testing.assert_array_equal(transitions.actions, known["actions"] / np.float32(BOUND), err_msg=where)
    np.testing.assert_array_equal(transitions.rewards, known["rewards"], err_msg=where)
    np.testing.assert_array_equal(transitions.terminals, known["terminals"].astype(np.float32), err_msg=where)
    if case.layout != "hdf5 interleaved":  # whose rows are in no episode's order
        ends = np.append(known["episode"][1:] != known["episode"][:-1], True)
        np.testing.assert_array_equal(transitions.episode_ends, ends, err_msg=where)
    assert_returns(case, dataset, where)


def assert_returns(case: Case, dataset: Dataset, where: str) -> None:
    whole = [episode for episode in case.episodes if episode.end != "cut"]
    if case.layout == "hdf5 interleaved":  # some episodes are cut short where the other environment's rows end
        kept = np.bincount(case.rows()["episode"][interleaved_order(case)], minlength=len(case.episodes))
        whole = [episode for episode, rows in zip(case.episodes, kept, strict=True) if rows == len(episode)]
    returns = [float(episode.rewards.sum(dtype=np.float64)) for episode in whole]
    behaviour = dataset.behaviour
    assert behaviour.episodes == len(whole), where
    if whole:
        assert behaviour.length_mean == pytest.approx(np.mean([len(episode) for episode in whole])), where
        for found, known in (
            (behaviour.return_mean, np.mean(returns)),
            (behaviour.return_std, np.std(returns)),
            (behaviour.return_min, min(returns)),
            (behaviour.return_max, max(returns)),
        ):
            assert found == pytest.approx(known, abs=1e-6), where
