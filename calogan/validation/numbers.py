"""Numbers as text."""

from __future__ import annotations

import math

__all__ = ["number", "with_error"]

_MOST_DECIMALS = 6


def number(value: float | None, digits: int = 4) -> str:
    """A few significant digits; a dash where there is no number.

    Example:
        >>> number(0.123456), number(1e-9), number(2000.0), number(float("nan"))
        ('0.1235', '1.0e-09', '2000', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    return f"{value:.{digits}g}" if 1e-4 <= abs(value) < 1e6 else f"{value:.1e}"


def with_error(value: float, error: float) -> str:
    """Value and error, both to the second digit of the error.

    Example:
        >>> with_error(0.17043, 0.00014), with_error(93.27, 1.2), with_error(3.0, 0.0)
        ('0.17043 ± 0.00014', '93.3 ± 1.2', '3')
    """
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return number(value)
    decimals = max(0, 1 - math.floor(math.log10(error)))
    if decimals > _MOST_DECIMALS:
        return f"{value:.1e} ± {error:.1e}"
    return f"{value:.{decimals}f} ± {error:.{decimals}f}"
