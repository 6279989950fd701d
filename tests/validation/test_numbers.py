from __future__ import annotations

import math

import pytest

from calogan.validation.numbers import number, probability, sigmas, with_error


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "–"), (math.nan, "–"), (math.inf, "–"), (0.0, "0"), (12.0, "12"), (0.123456, "0.1235"), (3e-7, "3.0e-07")],
)
def test_number(value, text):
    assert number(value) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (1.23456, 0.0123, "1.235 ± 0.012"),
        (1234.5, 99.0, "1234 ± 99"),
        (0.5, math.nan, "0.5"),
        (math.nan, 0.1, "–"),
        (-0.2, 11.0, "0 ± 11"),
        (1e-9, 2e-10, "1.0e-09 ± 2.0e-10"),
    ],
)
def test_with_error(value, error, text):
    assert with_error(value, error) == text


@pytest.mark.parametrize(
    ("value", "text"), [(None, "–"), (math.nan, "–"), (0.0, "< 1e-6"), (1.0, "1"), (3e-5, "3.0e-05")]
)
def test_probability(value, text):
    assert probability(value) == text


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [(0.3, 0.2, "+1.5 σ"), (-9.97, 1.0, "-10 σ"), (1.0, 0.0, "–"), (math.nan, 1.0, "–"), (1.0, math.inf, "–")],
)
def test_sigmas(value, error, text):
    assert sigmas(value, error) == text
