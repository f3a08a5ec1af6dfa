import json
from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.envs.registration import WrapperSpec
from gymnasium.spaces import Box, Dict, Discrete

from pogo.core.environments.make import environment_in_place_of, environment_spec, make_environment
from pogo.core.environments.recorded import Parts, RecordedEnvironment, rebuilt_wrappers
from pogo.core.environments.spec import EnvironmentSpec, check_sizes
from pogo.core.errors import BadInput


class Custom(gymnasium.Env):
    """One environment with the spaces asked for."""

    def __init__(self, observations: gymnasium.Space | None = None, actions: gymnasium.Space | None = None) -> None:
        self.observation_space = observations or Box(-1, 1, (2,))
        self.action_space = actions or Box(-1, 1, (1,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[object, dict]:
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample(), {}

    def step(self, action: object) -> tuple[object, float, bool, bool, dict]:
        return self.observation_space.sample(), 0.0, False, False, {}


GOAL = Dict({"observation": Box(-1, 1, (2,)), "goal": Box(-1, 1, (3,))})


@pytest.fixture
def register() -> Iterator[Callable[..., str]]:
    names = []

    def add(max_episode_steps: int | None = 5, **kwargs: object) -> str:
        name = f"PogoTest{len(names)}-v0"
        gymnasium.register(name, entry_point=Custom, max_episode_steps=max_episode_steps, kwargs=kwargs)
        names.append(name)
        return name

    yield add
    for name in names:
        del gymnasium.registry[name]


def test_a_spec_says_what_a_policy_needs_and_survives_json() -> None:
    spec = environment_spec("Pendulum-v1")
    assert spec == EnvironmentSpec("Pendulum-v1", 3, 1, (-2.0,), (2.0,), 200)
    assert EnvironmentSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec
    environment = make_environment(spec)
    first = environment.reset(seed=3)[0]
    np.testing.assert_array_equal(first, gymnasium.make("Pendulum-v1").reset(seed=3)[0])
    environment.close()


@pytest.mark.parametrize(
    ("env_id", "message"),
    [
        ("Pendulumm-v1", r"env=Pendulumm-v1 cannot be made: .* Did you mean 'Pendulum-v1'\?"),
        ("Pendulum-v9", r"env=Pendulum-v9 cannot be made: .* Did you mean 'Pendulum-v1'\?"),
        ("nowhere/Thing-v0", r"env=nowhere/Thing-v0 cannot be made: .*module:Name-v0"),
        ("no_such_module:Thing-v0", "env=no_such_module:Thing-v0 cannot be made: No module named 'no_such_module'"),
        ("HalfCheetah-v2", r"env=HalfCheetah-v2 cannot be made: .*Did you mean 'HalfCheetah-v\d'"),
        ("CartPole-v1", r"env=CartPole-v1 has actions Discrete\(2\); pogo needs one continuous Box"),
        ("", "env= cannot be made"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_environments_that_cannot_be_used_are_refused(env_id: str, message: str) -> None:
    with pytest.raises(BadInput, match=message) as caught:
        environment_spec(env_id)
    assert "\n" not in str(caught.value)


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise gymnasium.error.DependencyNotInstalled("MuJoCo is not installed")

    monkeypatch.setattr(gymnasium, "make", fail)
    with pytest.raises(BadInput, match=r"env=Hopper-v4 needs a package .*: pip install 'pogo\[mujoco\]'"):
        environment_spec("Hopper-v4")
    with pytest.raises(BadInput, match=r"env=LunarLander-v3 needs a package .*: pip install 'gymnasium\[box2d\]'"):
        environment_spec("LunarLander-v3")


def test_settings_that_an_environment_does_not_take_are_named() -> None:
    with pytest.raises(BadInput, match=r"env=Pendulum-v1 cannot be made with {'wind': 1}: .*unexpected keyword"):
        environment_spec("Pendulum-v1", kwargs={"wind": 1})


def test_unusable_spaces_are_refused(register: Callable[..., str]) -> None:
    with pytest.raises(BadInput, match="has unbounded actions"):
        environment_spec(register(actions=Box(-np.inf, np.inf, (1,))))
    with pytest.raises(BadInput, match=r"has observations Box.*of shape \[size\]"):
        environment_spec(register(observations=Box(0, 1, (4, 4))))
    with pytest.raises(BadInput, match="has observations Dict"):
        environment_spec(register(observations=Dict({"a": Discrete(3)})))


def test_a_time_limit_is_needed_and_can_be_given(register: Callable[..., str]) -> None:
    name = register(max_episode_steps=None)
    with pytest.raises(BadInput, match=r"has no time limit; give one with dataset.max_episode_steps"):
        environment_spec(name)
    spec = environment_spec(name, max_episode_steps=2)
    assert spec.max_episode_steps == 2
    environment = make_environment(spec)
    environment.reset(seed=0)
    assert [environment.step(np.zeros(1))[3] for _ in range(2)] == [False, True]
    shorter = environment_spec("Pendulum-v1", max_episode_steps=7)
    environment = make_environment(shorter)
    environment.reset(seed=0)
    assert [environment.step(np.zeros(1))[3] for _ in range(7)] == [False] * 6 + [True]
    assert shorter.limit_words == "episodes of at most 7 steps, dataset.max_episode_steps"
    assert environment_spec("Pendulum-v1", 200).limit_words == environment_spec("Pendulum-v1").limit_words == ""


def test_goal_observations_are_joined(register: Callable[..., str]) -> None:
    spec = environment_spec(register(observations=GOAL))
    assert spec.observation_size == 5
    assert make_environment(spec).reset(seed=0)[0].shape == (5,)


def test_sizes_are_held_to_the_data() -> None:
    spec = environment_spec("Pendulum-v1")
    check_sizes(spec, 3, 1, "data.hdf5")
    with pytest.raises(BadInput, match=r"data.hdf5: observations have size 17, but env=Pendulum-v1 has 3; name the"):
        check_sizes(spec, 17, 1, "data.hdf5")
    with pytest.raises(BadInput, match=r"data.hdf5: actions have size 6, but env=Pendulum-v1 has 1"):
        check_sizes(spec, 3, 6, "data.hdf5")


def test_actions_are_cut_in_the_environments_own_type(register: Callable[..., str]) -> None:
    """A rounding of float32 would leave bounds of 0.1: a strict environment refuses it."""
    for dtype in (np.float64, np.float32, np.float16):
        box = Box(-0.1, 0.1, (1,), dtype)
        spec = environment_spec(register(actions=box))
        assert spec.action_dtype == np.dtype(dtype).name
        for wanted in (-1.0, -0.1, 0.1, 1.0, 0.05):
            taken = spec.actions(np.array([wanted]))
            assert taken.dtype == dtype
            assert box.contains(taken), (dtype, wanted, taken)
    old = {key: value for key, value in spec.to_json().items() if key != "action_dtype"}
    assert EnvironmentSpec.from_json(old).action_dtype == "float32"


PARTS = Dict([("position", Box(-1, 1, (2,))), ("goal", Box(-1, 1, (1,))), ("arm", Dict({"joint": Box(-1, 1, (3,))}))])


def test_parts_of_an_observation_are_joined_by_name(register: Callable[..., str]) -> None:
    name = register(observations=PARTS)
    own = environment_spec(name)
    assert own.observation_parts == (("position", 2), ("goal", 1), ("arm/joint", 3))
    by_name = tuple(sorted(own.observation_parts))
    spec = environment_spec(name, observation_parts=by_name)
    assert spec.observation_parts == by_name
    assert EnvironmentSpec.from_json(spec.to_json()) == spec
    theirs, ours = (make_environment(each).reset(seed=0)[0] for each in (own, spec))
    np.testing.assert_array_equal(ours, np.concatenate([theirs[3:], theirs[2:3], theirs[:2]]))


@pytest.mark.parametrize("parts", [(("goal", 1), ("position", 2)), (("arm/joint", 3), ("goal", 1), ("place", 2)),
                                   (("arm/joint", 2), ("goal", 2), ("position", 2))])  # fmt: skip
def test_other_parts_are_refused_with_both_lists(register: Callable[..., str], parts: Parts) -> None:
    with pytest.raises(BadInput, match=r"has observations .*goal \[1\].*, and the data's are "):
        environment_spec(register(observations=PARTS), observation_parts=parts)


def test_one_vector_stands_for_parts_of_the_same_size(register: Callable[..., str]) -> None:
    name = register(observations=Box(-1, 1, (3,)))
    assert environment_spec(name, observation_parts=(("goal", 1), ("position", 2))).observation_size == 3
    with pytest.raises(BadInput, match=r"and the data's are goal \[1\]"):
        environment_spec(name, observation_parts=(("goal", 1),))


RESCALED = ({"name": "RescaleAction", "kwargs": {"min_action": -1.0, "max_action": 1.0}},
            {"name": "RescaleObservation", "kwargs": {"min_obs": -1.0, "max_obs": 1.0}})  # fmt: skip


def test_wrappers_are_put_around_again() -> None:
    spec = environment_spec("Pendulum-v1", wrappers=RESCALED)
    assert (spec.action_low, spec.action_high) == ((-1.0,), (1.0,))
    assert EnvironmentSpec.from_json(spec.to_json()) == spec
    environment, plain = make_environment(spec), make_environment(environment_spec("Pendulum-v1"))
    for each in (environment, plain):
        each.reset(seed=0)
    ours, theirs = environment.step(np.array([0.5], np.float32)), plain.step(np.array([1.0], np.float32))
    np.testing.assert_allclose(ours[0], theirs[0] / [1, 1, 8], rtol=1e-5)
    assert ours[1] == pytest.approx(theirs[1])


RECORDED = RecordedEnvironment("Pendulum-v1", {"g": 3.0, "render_mode": "human"}, RESCALED, (), 40)


def test_the_recorded_environment_by_any_name_keeps_its_settings() -> None:
    for name in (None, "Pendulum-v1"):
        spec = environment_in_place_of(name, RECORDED, "here")
        assert spec.kwargs == {"g": 3.0}  # and no window
        assert spec.wrappers == RESCALED
        assert spec.limit_words == "episodes of at most 40 steps, the data's limit"
    assert RECORDED.is_of("some.module:Pendulum-v1")


def test_another_environment_is_taken_as_it_is_and_that_is_said(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        spec = environment_in_place_of("MountainCarContinuous-v0", RECORDED, "here")
    assert (spec.kwargs, spec.wrappers, spec.max_episode_steps) == ({}, (), 40)
    said = "is taken as it is, without the data's settings: g, render_mode, RescaleAction, RescaleObservation."
    assert said in caplog.text


@pytest.mark.parametrize(
    ("wrapper", "reason"),
    [
        (WrapperSpec("NormalizeObservation", "gymnasium.wrappers.stateful_observation:NormalizeObservation", {}),
         "wrapper NormalizeObservation, whose running statistics are not in the data"),
        (WrapperSpec("TransformReward", "gymnasium.wrappers.transform_reward:TransformReward", None),
         "wrapper TransformReward, whose settings are not in the data"),
        (WrapperSpec("Mine", "os:system", {"command": 1}), "wrapper Mine of os, a module that only you can name"),
        (WrapperSpec("make", "gymnasium.wrappers:x", {"path": "/etc"}), "wrapper make of gymnasium.wrappers"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)  # fmt: skip
def test_a_wrapper_that_cannot_be_made_again_refuses_evaluation(wrapper: WrapperSpec, reason: str) -> None:
    wrappers, unmade = rebuilt_wrappers([wrapper])
    assert wrappers == ()
    assert unmade.startswith(reason)
    recorded = RecordedEnvironment("Pendulum-v1", unmade=unmade)
    with pytest.raises(
        BadInput, match=r"here: its environment Pendulum-v1 has wrapper .* \(env=module:ID\), or go without"
    ):
        environment_in_place_of(None, recorded, "here")
    assert environment_in_place_of("MountainCarContinuous-v0", recorded, "here").action_size == 1


def test_wrappers_that_only_look_on_are_left_out() -> None:
    specs = [
        WrapperSpec(name, f"gymnasium.wrappers.common:{name}", {}) for name in ("RecordEpisodeStatistics", "TimeLimit")
    ]
    assert rebuilt_wrappers(specs) == ((), "")
