"""Rank correlations between the observables of a shower, and how they differ between two samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import ShapeError
from calogan.metrics.metric import Metric
from calogan.metrics.resampling import SQUARED, Resampling, distance_error

__all__ = ["SIGNIFICANT", "CorrelationComparison", "compare_correlations", "correlation_matrix", "pooled_ranks"]

SIGNIFICANT = 3.0  # standard errors
_LEAST_VARIANCE = 1e-6  # rounding of single precision
_LEAST_ERROR = 1e-5  # below it an entry is the same for every shower, e.g. of fractions of two layers


@dataclass(frozen=True)
class CorrelationComparison:
    """Correlation matrices of two samples.

    Attributes:
        names: Names of the observables, in the order of rows and columns.
        reference: Correlations of the reference, shape ``(observables, observables)``; NaN where there is none.
        generated: The same of the generated showers.
        error: Standard error of ``generated - reference``, same shape.
        entries: Pairs of observables whose correlation is known in both samples.
        significant: Those of them that differ by more than three standard errors.
        expected: How many would by chance if both samples followed one distribution. An error found from R draws is
            itself uncertain, so that differences in units of it follow Student's t with R - 1 degrees of freedom.
        difference: Mean squared difference of the entries.
    """

    names: tuple[str, ...]
    reference: NDArray[np.float64]
    generated: NDArray[np.float64]
    error: NDArray[np.float64]
    entries: int
    significant: int
    expected: float
    difference: Metric


def pooled_ranks(
    reference: NDArray[np.float64], generated: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ranks of every column in both samples together, as fractions from -1/2 to 1/2; NaN where there is no number.

    Showers of the same value share the mean of their ranks.

    Args:
        reference: Observables of the reference, shape ``(n, observables)``.
        generated: Observables of the generated showers, shape ``(m, observables)``.

    Returns:
        Ranks of the two, in this order, same shapes.
    """
    from scipy.stats import rankdata

    pooled = np.concatenate([reference, generated])
    values = np.where(np.isfinite(pooled), pooled, np.nan)
    ranks = rankdata(values, axis=0, nan_policy="omit")
    counts = np.maximum(np.isfinite(values).sum(axis=0), 1)
    fractions: NDArray[np.float32] = ((ranks - 0.5) / counts - 0.5).astype(np.float32)
    return fractions[: len(reference)], fractions[len(reference) :]


def correlation_matrix(values: NDArray[Any]) -> NDArray[np.float64]:
    """Pearson's correlation of each two columns over the rows where both are numbers.

    Args:
        values: Numbers of order 1, shape ``(showers, columns)``; NaN where there is none.

    Returns:
        Matrix, shape ``(columns, columns)``; NaN where a column has no width or there are fewer than two rows.

    Example:
        >>> correlation_matrix(np.array([[0.0, 0.0], [1.0, 2.0], [0.5, np.nan]])).tolist()
        [[1.0, 1.0], [1.0, 1.0]]
    """
    bad = np.flatnonzero(~np.isfinite(values.sum(axis=1)))
    filled = values.copy()
    missing = (~np.isfinite(values[bad])).astype(values.dtype)
    filled[bad] = np.where(missing > 0, 0, values[bad])
    product = (filled.T @ filled).astype(np.float64)
    # sums over the rows where the other column is a number: all rows less the few where it is none
    absent = missing.sum(axis=0, dtype=np.float64)
    count = len(values) - absent[:, None] - absent + missing.T @ missing
    least = np.maximum(count, 1)
    mean = (filled.sum(axis=0, dtype=np.float64)[:, None] - filled[bad].T @ missing) / least
    variance = (np.diag(product)[:, None] - (filled[bad] ** 2).T @ missing) / least - mean**2
    below = np.sqrt((variance * variance.T).clip(0))
    found: NDArray[np.float64] = np.full_like(below, np.nan)
    wide = (count > 1) & (np.minimum(variance, variance.T) > _LEAST_VARIANCE)
    np.divide(product / least - mean * mean.T, below, out=found, where=wide)
    return np.clip(found, -1.0, 1.0)


def compare_correlations(
    reference: NDArray[np.float64],
    generated: NDArray[np.float64],
    names: Sequence[str],
    resampling: Resampling,
    *,
    name: str = "correlation difference",
) -> CorrelationComparison:
    """Correlations of the observables' ranks in both samples.

    Ranks, since observables have long tails and one shower in a tail would rule Pearson's correlation of the values.
    The ranks are those in both samples together: for equal distributions the correlation of them is Spearman's, and
    they need not be found again for every draw.

    Args:
        reference: Observables of the reference, shape ``(n, observables)``.
        generated: Observables of the generated showers, shape ``(m, observables)``.
        names: Names of the observables.
        resampling: How to draw.
        name: Name of the metric.

    Raises:
        ShapeError: Not one name for every column.

    Source:
        Spearman, Am. J. Psychol. 15 (1904) 72.
    """
    if not len(names) == reference.shape[1] == generated.shape[1]:
        msg = f"{len(names)} names for {reference.shape[1]} and {generated.shape[1]} columns; give one for each column"
        raise ShapeError(msg)
    first, second = pooled_ranks(reference, generated)
    matrices = correlation_matrix(first), correlation_matrix(second)
    error, difference = _errors_and_metric(first, second, matrices[1] - matrices[0], resampling, name)
    known = np.triu(np.isfinite(error), 1) & (error > _LEAST_ERROR)
    pulls = np.abs(matrices[1] - matrices[0])[known] / error[known]
    return CorrelationComparison(
        names=tuple(names),
        reference=matrices[0],
        generated=matrices[1],
        error=error,
        entries=int(known.sum()),
        significant=int((pulls > SIGNIFICANT).sum()),
        expected=float(known.sum()) * _chance_beyond(resampling.repeats),
        difference=difference,
    )


def _chance_beyond(repeats: int) -> float:
    """Chance of three standard errors or more, of either sign, where the error is that of so many draws."""
    from scipy.stats import t

    return float(2 * t.sf(SIGNIFICANT, repeats - 1))


def _errors_and_metric(
    first: NDArray[np.float32],
    second: NDArray[np.float32],
    shift: NDArray[np.float64],
    resampling: Resampling,
    name: str,
) -> tuple[NDArray[np.float64], Metric]:
    """Standard error of each entry, NaN where a draw has none, and the mean square of the entries."""
    total, squares, drawn = np.zeros_like(shift), np.zeros_like(shift), []
    for left, right in resampling.bootstrap():
        trial = correlation_matrix(second[right]) - correlation_matrix(first[left])
        drawn.append(_mean_square(trial))
        total += trial - shift
        squares += (trial - shift) ** 2
    pooled = np.concatenate([first, second])
    matrices = (
        (correlation_matrix(pooled[left]), correlation_matrix(pooled[right])) for left, right in resampling.exchange()
    )
    null = np.array([_mean_square(right - left) for left, right in matrices])
    variance = squares / resampling.repeats - (total / resampling.repeats) ** 2
    value = _mean_square(shift)
    return np.sqrt(variance.clip(0) * resampling.repeats / (resampling.repeats - 1)), Metric(
        name=name,
        value=value,
        error=distance_error(
            value - float(null.mean()), float(np.var(drawn, ddof=1)), float(null.var(ddof=1)), SQUARED
        ),
        floor=float(null.mean()),
        floor_error=float(null.std(ddof=1) / math.sqrt(len(null))),
        n_reference=resampling.n,
        n_generated=resampling.m,
        source="mean squared difference of rank correlations",
        floor_note=f"mean of {resampling.repeats} exchanges of labels{' within pairs' if resampling.paired else ''}",
        p_value=float((1 + np.sum(null >= value)) / (1 + len(null))),
    )


def _mean_square(difference: NDArray[np.float64]) -> float:
    """Mean square of the entries above the diagonal that are numbers; 0 if there are none."""
    entries = difference[np.triu_indices(len(difference), 1)]
    known = entries[np.isfinite(entries)]
    return float(np.mean(known**2)) if known.size else 0.0
