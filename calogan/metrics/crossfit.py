"""Classifiers that test every shower with others than they have learnt from."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.calibration import calibrate, jensen_shannon
from calogan.metrics.labelled import LabelledFeatures, area_under_curve
from calogan.metrics.metric import Estimate

__all__ = ["CrossFit", "Fit", "Scores", "chance_of_area", "cross_fit", "deal", "receiver_curve", "take", "within"]

_CERTAIN = 1e-6  # an area nearer to 0 or 1 counts as this far from it when it becomes a distance in sigma
_CURVE = np.linspace(0.0, 1.0, 101)

Scores = Callable[[NDArray[Any]], NDArray[np.float64]]
Fit = Callable[[LabelledFeatures, LabelledFeatures, int], Scores]
"""Learns from training and validation showers, with a seed; gives a function from features to log odds of label 1."""


@dataclass(frozen=True)
class CrossFit:
    """What classifiers say about showers that they have not seen.

    Attributes:
        probability: Calibrated probability of label 1, shape ``(showers,)``; NaN for a shower that was not tested.
        score: Log odds before calibration; those of different parts come from different classifiers.
        part: Part of each shower, shape ``(showers,)``.
        areas: Area under the curve on each part that was tested, with the error for a given classifier.
        divergences: Jensen-Shannon divergence [bit] on each such part, likewise.
        training_areas: Area under the curve of each classifier on the showers it learnt from.
        parts: Number of parts.
        n_training: Training showers of the rarer label, mean over the classifiers.
    """

    probability: NDArray[np.float64]
    score: NDArray[np.float64]
    part: NDArray[np.int64]
    areas: tuple[Estimate, ...]
    divergences: tuple[Estimate, ...]
    training_areas: tuple[float, ...]
    parts: int
    n_training: int

    @property
    def area(self) -> Estimate:
        """Mean area under the curve; see `classifier_test` for its error."""
        value, error = _mean(self.areas)
        kept = _kept(value, float(np.mean(self.training_areas)))
        return Estimate(value, error * math.sqrt(_variance_ratio(kept, self.parts, len(self.areas))))

    @property
    def divergence(self) -> Estimate:
        """Mean Jensen-Shannon divergence [bit]; its error counts what varies more than the test showers explain."""
        value, error = _mean(self.divergences)
        tested = len(self.divergences)
        spread = float(np.var([one.value for one in self.divergences], ddof=1)) / tested if tested > 1 else 0.0
        return Estimate(value, math.sqrt(max(error**2, spread)))


def cross_fit(
    showers: LabelledFeatures,
    group: NDArray[np.int64],
    fit: Fit,
    rng: np.random.Generator,
    parts: int,
    *,
    tested: int | None = None,
    fraction: float = 1.0,
    done: Callable[[Estimate], None] | None = None,
) -> CrossFit:
    """Test each part of the showers with a classifier that has learnt from others.

    Args:
        showers: Features and labels.
        group: Numbers of groups, shape ``(showers,)``.
        fit: How to learn.
        rng: Source of parts and seeds.
        parts: Number of parts.
        tested: Number of parts that are tested; all if left out.
        fraction: Fraction of the training part's groups to learn from.
        done: Called after each classifier, with its area.
    """
    part = deal(group, showers.label, rng, parts)
    score, probability = np.full((2, len(part)), np.nan)
    areas, divergences, training_areas, counts = [], [], [], []
    for number in range(parts if tested is None else tested):
        test, validation = (np.flatnonzero(part == one) for one in (number, (number + 1) % parts))
        training = _sample_groups(
            np.flatnonzero((part != number) & (part != (number + 1) % parts)), group, fraction, rng
        )
        learnt, kept_out, unseen = (take(showers, chosen) for chosen in (training, validation, test))
        scores = fit(learnt, kept_out, int(rng.integers(2**31)))
        score[test] = scores(unseen.features)
        probability[test] = calibrate(scores(kept_out.features), kept_out.label, kept_out.weight)(score[test])
        areas.append(area_under_curve(score[test], unseen.label, group[test], unseen.weight))
        divergences.append(jensen_shannon(probability[test], unseen.label, group[test], unseen.weight))
        training_areas.append(area_under_curve(scores(learnt.features), learnt.label, weight=learnt.weight).value)
        counts.append(np.bincount(learnt.label, minlength=2).min())
        if done is not None:
            done(areas[-1])
    return CrossFit(
        probability, score, part, tuple(areas), tuple(divergences), tuple(training_areas), parts, int(np.mean(counts))
    )


def within(
    found: CrossFit, chosen: NDArray[np.bool_], label: NDArray[np.int64], group: NDArray[np.int64]
) -> CrossFit | None:
    """What the same classifiers say about some of the showers.

    Args:
        found: Classifiers that tested all parts.
        chosen: Which showers, shape ``(showers,)``.
        label: 0 or 1, shape ``(showers,)``.
        group: Numbers of groups, as the classifiers had them, shape ``(showers,)``.

    Returns:
        The same with arrays of the chosen showers only; None where a part has none of a label.
    """
    tests = [chosen & (found.part == number) for number in range(len(found.areas))]
    if any(np.bincount(label[test], minlength=2).min() == 0 for test in tests):
        return None
    return replace(
        found,
        probability=found.probability[chosen],
        score=found.score[chosen],
        part=found.part[chosen],
        areas=tuple(area_under_curve(found.score[test], label[test], group[test]) for test in tests),
        divergences=tuple(jensen_shannon(found.probability[test], label[test], group[test]) for test in tests),
    )


def receiver_curve(found: CrossFit, label: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Fraction of label 1 recognised against that of label 0 mistaken, mean over repeats: two of ``(points,)``."""
    curves = []
    for number in range(len(found.areas)):
        cuts = np.unique(found.score[found.part == number])[::-1]
        rates = []
        for kind in (0, 1):
            scores = np.sort(found.score[(found.part == number) & (label == kind)])
            rates.append(np.append(0.0, 1 - np.searchsorted(scores, cuts, side="left") / len(scores)))
        curves.append(np.interp(_CURVE, rates[0], rates[1]))
    return _CURVE.copy(), np.mean(curves, axis=0)


def chance_of_area(found: CrossFit, label: NDArray[np.int64], group: NDArray[np.int64]) -> float:
    """Chance of such a mean area, or a higher one, for samples of one distribution.

    The variance on each part is that of the rank sum of independent showers (Mann-Whitney), which is too large where
    groups are pairs of both labels. Where a group has several showers of one label it would be too small, and is at
    least that of the groups.

    Args:
        found: Classifiers that tested all parts.
        label: 0 or 1, shape ``(showers,)``.
        group: Numbers of groups, as the classifiers had them, shape ``(showers,)``.
    """
    crowded = np.unique(np.stack([group, label]), axis=1).shape[1] < len(label)
    variances = []
    for number, area in enumerate(found.areas):
        n, m = np.bincount(label[found.part == number], minlength=2).tolist()
        ranks = (n + m + 1) / (12 * n * m)
        variances.append(max(ranks, area.error**2) if crowded else ranks)
    error = math.sqrt(sum(variances) * _variance_ratio(0.0, found.parts, found.parts)) / found.parts
    return NormalDist().cdf(-(found.area.value - 0.5) / error)


def take(showers: LabelledFeatures, chosen: NDArray[np.int64]) -> LabelledFeatures:
    """Some of the showers."""
    weight = None if showers.weight is None else showers.weight[chosen]
    return LabelledFeatures(showers.features[chosen], showers.label[chosen], weight)


def deal(group: NDArray[np.int64], label: NDArray[np.int64], rng: np.random.Generator, parts: int) -> NDArray[np.int64]:
    """Part of each shower; groups of one label, of the other and of both are dealt evenly, each kind on its own."""
    known, index = np.unique(group, return_inverse=True)
    kind = np.zeros(len(known), dtype=np.int64)
    for number in (0, 1):
        kind[index[label == number]] |= 1 << number
    part = np.empty(len(known), dtype=np.int64)
    for number in (1, 2, 3):
        chosen = np.flatnonzero(kind == number)
        part[chosen] = rng.permutation(len(chosen)) % parts
    return part[index]


def _sample_groups(
    chosen: NDArray[np.int64], group: NDArray[np.int64], fraction: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    if fraction >= 1:
        return chosen
    known = np.unique(group[chosen])
    kept = rng.permutation(known)[: max(1, round(fraction * len(known)))]
    return chosen[np.isin(group[chosen], kept)]


def _mean(found: tuple[Estimate, ...]) -> tuple[float, float]:
    """Mean, and its error if all were independent."""
    error = math.sqrt(sum(one.error**2 for one in found)) / len(found)
    return float(np.mean([one.value for one in found])), error


def _distance(area: float) -> float:
    return NormalDist().inv_cdf(min(max(area, _CERTAIN), 1 - _CERTAIN))


def _kept(test: float, training: float) -> float:
    """Part of what was learnt that holds for other showers, between 0 and 1."""
    learnt = _distance(training)
    return min(max(_distance(test) / learnt, 0.0), 1.0) if learnt > 0 else 0.0


def _variance_ratio(kept: float, parts: int, tested: int) -> float:
    """Variance of the mean over classifiers relative to that of independent ones; see `classifier_test`."""
    lost = 1 - kept
    if tested == 1:
        return 1 + kept * lost**2 / (parts - 2)
    return 1 + lost * (parts - 3) / (parts - 2) + 2 * kept * lost + kept * lost**2
