"""Resolution against momentum: stochastic, noise and constant term of both samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.metric import Estimate
from calogan.metrics.resampling import Resampling
from calogan.metrics.resolution import momentum_bin

__all__ = ["FitParameter", "ResolutionFit", "fit_resolution"]

_LEAST_BINS = 4
_LEAST_SHOWERS = 20  # of each sample in a bin
_POINTS = 60
_POOR = 0.01  # p-value of the reference's fit below which it gets a noise term
_POWERS = {"stochastic": 1, "constant": 0, "noise": 2}  # of 1/|p| in the square of the resolution
_UNITS = {"stochastic": "sqrt(GeV)", "constant": "", "noise": "GeV"}

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class FitParameter:
    """A term of the resolution.

    Attributes:
        name: ``stochastic`` (a), ``constant`` (c) or ``noise`` (b).
        unit: Its unit, empty for a pure number.
        reference: The reference's term; 0 where its square is not above 0.
        generated: That of the generated sample.
        squared_difference: Generated less reference squared term, with its error.
    """

    name: str
    unit: str
    reference: Estimate
    generated: Estimate
    squared_difference: Estimate

    @property
    def sigmas(self) -> float:
        """Difference of the squared terms in units of its error; NaN where that is 0."""
        if not self.squared_difference.error > 0:
            return math.nan
        return self.squared_difference.value / self.squared_difference.error


@dataclass(frozen=True)
class ResolutionFit:
    """Fits of the resolution of both samples in bins of the momentum.

    Attributes:
        momentum: Harmonic mean of |p| in each bin [GeV], shape ``(bins,)``.
        reference: Resolution of the reference in each bin, shape ``(bins,)``.
        reference_error: Its standard error, shape ``(bins,)``.
        generated: Resolution of the generated sample, shape ``(bins,)``.
        generated_error: Its standard error, shape ``(bins,)``.
        parameters: Terms of the fits.
        curve_momentum: |p| [GeV] at which the curves are given, shape ``(points,)``.
        reference_curve: Fitted resolution of the reference, shape ``(points,)``.
        generated_curve: That of the generated sample, shape ``(points,)``.
        reference_chi2: Chi-squared of the reference's fit.
        generated_chi2: That of the generated sample.
        degrees: Degrees of freedom of each fit.
    """

    momentum: FloatArray
    reference: FloatArray
    reference_error: FloatArray
    generated: FloatArray
    generated_error: FloatArray
    parameters: tuple[FitParameter, ...]
    curve_momentum: FloatArray
    reference_curve: FloatArray
    generated_curve: FloatArray
    reference_chi2: float
    generated_chi2: float
    degrees: int


@dataclass(frozen=True)
class _Fit:
    """Squared terms of one sample: fitted, and fitted to each draw, with what the fit was made of."""

    terms: FloatArray
    drawn: FloatArray  # (draws, terms)
    chi2: float
    squares: FloatArray
    errors: FloatArray


def fit_resolution(
    reference: NDArray[Any],
    generated: NDArray[Any],
    momentum_reference: NDArray[Any],
    momentum_generated: NDArray[Any],
    edges: Sequence[float],
    resampling: Resampling,
) -> ResolutionFit | None:
    r"""Fit the relative width of E_visible/|p| of both samples in bins of the momentum.

    .. math:: \left(\frac{\sigma}{\mu}\right)^2 = \frac{a^2}{|p|} + c^2 \left( + \frac{b^2}{|p|^2} \right)

    with the mean of 1/\|p\| (and of its square) over the showers of each bin. The fit is linear in the squared terms,
    which may come out below 0. Both samples get the noise term b if the reference's fit without it has a p-value
    below 1%. Errors come from drawing showers anew, in pairs where the samples are paired, and fitting again.

    Args:
        reference: E_visible/\|p\| of the reference, shape ``(n,)``.
        generated: The same of the generated showers, shape ``(m,)``.
        momentum_reference: \|p\| [GeV], shape ``(n,)``.
        momentum_generated: \|p\| [GeV], shape ``(m,)``.
        edges: Ascending \|p\| [GeV].
        resampling: How to draw.

    Returns:
        The fits; None if fewer than 4 bins have 20 showers of each sample.

    Source:
        R. Wigmans, Calorimetry, section 4.8; arXiv:2410.21611 compares samples without fits.
    """
    samples = (reference, momentum_bin(momentum_reference, edges)), (generated, momentum_bin(momentum_generated, edges))
    bins = len(edges) - 1
    filled = [np.bincount(place[place >= 0], minlength=bins) >= _LEAST_SHOWERS for _, place in samples]
    keep = filled[0] & filled[1]
    if keep.sum() < _LEAST_BINS:
        return None
    squares = [_squares(*sample, bins)[keep] for sample in samples]
    drawn = np.empty((2, resampling.repeats, int(keep.sum())))
    for number, draw in enumerate(resampling.bootstrap()):
        for which, ((values, place), index) in enumerate(zip(samples, draw, strict=True)):
            drawn[which, number] = _squares(values[index], place[index], bins)[keep]
    inverse = [
        _inverse_means(momentum, place, bins)[:, keep]
        for momentum, (_, place) in zip((momentum_reference, momentum_generated), samples, strict=True)
    ]
    names = ["stochastic", "constant"]
    fits = [_fit(names, *one) for one in zip(inverse, squares, drawn, strict=True)]
    if keep.sum() > _LEAST_BINS and _p_value(fits[0].chi2, int(keep.sum()) - len(names)) < _POOR:
        names.append("noise")
        fits = [_fit(names, *one) for one in zip(inverse, squares, drawn, strict=True)]
    return _result(names, fits[0], fits[1], 1 / inverse[0][1], edges)


def _squares(values: NDArray[Any], place: NDArray[np.int64], bins: int) -> FloatArray:
    """Squared relative width of the values in each bin."""
    inside = place >= 0
    found, where = values[inside], place[inside]
    number = np.bincount(where, minlength=bins)
    with np.errstate(invalid="ignore", divide="ignore"):  # empty bins are NaN
        mean = np.bincount(where, found, minlength=bins) / number
        variance = np.bincount(where, (found - mean[where]) ** 2, minlength=bins) / (number - 1)
        squares: FloatArray = variance / mean**2
    return squares


def _inverse_means(momentum: NDArray[Any], place: NDArray[np.int64], bins: int) -> FloatArray:
    """Means of the powers 0, 1 and 2 of 1/|p| in each bin, shape (3, bins)."""
    inside = place >= 0
    number = np.maximum(np.bincount(place[inside], minlength=bins), 1)
    inverse = 1 / momentum[inside].astype(np.float64)
    return np.stack([np.bincount(place[inside], inverse**power, minlength=bins) / number for power in (0, 1, 2)])


def _fit(names: Sequence[str], inverse: FloatArray, squares: FloatArray, drawn: FloatArray) -> _Fit:
    """Least squares twice: the errors go with the squares, so that those that fluctuate down would weigh too much."""
    powers = inverse[[_POWERS[name] for name in names]].T
    values = np.column_stack([squares, drawn.T])
    errors = first_errors = drawn.std(axis=0, ddof=1)
    for _ in range(2):
        terms, *_ = np.linalg.lstsq(powers / errors[:, None], values / errors[:, None])
        model = powers @ terms[:, 0]
        errors = np.where(model > 0, first_errors * model / squares, first_errors)
    return _Fit(terms[:, 0], terms[:, 1:].T, float(np.sum(((model - squares) / errors) ** 2)), squares, first_errors)


def _p_value(chi2: float, degrees: int) -> float:
    from scipy.special import gammaincc

    return float(gammaincc(degrees / 2, chi2 / 2))


def _result(
    names: Sequence[str], reference: _Fit, generated: _Fit, momentum: FloatArray, edges: Sequence[float]
) -> ResolutionFit:
    points = np.geomspace(edges[0], edges[-1], _POINTS)
    powers = np.stack([points ** -_POWERS[name] for name in names])
    both = reference, generated
    differences = generated.terms - reference.terms, (generated.drawn - reference.drawn).std(axis=0, ddof=1)
    roots = [
        [_root(*term) for term in zip(fit.terms.tolist(), fit.drawn.std(axis=0, ddof=1).tolist(), strict=True)]
        for fit in both
    ]
    parameters = tuple(
        FitParameter(name, _UNITS[name], first, second, Estimate(float(difference), float(error)))
        for name, first, second, difference, error in zip(names, *roots, *differences, strict=True)
    )
    values = [np.sqrt(fit.squares) for fit in both]
    curves = [np.sqrt(np.maximum(fit.terms @ powers, 0)) for fit in both]
    return ResolutionFit(
        momentum=momentum,
        reference=values[0],
        reference_error=reference.errors / (2 * values[0]),
        generated=values[1],
        generated_error=generated.errors / (2 * values[1]),
        parameters=parameters,
        curve_momentum=points,
        reference_curve=curves[0],
        generated_curve=curves[1],
        reference_chi2=reference.chi2,
        generated_chi2=generated.chi2,
        degrees=len(momentum) - len(names),
    )


def _root(square: float, error: float) -> Estimate:
    """Square root of a term that may fluctuate below 0; the error is half the root of its interval."""
    low, high = math.sqrt(max(square - error, 0.0)), math.sqrt(max(square + error, 0.0))
    return Estimate(math.sqrt(max(square, 0.0)), (high - low) / 2)
