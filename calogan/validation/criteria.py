"""Verdicts: is a measured difference, less what chance alone makes, below its bound within the errors?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from calogan.config import CriteriaConfig
from calogan.metrics.metric import Metric
from calogan.metrics.resolution import Comparison as Compared
from calogan.validation.comparison import Comparison

__all__ = ["SEPARATION", "Outcome", "Verdict", "judge", "needed_showers", "outcome", "overall"]

SEPARATION = "separation power"  # group of the observables' criteria
_SIGMAS = 2.0


class Outcome(StrEnum):
    """What a criterion says."""

    PASS = "pass"
    FAIL = "fail"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """One criterion with all that it rests on.

    Attributes:
        group: Heading that the criterion belongs to.
        criterion: What is compared.
        reference: Value of the reference sample; NaN where a metric compares the samples as a whole.
        generated: Value of the generated sample; NaN likewise.
        difference: Relative difference or metric: what is held against the bound, before the floor is taken off.
        error: Its standard error.
        floor: What reference against reference of the same sizes gives.
        bound: Largest difference beyond the floor that passes.
        outcome: Pass, fail or undecided.
        note: What an undecided criterion needs; else empty.
    """

    group: str
    criterion: str
    reference: float
    generated: float
    difference: float
    error: float
    floor: float
    bound: float
    outcome: Outcome
    note: str = ""


def outcome(difference: float, error: float, floor: float, bound: float) -> Outcome:
    r"""Judge one difference.

    Fails where :math:`d - f > b + 2\sigma`, whatever the size of the error. Passes where :math:`d - f \le b` and
    :math:`\sigma \le b/2`. Everything else is undecided: the error is too large, or the difference is above its bound
    by less than two errors.

    Args:
        difference: Absolute difference or metric, d.
        error: Its standard error, :math:`\sigma`.
        floor: Value expected for two reference samples, f.
        bound: Bound, b.

    Example:
        >>> outcome(0.015, 0.004, 0.003, 0.02), outcome(0.06, 0.004, 0.003, 0.02), outcome(0.01, 0.02, 0.003, 0.02)
        (<Outcome.PASS: 'pass'>, <Outcome.FAIL: 'fail'>, <Outcome.UNDECIDED: 'undecided'>)
    """
    if not all(math.isfinite(value) for value in (difference, error, floor)):
        return Outcome.UNDECIDED
    if difference - floor > bound + _SIGMAS * error:
        return Outcome.FAIL
    return Outcome.PASS if error <= bound / 2 and difference - floor <= bound else Outcome.UNDECIDED


def needed_showers(excess: float, error: float, bound: float, count: int) -> int:
    """Showers that would decide: their error is half the bound or, above the bound, half the distance from it.

    Errors fall with the square root of the number; rounded up to two digits.

    Example:
        >>> needed_showers(excess=0.01, error=0.02, bound=0.02, count=1000)
        4000
        >>> needed_showers(excess=0.03, error=0.01, bound=0.02, count=1000)
        4000
    """
    wanted = (excess - bound) / _SIGMAS if excess > bound else bound / 2
    exact = count * (error / min(wanted, bound / 2)) ** 2
    digit = int(10 ** max(0, math.floor(math.log10(exact)) - 1))
    return math.ceil(exact / digit - 1e-9) * digit


def overall(verdicts: Sequence[Verdict]) -> Outcome:
    """Fail if any criterion fails, else undecided if any is, else pass."""
    found = {verdict.outcome for verdict in verdicts}
    return next((one for one in (Outcome.FAIL, Outcome.UNDECIDED) if one in found), Outcome.PASS)


def judge(comparison: Comparison, criteria: CriteriaConfig) -> tuple[Verdict, ...]:
    """Verdicts of a comparison, one a criterion: incident particles first, then physics, then classifiers."""
    return (
        _condition(comparison, criteria.condition_p),
        *_momentum_bins(comparison, criteria),
        _relative(
            "occupancy: relative difference",
            "mean number of lit cells",
            comparison.occupancy,
            min(comparison.reference_count, comparison.generated_count),
            criteria.occupancy,
        ),
        *_classifiers(comparison, criteria),
        *_separations(comparison, criteria.separation),
    )


def _condition(comparison: Comparison, bound: float) -> Verdict:
    p_value = 1.0 if comparison.condition.paired else comparison.condition.lowest_p
    return Verdict(
        group="incident particles",
        criterion="same distributions: p-value, at least",
        reference=math.nan,
        generated=p_value,
        difference=math.nan,
        error=math.nan,
        floor=math.nan,
        bound=bound,
        outcome=Outcome.PASS if p_value >= bound else Outcome.FAIL,
        note="" if p_value >= bound else "the samples were made for different particles",
    )


def _momentum_bins(comparison: Comparison, criteria: CriteriaConfig) -> list[Verdict]:
    verdicts = []
    for name, bound in (("response", criteria.response), ("resolution", criteria.resolution)):
        for one in comparison.momentum_bins:
            criterion = f"{name}, {one.low:g} to {one.high:g} GeV"
            count = min(one.n_reference, one.n_generated)
            verdicts.append(_relative(f"{name}: relative difference", criterion, getattr(one, name), count, bound))
    return verdicts


def _relative(group: str, criterion: str, compared: Compared, count: int, bound: float) -> Verdict:
    difference, error = abs(compared.difference.value), compared.difference.error
    floor = math.sqrt(2 / math.pi) * error  # mean of |x| of a normal number x of that width
    values = compared.reference.value, compared.generated.value
    return _verdict(group, criterion, values, (difference, error, floor, bound), count)


def _separations(comparison: Comparison, bound: float) -> list[Verdict]:
    return [_metric(SEPARATION, one.name, one.separation, bound) for one in comparison.distributions]


def _classifiers(comparison: Comparison, criteria: CriteriaConfig) -> list[Verdict]:
    # a bound on the AUC of samples without end, whose floor is 0.5
    tests = (
        ("low-level classifier (cells)", comparison.classifier_low, criteria.classifier_low - 0.5),
        ("high-level classifier (observables)", comparison.classifier_high, criteria.classifier_high - 0.5),
    )
    return [_metric("classifier AUC", name, test, bound) for name, test, bound in tests]


def _metric(group: str, criterion: str, metric: Metric, bound: float) -> Verdict:
    judged = (metric.value, metric.excess_error, metric.floor, bound)
    return _verdict(group, criterion, (math.nan, math.nan), judged, min(metric.n_reference, metric.n_generated))


def _verdict(
    group: str,
    criterion: str,
    values: tuple[float, float],
    judged: tuple[float, float, float, float],
    count: int,
) -> Verdict:
    difference, error, floor, bound = judged
    found = outcome(difference, error, floor, bound)
    note = ""
    if found is Outcome.UNDECIDED:
        needed = needed_showers(difference - floor, error, bound, count) if math.isfinite(error) and error > 0 else None
        note = f"needs {needed} showers" if needed else f"not measurable with {count} showers"
    return Verdict(group, criterion, *values, difference, error, floor, bound, found, note)
