from __future__ import annotations

import math
from dataclasses import replace

import pytest

from calogan.config import CriteriaConfig
from calogan.metrics.metric import Estimate, Metric
from calogan.metrics.resolution import Comparison
from calogan.validation.criteria import Outcome, judge, needed_showers, outcome, overall


@pytest.mark.parametrize(
    ("difference", "error", "floor", "bound", "expected"),
    [
        (0.00, 0.001, 0.001, 0.02, Outcome.PASS),
        (0.025, 0.005, 0.005, 0.02, Outcome.PASS),
        (0.03, 0.005, 0.005, 0.02, Outcome.UNDECIDED),  # above the bound, but by one error only
        (0.04, 0.005, 0.005, 0.02, Outcome.FAIL),
        (0.00, 0.011, 0.005, 0.02, Outcome.UNDECIDED),  # a small sample cannot pass
        (0.50, 0.011, 0.005, 0.02, Outcome.FAIL),  # but it can fail
        (math.nan, 0.001, 0.001, 0.02, Outcome.UNDECIDED),
        (0.00, math.nan, 0.001, 0.02, Outcome.UNDECIDED),
    ],
)
def test_outcome(difference, error, floor, bound, expected):
    assert outcome(difference, error, floor, bound) is expected


def test_four_times_the_showers_halve_an_error():
    assert needed_showers(0.01, 0.02, 0.02, 500) == 2000


def test_needed_showers_are_rounded_up_to_two_digits():
    assert needed_showers(0.01, 0.0101, 0.02, 10000) == 11000


def metric(value, error=0.01, floor=0.5):
    return Metric("AUC", value, error, floor, 0.0, 1000, 1000, "")


def test_auc_is_judged_above_its_floor(toy_comparison):
    criteria = CriteriaConfig(classifier_low=0.8)
    found = {}
    for value in (0.75, 0.81, 0.9):
        rows = judge(replace(toy_comparison, classifier_low=metric(value)), criteria)
        found[value] = next(row.outcome for row in rows if row.criterion.startswith("low-level"))

    assert found == {0.75: Outcome.PASS, 0.81: Outcome.UNDECIDED, 0.9: Outcome.FAIL}


def test_relative_differences_have_the_floor_of_two_reference_samples(toy_comparison):
    comparison = replace(
        toy_comparison,
        occupancy=Comparison(Estimate(100.0, 1.0), Estimate(90.0, 1.0), Estimate(-0.1, 0.014)),
    )

    row = next(row for row in judge(comparison, CriteriaConfig()) if row.criterion == "mean number of lit cells")

    assert row.difference == pytest.approx(0.1)
    assert row.error == 0.014
    assert row.floor == pytest.approx(math.sqrt(2 / math.pi) * 0.014)  # mean of |x| for a Gaussian of that width


def test_an_undecided_criterion_says_how_many_showers_it_needs(toy_comparison):
    comparison = replace(toy_comparison, classifier_low=metric(0.5, error=0.35))

    row = next(row for row in judge(comparison, CriteriaConfig()) if row.criterion.startswith("low-level"))

    assert row.outcome is Outcome.UNDECIDED
    assert row.note == "needs 4000 showers"


def test_nothing_lit_is_undecided(toy_comparison):
    comparison = replace(
        toy_comparison, occupancy=Comparison(Estimate(0.0, 0.0), Estimate(9.0, 1.0), Estimate(math.nan, math.nan))
    )

    row = next(row for row in judge(comparison, CriteriaConfig()) if row.criterion == "mean number of lit cells")

    assert row.outcome is Outcome.UNDECIDED


def test_one_failure_fails_the_whole(toy_comparison):
    rows = judge(toy_comparison, CriteriaConfig())
    passed = [replace(row, outcome=Outcome.PASS) for row in rows]
    undecided = [*passed, replace(rows[0], outcome=Outcome.UNDECIDED)]
    failed = [*undecided, replace(rows[0], outcome=Outcome.FAIL)]

    assert [overall(some) for some in (passed, undecided, failed)] == [
        Outcome.PASS,
        Outcome.UNDECIDED,
        Outcome.FAIL,
    ]
