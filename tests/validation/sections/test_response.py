"""Section of the response."""

from __future__ import annotations

from dataclasses import replace

import pytest

from calogan.metrics.metric import Estimate
from calogan.metrics.resolution import Comparison
from calogan.progress import SilentReporter
from calogan.validation.sections.response import comparison_cells, response_section
from calogan.validation.studies.response import study_response


@pytest.fixture(scope="module")
def study(electron_samples):
    return study_response(electron_samples, SilentReporter())


def test_tables_have_averages_terms_and_bins(study):
    section = response_section(study)
    summary, terms, bins = section.tables
    assert [row[0] for row in summary.rows] == [
        "response",
        "resolution",
        "effective resolution",
        "lit cells",
        "largest non-linearity",
    ]
    assert terms.rows[0][0] == "stochastic a [sqrt(GeV)]"
    assert [row[0] for row in bins.rows] == ["1 to 8", "8 to 64"]
    assert [drawing.name for drawing in section.drawings if drawing.key] == ["response_trend", "resolution_fit"]
    for table in section.tables:
        assert {len(row) for row in table.rows} == {len(table.header)}
    for drawing in section.drawings:
        assert drawing.make().axes


def test_without_a_fit_the_trend_is_the_key(study):
    section = response_section(replace(study, fit=None, linearity=None, generated_outside=3))
    assert [drawing.name for drawing in section.drawings if drawing.key] == ["response_trend", "resolution_trend"]
    assert "3 generated showers are in no momentum bin" in section.text[2]
    assert len(section.tables) == 2


def test_differences_are_in_percent():
    compared = Comparison(Estimate(0.17, 0.01), Estimate(0.18, 0.01), Estimate(0.0588, 0.02))
    assert comparison_cells(compared) == ("0.170 ± 0.010", "0.180 ± 0.010", "5.9 ± 2.0")
