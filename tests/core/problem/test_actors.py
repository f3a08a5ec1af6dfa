"""Which options an actor reads: `chain.actors` refuses the others, and nothing besides."""

import itertools
import re
from typing import Any

import numpy as np
import pytest

from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig, check_options, resolve_actors

BATCH, SAMPLES, OBSERVATION_SIZE, ACTION_SIZE = 16, 2, 3, 2
DEFAULT = ActorConfig("deterministic", (8,))
LOG_STDS: tuple[dict[str, Any], ...] = (
    {"log_std": "free"},
    {"log_std": "fixed"},
    {"log_std": "head"},
    {"log_std": "head", "std": "softplus"},
    {"log_std": "head", "log_std_affine": True},
)
ENTRIES: list[dict[str, Any]] = [
    *({"kind": kind} | log_std for kind in ("gaussian", "tanh_gaussian") for log_std in LOG_STDS),
    {"kind": "stochastic"},
    {"kind": "deterministic"},
]
CHANGES: dict[str, Any] = {
    "hidden_sizes": [4],
    "activation": "tanh",
    "layer_norm": True,
    "output": "clipped",
    "tanh_mean": False,
    "log_std": "head",
    "log_std_init": -1.0,
    "log_std_min": 1.0,
    "log_std_max": -1.5,
    "log_std_affine": True,
    "log_std_multiplier_init": 2.0,
    "log_std_offset_init": -2.0,
    "std": "softplus",
    "std_floor": 0.1,
    "density": "epsilon",
}


def refusal(*entries: dict[str, Any], default: ActorConfig = DEFAULT) -> str:
    """What is said to these entries; empty where they are taken."""
    try:
        check_options(entries, resolve_actors(entries, 3, default))
    except BadInput as error:
        return str(error)
    return ""


def behaviour(entry: dict[str, Any]) -> list[np.ndarray]:
    """All that an actor gives for fixed inputs."""
    torch = pytest.importorskip("torch")
    from pogo.torch_backend.actors import ACTOR_CLASSES

    (config,) = resolve_actors([entry], 1, DEFAULT)
    actor = ACTOR_CLASSES[config.kind].create(config, OBSERVATION_SIZE, ACTION_SIZE)
    actor.params = {name: value.double() for name, value in actor.params.items()}
    rng = np.random.default_rng(0)
    shapes = ((BATCH, OBSERVATION_SIZE), (BATCH, SAMPLES, ACTION_SIZE), (BATCH, ACTION_SIZE))
    observations, noise, actions = (torch.tensor(rng.uniform(-0.9, 0.9, shape)) for shape in shapes)
    found = (
        actor.deterministic_actions(observations),
        *actor.clipped_samples_and_log_probs(observations, noise),
        actor.log_prob_actions(observations, actions),
    )
    return [values.numpy() for values in found]


@pytest.mark.parametrize(
    ("entry", "option"),
    [
        pytest.param(entry, option, id=" ".join(str(value) for value in (*entry.values(), option)))
        for entry, (option, value) in itertools.product(ENTRIES, CHANGES.items())
        if entry.get(option) != value
    ],
)
def test_an_option_is_refused_if_and_only_if_it_changes_nothing(entry: dict[str, Any], option: str) -> None:
    changed = entry | {option: CHANGES[option]}
    pairs = list(zip(behaviour(entry), behaviour(changed), strict=True))
    is_same = all(np.array_equal(ours, theirs) for ours, theirs in pairs)
    assert is_same == (re.match(rf"chain.actors\[0\]: {option}=\S+ has no effect", refusal(changed)) is not None)


def test_every_option_is_tried() -> None:
    tried = {"kind", "dropout", *CHANGES, *itertools.chain.from_iterable(ENTRIES)}
    assert tried == set(vars(DEFAULT))


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"kind": "deterministic", "log_std_init": -2}],
         "chain.actors[0]: log_std_init=-2 has no effect with kind=deterministic, "
         "only with kind=gaussian or tanh_gaussian; drop it."),
        ([{}, {"kind": "tanh_gaussian", "log_std_init": -4}],
         "chain.actors[1]: log_std_init=-4 has no effect with log_std=head, only with log_std=free or fixed; drop it."),
        ([{"kind": "gaussian", "log_std_affine": True}],
         "chain.actors[0]: log_std_affine=true has no effect with log_std=free, only with log_std=head; drop it."),
        ([{"kind": "gaussian", "log_std": "head", "log_std_offset_init": 1}],
         "chain.actors[0]: log_std_offset_init=1 has no effect with log_std_affine=false, only with log_std_affine="),
        ([{"dropout": 0.1}, {"kind": "gaussian", "dropout": 0.1}],
         "chain.actors[1]: dropout=0.1 has no effect after actor 0, whose own loss alone drops units; drop it."),
        ([{"kind": "gaussian", "log_std_init": -30}],
         "chain.actors[0]: log_std_init=-30 is cut to [log_std_min, log_std_max] = [-20, 2] "
         "and gets no gradient there; start it inside."),
        ([{"kind": "gaussian", "log_std_min": 1}], "log_std_init=0 is cut to [log_std_min, log_std_max] = [1, 2]"),
        ([{"kind": "gaussian", "max_action": 2}],
         "chain.actors[0]: max_action=2 is no option: the action box is fixed at [-1, 1], "
         "to which the data's actions are scaled; drop it."),
    ],
    ids=str,
)  # fmt: skip
def test_the_refusal_says_why(entries: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(BadInput, match=re.escape(message)):
        check_options(entries, resolve_actors(entries, 3, DEFAULT))


@pytest.mark.parametrize(
    "entries",
    [
        [{"dropout": 0.1}],  # the last entry repeats
        [{"dropout": 0.1}, {"dropout": 0.1}],  # a copy of actor 0 has all of its options
        [{"dropout": 0.1}, {"dropout": 0.0}],
        [{"kind": "gaussian", "std": "exp", "log_std_affine": False}],
        [{"kind": "tanh_gaussian", "tanh_mean": True}],
        [{"kind": "gaussian", "log_std": "fixed", "log_std_init": -30}],  # stays where it starts
    ],
    ids=str,
)
def test_what_holds_anyway_may_be_said(entries: list[dict[str, Any]]) -> None:
    assert refusal(*entries) == ""


def test_an_option_of_the_algorithm_is_not_the_entrys() -> None:
    softplus = ActorConfig("tanh_gaussian", (8,), tanh_mean=False, log_std="head", std="softplus", log_std_init=-30)
    assert refusal({}, {"hidden_sizes": [4]}, default=softplus) == ""
    assert refusal({"log_std": "free"}, default=ActorConfig("gaussian", (8,), std="softplus")) == ""
