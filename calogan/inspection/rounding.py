"""Numbers that a person would write: rounded outwards, or within an error."""

from __future__ import annotations

import math

__all__ = ["outwards", "round_range", "within_error"]

_SLACK = 0.01  # by how much of its scale a bound may be moved
_EXACT = 5e-6  # a bound that is met up to float32 rounding stays; below the domain's tolerance
_DIGITS = 7


def outwards(value: float, scale: float, *, up: bool) -> float:
    """The number of fewest digits beyond a value, by at most 1% of a scale.

    Example:
        >>> outwards(63.98, 63.98, up=True), outwards(1.0003, 1.0003, up=False), outwards(20.179, 40.0, up=True)
        (64.0, 1.0, 20.2)
    """
    if value == 0 or not math.isfinite(value):
        return value
    magnitude = math.floor(math.log10(abs(value)))
    for digits in range(1, _DIGITS + 1):
        step = 10.0 ** (magnitude - digits + 1)
        slack = _EXACT * abs(value) / step
        count = math.ceil(value / step - slack) if up else math.floor(value / step + slack)
        rounded = float(f"{count * step:.12g}")
        if abs(rounded - value) <= _SLACK * scale:
            return rounded
    return value


def round_range(low: float, high: float) -> tuple[float, float]:
    """A range that holds another one, symmetric where that nearly is.

    Example:
        >>> round_range(-20.133, 20.179)
        (-20.2, 20.2)
        >>> round_range(3.0, 3.0)
        (3.0, 3.0)
    """
    width = high - low
    if abs(low + high) < _SLACK * width:
        bound = outwards(max(-low, high), width, up=True)
        return -bound, bound
    return outwards(low, width, up=False), outwards(high, width, up=True)


def within_error(value: float, error: float) -> float:
    """The number of fewest digits within an error of a value.

    Example:
        >>> within_error(599.1, 4.7), within_error(482.0, 3.6)
        (600.0, 480.0)
    """
    for digits in range(1, _DIGITS + 1):
        rounded = float(f"{value:.{digits}g}")
        if abs(rounded - value) <= error:
            return rounded
    return value
