"""Noise as an input: what an update draws, by name, shape and distribution."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from pogo.core.problem.actors import ActorConfig

Distribution = Literal["normal", "uniform01", "uniform11", "bernoulli", "pairs"]


@dataclass(frozen=True)
class Draw:
    """One array of standard draws, or of indices; scaling, clipping and squashing happen inside the update."""

    distribution: Distribution
    shape: tuple[int, ...]
    keep_probability: float = 1.0  # bernoulli only: the chance of a 1
    members: int = 0  # pairs only: of how many members


NoiseSpec = Mapping[str, Draw]


def normal(*shape: int) -> Draw:
    """N(0, 1)."""
    return Draw("normal", shape)


def uniform01(*shape: int) -> Draw:
    """U[0, 1)."""
    return Draw("uniform01", shape)


def uniform11(*shape: int) -> Draw:
    """U[-1, 1)."""
    return Draw("uniform11", shape)


def keep_mask(keep_probability: float, *shape: int) -> Draw:
    """1 with `keep_probability`, else 0; the update divides what it keeps by that probability."""
    return Draw("bernoulli", shape, keep_probability)


def distinct_pairs(members: int, num_draws: int, batch_size: int) -> Draw:
    """Indices of two distinct members out of 0 .. members - 1, [num_draws, 2, batch_size]; each pair as likely."""
    return Draw("pairs", (num_draws, 2, batch_size), members=members)


def dropout_masks(actor: ActorConfig, batch_size: int) -> dict[str, Draw]:
    """Keep-masks of an actor's hidden layers, `actor_dropout_<layer>`; none without dropout."""
    if actor.dropout == 0:
        return {}
    keep = 1.0 - actor.dropout
    return {
        f"actor_dropout_{layer}": keep_mask(keep, batch_size, size) for layer, size in enumerate(actor.hidden_sizes)
    }


def draw_with_numpy(spec: NoiseSpec, generator: np.random.Generator, dtype: str) -> dict[str, np.ndarray]:
    """Every draw of `spec` with numpy, in the order of the names: what tests hand to both backends."""
    arrays = {}
    for name in sorted(spec):
        draw = spec[name]
        if draw.distribution == "pairs":
            arrays[name] = _pairs_with_numpy(draw, generator)
            continue
        if draw.distribution == "normal":
            values = generator.standard_normal(draw.shape)
        elif draw.distribution == "bernoulli":
            values = generator.random(draw.shape) < draw.keep_probability
        else:
            values = generator.random(draw.shape)
            values = 2.0 * values - 1.0 if draw.distribution == "uniform11" else values
        arrays[name] = np.asarray(values, dtype=dtype)
    return arrays


def _pairs_with_numpy(draw: Draw, generator: np.random.Generator) -> np.ndarray:
    num_draws, _, batch_size = draw.shape
    first = generator.integers(draw.members, size=(num_draws, batch_size))
    second = generator.integers(draw.members - 1, size=(num_draws, batch_size))
    # Counted past the first: uniform over the others.
    return np.stack([first, second + (second >= first)], axis=1).astype(np.int32)
