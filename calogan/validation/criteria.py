"""Verdicts: is a difference, less what chance alone makes, surely smaller than the effect size that matters?"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import islice
from typing import TYPE_CHECKING

from scipy.stats import norm, t

from calogan.config import CriteriaConfig
from calogan.metrics.metric import Metric
from calogan.metrics.resolution import Comparison as Compared
from calogan.validation.type_names import of_type

if TYPE_CHECKING:
    from calogan.validation.comparison import Comparison
    from calogan.validation.studies.particle_types import TypeStudy

__all__ = [
    "SEPARATION",
    "Difference",
    "Outcome",
    "Verdict",
    "judge",
    "judge_tests",
    "needed_showers",
    "outcome",
    "overall",
]

SEPARATION = "separation power"  # group of the observables' criteria


class Outcome(StrEnum):
    """What a criterion says."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class _Criterion:
    """What is held against an effect size.

    Attributes:
        group: Heading that the criterion belongs to.
        criterion: What is compared.
        reference: Value of the reference sample; NaN where a metric compares the samples as a whole.
        generated: Value of the generated sample; NaN likewise.
        difference: Absolute relative difference, or metric.
        error: Standard error of the difference beyond the floor.
        floor: What reference against reference gives; 0 for a difference that has a sign.
        bound: Effect size: the smallest difference beyond the floor that matters.
    """

    group: str
    criterion: str
    reference: float
    generated: float
    difference: float
    error: float
    floor: float
    bound: float


@dataclass(frozen=True)
class Difference(_Criterion):
    """A difference before it is judged; the first eight fields are those of the verdict.

    Attributes:
        showers: Showers of the smaller sample.
        skewness: That of the difference for samples of one distribution; 0 for a normal one.
        draws: Resamplings that the error comes from; None if it has a closed form.
        place: Where the showers are counted, if not in the whole sample.
    """

    showers: int
    skewness: float = 0.0
    draws: int | None = None
    place: str = ""


@dataclass(frozen=True)
class Verdict(_Criterion):
    """One criterion with all that it rests on.

    Attributes:
        limit: Upper confidence limit of the difference less the floor.
        outcome: Pass, fail or undecided.
        note: What an undecided criterion needs; else empty.
    """

    limit: float
    outcome: Outcome
    note: str = ""


def outcome(excess: float, error: float, bound: float, confidence_z: float, failure_z: float) -> Outcome:
    r"""Judge one difference by an equivalence test.

    Passes where the confidence limit :math:`x + z_c \sigma` of the excess x lies at or under the bound b. Fails where
    it does not although the sample is large enough, :math:`(z_c + z_f) \sigma \le b`, or where the excess is above
    the bound beyond doubt, :math:`x - z_f \sigma > b`. Undecided else. For samples of one distribution the excess
    would have to come out above :math:`z_f \sigma` to fail.

    Args:
        excess: Difference less the floor, x.
        error: Its standard error, :math:`\sigma`.
        bound: Effect size, b.
        confidence_z: Normal quantile of the confidence, :math:`z_c`.
        failure_z: Normal quantile of the chance of a false failure, :math:`z_f`.

    Source:
        Schuirmann, J. Pharmacokinet. Biopharm. 15 (1987) 657; all criteria together pass at the same confidence
        (intersection-union test: Berger and Hsu, Statist. Sci. 11 (1996) 283).

    Example:
        >>> [outcome(x, error, 0.02, 1.6, 3.5).value for x, error in ((0.01, 0.003), (0.03, 0.003), (0.01, 0.02))]
        ['pass', 'fail', 'undecided']
    """
    if not (math.isfinite(excess) and math.isfinite(error)):
        return Outcome.UNDECIDED
    if excess + confidence_z * error <= bound:
        return Outcome.PASS
    decidable = (confidence_z + failure_z) * error <= bound
    return Outcome.FAIL if decidable or excess - failure_z * error > bound else Outcome.UNDECIDED


def needed_showers(error: float, bound: float, count: int, quantiles: float) -> int:
    """Showers with which the criterion can be decided, as errors fall with the root of their number; two digits.

    Example:
        >>> needed_showers(error=0.02, bound=0.05, count=1000, quantiles=5.0)
        4000
    """
    exact = count * (quantiles * error / bound) ** 2
    digit = int(10 ** max(0, math.floor(math.log10(exact)) - 1))
    return math.ceil(exact / digit - 1e-9) * digit


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """Fail if any criterion fails, else undecided if any is, else pass."""
    found = {verdict.outcome for verdict in verdicts}
    return next((one for one in (Outcome.FAIL, Outcome.UNDECIDED) if one in found), Outcome.PASS)


def judge(comparison: Comparison, criteria: CriteriaConfig) -> tuple[Verdict, ...]:
    """Verdicts of a comparison, one a criterion: incident particles first, then physics, then classifiers.

    The criteria of all showers come first, then those of each particle type, with the type's name in their groups. All
    of them share the chance of a false failure, and all tests of the incident particles that of theirs.
    """
    parts: dict[str, tuple[Comparison | TypeStudy, list[Difference]]] = {"": (comparison, _tests(comparison, criteria))}
    parts |= {one.name: (one, [*_of_each(one, criteria)]) for one in comparison.types}
    judged = iter(judge_tests([test for _, tests in parts.values() for test in tests], criteria))
    rows: list[Verdict] = []
    for name, (part, tests) in parts.items():
        p_value = min(1.0, len(parts) * part.condition.lowest_p)
        found = (_condition(p_value, criteria.condition_p), *islice(judged, len(tests)))
        rows += [replace(row, group=of_type(name, row.group)) for row in found] if name else found
    return tuple(rows)


def _tests(comparison: Comparison, criteria: CriteriaConfig) -> list[Difference]:
    copies = _metric("copies", "share of generated showers", comparison.memorisation.copies, criteria.copies)
    classifiers = comparison.classifiers
    areas = (classifiers.low.auc, classifiers.high.auc) if classifiers else ()
    return [*_response(comparison, criteria), copies, *_areas(areas, criteria), *_separations(comparison, criteria)]


def _of_each(one: TypeStudy, criteria: CriteriaConfig) -> Iterator[Difference]:
    yield from _response(one, criteria)
    yield from _areas((one.classifiers.low, one.classifiers.high) if one.classifiers else (), criteria)
    yield from _separations(one, criteria)


def judge_tests(tests: Sequence[Difference], criteria: CriteriaConfig) -> tuple[Verdict, ...]:
    """Verdicts of several differences that together fail falsely with the chance of the configuration.

    That chance, less the share of the test of the incident particles, is divided by the number of tests (Bonferroni)
    and between both signs.
    """
    chance = (criteria.false_failures - criteria.condition_p) / max(len(tests), 1) / 2
    return tuple(
        _verdict(test, _quantile(1 - criteria.confidence, test.draws), _quantile(chance, test.draws)) for test in tests
    )


def _quantile(chance: float, draws: int | None) -> float:
    """Errors that are exceeded by chance: normal, or Student's where the error itself is known from so many draws."""
    return float(norm.isf(chance) if draws is None else t.isf(chance, draws - 1))


def _verdict(test: Difference, confidence: float, failure: float) -> Verdict:
    # Cornish and Fisher's first correction of a normal quantile for skewness
    failure += test.skewness * (failure**2 - 1) / 6
    excess = test.difference - test.floor
    found = outcome(excess, test.error, test.bound, confidence, failure)
    note = ""
    if found is Outcome.UNDECIDED:
        note = f"not measurable with {test.showers} showers{test.place}"
        if math.isfinite(excess) and math.isfinite(test.error) and test.error > 0:
            needed = needed_showers(test.error, test.bound, test.showers, confidence + failure)
            note = f"needs about {max(needed, test.showers + 1)} showers{test.place}"
    return Verdict(
        test.group,
        test.criterion,
        test.reference,
        test.generated,
        test.difference,
        test.error,
        test.floor,
        test.bound,
        excess + confidence * test.error,
        found,
        note,
    )


def _condition(p_value: float, bound: float) -> Verdict:
    passed = p_value >= bound
    return Verdict(
        group="incident particles",
        criterion="same distributions: p-value, at least",
        reference=math.nan,
        generated=p_value,
        difference=math.nan,
        error=math.nan,
        floor=math.nan,
        bound=bound,
        limit=math.nan,
        outcome=Outcome.PASS if passed else Outcome.FAIL,
        note="" if passed else "the samples were made for different particles",
    )


def _response(comparison: Comparison | TypeStudy, criteria: CriteriaConfig) -> Iterator[Difference]:
    study = comparison.response
    showers = min(comparison.reference_count, comparison.generated_count)
    for name, bound, bin_bound in (
        ("response", criteria.response, criteria.response_bin),
        ("resolution", criteria.resolution, criteria.resolution_bin),
    ):
        group = f"{name}: relative difference"
        yield _relative(group, f"{name}, all momenta", getattr(study, name), showers, bound, study.draws)
        for one in study.momentum_bins:
            criterion = f"{name}, {one.low:g} to {one.high:g} GeV"
            smaller = min(one.n_reference, one.n_generated)
            test = _relative(group, criterion, getattr(one, name), smaller, bin_bound, study.draws)
            yield replace(test, place=" in this bin")
    group = "occupancy: relative difference"
    yield _relative(group, "mean number of lit cells", study.occupancy, showers, criteria.occupancy, study.draws)


def _relative(group: str, criterion: str, compared: Compared, showers: int, bound: float, draws: int) -> Difference:
    return Difference(
        group,
        criterion,
        compared.reference.value,
        compared.generated.value,
        abs(compared.difference.value),
        compared.difference.error,
        0.0,
        bound,
        showers,
        draws=draws,
    )


def _areas(areas: Sequence[Metric], criteria: CriteriaConfig) -> Iterator[Difference]:
    """Those of the low-level and the high-level classifier, if there are any."""
    names = "low-level classifier (cells)", "high-level classifier (observables)"
    for name, area, bound in zip(names, areas, (criteria.classifier_low, criteria.classifier_high), strict=False):
        # an effect size of the AUC of samples without end, whose floor is 0.5
        yield _metric("classifier AUC", name, area, bound - 0.5)


def _separations(comparison: Comparison | TypeStudy, criteria: CriteriaConfig) -> Iterator[Difference]:
    for one in comparison.distributions.distributions:
        test = _metric(SEPARATION, one.name, one.separation, criteria.separation)
        # that of a chi-squared distribution
        yield replace(test, skewness=math.sqrt(8 / max(len(one.edges) - 2, 1)))


def _metric(group: str, criterion: str, metric: Metric, bound: float) -> Difference:
    showers = min(metric.n_reference, metric.n_generated)
    judged = metric.value, metric.excess_error, metric.floor, bound
    return Difference(group, criterion, math.nan, math.nan, *judged, showers)
