"""Classifier two-sample test: how well a machine tells generated showers from the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError, MissingDependencyError, ShapeError
from calogan.metrics.calibration import Calibration, calibration_curve
from calogan.metrics.crossfit import CrossFit, Fit, Scores, chance_of_area, cross_fit, receiver_curve, within
from calogan.metrics.labelled import LabelledFeatures, cross_entropy
from calogan.metrics.metric import Estimate, Metric

__all__ = ["LEAST_GROUPS", "ClassifierTest", "Tested", "area_of_some", "classifier_test", "fit_trees"]

LEAST_GROUPS = 20
_SOURCE = "arXiv:1610.06545, arXiv:2410.21611"
_LARGE: dict[str, bool] = {"report": False}  # a number a shower: too many for a report


@dataclass(frozen=True)
class Tested:
    """What classifiers say about showers, and what these are.

    Attributes:
        found: Scores and areas.
        label: 0 or 1, shape ``(showers,)``.
        group: Numbers of groups, shape ``(showers,)``.
    """

    found: CrossFit
    label: NDArray[np.int64]
    group: NDArray[np.int64]


@dataclass(frozen=True)
class ClassifierTest:
    """A classifier two-sample test.

    Attributes:
        auc: Mean area under the curve; 0.5 if the samples cannot be told apart.
        jsd: Jensen-Shannon divergence [bit] that the calibrated classifier sees; 0 if none.
        areas: Area of each repeat, with its error for a given classifier.
        floor_areas: The same of the floor's repeats.
        training_auc: Mean area on the showers learnt from; far above `auc` if much was learnt by heart.
        false_positive: Fractions of the reference taken for generated, shape ``(points,)``.
        true_positive: Fraction of the generated showers recognised at each, mean over repeats, shape ``(points,)``.
        calibration: Predicted against observed fractions.
        reference_score: Calibrated probability that each reference shower is generated, by a classifier that has
            seen neither it nor its partner, shape ``(n,)``.
        generated_score: The same of the generated showers, shape ``(m,)``.
        reference_odds: Log odds before calibration, which makes many probabilities equal, shape ``(n,)``.
        generated_odds: The same of the generated showers, shape ``(m,)``.
        n_training: Showers of each sample that a classifier learnt from.
        tested: What all this comes from: the showers of the reference, then the generated ones.
        floor_tested: The same of the floor: the showers of the reference.
    """

    auc: Metric
    jsd: Metric
    areas: tuple[Estimate, ...]
    floor_areas: tuple[Estimate, ...]
    training_auc: float
    false_positive: NDArray[np.float64]
    true_positive: NDArray[np.float64]
    calibration: Calibration
    n_training: int
    reference_score: NDArray[np.float64] = field(metadata=_LARGE)
    generated_score: NDArray[np.float64] = field(metadata=_LARGE)
    reference_odds: NDArray[np.float64] = field(metadata=_LARGE)
    generated_odds: NDArray[np.float64] = field(metadata=_LARGE)
    tested: Tested = field(metadata=_LARGE)
    floor_tested: Tested = field(metadata=_LARGE)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Both numbers."""
        return self.auc, self.jsd


def classifier_test(
    reference: NDArray[Any],
    generated: NDArray[Any],
    group_reference: NDArray[np.int64],
    group_generated: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    fit: Fit,
    repeats: int = 5,
    name: str = "classifier",
    done: Callable[[Estimate], None] | None = None,
) -> ClassifierTest:
    r"""Train classifiers to tell the samples apart, and test them on showers that they have not seen.

    Groups are dealt at random into as many parts as there are repeats; showers of one group stay together, since a
    classifier that knows a shower's partner takes the shower for the other kind. Each repeat tests on one part,
    stops and calibrates on the next, and learns from the others (60/20/20 with five), so that every shower is tested
    once. The floor is the same procedure with two halves of the reference, split by group; having half the showers,
    it is the more uncertain, and learns less.

    The error of the mean over K repeats is that of the test showers for given classifiers, times the root of

    .. math:: 1 + \tfrac{K - 3}{K - 2} (1 - c) + 2 c (1 - c) + c (1 - c)^2, \quad c = z_{test} / z_{training}

    where z is the distance :math:`\Phi^{-1}(AUC)` and c the part of what was learnt that is no accident of the
    training showers. A shower counts in the test of one classifier and in the training of K - 2 others, so repeats
    are not independent: the formula is that of a linear classifier of many numbers, for which samples of one
    distribution (c = 0) have 5/3 of the variance of independent repeats if K = 5.

    Args:
        reference: Features, shape ``(n, features)``.
        generated: Features, shape ``(m, features)``.
        group_reference: Numbers of groups, shape ``(n,)``; showers of one incident particle have one number in both
            samples, and so have showers that are the same.
        group_generated: Numbers of groups, shape ``(m,)``.
        rng: Source of parts and seeds.
        fit: `fit_trees`, or `network.fit_network` with its settings.
        repeats: Number of parts, at least 3.
        name: Name of the results: ``NAME AUC`` and ``NAME JSD``.
        done: Called after each classifier, with its area.

    Raises:
        ShapeError: Arrays that do not go together.
        DataError: Too few groups to split.
        MissingDependencyError: torch or scikit-learn is not installed.

    Source:
        Lopez-Paz and Oquab, arXiv:1610.06545; split, calibration and divergence as in arXiv:2410.21611.
    """
    _check(reference, generated, group_reference, group_generated, repeats)
    features, group = np.concatenate([reference, generated]), np.concatenate([group_reference, group_generated])
    label = np.repeat([0, 1], [len(reference), len(generated)])
    found = cross_fit(LabelledFeatures(features, label), group, fit, rng, repeats, done=done)
    known = np.unique(group_reference)
    half = np.isin(group_reference, rng.permutation(known)[: len(known) // 2]).astype(np.int64)
    floor = cross_fit(LabelledFeatures(reference, half), group_reference, fit, rng, repeats, done=done)
    smaller = int(min(half.sum(), len(half) - half.sum()))
    false_positive, true_positive = receiver_curve(found, label)
    auc, jsd = (
        Metric(
            name=f"{name} {what}",
            value=value.value,
            error=value.error,
            floor=least.value,
            floor_error=least.error,
            n_reference=len(reference),
            n_generated=len(generated),
            source=_SOURCE,
            floor_note=f"reference against reference, halves of {smaller} showers",
            p_value=chance,
        )
        for what, value, least, chance in (
            ("AUC", found.area, floor.area, chance_of_area(found, label, group)),
            ("JSD", found.divergence, floor.divergence, None),
        )
    )
    return ClassifierTest(
        auc=auc,
        jsd=jsd,
        areas=found.areas,
        floor_areas=floor.areas,
        training_auc=float(np.mean(found.training_areas)),
        false_positive=false_positive,
        true_positive=true_positive,
        calibration=calibration_curve(found.probability, label),
        n_training=found.n_training,
        reference_score=found.probability[label == 0],
        generated_score=found.probability[label == 1],
        reference_odds=found.score[label == 0],
        generated_odds=found.score[label == 1],
        tested=Tested(found, label, group),
        floor_tested=Tested(floor, half, group_reference),
    )


def area_of_some(
    test: ClassifierTest, in_reference: NDArray[np.bool_], in_generated: NDArray[np.bool_], name: str
) -> Metric:
    """Area under the curve for some of the showers of a test, e.g. those of one particle type.

    The classifiers have learnt from all showers, those of the floor, too; nothing is trained again.

    Args:
        test: Test of all showers.
        in_reference: Which showers of the reference, shape ``(n,)``.
        in_generated: Which generated showers, shape ``(m,)``.
        name: Name of the result.

    Returns:
        The area, as that of all showers; NaN where some part of the split has no such showers of either sample.
    """
    chosen, counts = np.append(in_reference, in_generated), (int(in_reference.sum()), int(in_generated.sum()))
    tested, floor = test.tested, test.floor_tested
    some = within(tested.found, chosen, tested.label, tested.group)
    least = within(floor.found, in_reference, floor.label, floor.group)
    unknown = Estimate(math.nan, math.nan)
    value, below = (unknown if one is None else one.area for one in (some, least))
    chance = None if some is None else chance_of_area(some, tested.label[chosen], tested.group[chosen])
    halves = np.bincount(floor.label[in_reference], minlength=2)
    return Metric(
        name=name,
        value=value.value,
        error=value.error,
        floor=below.value,
        floor_error=below.error,
        n_reference=counts[0],
        n_generated=counts[1],
        source=_SOURCE,
        floor_note=f"reference against reference, halves of {halves.min()} showers",
        p_value=chance,
    )


def fit_trees(training: LabelledFeatures, validation: LabelledFeatures, seed: int) -> Scores:
    """Gradient-boosted trees with the number of trees of the least validation loss; NaN is a value like others.

    Raises:
        MissingDependencyError: scikit-learn is not installed.
    """
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        msg = "the high-level classifier needs scikit-learn: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    trees = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=30, early_stopping=False, random_state=seed
    )
    told = np.isfinite(training.features).any(axis=0)  # scikit-learn cannot bin a column without any number
    trees.fit(training.features[:, told], training.label, sample_weight=training.weight)
    stages = trees.staged_decision_function(validation.features[:, told])
    best = int(np.argmin([cross_entropy(scores, validation.label, validation.weight) for scores in stages]))
    return lambda features: np.asarray(next(islice(trees.staged_decision_function(features[:, told]), best, None)))


def _check(
    reference: NDArray[Any],
    generated: NDArray[Any],
    group_reference: NDArray[Any],
    group_generated: NDArray[Any],
    repeats: int,
) -> None:
    shapes = [array.shape for array in (reference, generated, group_reference, group_generated)]
    groups = [(len(reference),), (len(generated),)]
    if reference.ndim != 2 or generated.shape[1:] != reference.shape[1:] or shapes[2:] != groups:
        msg = f"features and groups do not go together: shapes {shapes}; expected (n, k), (m, k), (n,), (m,)"
        raise ShapeError(msg)
    least = max(LEAST_GROUPS, 4 * repeats)
    for sample, group in (("reference", group_reference), ("generated", group_generated)):
        found = len(np.unique(group))
        if found < least:
            msg = f"{repeats} classifiers need at least {least} groups of showers, the {sample} has {found}"
            raise DataError(msg)
