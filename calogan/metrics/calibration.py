"""Scores as probabilities, how right these are, and the divergence that they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.errors import MissingDependencyError
from calogan.metrics.labelled import balanced_weight, grouped_error
from calogan.metrics.metric import Estimate

__all__ = [
    "Calibration",
    "LogisticCalibration",
    "calibrate",
    "calibrate_logistic",
    "calibration_curve",
    "jensen_shannon",
]

_BINS = 10
_LARGEST_ODDS = 30.0  # beyond which a probability could not be told from 1


@dataclass(frozen=True)
class Calibration:
    """Predicted and observed fractions of generated showers, in bins of equal numbers of showers.

    Attributes:
        predicted: Mean probability in each bin, shape ``(bins,)``.
        observed: Fraction of generated showers in each bin, shape ``(bins,)``.
        observed_error: Standard error of that fraction, shape ``(bins,)``.
        error: Mean over the bins of |observed - predicted| (expected calibration error).
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    observed_error: NDArray[np.float64]
    error: float


@dataclass(frozen=True)
class LogisticCalibration:
    """Function from scores s to the probability of label 1, whose log odds are ``slope * s + offset``."""

    slope: float
    offset: float

    def __call__(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Probabilities inside (0, 1), same shape."""
        odds = np.clip(self.slope * scores + self.offset, -_LARGEST_ODDS, _LARGEST_ODDS)
        return _probability(odds)


def calibrate(
    scores: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64] | None = None
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """Function from scores to the probability of label 1: isotonic regression.

    Each step of the regression counts one more shower, half of each label: a step of k showers of which all are of
    label 1 says (k + 1/2) / (k + 1). Without it the outermost steps, of a few showers, are certain and often wrong.

    Args:
        scores: Scores of showers that the classifier was not trained on, shape ``(n,)``.
        label: 0 or 1, shape ``(n,)``; both labels weigh the same, however many showers they have.
        weight: Weights within a label, shape ``(n,)``; all 1 if left out.

    Raises:
        MissingDependencyError: scikit-learn is not installed.

    Source:
        arXiv:2410.21611, whose evaluation calibrates so before it gives a divergence.
    """
    try:
        from sklearn.isotonic import IsotonicRegression
    except ImportError as error:
        msg = "calibrated classifiers need scikit-learn: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    regression = IsotonicRegression(out_of_bounds="clip")
    balanced = balanced_weight(label, weight)
    steps, step = np.unique(regression.fit_transform(scores, label, sample_weight=balanced), return_inverse=True)
    showers = np.bincount(step, balanced)
    moderate = (steps * showers + 0.5) / (showers + 1)
    # small steps may now be out of order
    regression.fit(scores, moderate[step], sample_weight=balanced)
    return lambda values: np.asarray(regression.predict(values), dtype=np.float64)


def calibrate_logistic(scores: NDArray[np.float64], label: NDArray[np.int64]) -> LogisticCalibration:
    """Calibration with two numbers, which has no steps: logistic regression of the label on the score.

    Each label counts one more shower, half of each label, so that the probability stays moderate where the scores tell
    all showers apart. It never falls with the score.

    Args:
        scores: Log odds by a classifier that was not trained on these showers, shape ``(n,)``.
        label: 0 or 1, shape ``(n,)``; both labels weigh the same, however many showers they have.

    Raises:
        MissingDependencyError: SciPy is not installed.

    Source:
        Platt, Advances in Large Margin Classifiers (1999) 61.
    """
    try:
        from scipy.optimize import minimize
    except ImportError as error:
        msg = "calibrated classifiers need SciPy: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    half = 0.5 / (np.bincount(label, minlength=2) + 1)
    wanted, share = np.where(label == 1, 1 - half[1], half[0]), balanced_weight(label) / len(label)
    width = float(np.std(scores)) or 1.0
    known = scores / width

    def surprise(numbers: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        odds = numbers[0] * known + numbers[1]
        away = share * (_probability(odds) - wanted)
        return float(share @ (np.logaddexp(0.0, odds) - wanted * odds)), np.array([away @ known, away.sum()])

    found = minimize(surprise, [width, 0.0], jac=True, method="L-BFGS-B", bounds=[(0, None), (None, None)], tol=1e-12)
    return LogisticCalibration(float(found.x[0]) / width, float(found.x[1]))


def calibration_curve(probability: NDArray[np.float64], label: NDArray[np.int64]) -> Calibration:
    """Predicted against observed fractions of label 1, both labels weighing the same.

    Args:
        probability: Probability of label 1, shape ``(showers,)``.
        label: 0 or 1, shape ``(showers,)``.

    Source:
        Expected calibration error: Naeini et al., AAAI 29 (2015) 2901.
    """
    weight = balanced_weight(label)
    parts = np.array_split(np.argsort(probability, kind="stable"), min(_BINS, len(label)))
    totals = np.array([weight[part].sum() for part in parts])
    predicted, observed = (
        np.array([np.average(values[part], weights=weight[part]) for part in parts]) for values in (probability, label)
    )
    effective = totals**2 / np.array([np.sum(weight[part] ** 2) for part in parts])
    error = np.sqrt(observed * (1 - observed) / effective)
    away = float(np.average(np.abs(observed - predicted), weights=totals))
    return Calibration(predicted, observed, error, away)


def jensen_shannon(
    probability: NDArray[np.float64],
    label: NDArray[np.int64],
    group: NDArray[np.int64] | None = None,
    weight: NDArray[np.float64] | None = None,
) -> Estimate:
    r"""Jensen-Shannon divergence that a classifier sees: 0 if it sees no difference, 1 if all.

    .. math:: JSD = 1 + \tfrac12 \left(\langle \log_2 (1 - p) \rangle_\mathrm{reference}
        + \langle \log_2 p \rangle_\mathrm{generated}\right)

    in bits, with p the probability of being generated: 1 less the cross entropy. It is at most the true divergence,
    and below 0 by chance, or where probabilities are wrong.

    Args:
        probability: Probability of label 1, inside (0, 1), shape ``(showers,)``.
        label: 0 or 1, shape ``(showers,)``; both labels weigh the same.
        group: Numbers of groups, shape ``(showers,)``; see `area_under_curve`.
        weight: Weights within a label, shape ``(showers,)``; all 1 if left out.

    Returns:
        Divergence [bit] and its error for a classifier that is what it is.

    Source:
        arXiv:2410.21611; its code gives (ln 2 - BCE) / ln 2 of the calibrated classifier.
    """
    surprise = 1 + np.log2(np.where(label == 1, probability, 1 - probability))
    share = balanced_weight(label, weight) / len(label)
    mean = np.array([np.average(surprise[label == number], weights=share[label == number]) for number in (0, 1)])
    return Estimate(float(mean.mean()), grouped_error(share * (surprise - mean[label]), group))


def _probability(odds: NDArray[np.float64]) -> NDArray[np.float64]:
    probability: NDArray[np.float64] = 0.5 * (1 + np.tanh(0.5 * odds))
    return probability
