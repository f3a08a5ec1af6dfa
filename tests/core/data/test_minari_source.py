from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from pogo.core.data import minari_source
from pogo.core.data.config import DatasetConfig
from pogo.core.data.dataset import Dataset
from pogo.core.data.loading import load_dataset
from pogo.core.data.preprocessing import Preprocessing
from pogo.core.errors import BadInput

minari = pytest.importorskip("minari")
STEPS = [5, 3, 4]


@pytest.fixture
def make_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., dict]:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))

    def make(dataset_id: str = "test/pendulum/tiny-v0", **options: object) -> dict:
        from minari.data_collector import EpisodeBuffer

        rng = np.random.default_rng(0)
        buffers, raw = [], []
        for index, steps in enumerate(STEPS):
            episode = {
                "observations": rng.normal(size=(steps + 1, 3)).astype(np.float32),
                "actions": rng.uniform(-2, 2, (steps, 1)).astype(np.float32),
                "rewards": rng.normal(size=steps),
                "terminations": np.arange(steps) == (steps - 1 if index == 1 else -1),
                "truncations": np.arange(steps) == (steps - 1 if index == 0 else -1),  # the last one just stops
            }
            raw.append(episode)
            buffers.append(EpisodeBuffer(id=index, **episode))
        options = {"env": gymnasium.make("Pendulum-v1")} | options
        minari.create_dataset_from_buffers(dataset_id, buffers, **options)
        return {key: np.concatenate([episode[key] for episode in raw]) for key in raw[0]}

    return make


def load(name: str = "minari:test/pendulum/tiny-v0", env: str | None = None, **options: object) -> Dataset:
    return load_dataset(DatasetConfig(name=name, offline=True, **options), Preprocessing(), env)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore")
def test_every_row_and_its_next_observation(make_dataset: Callable[..., dict]) -> None:
    raw = make_dataset(ref_min_score=-10.0, ref_max_score=5.0)
    dataset = load(view="full")
    first = np.delete(np.arange(15), [5, 9, 14])  # 6 + 4 + 5 observations; each episode's last only follows
    transitions = dataset.transitions
    np.testing.assert_array_equal(transitions.observations, raw["observations"][first])
    np.testing.assert_array_equal(transitions.next_observations, raw["observations"][first + 1])
    np.testing.assert_array_equal(transitions.actions, raw["actions"] / 2)
    np.testing.assert_array_equal(transitions.rewards, raw["rewards"].astype(np.float32))
    assert np.flatnonzero(transitions.terminals).tolist() == [7]
    assert np.flatnonzero(transitions.episode_ends).tolist() == [4, 7, 11]
    assert dataset.environment is not None
    assert dataset.environment.env_id == "Pendulum-v1"
    assert dataset.reference_returns == (-10.0, 5.0)
    assert dataset.name == "test-pendulum-tiny-v0"
    assert dataset.behaviour.episodes == 3
    assert load(view="full").sha256 == dataset.sha256
    with pytest.raises(BadInput, match=r"SHA-256 of its values is .*dataset.sha256=0+"):
        load(sha256="0" * 64)


@pytest.mark.filterwarnings("ignore")
def test_d4rls_view_drops_the_rows_that_were_cut_off(make_dataset: Callable[..., dict]) -> None:
    make_dataset()
    transitions = load().transitions
    assert len(transitions) == 12 - 2  # a time-out, and the last row; the true end stays
    assert np.flatnonzero(transitions.terminals).tolist() == [6]


@pytest.mark.filterwarnings("ignore")
def test_dictionary_observations_are_joined_as_the_environment_joins_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    from minari.data_collector import EpisodeBuffer

    box = gymnasium.spaces.Box
    space = gymnasium.spaces.Dict({"observation": box(-9, 9, (2,), np.float32), "goal": box(-9, 9, (1,), np.float32)})
    observations = {"observation": np.ones((4, 2), np.float32), "goal": np.full((4, 1), 2, np.float32)}
    buffer = EpisodeBuffer(
        id=0,
        observations=observations,
        actions=np.zeros((3, 1), np.float32),
        rewards=np.zeros(3),
        terminations=np.zeros(3, bool),
        truncations=np.arange(3) == 2,
    )
    minari.create_dataset_from_buffers(
        "test/goal-v0", [buffer], observation_space=space, action_space=box(-1, 1, (1,), np.float32)
    )
    joined = load("minari:test/goal-v0", env="none").transitions.observations[0]
    np.testing.assert_array_equal(joined, gymnasium.spaces.flatten(space, {k: v[0] for k, v in observations.items()}))


@pytest.mark.parametrize("name", ["minari:", "minari:../x-v0", "minari:/etc/x-v0", "minari:a//b-v0", "minari:pen"])
def test_malformed_ids_are_refused(name: str) -> None:
    with pytest.raises(BadInput, match=r"a Minari id reads like minari:D4RL/pen/human-v2|must be a plain name"):
        load(name)


def test_a_dataset_that_is_not_here_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    with pytest.raises(BadInput, match=r"D4RL/pen/human-v2 is not on this machine; fetch it: minari download D4RL/pen"):
        load("minari:D4RL/pen/human-v2")


def test_a_missing_package_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(minari_source.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"needs minari, not installed here: pip install 'pogo\[minari\]'"):
        load("minari:D4RL/pen/human-v2")


@pytest.mark.filterwarnings("ignore")
def test_sizes_are_checked_before_reading(make_dataset: Callable[..., dict]) -> None:
    make_dataset()
    with pytest.raises(BadInput, match="GiB is above the limit"):
        load(max_gib=1e-9)


@pytest.mark.filterwarnings("ignore")
def test_what_minari_records_of_the_environment_is_kept(make_dataset: Callable[..., dict]) -> None:
    """Its wrappers, the time limit of its spec, and the environment of evaluations before that of the data."""
    wrapped = gymnasium.wrappers.RescaleObservation(gymnasium.make("Pendulum-v1", max_episode_steps=60), -1.0, 1.0)
    make_dataset(env=wrapped)
    environment = load().environment
    assert environment is not None
    assert [wrapper["name"] for wrapper in environment.wrappers] == ["RescaleObservation"]
    assert environment.limit_words == "episodes of at most 60 steps, the data's limit"
    bare = load(env="Pendulum-v1").environment
    assert bare is not None
    assert bare.wrappers == environment.wrappers
    make_dataset(
        "test/pendulum/evaluated-v0",
        env=gymnasium.make("Pendulum-v1", g=10.0, render_mode="rgb_array"),
        eval_env=gymnasium.make("Pendulum-v1", g=0.5, max_episode_steps=30),
    )
    evaluated = load("minari:test/pendulum/evaluated-v0").environment
    assert evaluated is not None
    assert (evaluated.kwargs, evaluated.max_episode_steps) == ({"g": 0.5}, 30)
