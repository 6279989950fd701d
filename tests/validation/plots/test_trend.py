"""Trends against the momentum."""

from __future__ import annotations

import pytest

from calogan.progress import SilentReporter
from calogan.validation.plots.trend import momentum_trend, resolution_curves
from calogan.validation.studies.response import study_response


@pytest.fixture(scope="module")
def study(electron_samples):
    return study_response(electron_samples, SilentReporter())


@pytest.mark.parametrize("which", ["response", "resolution"])
def test_bins_and_units_are_on_the_axis(study, which):
    main, ratio = momentum_trend(study.momentum_bins, which).axes
    assert main.get_title() == which.capitalize()
    assert [text.get_text() for text in ratio.get_xticklabels()] == ["1", "8", "64"]
    assert ratio.get_xlabel().endswith("[GeV]")


def test_fitted_curves_of_both_samples_go_over_all_momenta(study):
    main, _ = resolution_curves(study.fit).axes
    curves = [line.get_ydata() for line in main.lines if len(line.get_xdata()) == len(study.fit.curve_momentum)]
    assert [curve.tolist() for curve in curves] == [
        study.fit.reference_curve.tolist(),
        study.fit.generated_curve.tolist(),
    ]
    low, high = main.get_ylim()
    assert low < study.fit.reference.min() < study.fit.reference.max() < high
