"""Checks that the algorithms' hyperparameters share."""

import math

from pogo.core.errors import BadInput

_CUTS = ("algorithm.max_advantage_weight", "algorithm.noise_clip")  # where a value is cut: inf cuts nothing


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high].

    Raises:
        BadInput: naming the config key.
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise BadInput(f"{name}={value} is out of range; use a number from {low:g} to {high:g}.")


def check_positive(name: str, value: float) -> None:
    """Refuse a value that is not finite and above 0; a cut may be infinite.

    Raises:
        BadInput: naming the config key.
    """
    if not (_is_allowed(name, value) and value > 0):
        raise BadInput(f"{name}={value} is out of range; use a finite number above 0{_or_none(name)}.")


def check_not_negative(name: str, value: float) -> None:
    """Refuse a value that is not finite and at least 0; a cut may be infinite.

    Raises:
        BadInput: naming the config key.
    """
    if not (_is_allowed(name, value) and value >= 0):
        raise BadInput(f"{name}={value} is out of range; use a finite number of at least 0{_or_none(name)}.")


def check_finite(name: str, value: float) -> None:
    """Refuse a value that is not finite.

    Raises:
        BadInput: naming the config key.
    """
    if not math.isfinite(value):
        raise BadInput(f"{name}={value} is out of range; use a finite number.")


def _is_allowed(name: str, value: float) -> bool:
    return math.isfinite(value) or (name in _CUTS and value == math.inf)


def _or_none(name: str) -> str:
    return ", or inf for no limit" if name in _CUTS else ""
