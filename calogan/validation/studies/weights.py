"""Generated showers weighted by the density ratio of the low-level classifier: the figures before and after."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import observable_edges
from calogan.metrics.classifier import ClassifierTest, fit_trees
from calogan.metrics.crossfit import deal
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.network import NetworkSettings, fit_network
from calogan.metrics.separation import separation_power
from calogan.metrics.weighting import (
    area_of_halves,
    density_ratio,
    held_out_weight,
    weighted_mean,
    weighted_width,
)
from calogan.progress import Reporter
from calogan.validation.samples import Samples
from calogan.validation.studies.classifiers import high_level_features, low_level_features, network_settings

__all__ = ["Moment", "Reweighted", "WeightStudy", "area_metric", "response_moments", "study_weights"]


@dataclass(frozen=True)
class Reweighted:
    """A metric without and with weights of the generated showers."""

    name: str
    before: Metric
    after: Metric


@dataclass(frozen=True)
class Moment:
    """A number of the reference, and of the generated showers without and with weights."""

    name: str
    reference: Estimate
    before: Estimate
    after: Estimate


@dataclass(frozen=True)
class WeightStudy:
    """Weights of the generated showers and what they change.

    Separation powers and the area are means over two halves of the samples: each half's showers are weighted by
    classifiers that learnt from the other half alone, and measured within their half. All else is of `weight`.

    Attributes:
        n_generated: Generated showers.
        effective: Effective number of weighted showers.
        limit: Ratio above which weights were clipped.
        clipped: Fraction of the showers that were.
        mean_ratio: Mean of the ratios as they were; 1 for exact probabilities.
        edges: Edges of the weights' histogram, shape ``(bins + 1,)``.
        counts: Showers in each of its bins, shape ``(bins,)``.
        separation: Separation power of each observable, mean over the halves.
        moments: Mean and relative width of the response.
        high: Area under the curve of boosted trees that see the observables, mean over the halves.
        weight: Weights of mean 1, by classifiers that learnt from all other parts of the samples, shape ``(m,)``.
    """

    n_generated: int
    effective: float
    limit: float
    clipped: float
    mean_ratio: float
    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    separation: tuple[Reweighted, ...]
    moments: tuple[Moment, ...]
    high: Reweighted
    weight: NDArray[np.float64] = field(metadata={"report": False})

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics with weights."""
        return (*(entry.after for entry in self.separation), self.high.after)


@dataclass(frozen=True)
class _Halves:
    """Both samples, reference first, in halves: groups, halves and held-out weights of shape ``(n + m,)``."""

    label: NDArray[np.int64]
    group: NDArray[np.int64]
    half: NDArray[np.int64]
    weight: NDArray[np.float64]


def study_weights(
    samples: Samples, low: ClassifierTest, reporter: Reporter, *, network: NetworkSettings | None = None
) -> WeightStudy:
    """Weigh generated showers by the density ratio, and measure again.

    Each shower's weight comes from a classifier that has not seen it; the moments' errors are those for given
    weights. But that classifier has seen most of the reference, with the accidents that a test against the reference
    would find: separation powers and areas are measured in halves with weights of their own (see `WeightStudy`).
    Separation powers are those of independent samples, before and after, even where the samples are paired.

    Args:
        samples: Both samples.
        low: Low-level test of the same samples, whose scores are the weights.
        reporter: Told about the classifiers.
        network: Sizes and lengths of the networks that weigh the halves; those of the protocol if left out.
    """
    ratio = density_ratio(low.generated_score)
    edges = np.linspace(0.0, max(float(ratio.weight.max()), 1.0), 41)
    with reporter.task(
        "weighted classifiers", total=6 + 4 * samples.settings.classifier_repeats, unit="trainings"
    ) as task:
        halves = _halves(samples, network or network_settings(samples), task.advance)
        high = _high_level(samples, halves, lambda area: task.advance(note=f"AUC {area.value:.3f}"))
    return WeightStudy(
        n_generated=len(ratio.weight),
        effective=ratio.effective,
        limit=ratio.limit,
        clipped=ratio.clipped,
        mean_ratio=ratio.mean_ratio,
        edges=edges,
        counts=np.histogram(ratio.weight, edges)[0],
        separation=tuple(_separation(samples, name, halves) for name in samples.observables),
        moments=response_moments(samples, ratio.weight),
        high=high,
        weight=ratio.weight,
    )


def _halves(samples: Samples, settings: NetworkSettings, done: Callable[[], None]) -> _Halves:
    label = np.repeat([0, 1], [len(samples.reference), len(samples.generated)])
    group = np.concatenate([samples.reference_group, samples.generated_group])
    rng = samples.rng("weighted halves")
    half = deal(group, label, rng, 2)
    showers = LabelledFeatures(np.concatenate(low_level_features(samples)), label)
    weight = held_out_weight(showers, group, half, partial(fit_network, settings=settings), rng, done=done)
    return _Halves(label, group, half, weight)


def _separation(samples: Samples, name: str, halves: _Halves) -> Reweighted:
    first, second = samples.reference_values[name], samples.generated_values[name]
    edges = observable_edges(samples.observables[name], first)
    half, weight = (np.split(values, [len(first)]) for values in (halves.half, halves.weight))
    before, after = [], []
    for number in (0, 1):
        reference, generated = first[half[0] == number], second[half[1] == number]
        weights = weight[1][half[1] == number]
        before.append(separation_power(reference, generated, edges, name=f"unweighted separation {name}"))
        after.append(separation_power(reference, generated, edges, weights=weights, name=f"weighted separation {name}"))
    return Reweighted(name, _mean_of_halves(*before), _mean_of_halves(*after))


def _mean_of_halves(first: Metric, second: Metric) -> Metric:
    return replace(
        first,
        value=(first.value + second.value) / 2,
        error=math.hypot(first.error, second.error) / 2,
        floor=(first.floor + second.floor) / 2,
        floor_error=math.hypot(first.floor_error, second.floor_error) / 2,
        n_reference=first.n_reference + second.n_reference,
        n_generated=first.n_generated + second.n_generated,
        floor_note=f"mean of two halves; in the first: {first.floor_note}",
        p_value=None,
    )


def response_moments(samples: Samples, weight: NDArray[np.float64]) -> tuple[Moment, ...]:
    """Mean and relative width of the response without and with weights of shape ``(m,)``; none without a response."""
    if "response" not in samples.observables:
        return ()
    first, second = samples.reference_values["response"], samples.generated_values["response"]
    return tuple(
        Moment(
            name,
            measure(first, np.ones(len(first))),
            measure(second, np.ones(len(second))),
            measure(second, weight),
        )
        for name, measure in (("mean response", weighted_mean), ("relative width of the response", weighted_width))
    )


def _high_level(samples: Samples, halves: _Halves, done: Callable[[Estimate], None]) -> Reweighted:
    """Boosted trees on the same parts of the same halves, without and with weights in learning and testing."""
    features, repeats = np.concatenate(high_level_features(samples)), samples.settings.classifier_repeats
    found = []
    for kind, weight in (("unweighted", None), ("weighted", halves.weight)):
        showers = LabelledFeatures(features, halves.label, weight)
        rng = samples.rng("weighted classifier")
        area = area_of_halves(showers, halves.group, halves.half, fit_trees, rng, repeats, done=done)
        found.append(area_metric(f"{kind} high-level AUC", area, samples))
    return Reweighted("high-level AUC", *found)


def area_metric(name: str, area: Estimate, samples: Samples) -> Metric:
    """Area under the curve as a metric whose floor is that of classifiers that guess."""
    return Metric(
        name=name,
        value=area.value,
        error=area.error,
        floor=0.5,
        floor_error=0.0,
        n_reference=len(samples.reference),
        n_generated=len(samples.generated),
        source="arXiv:1610.06545, arXiv:1907.08209",
        floor_note="two samples of one distribution: classifiers that know nothing of the showers they test guess",
    )
