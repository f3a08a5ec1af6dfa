"""Environments that draw what happens in them, with or without a screen."""

import functools
import importlib.util
import logging
import os
import subprocess
import sys

import gymnasium

from pogo.core.environments.make import make_environment
from pogo.core.environments.spec import EnvironmentSpec
from pogo.core.errors import BadInput

RENDERERS = ("egl", "osmesa", "glfw")  # of MuJoCo, by the names of MUJOCO_GL; the first two need no screen
MUJOCO_GL = "MUJOCO_GL"
_TRIAL_SECONDS = 120
_TRIAL = """\
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
with mujoco.Renderer(model, 16, 16) as renderer:
    mujoco.mj_forward(model, data)
    renderer.update_scene(data)
    renderer.render()
"""

logger = logging.getLogger("pogo")


def drawing_environment(spec: EnvironmentSpec, size: int | None = None) -> gymnasium.Env:
    """A new environment whose `render()` gives frames [height, width, 3] of bytes.

    Args:
        spec: the environment.
        size: height and width, where its simulator can choose them; none: its own.

    Raises:
        BadInput: it cannot draw: its package has no such mode, needs another one, or finds no way to draw here.
    """
    if "DISPLAY" not in os.environ and "WAYLAND_DISPLAY" not in os.environ:
        os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # pygame looks for a screen otherwise
    is_mujoco = simulates_in_mujoco(spec)
    if is_mujoco:
        choose_renderer()
    if spec.package == "d4rl":
        raise BadInput(f"env={spec.env_id} of the d4rl package draws on screens only; name another with --env ID.")
    environment = make_environment(spec, render_mode="rgb_array", size=size if is_mujoco else None)
    if "rgb_array" not in environment.metadata.get("render_modes", ()):
        environment.close()
        raise BadInput(f"env={spec.env_id} has no render mode rgb_array; a video needs one.")
    try:
        environment.reset(seed=0)
        environment.render()
    except Exception as error:
        environment.close()
        cause = " ".join(str(error).split()) or type(error).__name__
        raise BadInput(
            f"env={spec.env_id} cannot draw: {cause}; install what it needs, or go without video."
        ) from error
    return environment


def simulates_in_mujoco(spec: EnvironmentSpec) -> bool:
    """Whether MuJoCo draws it."""
    if spec.package == "gymnasium_robotics":
        return True
    registered = gymnasium.registry.get(spec.env_id.rpartition(":")[2])
    return registered is not None and "mujoco" in str(registered.entry_point)


def choose_renderer() -> str:
    """Have MuJoCo draw by what works on this machine; gives its name.

    Raises:
        BadInput: nothing does.
    """
    chosen = os.environ.get(MUJOCO_GL)
    found = working_renderer(chosen)
    if found is None and chosen:
        raise BadInput(
            f"MuJoCo cannot draw by {MUJOCO_GL}={chosen} on this machine; unset it, and pogo looks for what works."
        )
    if found is None:
        raise BadInput(
            "MuJoCo cannot draw on this machine: neither EGL nor OSMesa works. Install one of them (apt install "
            "libegl1 or libosmesa6), or go without video."
        )
    os.environ[MUJOCO_GL] = found
    return found


@functools.cache
def working_renderer(only: str | None = None) -> str | None:
    """The first of `RENDERERS` that draws, tried in a process of its own, which a driver may crash; None: none does."""
    if importlib.util.find_spec("mujoco") is None:
        return None
    for name in (only,) if only else RENDERERS:
        environment = {**os.environ, MUJOCO_GL: name}
        try:
            subprocess.run(
                [sys.executable, "-c", _TRIAL], env=environment, check=True, capture_output=True, timeout=_TRIAL_SECONDS
            )
        except subprocess.SubprocessError:
            logger.debug("MuJoCo does not draw by %s=%s.", MUJOCO_GL, name)
            continue
        return name
    return None
