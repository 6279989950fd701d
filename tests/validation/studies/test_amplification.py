"""Worth of the generated sample for the main histograms."""

from __future__ import annotations

from calogan.progress import SilentReporter
from calogan.validation.studies.amplification import study_amplification


def test_truth_is_worth_about_as_many_showers(electron_samples):
    study = study_amplification(electron_samples, SilentReporter())
    assert [one.name for one in study.worths] == ["response", "occupancy", "radial_width"]
    for one in study.worths:
        assert one.sample_high > 600
        assert 0 < one.sample_low <= one.sample <= one.sample_high <= 800.001
    assert study.metrics[0].name == "histogram bias response"
