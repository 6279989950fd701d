"""The section of metrics of many numbers."""

from __future__ import annotations

import numpy as np
import pytest

from calogan.metrics.correlation import compare_correlations
from calogan.metrics.metric import Metric
from calogan.metrics.prd import cluster_comparison
from calogan.metrics.resampling import Resampling
from calogan.validation.sections.multivariate import multivariate_section
from calogan.validation.studies.multivariate import Coverage, MultivariateStudy

RESAMPLING = Resampling(300, 300, False, 20, 1)


@pytest.fixture(scope="module")
def study():
    rng = np.random.default_rng(1)
    reference, generated = rng.normal(size=(2, 300, 3))
    generated[:, 1] += generated[:, 0]
    names = ("alpha", "beta", "gamma")
    metric = Metric("FPD", 0.25, 0.01, 0.02, 0.001, 300, 300, "", p_value=0.05)
    return MultivariateStudy(
        observables=names,
        fpd=metric,
        fpd_infinite=None,
        kpd=metric,
        prd=cluster_comparison(reference, generated, RESAMPLING, clusters=4, clusterings=1),
        coverage=(Coverage(1e-3, metric, metric, metric, metric),),
        correlation=compare_correlations(reference, generated, names, RESAMPLING),
    )


def test_figures_stand_with_errors_floors_and_p_values(study):
    distances, neighbours, entries = multivariate_section(study).tables
    assert distances.rows[0] == ("FPD", "0.250 ± 0.010", "0.0200 ± 0.0010", "0.05")
    assert len(distances.rows) == 2 + 3 + 1
    assert len(neighbours.rows) == 4
    assert [row[0] for row in entries.rows] == ["alpha, beta"]
    assert all(len(row) == len(table.header) for table in (distances, neighbours, entries) for row in table.rows)


def test_the_text_says_how_many_correlations_differ_and_all_figures_can_be_drawn(study):
    section = multivariate_section(study)
    assert section.finding.startswith("FPD 0.250 ± 0.010, floor 0.0200 ± 0.0010 (+23 σ); ")
    assert "Of 3 correlations between two observables, 1 differ by more than three standard errors" in section.text[-1]
    assert [drawing.name for drawing in section.drawings] == [
        "correlations",
        "correlation_differences",
        "precision_recall",
        "coverage",
    ]
    assert "precision and density above it are bad, too" in section.text[0]
    assert "cannot be compared with published ones" in section.text[1]
    assert all(drawing.make().axes for drawing in section.drawings)
