"""Checks that the algorithms' hyperparameters share."""

import math

from pogo.core.errors import BadInput


def check_between(name: str, value: float, low: float, high: float) -> None:
    """Refuse a value outside [low, high].

    Raises:
        BadInput: naming the config key.
    """
    if not (math.isfinite(value) and low <= value <= high):
        raise BadInput(f"{name}={value} is out of range; use a number from {low:g} to {high:g}.")


def check_positive(name: str, value: float) -> None:
    """Refuse a value that is not finite and above 0.

    Raises:
        BadInput: naming the config key.
    """
    if not (math.isfinite(value) and value > 0):
        raise BadInput(f"{name}={value} is out of range; use a number above 0.")


def check_not_negative(name: str, value: float) -> None:
    """Refuse a value that is not finite and at least 0.

    Raises:
        BadInput: naming the config key.
    """
    if not (math.isfinite(value) and value >= 0):
        raise BadInput(f"{name}={value} is out of range; use a number of at least 0.")


def check_finite(name: str, value: float) -> None:
    """Refuse a value that is not finite.

    Raises:
        BadInput: naming the config key.
    """
    if not math.isfinite(value):
        raise BadInput(f"{name}={value} is out of range; use a finite number.")
