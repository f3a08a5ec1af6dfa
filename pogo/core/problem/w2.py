"""The distance between two actors: which method, its configuration, and the arithmetic that both backends share."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from pogo.core.errors import BadInput, check_name
from pogo.core.problem.actors import ActorConfig

Method = Literal["closed_form", "sinkhorn", "l2"]
Solver = Literal["fused", "library", "exact", "geomloss", "ott"]
LibraryBackend = Literal["tensorized", "online", "auto"]
W2Noise = Literal["common", "independent"]

LARGEST_NUM_SAMPLES = 256  # memory grows as B K^2 A: 384 MiB for one such array at B = 256, A = 6 in float32
MAX_PERMUTED_SAMPLES = 5  # K! permutations are enumerated up to here: 120 of them

# Measured on the worst of many adversarial states: see docs/decisions.md.
_STEPS_FROM_ASSIGNMENT = {4: 5, 5: 6}  # Newton steps at epsilon, by the largest K that they do for
_STEPS_FROM_ANNEALING = {8: 6, 64: 8}  # the same after annealing
_FOLLOWING_STEPS = {8: 1, 64: 3}  # Newton steps per halving of the temperature
_STEPS_BEYOND = 10  # of either, for more samples than were measured
_SELF_UPDATES = 7  # each divides the error by at least eight


def w2_method(actor: ActorConfig, reference: ActorConfig) -> Method:
    """How the squared W2 distance of an actor to the one before it is measured: the dispatch of every backend."""
    if actor.is_gaussian and reference.is_gaussian:
        return "closed_form"
    if actor.is_stochastic and reference.is_stochastic:
        return "sinkhorn"
    return "l2"


@dataclass(frozen=True)
class LibrarySettings:
    """What the solvers `geomloss` and `ott` hand to their libraries, under the libraries' own names and defaults.

    As published, and not converged: GeomLoss takes one update per temperature, of a ratio `scaling` of lengths; OTT
    stops at its threshold, and begins at `epsilon_init` times its epsilon, which shrinks by `epsilon_decay` an update.
    """

    scaling: float = 0.5
    backend: str = "tensorized"  # GeomLoss's
    epsilon_init: float = 1.0
    epsilon_decay: float = 1.0


# Which solver reads which of them.
_READ_BY = {"scaling": "geomloss", "backend": "geomloss", "epsilon_init": "ott", "epsilon_decay": "ott"}


@dataclass(frozen=True)
class W2Config:
    """The config section `w2`: how distances between actors are measured.

    Raises:
        BadInput: a value is outside what the field allows.
    """

    solver: Solver = "fused"  # of the distance between samples
    noise: W2Noise = "common"  # both actors' samples from the same z, or `independent`, as published
    num_samples: int = 4  # K, per state and actor, up to LARGEST_NUM_SAMPLES
    blur: float = 0.05  # in units of the action box: epsilon = 2 blur^2
    exact_points: bool = False  # a distance to a deterministic actor: the exact W2^2 to a point
    scaling: float = LibrarySettings.scaling  # of geomloss
    backend: str = LibrarySettings.backend  # of geomloss: tensorized | online | auto
    epsilon_init: float = LibrarySettings.epsilon_init  # of ott
    epsilon_decay: float = LibrarySettings.epsilon_decay  # of ott

    @property
    def library(self) -> LibrarySettings:
        """The settings of the solvers that are a library's as published."""
        return LibrarySettings(self.scaling, self.backend, self.epsilon_init, self.epsilon_decay)

    def __post_init__(self) -> None:
        check_name("w2.solver", self.solver, get_args(Solver))
        check_name("w2.noise", self.noise, get_args(W2Noise))
        if isinstance(self.num_samples, bool) or not isinstance(self.num_samples, int) or self.num_samples < 2:
            raise BadInput(f"w2.num_samples={self.num_samples}: a cloud needs at least 2 samples; use an integer >= 2.")
        if self.num_samples > LARGEST_NUM_SAMPLES:
            raise BadInput(
                f"w2.num_samples={self.num_samples} is too large: the distance compares all pairs of samples of every "
                f"state; use 2 to {LARGEST_NUM_SAMPLES}."
            )
        if isinstance(self.blur, bool) or not isinstance(self.blur, int | float):
            raise BadInput(f"w2.blur={self.blur} is not a number; use a finite one > 0, 0.05 by default.")
        if not (math.isfinite(self.blur) and self.blur > 0):
            raise BadInput(f"w2.blur={self.blur} is no length; use a finite number > 0, 0.05 by default.")
        if not isinstance(self.exact_points, bool):
            raise BadInput(f"w2.exact_points={self.exact_points} is not a switch; use true or false.")
        self._check_library()

    def _check_library(self) -> None:
        check_name("w2.backend", self.backend, get_args(LibraryBackend))
        if not 0 < self.scaling < 1:
            raise BadInput(
                f"w2.scaling={self.scaling} is no ratio of successive lengths; use a number between 0 and 1."
            )
        if not (math.isfinite(self.epsilon_init) and self.epsilon_init >= 1):
            raise BadInput(f"w2.epsilon_init={self.epsilon_init}: cooling begins at that times epsilon; use 1 or more.")
        if not 0 < self.epsilon_decay <= 1:
            raise BadInput(f"w2.epsilon_decay={self.epsilon_decay} is no ratio; use a number above 0, at most 1.")
        for name, solver in _READ_BY.items():
            value = getattr(self, name)
            if self.solver != solver and value != getattr(LibrarySettings, name):
                raise BadInput(
                    f"w2.{name}={value} is read by w2.solver={solver} alone, and this is {self.solver}; drop it."
                )


@dataclass(frozen=True)
class SinkhornSchedule:
    """What the fused solver does: a function of K, A and blur, never of the samples.

    For K <= `MAX_PERMUTED_SAMPLES` it starts from the best assignment and takes `newton_steps` at epsilon. For larger K
    it anneals: stage s = 0 .. halvings - 1 takes `following_steps` Newton steps at `epsilon * 2^(halvings - s)`, from
    A or above, and `newton_steps` follow at epsilon. The ratio is 2 so that a change of temperature
    rescales costs and potentials exactly.
    """

    epsilon: float  # e = 2 blur^2
    halvings: int
    following_steps: int
    newton_steps: int
    self_updates: int  # of the problems of a cloud against itself
    largest_potential: float  # bound of sum_i |f_i| + sum_j |g_j|, in units of epsilon, for clouds in the action box

    def grid(self, mantissa_bits: int) -> float:
        """Spacing of absorbed potentials, in units of epsilon: sums of them are exact with so many bits."""
        return 2.0 ** math.ceil(math.log2(self.largest_potential) - mantissa_bits)


def sinkhorn_schedule(num_samples: int, action_size: int, blur: float) -> SinkhornSchedule:
    """The fused solver's temperatures and counts for K samples of A dimensions in [-1, 1]."""
    epsilon = 2 * blur**2
    side = 1 / epsilon  # squared half side of the action box, in units of epsilon
    from_assignment = num_samples <= MAX_PERMUTED_SAMPLES
    return SinkhornSchedule(
        epsilon=epsilon,
        halvings=max(0, math.ceil(math.log2(action_size * side))),
        following_steps=0 if from_assignment else _steps(_FOLLOWING_STEPS, num_samples),
        newton_steps=_steps(_STEPS_FROM_ASSIGNMENT if from_assignment else _STEPS_FROM_ANNEALING, num_samples),
        self_updates=_SELF_UPDATES,
        largest_potential=8 * num_samples * action_size * side,
    )


def _steps(by_largest: dict[int, int], num_samples: int) -> int:
    return next((steps for largest, steps in by_largest.items() if num_samples <= largest), _STEPS_BEYOND)


def library_decay(num_samples: int) -> float:
    """Ratio of successive temperatures at which the libraries' loops, one update per temperature, converge."""
    return 1 - 0.016 / num_samples


def check_samples(
    shape: Sequence[int],
    ref_shape: Sequence[int],
    dtype: str,
    ref_dtype: str,
    name: str = "actor",
    ref_name: str = "reference actor",
) -> None:
    """Refuse two clouds of samples that no distance can compare.

    Args:
        shape: of the actor's samples, [B, K, A].
        ref_shape: of the reference's.
        dtype: of the actor's samples, such as `float32`.
        ref_dtype: of the reference's.
        name: what to call the actor.
        ref_name: what to call the reference.

    Raises:
        BadInput: the shapes are not one [B, K, A] with K >= 2 and B, A >= 1, or the dtypes are not one float type.
    """
    found = f"{name} has {dtype}{list(shape)}, {ref_name} has {ref_dtype}{list(ref_shape)}"
    if len(shape) != 3 or tuple(shape) != tuple(ref_shape):
        raise BadInput(f"w2 needs samples of one shape [B, K, A] from both actors: {found}.")
    if shape[1] < 2:
        raise BadInput(f"w2.num_samples={shape[1]}: a cloud needs at least 2 samples: {found}.")
    if shape[0] < 1 or shape[2] < 1:
        raise BadInput(f"w2 needs at least one state and one action dimension: {found}.")
    if dtype != ref_dtype or dtype not in ("float32", "float64"):
        raise BadInput(f"w2 needs samples of one dtype, float32 or float64, from both actors: {found}.")


def check_divergence(blur: float, solver: str) -> None:
    """Refuse a blur that gives no temperature, and an unknown solver.

    Raises:
        BadInput: the blur is not a finite number > 0, or no solver has that name.
    """
    check_name("w2.solver", solver, get_args(Solver))
    if not (math.isfinite(blur) and blur > 0):
        raise BadInput(f"w2.blur={blur} is no length; use a finite number > 0.")
