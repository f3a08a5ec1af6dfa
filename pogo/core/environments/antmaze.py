"""D4RL's AntMazes, simulated by gymnasium-robotics (optional; Fu et al. 2020, arXiv:2004.07219, section 5).

gymnasium-robotics' AntMaze has another robot (150 N m, 20 Hz), other start and goal noise and another goal radius than
the one whose data D4RL recorded, so its walls and its simulator are taken, and the rest is set to D4RL's values. One
frame is used throughout, D4RL's: the start cell's centre is (0, 0), x grows with the columns, y with the rows.
"""

import contextlib
import importlib
import importlib.util
import tempfile
import xml.etree.ElementTree as ElementTree
from functools import cache
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box

from pogo.core.errors import BadInput, check_name

CELL = 4.0  # a cell's width in metres
GOAL_RADIUS = 0.5  # gymnasium-robotics ends at 0.45
GOAL_NOISE = (CELL / 4, CELL / 8)  # widths of two uniform draws, added to the goal cell's centre, per axis
RESET_NOISE = 0.1  # of positions (uniform, both ways) and of velocities (standard deviation)
OBSERVATION_SIZE = 29  # 15 positions, x and y first, then 14 velocities

# The maps that D4RL evaluates in, one start (r) and one goal (g) each: the data's maps may have more.
_UMAZE = """
#####
#r..#
###.#
#g..#
#####
"""
_MEDIUM = """
########
#r.##..#
#..#...#
##...###
#..#...#
#.#..#.#
#...#.g#
########
"""
_LARGE = """
############
#r...#.....#
#.##.#.#.#.#
#......#...#
#.####.###.#
#..#.#.....#
##.#.#.#.###
#..#...#.g.#
############
"""
MAZES = {  # environment: map, step limit
    "antmaze-umaze-v2": (_UMAZE, 700),
    "antmaze-umaze-diverse-v2": (_UMAZE, 700),
    "antmaze-medium-play-v2": (_MEDIUM, 1000),
    "antmaze-medium-diverse-v2": (_MEDIUM, 1000),
    "antmaze-large-play-v2": (_LARGE, 1000),
    "antmaze-large-diverse-v2": (_LARGE, 1000),
}


def is_installed() -> bool:
    """Whether gymnasium-robotics is there to import; does not import it."""
    return importlib.util.find_spec("gymnasium_robotics") is not None


def make_antmaze(name: str, max_episode_steps: int | None = None, render_mode: str | None = None) -> "AntMaze":
    """One of D4RL's mazes, with its own time limit or another; `render_mode` as gymnasium has it.

    Raises:
        BadInput: an unknown name, or gymnasium-robotics is missing or does not load.
    """
    check_name("env", name, MAZES)
    if not is_installed():
        raise BadInput(f"env={name} needs gymnasium-robotics, which is not installed: pip install 'pogo[antmaze]'.")
    text, own_limit = MAZES[name]
    rows = text.split()
    cells = {"#": 1, ".": 0, "r": "r", "g": "g"}
    try:
        _register_robotics()
        with tempfile.TemporaryDirectory() as folder:
            simulator = gymnasium.make(
                "AntMaze_UMaze-v5",
                disable_env_checker=True,
                max_episode_steps=max_episode_steps or own_limit,
                render_mode=render_mode,
                # gymnasium-robotics counts rows against the y axis: in reversed order only a translation is left.
                maze_map=[[cells[cell] for cell in row] for row in reversed(rows)],
                xml_file=str(_write_robot(Path(folder))),
                include_cfrc_ext_in_observation=False,
            )
    except (gymnasium.error.Error, ImportError, TypeError, ValueError) as error:
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"env={name} cannot be made by gymnasium-robotics ({line}); pip install --upgrade gymnasium-robotics."
        ) from error
    with contextlib.suppress(FileNotFoundError):  # the model with its walls, which stays behind in the temporary folder
        Path(simulator.unwrapped.tmp_xml_file_path).unlink()  # type: ignore[attr-defined]
    return AntMaze(simulator, rows)


class AntMaze(gymnasium.Wrapper[np.ndarray, np.ndarray, Any, Any]):
    """An AntMaze as D4RL evaluates it.

    Observations are D4RL's 29 numbers: x, y, the ant's other 13 positions, its 14 velocities. The reward is 1 within
    `GOAL_RADIUS` of the goal, which ends the episode, and else 0: an episode's return says whether it succeeded. A
    fallen ant goes on. Every reset draws a goal, as in D4RL's version 2.
    """

    goal: np.ndarray  # [2], in D4RL's frame; drawn by reset

    def __init__(self, simulator: gymnasium.Env, rows: list[str]) -> None:
        """Wrap gymnasium-robotics' environment of the map whose rows, in D4RL's order, are given."""
        super().__init__(simulator)
        self.observation_space = Box(-np.inf, np.inf, (OBSERVATION_SIZE,), np.float64)
        maze: Any = simulator.unwrapped
        self._ant = maze.ant_env
        self._start = np.array(maze.maze.unique_reset_locations[0])
        self._goal_cell = CELL * (_cell(rows, "g") - _cell(rows, "r"))

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Start at the start cell, with noise on all positions and velocities, and draw a goal beside its cell."""
        self.env.reset(seed=seed)
        rng = self.env.unwrapped.np_random
        self.goal = self._goal_cell + sum(rng.uniform(0.0, width, size=2) for width in GOAL_NOISE)
        positions, velocities = self._ant.init_qpos.copy(), self._ant.init_qvel.copy()
        positions[:2] = self._start
        positions += rng.uniform(-RESET_NOISE, RESET_NOISE, size=positions.shape)
        positions[3:7] /= np.linalg.norm(positions[3:7])  # D4RL's MuJoCo, as any before 3.2, does this itself
        velocities += RESET_NOISE * rng.standard_normal(velocities.shape)
        self._ant.set_state(positions, velocities)
        return self._observation(), {}

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """One step of 0.1 s."""
        truncated = self.env.step(action)[3]
        observation = self._observation()
        success = bool(np.linalg.norm(observation[:2] - self.goal) <= GOAL_RADIUS)
        return observation, float(success), success, truncated, {}

    def _observation(self) -> np.ndarray:
        observation = np.concatenate([self._ant.data.qpos, self._ant.data.qvel])
        observation[:2] -= self._start
        return observation


@cache
def _register_robotics() -> None:
    """Import gymnasium-robotics for its registrations; those that replace gymnasium's -v2 and -v3 robots are undone."""
    before = dict(gymnasium.registry)
    importlib.import_module("gymnasium_robotics")
    gymnasium.registry.update(before)


def _cell(rows: list[str], mark: str) -> np.ndarray:
    """Column and row of a mark: x and y in cells."""
    row = next(index for index, cells in enumerate(rows) if mark in cells)
    return np.array([rows[row].index(mark), row], dtype=np.float64)


def _write_robot(folder: Path) -> Path:
    """D4RL's ant, written into `folder`: gymnasium's model but for these three values.

    An action of 1 is a torque of 30 (D4RL scales actions to a control range of 30), a step is 5 times 0.02 s, and
    contacts are softer. D4RL's model file, compiled, differs in nothing else that moves.
    """
    from gymnasium.envs.mujoco import ant_v5  # needs MuJoCo

    tree = ElementTree.parse(Path(ant_v5.__file__).parent / "assets" / "ant.xml")
    for element, attribute, value in (
        ("option", "timestep", "0.02"),
        ("default/geom", "solimp", ".8 .8 .01"),
        ("actuator/motor", "gear", "30"),
    ):
        for found in tree.findall(element):
            found.set(attribute, value)
    path = folder / "ant.xml"
    tree.write(path)
    return path
