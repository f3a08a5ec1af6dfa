"""What MuJoCo says of the models that gymnasium ships, which no user can mend."""

import contextlib
import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

# gymnasium's HalfCheetah has it in its model: said once for every simulator, and written to MUJOCO_LOG.TXT.
_OF_SHIPPED_MODELS = "compiler attribute 'settotalmass' is deprecated"


@contextlib.contextmanager
def without_known_warnings(entry_point: str) -> Iterator[None]:
    """Leave out, while an environment is made, the warning of a model that is gymnasium's own.

    Every other warning goes the way that it would go: to a handler that the program has set, or to stderr and
    MUJOCO_LOG.TXT, as MuJoCo itself does.

    Args:
        entry_point: what makes the environment; MuJoCo is imported for one that names it.
    """
    mujoco = _mujoco() if "mujoco" in sys.modules or "mujoco" in entry_point else None
    if mujoco is None:
        yield
        return
    earlier = mujoco.get_mju_user_warning()

    def warn(message: str) -> None:
        if _OF_SHIPPED_MODELS in message:
            return
        if earlier is not None:
            earlier(message)
            return
        sys.stderr.write(f"WARNING: {message}\n\n")
        mujoco.mju_writeLog("WARNING", message)

    mujoco.set_mju_user_warning(warn)
    try:
        yield
    finally:
        mujoco.set_mju_user_warning(earlier)


def _mujoco() -> ModuleType | None:
    try:
        return importlib.import_module("mujoco")
    except ImportError:  # gymnasium says what to install
        return None
