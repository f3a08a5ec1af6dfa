"""Recorded hyperparameters: which are refused, and what the others become."""

import math

import pytest

from pogo.core.algorithms import load_algorithm
from pogo.core.errors import BadInput
from pogo.core.verify.adapters import ADAPTERS, adapter_of
from pogo.core.verify.hyperparameters import read_hyperparameters
from pogo.core.verify.rerun import rerun


def options(given):
    return lambda arrays, meta: meta["hyperparameters"].update(given)


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("iql", {"beta": "abc"}, "hyperparameter beta='abc' is not a number"),
        ("iql", {"beta": [3.0]}, "hyperparameter beta=\\[3.0\\] is not a number"),
        ("iql", {"beta": True}, "hyperparameter beta=True is not a number"),
        ("iql", {"beta": math.nan}, "hyperparameter beta=nan is not a number"),
        ("iql", {"beta": 10**400}, "hyperparameter beta=1000"),
        ("iql", {"deterministic_actor": 1}, "deterministic_actor=1 is not true or false"),
        ("iql", {"cosine_max_steps": 200.5}, "cosine_max_steps=200.5 is not a whole number"),
        ("iql", {"cosine_max_steps": None}, "cosine_max_steps is null; record its value, or leave it out"),
        ("iql", {"discount": None}, "discount is null; record its value, or leave it out"),
        ("iql", {"discount": 1.5}, "iql_f64.npz: algorithm.discount=1.5 is out of range"),
        ("iql", {"max_action": 2.0}, "max_action=2.0 cannot be followed: pogo's is 1; record with that"),
        ("iql", {"target_entropy": -2.0}, "target_entropy=-2.0 is unknown to pogo"),
        ("fql", {"q_agg": 1}, "q_agg=1 is not a name"),
        ("fql", {"q_agg": "max"}, "fql_f64.npz: algorithm.q_agg=max is unknown"),
        ("cql", {"cql_clip_diff_max": None}, "cql_clip_diff_max is null"),
        ("cql", {"target_entropy": -1.0}, "target_entropy=-1.0 cannot be followed: pogo's is -2"),
        ("cql", {"target_entropy": "auto"}, "target_entropy='auto' cannot be followed"),
        ("cql", {"cql_n_actions": "10"}, "cql_n_actions='10' is not a whole number"),
        ("td3_bc", {"actor_lr": 1e-3}, "hyperparameters lr and actor_lr both set actor_learning_rate"),
        ("td3_bc", {"lr": "abc"}, "lr='abc' is not a number"),
        ("pogo", {"w2_weights": []}, "w2_weights=\\[\\] is no list of 1 to 16 numbers"),
        ("pogo", {"w2_weights": 1.0}, "w2_weights=1.0 is no list"),
        ("pogo", {"w2_weights": None}, "w2_weights=None is no list"),
        ("pogo", {"w2_weights": [1.0, "abc"]}, "w2_weights=\\[1.0, 'abc'\\] is no list"),
        ("pogo", {"w2_weights": [1.0, -1.0]}, "w2_weights=\\[1.0, -1.0\\] is no list"),
        ("pogo", {"w2_weights": [1.0, 10**400]}, "is no list"),
        ("pogo", {"w2_weights": [1.0]}, "w2_weights has 1 entries, but init holds actor_0, actor_1"),
        ("pogo", {"w2_weights": [1.0, 1.0, 1.0]}, "w2_weights has 3 entries, but init holds actor_0, actor_1"),
        ("sac", {"n_critics": 3}, "n_critics=3 cannot be followed: pogo's is 2; record with that"),
        ("sac", {"target_update_interval": 2}, "target_update_interval=2 cannot be followed: pogo's is 1"),
        ("sac", {"ent_coef": "auto_0.1"}, "ent_coef='auto_0.1' is neither auto nor a number of at least 0"),
        ("sac", {"ent_coef": -0.2}, "ent_coef=-0.2 is neither auto nor a number"),
        ("sac", {"target_entropy": "auto"}, "target_entropy='auto' is not a number"),
        ("pogo", {"noise_shaping": "yes"}, "noise_shaping='yes' is not true or false"),
    ],
)
def test_refused(changed, name, given, message):
    recording = changed(f"{name}_f64", options(given))
    with pytest.raises(BadInput, match=message) as caught:
        rerun(recording, "torch")
    assert f"{name}_f64.npz: " in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "missing", "message"),
    [
        ("iql", "cosine_max_steps", "cosine_max_steps is missing and has no default"),
        ("pogo", "w2_weights", "w2_weights=None is no list"),
        ("sac", "ent_coef", "ent_coef is missing and has no default"),
    ],
)
def test_what_has_no_default_has_to_be_there(changed, name, missing, message):
    recording = changed(f"{name}_f64", lambda arrays, meta: meta["hyperparameters"].pop(missing))
    with pytest.raises(BadInput, match=message):
        rerun(recording, "torch")


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("iql", {"actor_dropout": None}, {"actor_dropout": 0.0}),
        ("iql", {"hidden_dim": 256, "n_hidden": 2, "max_action": 1}, {}),
        ("awac", {"hidden_dim": 256, "max_action": 1.0}, {}),
        ("sac_n", {"hidden_dim": 256}, {}),
        ("td3_bc", {"actor_lr": 3e-4, "critic_lr": 3e-4}, {"actor_learning_rate": 3e-4, "critic_learning_rate": 3e-4}),
        ("cql", {"target_entropy": None}, {}),
        ("cql", {"target_entropy": -2}, {}),
        ("cql", {"cql_clip_diff_max": "inf"}, {"clip_diff_max": math.inf}),
        ("cql", {"cql_temp": 1}, {"temperature": 1.0}),
        ("sac", {}, {"temperature": "auto", "target_entropy": None, "target_backup": "min", "actor_q": "min"}),
        ("sac", {"target_entropy": -1}, {"target_entropy": -1.0}),
        ("sac", {"ent_coef": 0.2}, {"temperature": 0.2, "num_critics": 2, "discount": 0.99, "tau": 0.005}),
        (
            "sac",
            {"learning_rate": 1e-3},
            {f"{name}_learning_rate": 1e-3 for name in ("actor", "critic", "temperature")},
        ),
    ],
)
def test_accepted(changed, name, given, expected):
    recording = changed(f"{name}_f64", options(given))
    found = read_hyperparameters(recording, adapter_of(recording), 2)
    for option, value in expected.items():
        assert getattr(found, option) == value
        assert type(getattr(found, option)) is type(value)


def test_rates_that_replace_the_common_one(changed):
    def change(arrays, meta):
        del meta["hyperparameters"]["lr"]
        meta["hyperparameters"] |= {"actor_lr": 1e-3, "critic_lr": 2e-3}

    recording = changed("td3_bc_f64", change)
    found = read_hyperparameters(recording, adapter_of(recording), 2)
    assert (found.actor_learning_rate, found.critic_learning_rate) == (1e-3, 2e-3)


def test_what_is_left_out_keeps_its_default(changed):
    recording = changed("iql_f64", lambda arrays, meta: meta["hyperparameters"].pop("beta"))
    assert read_hyperparameters(recording, adapter_of(recording), 2).beta == 3.0


@pytest.mark.parametrize("algorithm", sorted(ADAPTERS))
def test_adapters_name_hyperparameters_that_exist(algorithm):
    known = load_algorithm(algorithm).Hyperparameters.__dataclass_fields__
    adapter = ADAPTERS[algorithm]
    for ours in adapter.hyperparameters.values():
        assert ours is None or {ours} <= known.keys() if isinstance(ours, str) else set(ours or ()) <= known.keys()
    assert {*adapter.required, *adapter.nulls} <= adapter.hyperparameters.keys()
