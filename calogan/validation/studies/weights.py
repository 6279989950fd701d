"""Generated showers weighted by the density ratio of the low-level classifier: the figures before and after."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import observable_edges
from calogan.metrics.classifier import ClassifierTest, fit_trees
from calogan.metrics.crossfit import cross_fit
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.separation import separation_power
from calogan.metrics.weighting import density_ratio, weighted_mean, weighted_width
from calogan.progress import Reporter
from calogan.validation.samples import Samples
from calogan.validation.studies.classifiers import high_level_features

__all__ = ["Moment", "Reweighted", "WeightStudy", "study_weights"]


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

    Attributes:
        n_generated: Generated showers.
        effective: Effective number of weighted showers.
        limit: Ratio above which weights were clipped.
        clipped: Fraction of the showers that were.
        mean_ratio: Mean of the ratios as they were; 1 for exact probabilities.
        edges: Edges of the weights' histogram, shape ``(bins + 1,)``.
        counts: Showers in each of its bins, shape ``(bins,)``.
        separation: Separation power of each observable.
        moments: Mean and relative width of the response.
        high: Area under the curve of boosted trees that see the observables.
        weight: Weights of mean 1, shape ``(m,)``.
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


def study_weights(samples: Samples, low: ClassifierTest, reporter: Reporter) -> WeightStudy:
    """Weigh generated showers by the density ratio, and measure again.

    Each shower's weight comes from a classifier that has not seen it. Errors are those for given weights. Separation
    powers are those of independent samples, before and after, even where the samples are paired.

    Args:
        samples: Both samples.
        low: Low-level test of the same samples.
        reporter: Told about the classifiers.
    """
    ratio = density_ratio(low.generated_score)
    edges = np.linspace(0.0, max(float(ratio.weight.max()), 1.0), 41)
    return WeightStudy(
        n_generated=len(ratio.weight),
        effective=ratio.effective,
        limit=ratio.limit,
        clipped=ratio.clipped,
        mean_ratio=ratio.mean_ratio,
        edges=edges,
        counts=np.histogram(ratio.weight, edges)[0],
        separation=tuple(_separation(samples, name, ratio.weight) for name in samples.observables),
        moments=_moments(samples, ratio.weight),
        high=_high_level(samples, ratio.weight, reporter),
        weight=ratio.weight,
    )


def _separation(samples: Samples, name: str, weight: NDArray[np.float64]) -> Reweighted:
    first, second = samples.reference_values[name], samples.generated_values[name]
    edges = observable_edges(samples.observables[name], first)
    before = separation_power(first, second, edges, name=f"unweighted separation {name}")
    after = separation_power(first, second, edges, weights=weight, name=f"weighted separation {name}")
    return Reweighted(name, before, after)


def _moments(samples: Samples, weight: NDArray[np.float64]) -> tuple[Moment, ...]:
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


def _high_level(samples: Samples, weight: NDArray[np.float64], reporter: Reporter) -> Reweighted:
    """Boosted trees on the same parts, without and with weights in learning and testing."""
    features = high_level_features(samples)
    label = np.repeat([0, 1], [len(part) for part in features])
    group = np.concatenate([samples.reference_group, samples.generated_group])
    weights = np.concatenate([np.ones(len(features[0])), weight])
    pooled, repeats = np.concatenate(features), samples.settings.classifier_repeats
    found = []
    with reporter.task("weighted classifier", total=2 * repeats, unit="trainings") as task:
        for kind, used in (("unweighted", None), ("weighted", weights)):
            area = cross_fit(
                LabelledFeatures(pooled, label, used),
                group,
                fit_trees,
                samples.rng("weighted classifier"),
                repeats,
                done=lambda area: task.advance(note=f"AUC {area.value:.3f}"),
            ).area
            found.append(_area_metric(f"{kind} high-level AUC", area, samples))
    return Reweighted("high-level AUC", *found)


def _area_metric(name: str, area: Estimate, samples: Samples) -> Metric:
    return Metric(
        name=name,
        value=area.value,
        error=area.error,
        floor=0.5,
        floor_error=0.0,
        n_reference=len(samples.reference),
        n_generated=len(samples.generated),
        source="arXiv:1610.06545, arXiv:1907.08209",
        floor_note="two samples of one distribution",
    )
