"""What Python reads of a run: config, logs, policies and values, whichever backend wrote it."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import pogo
from pogo.core.files.checkpoint import CheckpointStore
from pogo.core.runs.stored_run import StoredRun
from tests.helpers.library_runs import ACTION_SIZE, HIGH, KINDS, LOW, random_arrays

OTHER = {"torch": "jax", "jax": "torch"}
OBSERVATIONS = random_arrays(seed=3)["observations"][:7]


def test_a_run_says_what_it_was_and_what_it_has_logged(chain_run: pogo.Run) -> None:
    run = pogo.load(chain_run.path)
    assert (run.config["train"]["updates"], run.config["algorithm"]["name"]) == (30, "iql")
    told = json.loads((run.path / "config.json").read_bytes())
    assert told["command"] == [Path(sys.argv[0]).name, *sys.argv[1:]]
    assert told.keys() - run.config.keys() == {"machine", "command", "pogo"}
    assert run.checkpoints == [10, 20, 30]
    assert [actor.kind for actor in run.actors] == list(KINDS)
    assert run.is_finished
    assert run.metrics["update"].tolist() == [10, 20, 30]
    assert run.metrics["critic/loss"].shape == (3,)
    assert run.metrics["critic/loss"].dtype == np.float64
    frame = run.metrics.to_pandas()
    assert frame["actor_1/w2_squared"].tolist() == run.metrics["actor_1/w2_squared"].tolist()
    with pytest.raises(KeyError, match="no column 'los'"):
        run.metrics["los"]


def test_evaluations_are_a_row_per_actor_and_mode(tmp_path: Path) -> None:
    run = pogo.train(
        "td3_bc",
        overrides={"train.updates": 4, "eval.episodes": 2, "eval.every": 2, "run.dir": tmp_path / "run"},
        progress=False,
    )
    table = run.evaluations
    assert table["update"].tolist() == [2, 2, 2, 4, 4, 4]
    assert table["actor"].tolist() == [0, 1, 2] * 2
    assert table["kind"].tolist() == ["deterministic"] * 6
    results = pogo.evaluate(run.path, episodes=2)
    assert [row.deterministic and row.deterministic.return_mean for row in results] == table["return_mean"][3:].tolist()
    with pytest.raises(pogo.BadInput, match="actor 3: the run has actors 0 to 2"):
        pogo.evaluate(run, actor=3)
    with pytest.raises(pogo.BadInput, match="episodes 0"):
        pogo.evaluate(run, episodes=0)


@pytest.mark.parametrize("actor", range(len(KINDS)))
def test_a_policy_gives_the_learners_actions_in_the_environments_units(chain_run: pogo.Run, actor: int) -> None:
    policy, stored = chain_run.policy(actor), StoredRun(chain_run.path)
    normalisation = stored.record.normalisation
    box = stored.learner.act(normalisation.observations(OBSERVATIONS), actor)
    expected = normalisation.environment_actions(box)
    actions = policy(OBSERVATIONS)
    assert (actions.shape, actions.dtype) == ((7, ACTION_SIZE), np.float32)
    np.testing.assert_allclose(actions, expected, rtol=0, atol=1e-6)
    np.testing.assert_allclose(policy(OBSERVATIONS[0]), expected[0], rtol=0, atol=1e-6)
    other = chain_run.policy(actor, backend=OTHER[policy.backend])
    np.testing.assert_allclose(other(OBSERVATIONS), expected, rtol=0, atol=5e-6)
    drawn, again = policy(OBSERVATIONS, deterministic=False, seed=3), other(OBSERVATIONS, deterministic=False, seed=3)
    np.testing.assert_allclose(drawn, again, rtol=0, atol=5e-6)
    assert (drawn >= np.array(LOW, np.float32)).all()
    assert (drawn <= np.array(HIGH, np.float32)).all()
    is_deterministic = KINDS[actor] == "deterministic"
    assert np.array_equal(drawn, actions) == is_deterministic
    first, second = (policy(OBSERVATIONS, deterministic=False) for _ in range(2))
    assert np.array_equal(first, second) == is_deterministic


def test_any_checkpoint_acts(chain_run: pogo.Run) -> None:
    first, last = (chain_run.policy(0, checkpoint=step)(OBSERVATIONS) for step in (10, 30))
    assert not np.array_equal(first, last)
    np.testing.assert_array_equal(chain_run.policy(0)(OBSERVATIONS), last)
    np.testing.assert_array_equal(chain_run.policy(-4)(OBSERVATIONS), last)


def test_threads_act_as_one_does(chain_run: pogo.Run) -> None:
    policy = chain_run.policy(1)
    rows = random_arrays(seed=4)["observations"]
    expected = [policy(row, deterministic=False, seed=seed) for seed, row in enumerate(rows[:200])]
    with ThreadPoolExecutor(4) as threads:
        found = threads.map(lambda each: policy(each[1], deterministic=False, seed=each[0]), enumerate(rows[:200]))
    np.testing.assert_array_equal(np.stack(list(found)), np.stack(expected))


def test_values_are_those_of_the_checkpoints_networks(chain_run: pogo.Run) -> None:
    arrays = random_arrays(seed=5)
    observations, actions = arrays["observations"][:9], arrays["actions"][:9]
    q, value = chain_run.q(observations, actions), chain_run.value(observations)
    assert (q.shape, value.shape) == ((2, 9), (9,))
    checkpoint = CheckpointStore(chain_run.path).load(30)
    normalisation = StoredRun(chain_run.path).record.normalisation
    rows = (observations - normalisation.observation_mean) / normalisation.observation_std
    middle, half = (np.array(LOW) + HIGH) / 2, (np.array(HIGH) - LOW) / 2
    inputs = np.concatenate([rows, (actions - middle) / half], axis=1)
    np.testing.assert_allclose(q, by_hand(checkpoint.arrays, "critic", inputs)[..., 0], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(value, by_hand(checkpoint.arrays, "value", rows)[:, 0], rtol=1e-4, atol=1e-5)
    other = OTHER[chain_run.config["backend"]["name"]]
    np.testing.assert_allclose(chain_run.q(observations, actions, backend=other), q, rtol=1e-4, atol=1e-5)


def by_hand(arrays: dict[str, np.ndarray], network: str, values: np.ndarray) -> np.ndarray:
    index = 0
    while f"{network}/hidden_{index}/kernel" in arrays:
        bias = arrays[f"{network}/hidden_{index}/bias"]
        values = np.maximum(values @ arrays[f"{network}/hidden_{index}/kernel"] + bias[..., None, :], 0)
        index += 1
    return values @ arrays[f"{network}/output/kernel"] + arrays[f"{network}/output/bias"][..., None, :]


def test_the_flow_carries_draws_to_actions(flow_run: pogo.Run) -> None:
    flow = flow_run.policy("flow")
    assert (flow.kind, flow.actor) == ("flow", "flow")
    actions = flow(OBSERVATIONS, seed=1)
    np.testing.assert_array_equal(actions, flow(OBSERVATIONS, deterministic=False, seed=1))
    other = flow_run.policy("flow", backend=OTHER[flow.backend])
    np.testing.assert_allclose(other(OBSERVATIONS, seed=1), actions, rtol=0, atol=5e-6)
    with pytest.raises(pogo.BadInput, match="has no network 'value'"):
        flow_run.value(OBSERVATIONS)


def test_what_cannot_be_asked_of_a_run_is_said_in_one_line(chain_run: pogo.Run, tmp_path: Path) -> None:
    policy = chain_run.policy(0)
    for call, message in (
        (lambda: policy(np.zeros(4)), r"shape \(4,\) and type float64; this policy takes numbers \[5\]"),
        (lambda: policy(np.zeros((2, 3, 5))), r"or a batch \[n, 5\]"),
        (lambda: policy(np.full(5, np.nan)), "not finite"),
        (lambda: policy({"position": np.zeros(5)}), "is a mapping"),
        (lambda: chain_run.policy(4), "has actors 0 to 3, not 4"),
        (lambda: chain_run.policy("flow"), "has no behaviour flow"),
        (lambda: chain_run.policy(0, checkpoint=7), "has no checkpoint 7; it has 10, 20, 30"),
        (lambda: chain_run.policy(0, backend="tf"), "backend=tf is unknown"),
        (lambda: chain_run.policy(0, device="gpu"), "device=gpu is unknown"),
        (lambda: chain_run.q(np.zeros((3, 5)), np.zeros((2, 2))), "3 observations and 2 actions"),
        (lambda: chain_run.q(np.zeros((3, 4)), np.zeros((3, 2))), "observations has shape"),
        (lambda: pogo.load(tmp_path), "is no run's folder"),
    ):
        with pytest.raises(pogo.BadInput, match=message):
            call()
