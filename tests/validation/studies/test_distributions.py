"""Histograms and distances of all observables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calogan.progress import SilentReporter
from calogan.validation.studies.distributions import study_distributions


def test_every_observable_has_its_counts_and_named_metrics(electron_samples):
    study = study_distributions(electron_samples, SilentReporter())
    assert [one.name for one in study.distributions] == ["response", "occupancy", "radial_width"]
    for one in study.distributions:
        assert one.reference_counts.sum() + one.reference_outside + one.reference_undefined == 800
        assert len(one.edges) == len(one.generated_counts) + 1
        assert all(metric.value < metric.floor + 5 * metric.excess_error for metric in one.metrics)
    names = [metric.name for metric in study.metrics]
    assert len(set(names)) == len(names) == 12
    assert "Wasserstein radial_width" in names
    assert study.distributions[1].axis_label == "lit cells"


def test_a_shifted_observable_is_found_and_others_are_not_touched(electron_samples):
    shifted = {**electron_samples.generated_values, "response": electron_samples.generated_values["response"] * 1.05}
    before = study_distributions(electron_samples, SilentReporter()).distributions
    after = study_distributions(replace(electron_samples, generated_values=shifted), SilentReporter()).distributions
    assert all(metric.excess > 4 * metric.excess_error for metric in after[0].metrics)
    assert after[1].metrics == before[1].metrics


def test_pairs_get_the_floors_of_pairs(electrons, make_samples):
    samples = make_samples(electrons[:400], electrons[:400], paired=True)
    for metric in study_distributions(samples, SilentReporter()).metrics:
        if not metric.name.startswith("chi2"):
            assert (metric.value, metric.floor) == (0.0, 0.0)


def test_values_that_some_showers_lack_are_counted(electron_samples):
    values = np.where(np.arange(800) < 10, np.nan, electron_samples.generated_values["response"])
    samples = replace(electron_samples, generated_values={**electron_samples.generated_values, "response": values})
    found = study_distributions(samples, SilentReporter()).distributions[0]
    assert found.generated_undefined == 10
    assert found.wasserstein.n_generated == 790
