"""Batches, networks, draws and metrics that do not fit the algorithm of a recording."""

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.verify.checks import check_networks
from pogo.core.verify.rerun import recorded_problem, rerun


def drop(arrays, *parts):
    for name in [name for name in arrays if any(part in f"/{name}/" for part in parts)]:
        del arrays[name]


def rename(arrays, old, new):
    for name in [name for name in arrays if name.endswith(f"/{old}")]:
        arrays[name.removesuffix(old) + new] = arrays.pop(name)


def put(arrays, part, shape, value=0.1):
    """Array `part` of the start and of every stored update."""
    for name in {name.split("/", 2)[0] + "/" + name.split("/", 2)[1] for name in arrays if name.startswith("params/")}:
        arrays[f"{name}/{part}"] = np.full(shape, value + 0.1)
    arrays[f"init/{part}"] = np.full(shape, value)


BATCHES = {
    "no observations": ("iql", lambda arrays, meta: drop(arrays, "/observations/"), "batch/1/observations is missing"),
    "flat actions": (
        "iql",
        lambda arrays, meta: arrays.update({"batch/1/actions": np.zeros(32)}),
        r"batch/1/actions has shape \(32,\); store one row per transition",
    ),
    "no dones": (
        "iql",
        lambda arrays, meta: drop(arrays, "batch/3/dones"),
        "batch/3/dones is missing, which iql reads",
    ),
    "no next actions": (
        "rebrac",
        lambda arrays, meta: drop(arrays, "/next_actions/"),
        "batch/1/next_actions is missing",
    ),
    "rewards in a column": (
        "iql",
        lambda arrays, meta: arrays.update({"batch/2/rewards": np.zeros((32, 1))}),
        r"batch/2/rewards has shape \(32, 1\); store it as \(32,\)",
    ),
    "a row less": (
        "iql",
        lambda arrays, meta: arrays.update({"batch/2/dones": np.zeros(31)}),
        r"batch/2/dones has shape \(31,\); store it as \(32,\)",
    ),
    "wider next observations": (
        "iql",
        lambda arrays, meta: arrays.update({"batch/2/next_observations": np.zeros((32, 6))}),
        r"batch/2/next_observations has shape \(32, 6\); store it as \(32, 5\)",
    ),
}
NETWORKS = {
    "no value network": ("iql", lambda arrays, meta: drop(arrays, "/value/"), "no network for pogo's value"),
    "no critics": ("iql", lambda arrays, meta: drop(arrays, "critic_"), "no network for pogo's critic"),
    "one critic": ("iql", lambda arrays, meta: drop(arrays, "critic_2/"), "1 members where there should be 2"),
    "no temperature": ("sac_n", lambda arrays, meta: drop(arrays, "log_alpha"), "no network for pogo's temperature"),
    "no multiplier": (
        "cql",
        lambda arrays, meta: (drop(arrays, "log_alpha_prime"), meta["hyperparameters"].update(cql_lagrange=True)),
        "no network for pogo's multiplier",
    ),
    "no kernel": (
        "iql",
        lambda arrays, meta: drop(arrays, "/value/dense_1/kernel/"),
        "lacks pogo's value/hidden_1/kernel",
    ),
    "no output bias": (
        "iql",
        lambda arrays, meta: drop(arrays, "/value/dense_2/bias/"),
        "lacks pogo's value/output/bias",
    ),
    "no log_std": ("iql", lambda arrays, meta: drop(arrays, "/log_std/"), "lacks pogo's actor_0/log_std"),
    "no layer norm": ("rebrac", lambda arrays, meta: drop(arrays, "/norm_0/"), "lacks pogo's critic/norm_0"),
    "a layer norm too many": (
        "rebrac",
        lambda arrays, meta: meta["hyperparameters"].update(critic_ln=False),
        "init/critic/norm_0/.* is no part of such a network with these hyperparameters",
    ),
    "a kernel of another height": (
        "iql",
        lambda arrays, meta: put(arrays, "value/dense_1/kernel", (31, 32)),
        r"init/value/dense_1/kernel gives shape \(31, 32\), where \(32, 32\) fits",
    ),
    "a kernel of another rank": (
        "iql",
        lambda arrays, meta: put(arrays, "value/dense_1/kernel", (1024,)),
        r"init/value/dense_1/kernel gives shape \(1024,\), where \(32, 32\) fits",
    ),
    "a bias without axes": ("iql", lambda arrays, meta: put(arrays, "value/dense_1/bias", ()), "init/value/dense_1"),
    "two outputs": (
        "iql",
        lambda arrays, meta: (put(arrays, "value/dense_2/kernel", (32, 2)), put(arrays, "value/dense_2/bias", (2,))),
        r"init/value/dense_2/.* gives shape \(.*2,?\), where \(.*1,?\) fits",
    ),
    "an actor of other observations": (
        "iql",
        lambda arrays, meta: put(arrays, "actor/dense_0/kernel", (6, 32)),
        r"init/actor/dense_0/kernel gives shape \(6, 32\), where \(5, 32\) fits",
    ),
    "fewer members": (
        "sac_n",
        lambda arrays, meta: meta["hyperparameters"].update(num_critics=5),
        "init/critic/dense_0/.*: 4 members where there should be 5",
    ),
    "a target of another width": (
        "sac_n",
        lambda arrays, meta: (
            put(arrays, "target_critic/dense_0/kernel", (4, 7, 16)),
            put(arrays, "target_critic/dense_0/bias", (4, 16)),
            put(arrays, "target_critic/dense_1/kernel", (4, 16, 32)),
        ),
        "init/target_critic/dense_0/.* has another shape than in its online network",
    ),
    "a tensor of its own": (
        "iql",
        lambda arrays, meta: put(arrays, "value/gain", (1,)),
        "init/value/gain is no part of",
    ),
}
DRAWS = {
    "no draws": ("td3_bc", lambda arrays, meta: drop(arrays, "noise/"), r"holds 0 draws, td3_bc makes 1 \(target"),
    "no draws of one update": ("awac", lambda arrays, meta: drop(arrays, "noise/4"), "noise/4 holds 0 .* awac makes 2"),
    "a draw less": ("cql", lambda arrays, meta: drop(arrays, "/4_normal/"), "noise/1 holds 4 draws, cql makes 5"),
    "no BC draw": ("cql", lambda arrays, meta: meta["hyperparameters"].update(bc_steps=3), "holds 5 .* makes 6"),
    "a logged draw too many": (
        "fql",
        lambda arrays, meta: arrays.update({"noise/3/5_normal": np.zeros((32, 2))}),
        "noise/3 holds 6 draws, fql makes 4 with these hyperparameters",
    ),
    "dropout without masks": (
        "iql",
        lambda arrays, meta: meta["hyperparameters"].update(actor_dropout=0.1),
        r"noise/1 holds 0 draws, iql makes 2 \(actor_dropout_0, actor_dropout_1\)",
    ),
    "masks without dropout": (
        "iql",
        lambda arrays, meta: arrays.update({"noise/2/0_bernoulli": np.eye(32)}),
        "noise/2 holds 1 draws, iql makes 0 with these hyperparameters",
    ),
    "actors that draw nothing": ("pogo", lambda arrays, meta: drop(arrays, "/3_normal/", "/4_normal/", "/5_normal/"),
                                 "noise/1 holds 3 draws, pogo makes 6"),
    "another law": ("td3_bc", lambda arrays, meta: rename(arrays, "0_normal", "0_uniform11"), "uniform11 stands where"),
    "another shape": (
        "td3_bc",
        lambda arrays, meta: arrays.update({"noise/2/0_normal": np.zeros((32, 3))}),
        r"noise/2/0_normal has shape \(32, 3\), target_policy has \(32, 2\)",
    ),
    "samples in another order": (
        "cql",
        lambda arrays, meta: arrays.update({"noise/2/3_normal": np.zeros((10, 32, 2))}),
        r"noise/2/3_normal has shape \(10, 32, 2\), current_actions has \(32, 10, 2\)",
    ),
    "a draw with an axis of steps": (
        "sac",
        lambda arrays, meta: arrays.update({"noise/2/1_normal": np.zeros((1, 32, 2))}),
        r"noise/2/1_normal has shape \(1, 32, 2\), next_action has \(32, 2\)",
    ),
}  # fmt: skip
METRICS = {
    "one that other updates have": (
        "iql",
        lambda arrays, meta: drop(arrays, "metrics/3/q_loss"),
        "metrics/3/q_loss is missing, which other updates have",
    ),
    "of the actor, in part": (
        "rebrac",
        lambda arrays, meta: drop(arrays, "metrics/3/bc_mse_policy"),
        "metrics/3/bc_mse_policy is missing, which other updates have",
    ),
    "under unknown names": (
        "iql",
        lambda arrays, meta: [rename(arrays, name, f"{name}_") for name in ("value_loss", "q_loss", "actor_loss")],
        "metrics/1 holds none of actor_loss, q_loss, value_loss",
    ),
}
REFUSED = BATCHES | NETWORKS | DRAWS | METRICS


@pytest.mark.parametrize(("name", "change", "message"), REFUSED.values(), ids=REFUSED.keys())
def test_refused(changed, name, change, message):
    recording = changed(f"{name}_f64", change)
    with pytest.raises(BadInput, match=message) as caught:
        rerun(recording, "torch")
    assert f"golden file {recording.path}: " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hidden_sizes_are_free(changed):
    spec, arrays, locations = recorded_problem(changed("cql_f64", lambda arrays, meta: None))
    assert spec.actors[0].hidden_sizes == (32, 32, 32)
    for network in ("critic_1", "target_critic_1"):
        arrays[f"{network}/output/kernel"] = arrays.pop(f"{network}/hidden_2/kernel")[:, :1]
        del arrays[f"{network}/hidden_2/bias"]
    networks = {name: value for name, value in arrays.items() if not name.startswith(("optimizer", "updates"))}
    check_networks(spec, networks, locations)


def test_masks_that_drop_nothing_are_none(changed):
    pytest.importorskip("torch")
    recording = changed("iql_f64", lambda arrays, meta: arrays.update({"noise/2/0_bernoulli": np.ones((32, 32))}))
    assert rerun(recording, "torch").failures() == []
