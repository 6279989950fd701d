"""Histogram of an observable."""

from __future__ import annotations

from calogan.progress import SilentReporter
from calogan.validation.plots.histogram import histogram
from calogan.validation.studies.distributions import study_distributions


def test_both_samples_are_drawn_with_the_observables_label(electron_samples):
    response, occupancy, _ = study_distributions(electron_samples, SilentReporter()).distributions
    main, ratio = histogram(response).axes
    assert [text.get_text() for text in main.get_legend().get_texts()] == ["reference", "generated"]
    assert main.get_title() == "response"
    assert ratio.get_xlabel() == response.axis_label
    assert histogram(occupancy).axes[1].get_xlabel() == "lit cells"
