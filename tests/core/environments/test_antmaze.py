"""D4RL's mazes. The expected values are from D4RL's own source: maze_env.py, ant.py, ant.xml and its registrations."""

import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from pogo.core.data.d4rl import D4RL_DATASETS
from pogo.core.data.preprocessing import Normalisation
from pogo.core.environments import antmaze
from pogo.core.environments.antmaze import MAZES, AntMaze, make_antmaze
from pogo.core.environments.make import environment_spec, make_environment
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput
from pogo.core.problem.actors import ActorConfig
from pogo.core.runs.evaluation import evaluate

UMAZE = ["11111", "10001", "11101", "10001", "11111"]
MEDIUM = ["11111111", "10011001", "10010001", "11000111", "10010001", "10100101", "10001001", "11111111"]
LARGE = [
    "111111111111",
    "100001000001",
    "101101010101",
    "100000010001",
    "101111011101",
    "100101000001",
    "110101010111",
    "100100010001",
    "111111111111",
]
FACTS = {  # walls by row and column, the goal cell's centre as seen from the start cell's (1, 1), step limit
    "antmaze-umaze-v2": (UMAZE, (0.0, 8.0), 700),
    "antmaze-umaze-diverse-v2": (UMAZE, (0.0, 8.0), 700),
    "antmaze-medium-play-v2": (MEDIUM, (20.0, 20.0), 1000),
    "antmaze-medium-diverse-v2": (MEDIUM, (20.0, 20.0), 1000),
    "antmaze-large-play-v2": (LARGE, (32.0, 24.0), 1000),
    "antmaze-large-diverse-v2": (LARGE, (32.0, 24.0), 1000),
}
STILL = np.zeros(8, dtype=np.float32)
Make = Callable[..., AntMaze]


@pytest.fixture
def make() -> Iterator[Make]:
    if not antmaze.is_installed():  # importorskip would import it, whose registrations are a test's business
        pytest.skip("gymnasium-robotics is not installed")
    made = []

    def one(name: str = "antmaze-umaze-v2") -> AntMaze:
        made.append(make_antmaze(name))
        return made[-1]

    yield one
    for environment in made:
        environment.close()


def simulator(environment: AntMaze):
    return environment.unwrapped.ant_env  # type: ignore[attr-defined]


def origin(environment: AntMaze, observation: np.ndarray) -> np.ndarray:
    """Where the simulator has D4RL's (0, 0)."""
    return simulator(environment).data.qpos[:2] - observation[:2]


def put(environment: AntMaze, observation: np.ndarray, xy: np.ndarray, upside_down: bool = False) -> None:
    """Place the resting ant somewhere in D4RL's frame."""
    positions = np.zeros(15)
    positions[:2] = origin(environment, observation) + xy
    positions[2:7] = (0.75, 0, 1, 0, 0) if upside_down else (0.75, 1, 0, 0, 0)
    simulator(environment).set_state(positions, np.zeros(14))


@pytest.mark.parametrize("name", sorted(FACTS))
def test_walls_goal_and_time_limit_are_d4rls(name: str, make: Make) -> None:
    walls, goal, steps = FACTS[name]
    environment = make(name)
    observation = environment.reset(seed=0)[0]
    model = simulator(environment).model
    boxes = model.geom_type == 6  # mjGEOM_BOX
    found = model.geom_pos[boxes][:, :2] - origin(environment, observation)
    expected = [
        (4.0 * (j - 1), 4.0 * (i - 1)) for i, row in enumerate(walls) for j, cell in enumerate(row) if cell == "1"
    ]
    assert sorted(map(tuple, np.round(found, 9).tolist())) == sorted(expected)
    np.testing.assert_array_equal(model.geom_pos[boxes][:, 2], 1.0)
    np.testing.assert_array_equal(model.geom_size[boxes], [(2.0, 2.0, 1.0)] * len(expected))
    offset = environment.goal - goal
    assert (offset >= 0).all()
    assert (offset <= 1.5).all()
    assert environment.spec is not None
    assert environment.spec.max_episode_steps == steps == D4RL_DATASETS[name].max_episode_steps


def test_every_dataset_has_its_maze() -> None:
    assert sorted(MAZES) == sorted(FACTS)
    for name, entry in D4RL_DATASETS.items():
        if name.startswith("antmaze-"):
            assert [candidate.env_id for candidate in entry.candidates] == [name.replace("-v0", "-v2")]


def test_starts_are_the_start_cell_with_d4rls_noise(make: Make) -> None:
    environment = make()
    starts = np.array([environment.reset(seed=seed)[0] for seed in range(300)])
    hinges = np.r_[0:2, 7:15]  # x and y among them: the torso's height rests at 0.75, its quaternion at (1, 0, 0, 0)
    assert np.abs(starts[:, hinges]).max() <= 0.1
    assert np.abs(starts[:, 2] - 0.75).max() <= 0.1
    np.testing.assert_allclose(np.linalg.norm(starts[:, 3:7], axis=1), 1.0, rtol=1e-12)
    # 300 draws of 10 and of 14 numbers: standard errors 0.0005 and 0.0011.
    assert starts[:, hinges].std() == pytest.approx(0.1 / np.sqrt(3), abs=0.002)
    assert starts[:, 15:].std() == pytest.approx(0.1, abs=0.004)


def test_goals_are_drawn_anew_and_to_one_side_of_their_cell(make: Make) -> None:
    environment = make("antmaze-large-play-v2")
    environment.reset(seed=0)
    goals = []
    for _ in range(400):
        environment.reset()
        goals.append(environment.goal - (32.0, 24.0))
    offsets = np.array(goals)  # U(0, 1) + U(0, 0.5) per axis
    assert offsets.min() >= 0.0
    assert 1.25 < offsets.max() <= 1.5
    np.testing.assert_allclose(offsets.mean(axis=0), 0.75, atol=0.06)  # standard error 0.016
    np.testing.assert_allclose(offsets.std(axis=0), np.sqrt((1 + 0.25) / 12), atol=0.04)


def test_observations_are_the_simulators_state_in_d4rls_frame(make: Make) -> None:
    environment = make("antmaze-medium-diverse-v2")
    observation = environment.reset(seed=3)[0]
    # The start cell is the second of 8 columns and, rows mirrored, of 8 rows: 2.5 cells from a centred maze's middle.
    np.testing.assert_allclose(origin(environment, observation), (-10.0, -10.0), atol=1e-12)
    rng = np.random.default_rng(0)
    for _ in range(20):
        observation = environment.step(rng.uniform(-1, 1, 8).astype(np.float32))[0]
        assert environment.observation_space.contains(observation)
        state = simulator(environment).data
        np.testing.assert_array_equal(observation[2:], np.concatenate([state.qpos[2:], state.qvel]))
        np.testing.assert_allclose(observation[:2], state.qpos[:2] + 10.0, atol=1e-12)


@pytest.mark.parametrize(("distance", "success"), [(0.0, True), (0.48, True), (0.52, False)])
def test_success_within_half_a_metre_ends_the_episode_with_return_1(distance: float, success: bool, make: Make) -> None:
    environment = make()
    observation = environment.reset(seed=1)[0]
    put(environment, observation, environment.goal + np.array([distance, 0.0]))
    observation, reward, terminated, truncated, _ = environment.step(STILL)
    assert np.linalg.norm(observation[:2] - environment.goal) == pytest.approx(distance, abs=0.01)
    assert (reward, terminated, truncated) == (float(success), success, False)


def test_a_fallen_ant_goes_on_to_the_time_limit_with_return_0(make: Make) -> None:
    environment = make()
    put(environment, environment.reset(seed=0)[0], np.zeros(2), upside_down=True)
    steps = [environment.step(STILL)[1:4] for _ in range(700)]
    assert steps == [(0.0, False, False)] * 699 + [(0.0, False, True)]


def test_the_robot_is_d4rls(make: Make) -> None:
    environment = make()
    environment.reset(seed=0)
    data, model = simulator(environment).data, simulator(environment).model
    begun = data.time
    action = np.linspace(-1, 1, 8, dtype=np.float32)
    environment.step(action)
    assert data.time - begun == pytest.approx(5 * 0.02)
    # The model's motors in order move hinges 4, 1, 2, 3: hip and ankle each.
    torques = data.qfrc_actuator[6:].reshape(4, 2)[[3, 0, 1, 2]].ravel()
    np.testing.assert_allclose(torques, 30.0 * action, rtol=1e-6)
    np.testing.assert_allclose(model.geom_solimp[:, :3], [(0.8, 0.8, 0.01)] * model.ngeom)


def test_a_seed_fixes_an_episode(make: Make) -> None:
    def episode(environment: AntMaze, seed: int) -> np.ndarray:
        rng = np.random.default_rng(0)
        rows = [environment.reset(seed=seed)[0]]
        rows += [environment.step(rng.uniform(-1, 1, 8).astype(np.float32))[0] for _ in range(10)]
        return np.concatenate([environment.goal, *rows])

    one, other = make(), make()
    first = episode(one, 7)
    assert (episode(one, 8) != first).all()
    np.testing.assert_array_equal(episode(one, 7), first)
    np.testing.assert_array_equal(episode(other, 7), first)


def test_a_spec_survives_json_and_makes_the_same_maze(make: Make) -> None:
    spec = environment_spec("antmaze-large-diverse-v2")
    bounds = ((-1.0,) * 8, (1.0,) * 8)
    assert spec == EnvironmentSpec("antmaze-large-diverse-v2", 29, 8, *bounds, 1000, package="gymnasium_robotics")
    again = EnvironmentSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    environment = make_environment(again)
    direct = make("antmaze-large-diverse-v2")
    np.testing.assert_array_equal(environment.reset(seed=5)[0], direct.reset(seed=5)[0])
    environment.close()


@pytest.mark.usefixtures("make")
def test_a_score_is_the_success_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = environment_spec("antmaze-umaze-v2")
    entry = D4RL_DATASETS["antmaze-umaze-v2"]
    assert (entry.ref_min_score, entry.ref_max_score) == (0.0, 1.0)
    raw = Normalisation(np.zeros(29), np.ones(29), 1.0, 0.0, -np.ones(8), np.ones(8))
    # Goals are 8 to 9.6 m away: for some of the episodes the start lies within this radius, and the still ant succeeds.
    monkeypatch.setattr(antmaze, "GOAL_RADIUS", 8.75)
    result = evaluate(
        lambda observations, pairs, noise: np.zeros((*observations.shape[:2], 8), dtype=np.float32),
        [ActorConfig("deterministic")],
        spec,
        raw,
        (0.0, 1.0),
        episodes=8,
        seed=0,
        update=0,
    )[0].deterministic
    assert result is not None
    assert set(zip(result.returns, result.lengths, strict=True)) == {(1.0, 1), (0.0, 700)}
    assert result.normalized_score == 100.0 * sum(result.returns) / 8


def test_nothing_stays_in_the_temporary_folder(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    make().reset(seed=0)
    assert list(tmp_path.iterdir()) == []


def test_gymnasiums_own_robots_stay_registered(make: Make) -> None:
    make()
    for name in ("HalfCheetah-v2", "Ant-v3"):
        assert "gymnasium_robotics" not in str(gymnasium.registry[name].entry_point)


def test_what_cannot_be_made_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BadInput, match=r"env=antmaze-umaze-v3 cannot be made: .* Did you mean 'antmaze-umaze-v2'\?"):
        environment_spec("antmaze-umaze-v3")
    with pytest.raises(BadInput, match=r"env=antmaze-umaze-v2 takes no settings, but is given {'goal': 1}"):
        environment_spec("antmaze-umaze-v2", kwargs={"goal": 1})
    monkeypatch.setattr(antmaze, "is_installed", lambda: True)

    def fail(*_: object, **__: object) -> None:
        raise gymnasium.error.DependencyNotInstalled("no MuJoCo\nat all")

    monkeypatch.setattr(antmaze, "_register_robotics", fail)
    with pytest.raises(
        BadInput, match=r"made by gymnasium-robotics \(no MuJoCo\); pip install --upgrade gymnasium-robotics\.$"
    ):
        environment_spec("antmaze-umaze-v2")
    monkeypatch.setattr(antmaze, "is_installed", lambda: False)
    with pytest.raises(BadInput, match=r"env=antmaze-umaze-v2 needs gymnasium-robotics, .*: pip install 'pogo\[ant"):
        environment_spec("antmaze-umaze-v2")
