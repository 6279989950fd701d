"""Equivalence tests: what passes, what fails, what is undecided, and how often truth fails."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
from scipy.stats import norm

from calogan.config import CriteriaConfig
from calogan.validation.criteria import Difference, Outcome, judge_tests, needed_showers, outcome, overall

CRITERIA = CriteriaConfig()
CONFIDENCE = norm.ppf(CRITERIA.confidence)


def difference(value=0.0, error=0.001, floor=0.0, bound=0.02, skewness=0.0):
    return Difference("group", "criterion", 1.0, 1.0 + value, value, error, floor, bound, 1000, skewness)


def judged(*differences):
    return [verdict.outcome for verdict in judge_tests(differences, CRITERIA)]


def test_passes_only_where_the_confidence_limit_is_under_the_bound():
    error = 0.001
    edge = 0.02 - CONFIDENCE * error
    assert judged(difference(edge - 1e-6, error), difference(edge + 1e-6, error)) == [Outcome.PASS, Outcome.FAIL]


def test_a_small_sample_cannot_pass_by_being_small():
    assert judged(difference(0.0, error=0.015)) == [Outcome.UNDECIDED]


def test_a_gross_difference_fails_however_large_the_error():
    assert judged(difference(0.3, error=0.03)) == [Outcome.FAIL]


def test_the_floor_is_taken_off():
    assert judged(difference(0.05, floor=0.045), difference(0.05, floor=0.0)) == [Outcome.PASS, Outcome.FAIL]


@pytest.mark.parametrize("field", ["value", "error", "floor"])
def test_what_is_not_a_number_is_undecided(field):
    verdict = judge_tests([difference(**{field: math.nan})], CRITERIA)[0]
    assert verdict.outcome is Outcome.UNDECIDED
    assert "1000 showers" in verdict.note


def test_the_number_of_showers_that_is_asked_for_decides():
    error = 0.015
    verdict = judge_tests([difference(0.0, error)], CRITERIA)[0]
    needed = int(verdict.note.removeprefix("needs about ").removesuffix(" showers"))
    shrunk = error * math.sqrt(1000 / needed)
    for value in (0.0, 0.03):
        assert judged(difference(value, shrunk))[0] is not Outcome.UNDECIDED
    assert judged(difference(0.0, 1.2 * shrunk))[0] is Outcome.PASS  # a lucky sample may pass with fewer
    assert judged(difference(0.02, 1.2 * shrunk))[0] is Outcome.UNDECIDED


def test_needed_showers_grow_with_the_square_of_the_error():
    assert needed_showers(0.04, 0.05, 1000, 5.0) == 4 * needed_showers(0.02, 0.05, 1000, 5.0)


@pytest.mark.parametrize("skewness", [0.0, 0.6])
def test_truth_fails_any_of_many_criteria_at_most_at_the_rate_of_the_configuration(skewness):
    criteria = CriteriaConfig(false_failures=0.2)  # so that the rate can be counted
    tests, trials, error = 60, 2000, 0.001
    rng = np.random.default_rng(5)
    quantile = norm.isf((criteria.false_failures - criteria.condition_p) / tests / 2)
    quantile += skewness * (quantile**2 - 1) / 6
    bound = (norm.ppf(criteria.confidence) + quantile) * error * 1.0001  # the smallest that is decidable
    if skewness:
        degrees = 8 / skewness**2
        chance = (rng.chisquare(degrees, (trials, tests)) - degrees) / math.sqrt(2 * degrees) * error
    else:
        chance = np.abs(rng.normal(0, error, (trials, tests)))
    failed = sum(
        any(
            verdict.outcome is Outcome.FAIL
            for verdict in judge_tests(
                [difference(value, error, bound=bound, skewness=skewness) for value in row], criteria
            )
        )
        for row in chance
    )
    assert failed / trials < criteria.false_failures + 3 * math.sqrt(0.2 * 0.8 / trials)


def test_an_effect_of_the_size_of_the_bound_fails_with_the_confidence():
    rng = np.random.default_rng(6)
    values = rng.normal(0.02, 0.001, 4000)
    failed = np.mean([outcome(value, 0.001, 0.02, CONFIDENCE, 3.9) is Outcome.FAIL for value in values])
    assert failed == pytest.approx(CRITERIA.confidence, abs=0.012)


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [("pass pass", "pass"), ("pass undecided", "undecided"), ("undecided fail pass", "fail"), ("", "pass")],
)
def test_overall(outcomes, expected):
    verdicts = [SimpleNamespace(outcome=Outcome(one)) for one in outcomes.split()]
    assert overall(verdicts) is Outcome(expected)


def test_an_error_from_few_draws_needs_more_of_them():
    gross = Difference("group", "criterion", 1.0, 1.0, 0.055, 0.01, 0.0, 0.02, 1000)
    assert judged(gross, *[difference()] * 9)[0] is Outcome.FAIL
    few = Difference("group", "criterion", 1.0, 1.0, 0.055, 0.01, 0.0, 0.02, 1000, draws=20)
    assert judged(few, *[difference()] * 9)[0] is Outcome.UNDECIDED
