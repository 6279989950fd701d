"""Section on the classifier tests."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from calogan.metrics.classifier import ClassifierTest
from calogan.metrics.metric import Metric
from calogan.validation.numbers import number, probability, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots import classifier as plots
from calogan.validation.studies.classifiers import ClassifierStudy, Importance, SureShower

__all__ = ["classifiers_section"]

_SHOWN = 12  # observables

_DEFAULT = (
    "The low-level classifier is a network that sees every cell and the particle; the high-level one, boosted trees, "
    "sees the observables and the particle. Both are tested on showers that they have not seen: showers of one "
    "particle, and equal showers, are always in the same part. Each repeat tests another part."
)
_CHALLENGE = (
    "The classifiers are those of the CaloChallenge (arXiv:2410.21611): a network of two inner layers of 2048, 50 "
    "epochs, its input the energy and 100 times the cells' fractions of it, or this report's observables. Other than "
    "there, the kept weights are the best for the validation showers rather than for the test showers, and precision "
    "is single."
)
_NUMBERS = (
    "AUC: area under the ROC curve, 0.5 if the samples cannot be told apart. JSD: Jensen-Shannon divergence that the "
    "calibrated classifier sees, 0 if none, 1 bit if all. The floor comes from two halves of the reference."
)


def classifiers_section(study: ClassifierStudy) -> Section:
    """Both tests, what they go by, and single showers."""
    method = _CHALLENGE if study.protocol == "calochallenge" else _DEFAULT
    tables = (_tests(study), _importance(study.importance), _surest(study))
    return Section(
        "classifiers", "Classifier tests", (method, _NUMBERS), tables, _drawings(study), finding=_finding(study)
    )


def _finding(study: ClassifierStudy) -> str:
    low, high = study.low.auc, study.high.auc
    told = f"AUC {_with_floor(low)} of the low-level test, {_with_floor(high)} of the high-level one."
    if not study.importance:
        return told
    return f"{told} The latter goes most by {study.importance[0].name}."


def _with_floor(metric: Metric) -> str:
    return f"{with_error(metric.value, metric.error)} (floor {with_error(metric.floor, metric.floor_error)})"


def _tests(study: ClassifierStudy) -> Table:
    rows = [
        (
            metric.name,
            with_error(metric.value, metric.error),
            with_error(metric.floor, metric.floor_error),
            probability(metric.p_value),
        )
        for metric in study.metrics
    ]
    details = "; ".join(
        f"{name}: {_detail(test, seconds)}"
        for name, test, seconds in (
            ("low level", study.low, study.low_seconds),
            ("high level", study.high, study.high_seconds),
        )
    )
    return Table(("", "measured", "floor", "p-value"), tuple(rows), f"{details}. Floor: {study.low.auc.floor_note}.")


def _detail(test: ClassifierTest, seconds: float) -> str:
    return (
        f"{len(test.areas)} classifiers that learnt from {test.n_training} showers of each sample, AUC "
        f"{test.training_auc:.3f} on these, calibration error {number(test.calibration.error, 2)}, {seconds:.0f} s of "
        "processor time"
    )


def _importance(found: tuple[Importance, ...]) -> Table:
    rows = [
        (entry.name, with_error(entry.lost.value, entry.lost.error), with_error(entry.own.value, entry.own.error))
        for entry in found[:_SHOWN]
    ]
    return Table(
        ("observable", "AUC lost when shuffled", "AUC alone (below 0.5: smaller in generated showers)"),
        tuple(rows),
        "What the high-level classifier goes by",
        folded=True,
    )


def _surest(study: ClassifierStudy) -> Table:
    rows = [
        (kind, str(shower.event), number(shower.momentum, 3), number(shower.score, 3))
        for kind, showers in (("reference", study.surest_reference), ("generated", study.surest_generated))
        for shower in showers
    ]
    return Table(
        ("surest showers", "event", "|p| [GeV]", "p(generated)"),
        tuple(rows),
        "Showers that the low-level classifier is surest about, and right",
        folded=True,
    )


def _drawings(study: ClassifierStudy) -> tuple[Drawing, ...]:
    return (
        Drawing(
            name="classifier_areas",
            title=(
                "Areas under the curve of both classifier tests beside those of reference against reference: low level "
                f"{study.low.auc.value:.2f}, high level {study.high.auc.value:.2f}"
            ),
            make=partial(plots.areas, study),
            caption="Strokes: single repeats. Points: their mean and its error.",
            key=True,
        ),
        Drawing("classifier_roc", "ROC curves of both classifier tests", partial(plots.receiver_curves, study)),
        *_learning(study),
        _importances(study.importance),
        *(_pictures(kind, showers) for kind, showers in _kinds(study)),
        Drawing(
            "classifier_calibration",
            "Observed against predicted fraction of generated showers",
            partial(plots.calibrations, study),
            "After isotonic regression on showers that neither trained nor tested.",
        ),
    )


def _learning(study: ClassifierStudy) -> Iterator[Drawing]:
    if len(study.learning_curve) > 1:
        yield Drawing(
            name="classifier_learning",
            title="Low-level area under the curve against the number of training showers",
            make=partial(plots.learning_curve, study.learning_curve),
            caption="Where it still rises at the end, more showers would tell the samples apart better.",
        )


def _importances(found: tuple[Importance, ...]) -> Drawing:
    most = " and ".join(entry.name for entry in found[:2]) or "nothing"
    return Drawing(
        name="classifier_importance",
        title=f"Bars: what the high-level classifier goes by, {most} most of all",
        make=partial(plots.importances, found),
        caption=(
            "What is lost when an observable is shuffled among the showers, and what it does alone. Observables that "
            "say the same share what is lost."
        ),
    )


def _kinds(study: ClassifierStudy) -> tuple[tuple[str, tuple[SureShower, ...]], ...]:
    return ("reference", study.surest_reference), ("generated", study.surest_generated)


def _pictures(kind: str, showers: tuple[SureShower, ...]) -> Drawing:
    return Drawing(
        name=f"surest_{kind}",
        title=f"Four {kind} showers that the low-level classifier is surest are {kind}",
        make=partial(plots.surest_showers, showers, f"Surest {kind} showers"),
        caption="p: probability of being generated, by a classifier that has not seen the shower.",
    )
