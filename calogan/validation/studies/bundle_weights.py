"""Weights that come with the generated showers, from a graph that has seen none of the samples: what they change."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calogan.metrics.binning import observable_edges
from calogan.metrics.classifier import fit_trees
from calogan.metrics.crossfit import cross_fit
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.metric import Metric
from calogan.metrics.separation import separation_power
from calogan.progress import Reporter
from calogan.validation.samples import Samples
from calogan.validation.studies.classifiers import high_level_features
from calogan.validation.studies.weights import Moment, Reweighted, area_metric, response_moments

__all__ = ["BundleWeightStudy", "study_bundle_weights"]


@dataclass(frozen=True)
class BundleWeightStudy:
    """The bundle's own weights of its showers. All figures are of whole samples, which the weights do not know.

    Attributes:
        n_generated: Generated showers.
        effective: Effective number of weighted showers.
        mean: Mean of the weights, which are of mean 1 over the showers that they were calibrated with.
        largest: Largest weight.
        separation: Separation power of each observable, as of independent samples.
        moments: Mean and relative width of the response.
        high: Area under the curve of boosted trees that see the observables.
    """

    n_generated: int
    effective: float
    mean: float
    largest: float
    separation: tuple[Reweighted, ...]
    moments: tuple[Moment, ...]
    high: Reweighted

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics with weights."""
        return (*(entry.after for entry in self.separation), self.high.after)

    @property
    def mean_excess(self) -> tuple[float, float]:
        """Separation power above its floor without and with weights, mean over the observables."""
        before, after = ([getattr(entry, key).excess for entry in self.separation] for key in ("before", "after"))
        return float(np.mean(before)), float(np.mean(after))


def study_bundle_weights(samples: Samples, weight: NDArray[np.float32], reporter: Reporter) -> BundleWeightStudy:
    """Measure with weights, and without them.

    Args:
        samples: Both samples.
        weight: Weights of the generated showers, learnt from neither sample, shape ``(m,)``.
        reporter: Told about the classifiers.
    """
    weights = weight.astype(np.float64)
    return BundleWeightStudy(
        n_generated=len(weights),
        effective=float(weights.sum() ** 2 / np.sum(weights**2)),
        mean=float(weights.mean()),
        largest=float(weights.max()),
        separation=tuple(_separation(samples, name, weights) for name in samples.observables),
        moments=response_moments(samples, weights),
        high=_high_level(samples, weights, reporter),
    )


def _separation(samples: Samples, name: str, weight: NDArray[np.float64]) -> Reweighted:
    reference, generated = samples.reference_values[name], samples.generated_values[name]
    edges = observable_edges(samples.observables[name], reference)
    before = separation_power(reference, generated, edges, name=f"separation {name} without weights")
    after = separation_power(reference, generated, edges, weights=weight, name=f"bundle-weighted separation {name}")
    return Reweighted(name, before, after)


def _high_level(samples: Samples, weight: NDArray[np.float64], reporter: Reporter) -> Reweighted:
    """Boosted trees on the same parts, without and with weights in learning and testing."""
    label = np.repeat([0, 1], [len(samples.reference), len(samples.generated)])
    group = np.concatenate([samples.reference_group, samples.generated_group])
    features, repeats = np.concatenate(high_level_features(samples)), samples.settings.classifier_repeats
    weights = np.append(np.ones(len(samples.reference)), weight)
    found = []
    with reporter.task("classifiers of the bundle's weights", total=2 * repeats, unit="trainings") as task:
        for kind, given in (("high-level AUC without weights", None), ("bundle-weighted high-level AUC", weights)):
            showers, rng = LabelledFeatures(features, label, given), samples.rng("bundle weights")
            tested = cross_fit(
                showers, group, fit_trees, rng, repeats, done=lambda area: task.advance(note=f"AUC {area.value:.3f}")
            )
            found.append(area_metric(kind, tested.area, samples))
    return Reweighted("high-level AUC", *found)
