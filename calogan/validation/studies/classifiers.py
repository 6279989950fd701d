"""Classifiers that try to tell the samples apart, what they go by, and the showers that they are surest about."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calogan.data.showers import Showers
from calogan.geometry import Layer, PolarLayer
from calogan.metrics.classifier import ClassifierTest, classifier_test, fit_trees
from calogan.metrics.crossfit import Fit, cross_fit, deal, take
from calogan.metrics.features import (
    cell_features,
    condition_features,
    observable_matrix,
    standardise,
    type_features,
    voxel_features,
)
from calogan.metrics.importance import own_area, permutation_importance
from calogan.metrics.labelled import LabelledFeatures
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.network import CALOCHALLENGE, NetworkSettings, fit_network, training_operations
from calogan.progress import Reporter
from calogan.validation.samples import Samples

__all__ = [
    "ClassifierStudy",
    "Importance",
    "LearningPoint",
    "SureShower",
    "high_level_features",
    "low_level_features",
    "network_settings",
    "study_classifiers",
]

_FRACTIONS, _ALL_FRACTIONS = (0.25, 0.5), (0.0625, 0.125, 0.25, 0.5)  # of the training showers
_SHUFFLED_SHOWERS = 4000  # test showers for the permutation importance
_SUREST = 4

Pair = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class LearningPoint:
    """Low-level area under the curve after learning from a number of showers of each sample."""

    n_training: int
    area: Estimate


@dataclass(frozen=True)
class Importance:
    """How much an observable tells the samples apart.

    Attributes:
        name: Observable.
        lost: Area under the curve that the high-level classifier loses when it is shuffled.
        own: Area under the curve of the observable alone; below 0.5 if it is smaller in generated showers.
    """

    name: str
    lost: Estimate
    own: Estimate


@dataclass(frozen=True)
class SureShower:
    """A shower that the low-level classifier is very sure about.

    Attributes:
        event: Id.
        momentum: |p| of the incident particle [GeV].
        score: Probability of being generated, by a classifier that has seen neither it nor its partner.
        layer: Layer that is shown, that with most energy.
        cells: Its cells.
        energy: Energies [GeV], shape ``(rows, columns)``.
    """

    event: int
    momentum: float
    score: float
    layer: int
    cells: Layer | PolarLayer
    energy: NDArray[np.float64]


@dataclass(frozen=True)
class ClassifierStudy:
    """Classifier two-sample tests.

    Attributes:
        protocol: ``default``, or ``calochallenge``.
        low: Network that sees all cells.
        high: Classifier that sees the observables; boosted trees by default.
        learning_curve: Low-level area against the number of training showers, ascending; the last is `low`.
        importance: Every observable, the most important for the high-level classifier first.
        surest_reference: Reference showers that the low-level classifier is surest are reference.
        surest_generated: Generated showers that it is surest are generated.
        low_seconds: Processor time of the low-level test with its floor [s].
        high_seconds: The same of the high-level test.
    """

    protocol: str
    low: ClassifierTest
    high: ClassifierTest
    learning_curve: tuple[LearningPoint, ...]
    importance: tuple[Importance, ...]
    surest_reference: tuple[SureShower, ...]
    surest_generated: tuple[SureShower, ...]
    low_seconds: float
    high_seconds: float

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Areas and divergences of both tests."""
        return (*self.low.metrics, *self.high.metrics)


def study_classifiers(
    samples: Samples,
    reporter: Reporter,
    *,
    network: NetworkSettings | None = None,
) -> ClassifierStudy:
    """Low-level and high-level classifier tests with all that explains them.

    Args:
        samples: Both samples.
        reporter: Told about each classifier.
        network: Sizes and lengths of the networks; those of the protocol if left out.
    """
    challenge = samples.settings.protocol == "calochallenge"
    settings = network or network_settings(samples)
    fit_low: Fit = partial(fit_network, settings=settings)
    fit_high: Fit = fit_low if challenge else fit_trees
    low_features, high_features = low_level_features(samples), high_level_features(samples)
    if challenge:
        high_features = standardise(*high_features)
        reporter.message(_announcement(samples, low_features[0].shape[1], settings))
    low, low_seconds = _test(samples, low_features, fit_low, "low-level", reporter)
    high, high_seconds = _test(samples, high_features, fit_high, "high-level", reporter)
    curve = () if challenge else _learning_curve(samples, low_features, fit_low, reporter)
    return ClassifierStudy(
        protocol=samples.settings.protocol,
        low=low,
        high=high,
        learning_curve=(*curve, LearningPoint(low.n_training, Estimate(low.auc.value, low.auc.error))),
        importance=_importance(samples, high_features, fit_high, reporter),
        surest_reference=_surest(samples.reference, low.reference_score, low.reference_odds, -1),
        surest_generated=_surest(samples.generated, low.generated_score, low.generated_odds, 1),
        low_seconds=low_seconds,
        high_seconds=high_seconds,
    )


def high_level_features(samples: Samples) -> Pair:
    """Observables in the order of `Samples.observables`, then conditions and types, of both samples."""
    names, types = list(samples.observables), samples.types
    first, second = (
        np.concatenate(
            [
                observable_matrix(values, names),
                condition_features(showers.incident),
                type_features(showers.pdg, types),
            ],
            axis=1,
        )
        for values, showers in (
            (samples.reference_values, samples.reference),
            (samples.generated_values, samples.generated),
        )
    )
    return first, second


def network_settings(samples: Samples) -> NetworkSettings:
    """Sizes and lengths of the protocol's networks."""
    return CALOCHALLENGE if samples.settings.protocol == "calochallenge" else NetworkSettings()


def low_level_features(samples: Samples) -> Pair:
    """What the low-level classifier of the protocol sees of both samples; the types last, where there are several."""
    make: Callable[[Showers], NDArray[np.float32]] = (
        (lambda showers: voxel_features(showers.cell_energy, showers.incident))
        if samples.settings.protocol == "calochallenge"
        else partial(_cell_features, scale=samples.faint)
    )
    first, second = (
        np.concatenate([make(showers), type_features(showers.pdg, samples.types)], axis=1)
        for showers in (samples.reference, samples.generated)
    )
    return first, second


def _cell_features(showers: Showers, *, scale: float) -> NDArray[np.float32]:
    return cell_features(showers.cell_energy, showers.incident, showers.geometry, scale=scale)


def _test(samples: Samples, features: Pair, fit: Fit, name: str, reporter: Reporter) -> tuple[ClassifierTest, float]:
    start, repeats = time.process_time(), samples.settings.classifier_repeats
    with reporter.task(f"{name} classifier", total=2 * repeats, unit="trainings") as task:
        found = classifier_test(
            *features,
            samples.reference_group,
            samples.generated_group,
            rng=samples.rng(f"{name} classifier"),
            fit=fit,
            repeats=repeats,
            name=name,
            done=lambda area: task.advance(note=f"AUC {area.value:.3f}"),
        )
    return found, time.process_time() - start


def _pooled(samples: Samples, features: Pair) -> tuple[LabelledFeatures, NDArray[np.int64]]:
    label = np.repeat([0, 1], [len(samples.reference), len(samples.generated)])
    group = np.concatenate([samples.reference_group, samples.generated_group])
    return LabelledFeatures(np.concatenate(features), label), group


def _learning_curve(samples: Samples, features: Pair, fit: Fit, reporter: Reporter) -> tuple[LearningPoint, ...]:
    settings = samples.settings
    fractions = _ALL_FRACTIONS if settings.full else _FRACTIONS
    showers, group = _pooled(samples, features)
    points = []
    with reporter.task("learning curve", total=len(fractions), unit="sizes") as task:
        for fraction in fractions:
            found = cross_fit(
                showers,
                group,
                fit,
                samples.rng("low-level classifier"),  # the parts of the test itself
                settings.classifier_repeats,
                tested=settings.classifier_repeats if settings.full else 1,
                fraction=fraction,
            )
            points.append(LearningPoint(found.n_training, found.area))
            task.advance(note=f"AUC {found.area.value:.3f}")
    return tuple(points)


def _importance(samples: Samples, features: Pair, fit: Fit, reporter: Reporter) -> tuple[Importance, ...]:
    """Importance for one classifier, on showers that it has not seen, and what each observable does alone."""
    names, rng = list(samples.observables), samples.rng("importance")
    showers, group = _pooled(samples, features)
    with reporter.task("importance", total=1, unit="classifiers") as task:
        part = deal(group, showers.label, rng, samples.settings.classifier_repeats)
        learnt, kept_out = (take(showers, np.flatnonzero(chosen)) for chosen in (part > 1, part == 1))
        scores = fit(learnt, kept_out, int(rng.integers(2**31)))
        test = rng.permutation(np.flatnonzero(part == 0))[:_SHUFFLED_SHOWERS]
        unseen = take(showers, test)
        lost = permutation_importance(scores, unseen.features, unseen.label, group[test], columns=len(names), rng=rng)
        task.advance()
    own = [own_area(samples.reference_values[name], samples.generated_values[name], group) for name in names]
    found = [Importance(*entry) for entry in zip(names, lost, own, strict=True)]
    return tuple(sorted(found, key=lambda entry: -entry.lost.value))


def _surest(
    showers: Showers, score: NDArray[np.float64], odds: NDArray[np.float64], sign: int
) -> tuple[SureShower, ...]:
    """The showers of the highest (sign 1) or lowest (sign -1) probability; log odds decide between equal ones."""
    chosen = np.lexsort((-sign * odds, -sign * score))[:_SUREST]
    return tuple(_sure_shower(showers, int(index), float(score[index])) for index in chosen)


def _sure_shower(showers: Showers, index: int, score: float) -> SureShower:
    one = showers[index : index + 1]
    layer = int(np.argmax(one.layer_energy[0]))
    return SureShower(
        event=int(one.event[0]),
        momentum=float(one.momentum[0]),
        score=score,
        layer=layer,
        cells=one.geometry.layers[layer],
        energy=one.geometry.layer_images(one.cell_energy)[layer][0].astype(np.float64),
    )


def _announcement(samples: Samples, cells: int, settings: NetworkSettings) -> str:
    """How long the networks of the CaloChallenge will take, by the speed of this machine's matrix products."""
    parts, showers = samples.settings.classifier_repeats, len(samples.reference) + len(samples.generated)
    learnt = showers * (parts - 2) // parts
    observables = len(samples.observables) + 5
    # tests at full size and their floors, which have half of the reference against the other; one for the importance
    trainings = parts * (1 + len(samples.reference) / showers)
    operations = trainings * training_operations(cells, learnt, settings)
    operations += (trainings + 1) * training_operations(observables, learnt, settings)
    minutes = operations / _speed(settings.hidden) / 60
    return (
        f"CaloChallenge networks: {2 * 2 * parts + 1} trainings of up to {settings.epochs} epochs, "
        f"about {max(minutes, 1):.0f} minutes on this machine"
    )


def _speed(widths: Sequence[int]) -> float:
    """Floating-point operations in a second of a product of the networks' size."""
    import torch

    first, second = torch.zeros(1000, widths[0]), torch.zeros(widths[0], widths[-1])
    torch.mm(first, second)  # the first one starts threads and takes longer
    start = time.perf_counter()
    for _ in range(3):
        torch.mm(first, second)
    return 3 * 2 * first.numel() * widths[-1] / max(time.perf_counter() - start, 1e-9)
