"""Histograms of all observables and the distances between them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial

from calogan.metrics.metric import Metric
from calogan.validation.numbers import number, probability, sigmas, with_error
from calogan.validation.page import Drawing, Section, Table
from calogan.validation.plots.histogram import histogram
from calogan.validation.studies.distributions import Distribution, DistributionsStudy

__all__ = ["distributions_section"]

_TEXT = (
    (
        "Separation power is 0 for equal histograms and 1 for disjoint ones; chi2/ndf is about 1 for samples that "
        "agree; KS is the largest difference of the cumulative distributions; Wasserstein is the area between them"
        " in standard deviations of the reference. In brackets: the floor, what two samples of one distribution give "
        "at these sizes."
    ),
    (
        "Showers outside of a histogram's range, and those that have no such number, have bins of their own in "
        "every distance of histograms."
    ),
)
_WORST = 10  # observables whose distances are shown first
_OPEN = 6  # figures beside the key ones
_SURE = 3  # standard errors
_DISTANCES = ("observable", "separation power", "chi2/ndf", "p", "KS", "p", "Wasserstein", "p")
_FURTHEST = ("observable", "separation power", "from floor", "chi2/ndf", "KS", "Wasserstein")
_COUNTS = ("observable", "unit", "reference mean", "generated mean", "outside, ref.", "gen.", "none, ref.", "gen.")


def distributions_section(study: DistributionsStudy, key: Collection[str] = ()) -> Section:
    """Every observable with its distances and its histogram.

    Args:
        study: All observables.
        key: Names of those that are shown right below the verdicts.
    """
    ranked = sorted(study.distributions, key=lambda one: -one.separation.excess)
    shown = {one.name for one in [one for one in ranked if one.name not in key][:_OPEN]}
    return Section(
        id="distributions",
        title="Distributions",
        text=_TEXT,
        tables=tuple(_tables(study.distributions, ranked)),
        drawings=tuple(
            _drawing(one, key=one.name in key, folded=one.name not in {*key, *shown}) for one in study.distributions
        ),
        finding=_finding(ranked) if ranked else "",
    )


def _finding(ranked: Sequence[Distribution]) -> str:
    worst = ranked[0].separation
    sure = sum(one.separation.excess > _SURE * one.separation.excess_error for one in ranked)
    return (
        f"Worst: {ranked[0].name}, separation power {with_error(worst.value, worst.error)}, "
        f"{sigmas(worst.excess, worst.excess_error)} from its floor of {number(worst.floor, 2)}. "
        f"Of {len(ranked)} observables {sure} are more than three standard errors above their floors."
    )


def _tables(every: Sequence[Distribution], ranked: Sequence[Distribution]) -> Iterator[Table]:
    distances = Table(_DISTANCES, tuple(_distances(one) for one in every), f"Distances of all {len(every)} observables")
    long = len(every) > _WORST
    if long:
        worst = tuple(_worst(one) for one in ranked[:_WORST])
        yield Table(_FURTHEST, worst, f"The {_WORST} observables that differ most; floors in brackets")
    yield replace(distances, folded=long)
    yield Table(_COUNTS, tuple(_counts(one) for one in every), "Means and showers out of range", folded=long)


def _distances(one: Distribution) -> tuple[str, ...]:
    return (
        one.name,
        _text(one.separation),
        _text(one.chi2),
        probability(one.chi2.p_value),
        _text(one.ks),
        probability(one.ks.p_value),
        _text(one.wasserstein),
        probability(one.wasserstein.p_value),
    )


def _worst(one: Distribution) -> tuple[str, ...]:
    power = one.separation
    from_floor = sigmas(power.excess, power.excess_error)
    return one.name, _text(power), from_floor, _text(one.chi2), _text(one.ks), _text(one.wasserstein)


def _text(metric: Metric) -> str:
    return f"{with_error(metric.value, metric.error)} ({number(metric.floor, 2)})"


def _counts(one: Distribution) -> tuple[str, ...]:
    means = (with_error(mean.value, mean.error) for mean in (one.reference_mean, one.generated_mean))
    counts = (one.reference_outside, one.generated_outside, one.reference_undefined, one.generated_undefined)
    return one.name, one.unit or "–", *means, *(str(count) for count in counts)


def _drawing(one: Distribution, *, key: bool, folded: bool) -> Drawing:
    power = one.separation
    caption = f"separation power {_text(power)}, chi2/ndf {_text(one.chi2)}"
    return Drawing(
        name=f"histogram_{one.name}",
        title=(
            f"Histograms of {one.name} of reference and generated showers, and their ratio: separation power "
            f"{sigmas(power.excess, power.excess_error)} from its floor"
        ),
        make=partial(histogram, one),
        caption=caption,
        key=key,
        folded=folded,
    )
