"""Classifier two-sample test: how well a machine tells generated showers from the reference."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calogan.errors import DataError, MissingDependencyError, ShapeError
from calogan.metrics.labelled import LabelledFeatures, area_under_curve, cross_entropy
from calogan.metrics.metric import Metric
from calogan.metrics.network import NetworkSettings, fit_network

__all__ = ["classifier_auc"]

_FRACTIONS = (0.6, 0.8)  # training showers up to the first, validation up to the second, then test
_LEAST_EVENTS = 20

Scores = Callable[[NDArray[Any]], NDArray[np.float64]]
Fit = Callable[[LabelledFeatures, LabelledFeatures, int], Scores]


def classifier_auc(
    reference: NDArray[Any],
    generated: NDArray[Any],
    event_reference: NDArray[np.int64],
    event_generated: NDArray[np.int64],
    *,
    rng: np.random.Generator,
    kind: Literal["network", "trees"] = "network",
    repeats: int = 3,
    settings: NetworkSettings | None = None,
    name: str = "classifier AUC",
) -> Metric:
    """Area under the curve of a classifier trained to tell the samples apart: 0.5 if it cannot.

    Events are split 60/20/20 at random; showers of one event, reference and generated, stay together. The
    classifier learns on the first part, the second stops it where its loss is least, the third gives the area.
    The value is the mean over repeats with new splits and starts; its error adds the repeats' spread to the
    statistical error of one test part. The floor is the same procedure on two halves of the reference, split by
    event; having half the showers, it is the more uncertain, and learns less.

    Args:
        reference: Features, shape ``(n, features)``: `cell_features` for the network, `observable_matrix` for trees.
        generated: Features, shape ``(m, features)``.
        event_reference: Event ids, shape ``(n,)``; the same incident particle has the same id in both samples.
        event_generated: Event ids, shape ``(m,)``.
        rng: Source of splits and seeds.
        kind: A small network (needs torch), or boosted trees (needs scikit-learn; these take NaN).
        repeats: Number of splits.
        settings: The network's sizes and lengths.
        name: Name of the result.

    Raises:
        ShapeError: Arrays that do not go together.
        DataError: Too few events to split.
        MissingDependencyError: torch or scikit-learn is not installed.

    Source:
        Lopez-Paz and Oquab, arXiv:1610.06545; split and area as in arXiv:2410.21611.
    """
    _check_shapes(reference, generated, event_reference, event_generated)
    fit = _fit_trees if kind == "trees" else partial(fit_network, settings=settings or NetworkSettings())
    features = np.concatenate([reference, generated])
    event = np.concatenate([event_reference, event_generated])
    label = np.repeat([0, 1], [len(reference), len(generated)])
    value, error = _mean_area(features, label, event, fit, rng, repeats)
    known = np.unique(event_reference)
    half = np.isin(event_reference, rng.permutation(known)[: len(known) // 2]).astype(np.int64)
    floor, floor_error = _mean_area(reference, half, event_reference, fit, rng, repeats)
    smaller = int(min(half.sum(), len(half) - half.sum()))
    return Metric(
        name=name,
        value=value,
        error=error,
        floor=floor,
        floor_error=floor_error,
        n_reference=len(reference),
        n_generated=len(generated),
        source="arXiv:1610.06545, arXiv:2410.21611",
        floor_note=f"reference against reference, halves of {smaller} showers",
    )


def _mean_area(
    features: NDArray[Any],
    label: NDArray[np.int64],
    event: NDArray[np.int64],
    fit: Fit,
    rng: np.random.Generator,
    repeats: int,
) -> tuple[float, float]:
    areas, errors = [], []
    for _ in range(repeats):
        training, validation, test = (
            LabelledFeatures(features[part], label[part]) for part in _split_events(event, rng)
        )
        scores = fit(training, validation, int(rng.integers(2**31)))
        area, error = area_under_curve(scores(test.features), test.label)
        areas.append(area)
        errors.append(error)
    spread = float(np.std(areas, ddof=1)) / math.sqrt(repeats) if repeats > 1 else 0.0
    return float(np.mean(areas)), math.hypot(spread, float(np.mean(errors)))


def _split_events(event: NDArray[np.int64], rng: np.random.Generator) -> list[NDArray[np.int64]]:
    """Indices of training, validation and test showers."""
    known, index = np.unique(event, return_inverse=True)
    part = np.searchsorted(_FRACTIONS, (rng.permutation(len(known)) + 0.5) / len(known))
    return [np.flatnonzero(part[index] == number) for number in range(3)]


def _check_shapes(
    reference: NDArray[Any], generated: NDArray[Any], event_reference: NDArray[Any], event_generated: NDArray[Any]
) -> None:
    shapes = [array.shape for array in (reference, generated, event_reference, event_generated)]
    if (
        reference.ndim != 2
        or generated.shape[1:] != reference.shape[1:]
        or shapes[2:]
        != [
            (len(reference),),
            (len(generated),),
        ]
    ):
        msg = f"features and events do not go together: shapes {shapes}; expected (n, k), (m, k), (n,), (m,)"
        raise ShapeError(msg)
    for sample, events in (("reference", event_reference), ("generated", event_generated)):
        found = len(np.unique(events))
        if found < _LEAST_EVENTS:
            msg = f"a classifier needs at least {_LEAST_EVENTS} events, the {sample} has {found}"
            raise DataError(msg)


def _fit_trees(training: LabelledFeatures, validation: LabelledFeatures, seed: int) -> Scores:
    """Gradient-boosted trees with the number of trees of the least validation loss."""
    try:
        from sklearn.ensemble import HistGradientBoostingClassifier
    except ImportError as error:
        msg = "the high-level classifier needs scikit-learn: pip install 'calogan[train]'"
        raise MissingDependencyError(msg) from error
    trees = HistGradientBoostingClassifier(
        max_iter=100, learning_rate=0.1, max_leaf_nodes=15, min_samples_leaf=30, early_stopping=False, random_state=seed
    )
    trees.fit(training.features, training.label)
    losses = [cross_entropy(scores, validation.label) for scores in trees.staged_decision_function(validation.features)]
    best = int(np.argmin(losses))
    return lambda features: np.asarray(list(trees.staged_decision_function(features))[best])
