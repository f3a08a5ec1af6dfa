import json
from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete

from pogo.core.environments.spec import EnvironmentSpec, check_sizes, environment_spec, make_environment
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
    assert environment_spec("Pendulum-v1", max_episode_steps=7).max_episode_steps == 200  # its own stays


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
