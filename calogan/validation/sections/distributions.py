"""Histograms of all observables and the distances between them."""

from __future__ import annotations

from collections.abc import Collection
from functools import partial

from calogan.metrics.metric import Metric
from calogan.validation.numbers import number, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.histogram import histogram
from calogan.validation.studies.distributions import Distribution, DistributionsStudy

__all__ = ["distributions_section"]

_TEXT = (
    (
        "Separation power is 0 for equal histograms and 1 for disjoint ones; chi2/ndf is about 1 for samples that "
        "agree; KS is the largest difference of the cumulative distributions; Wasserstein is the area between them"
        " in standard deviations of the reference. Each value is followed by its error and, in brackets, by the "
        "floor: what two samples of one distribution give at these sizes."
    ),
    (
        "Showers outside of a histogram's range, and those that have no such number, have bins of their own in "
        "every distance of histograms."
    ),
)
_DISTANCES = ("observable", "separation power", "chi2/ndf", "p", "KS", "p", "Wasserstein", "p")
_COUNTS = ("observable", "unit", "reference mean", "generated mean", "outside, ref.", "gen.", "none, ref.", "gen.")


def distributions_section(study: DistributionsStudy, key: Collection[str] = ()) -> Section:
    """Every observable with its distances and its histogram.

    Args:
        study: All observables.
        key: Names of those that are shown right below the verdicts.
    """
    return Section(
        id="distributions",
        title="Distributions",
        text=_TEXT,
        tables=(
            Table(_DISTANCES, tuple(_distances(one) for one in study.distributions), "Distances"),
            Table(_COUNTS, tuple(_counts(one) for one in study.distributions), "Means and showers out of range"),
        ),
        drawings=tuple(_drawing(one, key=one.name in key) for one in study.distributions),
    )


def _distances(one: Distribution) -> tuple[str, ...]:
    return (
        one.name,
        _text(one.separation),
        _text(one.chi2),
        number(one.chi2.p_value, 2),
        _text(one.ks),
        number(one.ks.p_value, 2),
        _text(one.wasserstein),
        number(one.wasserstein.p_value, 2),
    )


def _text(metric: Metric) -> str:
    return f"{with_error(metric.value, metric.error)} ({number(metric.floor, 2)})"


def _counts(one: Distribution) -> tuple[str, ...]:
    means = (with_error(mean.value, mean.error) for mean in (one.reference_mean, one.generated_mean))
    counts = (one.reference_outside, one.generated_outside, one.reference_undefined, one.generated_undefined)
    return one.name, one.unit or "–", *means, *(str(count) for count in counts)


def _drawing(one: Distribution, *, key: bool) -> Drawing:
    caption = f"separation power {_text(one.separation)}, chi2/ndf {_text(one.chi2)}"
    return Drawing(
        name=f"histogram_{one.name}",
        title=f"Histograms of {one.name} of reference and generated showers, and their ratio",
        make=partial(histogram, one),
        caption=caption,
        key=key,
    )
