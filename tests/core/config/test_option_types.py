"""Every option of the schema, given what no option means: taken and checked, or refused in one line."""

import dataclasses
import itertools
import random

import pytest

from pogo.core.config.compose import compose_config
from pogo.core.config.option_types import option_types
from pogo.core.data.config import DatasetConfig
from pogo.core.errors import BadInput
from pogo.core.runs.plan import check_settings
from tests.helpers.slow import quick

TRIED = 50  # of all pairs of an option and a value, each time the same ones
VALUES = (
    *(
        "null",
        "???",
        "''",
        "[]",
        "{}",
        "[[1]]",
        "[{}]",
        "[null]",
        "[???]",
        "true",
        "1e400",
        "1" + "0" * 30,
        "-1",
        "abc",
    ),
    *(
        "${seed}",
        "${oc.env:HOME}",
        "[${seed}]",
        "[${oc.env:HOME}]",
        "${nope}",
        "${",
        "a\nb",
        "x" * 300,
        "é",
        "+3",
        "' 3'",
    ),
    *("'3'", "0x10", "1_000", "nan", "inf", "-inf", "[1,2]", "[a,b]", "[{kind: gaussian}]", "{a: 1}", "interval(1,2)"),
    *("range(0,3,0)", "1,2", "tag(a,1)", "'???'", "3.0", "1e3", "yes", "\x00", "a: b", "[", "'", "\\"),
)
GROUPS = ("experiment", "algorithm", "backend", "dataset", "algorithm_dataset", "hydra.searchpath", "hydra.run.dir")


def outcome(*arguments: str) -> str:
    """What is said of these options; empty where they are taken."""
    try:
        check_settings(compose_config(arguments), to_run=False)
    except BadInput as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seed", quick(range(4), (0,)))
def test_no_option_ends_in_a_traceback(seed: int) -> None:
    pairs = list(itertools.product([*sorted(option_types("iql")), *GROUPS], VALUES))
    for key, value in random.Random(seed).sample(pairs, TRIED):
        assert "\n" not in outcome(f"{key}={value}"), f"{key}={value!r}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("seed=???", "seed=???: ??? stands for a value that is missing; give one, or drop the option."),
        ("chain.w2_weights=[1,???]", "??? stands for a value that is missing"),
        ("dataset.mirrors=[[1]]", "dataset.mirrors=[[1]] is not a list of names."),
        ("dataset.mirrors=[{}]", "dataset.mirrors=[{}] is not a list of names."),
        ("chain.w2_weights=[[1]]", "chain.w2_weights=[[1]] is not a list of numbers."),
        ("chain.w2_weights=[{kind: gaussian}]", "chain.w2_weights=[{'kind': 'gaussian'}] is not a list of numbers."),
        ("chain.w2_weights=${seed}", "chain.w2_weights=0 is not a list of numbers."),
        ("chain.actors=[${seed}]", "chain.actors=[0] is not a list of mappings."),
        ("dataset.max_episode_steps=1" + "0" * 30, "whole numbers have at most 63 bits"),
        ("dataset.max_episode_steps=1" + "0" * 12, "is out of range; use 1 to 999999999."),
        (
            "chain.num_actors=100000",
            "chain.num_actors=100000 is too large; use a whole number of at most 256; actor 0 alone is 1.",
        ),
        ("algorithm.hidden_sizes=[1000000]", "a layer of 1000000 units is too large"),
        (
            "eval.processes=+3",
            "eval.processes=+3: eval.processes takes a whole number. Write a whole number in digits.",
        ),
        ("eval.processes=' 3'", "eval.processes takes a whole number. Write a whole number in digits."),
        ("seed=1_000", "seed takes a whole number. Write a whole number in digits."),
        ("hydra.searchpath=[file://absent]", "/absent is no folder; name one that holds groups"),
        ("hydra.run.dir=x", "pogo keeps its own run folder; set run.dir or run.root."),
        ("run.variant=" + "x" * 300, "300 bytes, and a name has at most 255; shorten run.variant"),
        ("run.root=" + "é" * 200, "400 bytes, and a name has at most 255"),
    ],
    ids=lambda text: text[:40],
)
def test_what_is_refused_is_named_with_what_is_taken(given: str, message: str) -> None:
    assert message in outcome(given)


@pytest.mark.parametrize("given", ["experiment=null", "run.root=${oc.env:HOME}/runs", "eval.processes=3", "seed=-0"])
def test_what_is_written_out_is_taken(given: str) -> None:
    assert outcome(given) == ""


def test_a_package_that_is_missing_is_missed_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "wandb" else object())
    with pytest.raises(BadInput, match=r"logger\.wandb=true needs wandb, not installed here: pip install"):
        check_settings(compose_config(["logger.wandb=true"]))


def test_every_option_has_a_type() -> None:
    annotations = option_types("iql")
    assert {f"dataset.{field.name}" for field in dataclasses.fields(DatasetConfig)} <= annotations.keys()
    assert annotations["chain.w2_weights"] == list[float] | None


def test_a_message_is_one_line_whatever_it_quotes() -> None:
    assert str(BadInput("dataset.path=a\nb\x00é.hdf5: no such file")) == "dataset.path=a\\nb\\x00é.hdf5: no such file"
