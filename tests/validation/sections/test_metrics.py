from __future__ import annotations

import math

import pytest

from calogan.metrics.metric import Metric
from calogan.validation.sections.metrics import metrics_section, significance


def test_significance_counts_both_errors():
    assert significance(Metric("m", 0.6, 0.03, 0.5, 0.04, 9, 9, "")) == pytest.approx(2.0)
    assert math.isnan(significance(Metric("m", 0.6, 0.0, 0.5, 0.0, 9, 9, "")))
    assert math.isnan(significance(Metric("m", math.nan, math.nan, 0.5, 0.0, 9, 9, "")))


def test_every_metric_has_a_row_with_error_floor_and_source():
    metrics = (
        Metric("AUC", 0.6, 0.03, 0.5, 0.04, 90, 80, "arXiv:1610.06545", "halves", 0.01),
        Metric("JSD", 0.1, 0.03, 0.0, 0.04, 90, 80, "arXiv:1610.06545", "halves"),
        Metric("KPD", math.nan, math.nan, math.nan, math.nan, 90, 80, ""),
    )

    table, notes = metrics_section(metrics).tables

    assert table.rows == (
        ("AUC", "0.600 ± 0.030", "0.500 ± 0.040", "+2.0 σ", "0.01", "90 / 80", "1"),
        ("JSD", "0.100 ± 0.030", "0.000 ± 0.040", "+2.0 σ", "–", "90 / 80", "1"),
        ("KPD", "–", "–", "–", "–", "90 / 80", "2"),
    )
    assert notes.rows == (("1", "halves", "arXiv:1610.06545"), ("2", "–", "–"))
