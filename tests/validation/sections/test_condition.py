from __future__ import annotations

import math

import pytest

from calogan.validation.sections.condition import condition_section
from calogan.validation.studies.condition import ConditionCheck, ConditionTest


def check(p_value, *, paired=False):
    tests = (
        ConditionTest("|p| [GeV]", "Kolmogorov-Smirnov", 12.0, 14.0, 0.2, p_value),
        ConditionTest("particle type (pdg)", "chi-squared", math.nan, math.nan, 0.0, 1.0),
    )
    return ConditionCheck(paired, tests, 1e-3)


@pytest.mark.parametrize(("p_value", "warned"), [(1e-9, True), (4e-4, True), (6e-4, False), (0.5, False)])
def test_different_particles_are_a_warning(p_value, warned):
    """The smaller of two p-values counts twice."""
    section = condition_section(check(p_value))

    assert bool(section.warning) is warned
    if warned:
        assert "|p| [GeV]" in section.warning


def test_table_has_every_test():
    (table,) = condition_section(check(0.5)).tables

    assert table.rows == (
        ("|p| [GeV]", "Kolmogorov-Smirnov", "12", "14", "0.2", "0.5"),
        ("particle type (pdg)", "chi-squared", "–", "–", "0", "1"),
    )


def test_text_says_whether_showers_are_compared_in_pairs():
    assert "in pairs" not in condition_section(check(1.0)).text[0]
    assert "exchanging the two showers of a pair" in condition_section(check(1.0, paired=True)).text[0]
