"""Trained networks as functions of numpy arrays: what a backend's `acting` module gives."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

# Normalised observations [n, O] and N(0, 1) draws [n, A], or none for the deterministic mode, to actions [n, A]. A
# gaussian's draws are not cut to [-1, 1]; everything is float32, but for actions, which are in the run's own type.
ActionFunction: TypeAlias = Callable[[np.ndarray, np.ndarray | None], np.ndarray]
# Normalised observations [n, O] and actions [n, A] in [-1, 1] to every critic's value, [E, n].
QFunction: TypeAlias = Callable[[np.ndarray, np.ndarray], np.ndarray]
# Normalised observations [n, O] to state values [n].
ValueFunction: TypeAlias = Callable[[np.ndarray], np.ndarray]
