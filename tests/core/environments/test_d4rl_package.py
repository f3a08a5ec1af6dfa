"""D4RL's package in a fresh interpreter, with stand-ins that behave as the published ones do."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]

GYM = """
import numpy as np

class error:
    class Error(Exception):
        pass

class Box:
    def __init__(self, size, bound):
        self.low, self.high = np.full(size, -bound, np.float32), np.full(size, bound, np.float32)
        self.dtype = np.dtype("float32")

class Spec:
    max_episode_steps = 3

class Old:  # gym below 0.25: seed(), reset() -> observation, step() -> four values
    spec = Spec()
    observation_space, action_space = Box(2, np.inf), Box(1, 1.0)

    def seed(self, seed):
        self.rng = np.random.default_rng(seed)

    def reset(self):
        self.steps = 0
        return self.rng.normal(size=2) + np.random.normal(size=2)

    def step(self, action):
        self.steps += 1
        done = self.steps == 3
        return np.zeros(2), 1.5, done, {"TimeLimit.truncated": True} if done else {}

    def close(self):
        pass

registered = set()

def make(name):
    if name not in registered:
        raise error.Error(f"No registered env with id: {name}")
    return Old()
"""

D4RL = """
import gym
try:
    import mujoco_py
    gym.registered.add("hopper-medium-v2")
except ImportError:
    pass
gym.registered.add("bullet-hopper-medium-v0")
"""

MUJOCO_PY = {
    "absent": None,
    "working": "",
    "without its binaries": "import sys\nsys.modules[__name__ + '.builder'] = sys\nraise Exception('missing MuJoCo')",
}

SCRIPT = """
import json, sys
import numpy as np
from pogo.core.environments import d4rl_package
from pogo.core.environments.make import make_environment
from pogo.core.errors import BadInput
assert d4rl_package.is_installed() and "d4rl" not in sys.modules
out = {}
for name in ("bullet-hopper-medium-v0", "hopper-medium-v2"):
    try:
        spec = d4rl_package.d4rl_spec(name)
    except BadInput as error:
        out[name] = str(error)
        continue
    environment = make_environment(spec)
    first, again = environment.reset(seed=4)[0], environment.reset(seed=4)[0]
    steps = [environment.step(np.zeros(1))[1:4] for _ in range(3)]
    out[name] = [spec.to_json(), bool((first == again).all()), steps]
print(json.dumps(out))
"""


def run(folder: Path, files: dict[str, str | None], script: str = SCRIPT) -> str:
    for name, text in files.items():
        if text is not None:
            (folder / f"{name}.py").write_text(text)
    environment = os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("mujoco_py", sorted(MUJOCO_PY))
def test_d4rl_loads_whatever_the_state_of_mujoco_py(tmp_path: Path, mujoco_py: str) -> None:
    out = json.loads(run(tmp_path, {"gym": GYM, "d4rl": D4RL, "mujoco_py": MUJOCO_PY[mujoco_py]}))
    spec, repeats, steps = out["bullet-hopper-medium-v0"]
    assert (spec["observation_size"], spec["action_size"], spec["package"]) == (2, 1, "d4rl")
    assert (spec["action_low"], spec["action_high"], spec["max_episode_steps"]) == ([-1.0], [1.0], 3)
    assert repeats
    assert steps == [[1.5, False, False], [1.5, False, False], [1.5, False, True]]
    if mujoco_py == "working":
        assert out["hopper-medium-v2"][0]["env_id"] == "hopper-medium-v2"
    else:
        assert "env=hopper-medium-v2 cannot be made by the d4rl package" in out["hopper-medium-v2"]


def test_a_d4rl_that_does_not_load_is_reported(tmp_path: Path) -> None:
    script = """
from pogo.core.environments import d4rl_package
try:
    d4rl_package.d4rl_spec("hopper-medium-v2")
except d4rl_package.BadInput as error:
    print(error)
"""
    printed = run(tmp_path, {"gym": GYM, "d4rl": "raise AttributeError('env_specs')"}, script)
    assert "the d4rl package does not load here (AttributeError: env_specs); repair it, or uninstall it" in printed


@pytest.mark.parametrize("fails", ["make", "reset"])
def test_whatever_an_old_environment_raises_is_bad_input(tmp_path: Path, fails: str) -> None:
    """For want of a simulator or of a file: of any type, and on several lines."""
    head = "def make(name):\n" if fails == "make" else "    def reset(self):\n"
    indent = " " * (4 if fails == "make" else 8)
    broken = GYM.replace(head, f"{head}{indent}raise KeyError('no\\\\nfile')\n")
    script = """
from pogo.core.environments import d4rl_package
try:
    d4rl_package.d4rl_spec("bullet-hopper-medium-v0")
except d4rl_package.BadInput as error:
    print(error)
"""
    printed = run(tmp_path, {"gym": broken, "d4rl": D4RL}, script)
    what = "cannot be made by the d4rl package" if fails == "make" else "of the d4rl package fails at its reset"
    assert printed.startswith(f"env=bullet-hopper-medium-v0 {what}: KeyError")
    assert printed.count("\n") == 1
