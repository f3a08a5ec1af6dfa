"""Clouds of samples for the distances, and the solvers that both backends have."""

import numpy as np

SOLVERS = ("fused", "library", "exact")


def draws(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.5, 0.5, shape)
