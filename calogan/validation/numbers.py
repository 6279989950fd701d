"""Numbers as text."""

from __future__ import annotations

import math

from calogan.metrics.metric import Estimate

__all__ = ["estimated", "number", "percent", "probability", "sigmas", "with_error"]

_MOST_DECIMALS = 6
_LARGE = 9.95  # standard errors, from where on decimals say nothing
_LEAST_PROBABILITY = 1e-6  # below which tails are those of no known distribution


def number(value: float | None, digits: int = 4) -> str:
    """A few significant digits; a dash where there is no number.

    Example:
        >>> number(0.123456), number(1e-9), number(2000.0), number(727.3, 2), number(float("nan"))
        ('0.1235', '1.0e-09', '2000', '730', '–')
    """
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e6:
        return str(int(value))
    if not 1e-4 <= abs(value) < 1e6:
        return f"{value:.1e}"
    short = f"{value:.{digits}g}"
    return f"{float(short):.0f}" if "e" in short else short


def estimated(estimate: Estimate) -> str:
    """A number with its error."""
    return with_error(estimate.value, estimate.error)


def percent(estimate: Estimate) -> str:
    """The same in percent, without the sign."""
    return with_error(100 * estimate.value, 100 * estimate.error)


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
    return f"{value:z.{decimals}f} ± {error:.{decimals}f}"


def probability(value: float | None) -> str:
    """A p-value with two digits; very small ones as a bound.

    Example:
        >>> probability(0.0312), probability(1e-40), probability(None)
        ('0.031', '< 1e-6', '–')
    """
    small = value is not None and value < _LEAST_PROBABILITY
    return "< 1e-6" if small else number(value, 2)


def sigmas(value: float, error: float) -> str:
    """A difference in units of its standard error; a dash where it has none.

    Example:
        >>> sigmas(0.03, 0.02), sigmas(-0.5, 0.01), sigmas(1.0, 0.0)
        ('+1.5 σ', '-50 σ', '–')
    """
    if not (math.isfinite(value) and math.isfinite(error) and error > 0):
        return "–"
    ratio = value / error
    return f"{ratio:+.0f} σ" if abs(ratio) >= _LARGE else f"{ratio:+.1f} σ"
