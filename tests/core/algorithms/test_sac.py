"""What SAC's options allow and refuse, as a user writes them."""

import pytest

from pogo.core.config.compose import compose_config
from pogo.core.errors import BadInput
from pogo.core.runs.plan import Settings, check_settings


def settings(*arguments: str) -> Settings:
    return check_settings(compose_config(["algorithm=sac", "env=none", *arguments]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["algorithm.tau=null"], "algorithm.tau=None and target_update_period=None: exactly one of them"),
        (["algorithm.target_update_period=5"], "algorithm.tau=0.005 and target_update_period=5: exactly one of them"),
        (["algorithm.target_update_period=0", "algorithm.tau=null"], "algorithm.target_update_period=0"),
        (["algorithm.target_backup=double_q"], "swaps two critics; num_critics=1 must be 2."),
        (["algorithm.target_backup=double_q", "algorithm.num_critics=3"], "num_critics=3 must be 2."),
        (["algorithm.target_backup=redq"], "num_critics=1 must be 2 or more."),
        (["algorithm.target_backup=doubleq"], "Did you mean 'double_q'?"),
        (["algorithm.actor_q=minimum"], "algorithm.actor_q=minimum is unknown. Did you mean 'min'?"),
        (["algorithm.actor_gradient=reparam"], "Did you mean 'reparametrize'?"),
        (["algorithm.activation=tan"], "algorithm.activation=tan is unknown. Did you mean 'tanh'?"),
        (["algorithm.actor_schedule=cosine"], "algorithm.actor_schedule=cosine is unknown."),
        (["algorithm.temperature=atuo"], "algorithm.temperature=atuo is neither a number nor auto."),
        (["algorithm.temperature=true"], "algorithm.temperature=true"),
        (["algorithm.temperature=-1"], "algorithm.temperature=-1"),
        (["algorithm.temperature=auto", "algorithm.use_entropy_bonus=false"], "needs use_entropy_bonus=true."),
        (
            ["algorithm.temperature=auto", "algorithm.use_tanh=false", "algorithm.fixed_std=true"],
            "with fixed_std=true and use_tanh=false it is constant.",
        ),
        (["algorithm.target_entropy=nan"], "algorithm.target_entropy=nan"),
        (
            ["algorithm.actor_gradient=reinforce", "chain.actors=[{kind: stochastic},{kind: gaussian}]"],
            "actor_gradient=reinforce needs the density of actor 0, and a stochastic actor has none",
        ),
    ],
)
def test_refusals(arguments: list[str], message: str) -> None:
    with pytest.raises(BadInput) as caught:
        settings(*arguments)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_only_actor_0_needs_a_density() -> None:
    found = settings("algorithm.actor_gradient=reinforce", "chain.actors=[{},{kind: stochastic}]")
    assert [actor.kind for actor in found.config.actors] == ["tanh_gaussian", "stochastic", "stochastic"]


@pytest.mark.parametrize(("given", "expected"), [("0.2", 0.2), ("1", 1), ("auto", "auto")])
def test_a_temperature_is_a_number_or_auto(given: str, expected: float | str) -> None:
    hp = settings(f"algorithm.temperature={given}").config.algorithm.hyperparameters
    assert hp.temperature == expected
    assert hp.tunes_temperature == (given == "auto")


def test_schedules_end_with_the_run() -> None:
    assert settings("train.updates=777").config.algorithm.hyperparameters.schedule_updates == 777


def test_the_plain_gaussian() -> None:
    (actor, *_) = settings("algorithm.use_tanh=false").config.actors
    assert (actor.kind, actor.tanh_mean, actor.log_std, actor.std) == ("gaussian", False, "head", "softplus")
    assert actor.output_size(3) == 6
    (actor, *_) = settings("algorithm.use_tanh=false", "algorithm.fixed_std=true").config.actors
    assert actor.output_size(3) == 3
