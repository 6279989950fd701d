"""Section on weights of the generated showers."""

from __future__ import annotations

from functools import partial

from calogan.metrics.metric import Metric
from calogan.validation.numbers import number, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots import weights as plots
from calogan.validation.studies.weights import WeightStudy

__all__ = ["weights_section"]


def weights_section(study: WeightStudy) -> Section:
    """What weights are worth, and the figures before and after."""
    made = (
        "Each generated shower gets the density ratio (1 − p) / p as a weight, where p is the calibrated probability "
        "of being generated, by a low-level classifier that has not seen the shower (arXiv:1907.08209). Ratios above "
        f"{number(study.limit, 3)} were clipped ({100 * study.clipped:.1f}% of the showers), then all were brought to "
        f"mean 1; their mean was {number(study.mean_ratio, 3)}."
    )
    worth = (
        f"The {study.n_generated} weighted showers are worth {study.effective:.0f} without weights, (Σw)² / Σw². "
        "The moments below are of these weights, with errors for given weights: weighted showers also follow the "
        "accidents of the reference that the classifiers learnt from."
    )
    fair = (
        "A test against that same reference would flatter the weights. So the area and the separation powers are "
        "measured in two halves of the samples, before and after: the showers of each half get weights from three "
        "low-level classifiers that learnt from the other half alone, boosted trees learn and are tested within the "
        "half, and both halves are averaged. Learnt from half of the showers, these weights are less exact than those "
        "of the whole. Separation powers are those of independent samples."
    )
    return Section(
        "weights",
        "Weighted showers",
        (made, worth, fair),
        (_moments(study), _areas(study), _separations(study)),
        _drawings(study),
        finding=(
            f"Weights bring the {study.high.name} from {_value(study.high.before)} to {_value(study.high.after)}, and "
            f"leave {study.effective:.0f} effective showers of {study.n_generated}."
        ),
    )


def _value(metric: Metric) -> str:
    return with_error(metric.value, metric.error)


def _moments(study: WeightStudy) -> Table:
    rows = [
        (moment.name, *(with_error(one.value, one.error) for one in (moment.reference, moment.before, moment.after)))
        for moment in study.moments
    ]
    return Table(("", "reference", "before", "after"), tuple(rows), "Response without and with weights")


def _areas(study: WeightStudy) -> Table:
    entry = study.high
    values = (with_error(one.value, one.error) for one in (entry.before, entry.after))
    return Table(
        ("", "before", "after"),
        ((entry.name, *values),),
        "Boosted trees that see the observables, mean of two halves; 0.5 if the showers cannot be told apart",
    )


def _separations(study: WeightStudy) -> Table:
    rows = [
        (
            entry.name,
            with_error(entry.before.excess, entry.before.excess_error),
            with_error(entry.after.excess, entry.after.excess_error),
        )
        for entry in study.separation
    ]
    return Table(
        ("separation power", "before", "after"),
        tuple(rows),
        "Separation power less the floor, mean of two halves; the floor is higher with weights, since they leave fewer "
        "effective showers",
        folded=True,
    )


def _drawings(study: WeightStudy) -> tuple[Drawing, ...]:
    return (
        Drawing("weights", "Histogram of the weights of the generated showers", partial(plots.weight_histogram, study)),
        Drawing(
            "weights_separation",
            "Separation power of the observables before and after weighting",
            partial(plots.separations, study),
            "0: as two samples of one distribution.",
        ),
    )
