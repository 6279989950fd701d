"""Observables in bins of the incident particle, and the domain's edges."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from calogan.metrics.metric import Estimate
from calogan.physics.kinematics import angle
from calogan.progress import SilentReporter
from calogan.validation.studies.conditional import mean_shift, study_conditional


def test_truth_against_truth_agrees_in_every_bin(electron_samples):
    study = study_conditional(electron_samples, SilentReporter())
    assert [one.name for one in study.conditions] == ["momentum", "angle", "entry_point"]
    for one in study.conditions:
        assert one.n_reference.tolist() == [200, 200, 200, 200]
        assert one.separation.shape == (3, 4)
        assert np.nanmax(one.significance) < 4
        assert np.nanmax(np.abs(one.shift / one.shift_error)) < 4
    entry = study.conditions[2]
    assert 0 <= entry.edges[0] < entry.edges[-1] <= 20.2 / math.sqrt(2) * 1.001
    assert [one.n_reference for one in study.regions] == [800, 40, 40, 40, 40]
    assert study.outside == 0


def test_a_defect_of_slow_particles_is_found_among_them_only(electron_samples):
    samples = electron_samples
    slow = samples.generated.momentum < np.quantile(samples.reference.momentum, 0.25)
    values = samples.generated_values["radial_width"]
    broken = {**samples.generated_values, "radial_width": np.where(slow, 1.3 * values, values)}
    momentum = study_conditional(replace(samples, generated_values=broken), SilentReporter()).conditions[0]
    row = momentum.observables.index("radial_width")
    assert momentum.significance[row, 0] > 5
    assert momentum.shift[row, 0] > 0.5
    assert np.all(momentum.significance[row, 1:] < 4)


def test_regions_are_the_ends_of_the_domain(electron_samples):
    _, lowest, highest, straightest, steepest = study_conditional(electron_samples, SilentReporter()).regions
    assert lowest.high < 1.5
    assert highest.low > 45
    assert straightest.high < 5
    assert steepest.low > 18
    for one in (lowest, highest, straightest, steepest):
        for compared in (one.response, one.width):
            assert abs(compared.difference.value) < 4 * compared.difference.error


def test_wide_showers_along_the_axis_are_seen_there(electron_samples):
    samples = electron_samples
    straight = np.degrees(angle(samples.generated.incident)) < 5
    width = samples.generated_values["radial_width"].copy()
    width[straight] *= 1.2
    width[np.flatnonzero(straight)[:3]] = np.nan  # empty showers
    values = {**samples.generated_values, "radial_width": width}
    regions = study_conditional(replace(samples, generated_values=values), SilentReporter()).regions
    found = {one.name: one.width.difference for one in regions}
    assert 0.1 < found["smallest 5% of the angle"].value < 0.3
    assert abs(found["largest 5% of the angle"].value) < 0.1


def test_without_the_width_among_the_observables_regions_have_none(electrons, make_samples):
    samples = make_samples(electrons[:300], electrons[300:600], names=("response",))
    assert {one.width for one in study_conditional(samples, SilentReporter()).regions} == {None}


def test_a_property_that_does_not_vary_has_no_bins(electrons, make_samples):
    incident = electrons.incident.copy()
    incident[:, :2], incident[:, 3:] = 0, 0
    straight = replace(electrons, incident=incident)
    study = study_conditional(make_samples(straight[:300], straight[300:600]), SilentReporter())
    assert [one.name for one in study.conditions] == ["momentum"]
    assert len(study.regions) == 3


def test_particles_beside_the_calorimeter_have_no_bin_of_the_entry_point(electrons, make_samples):
    incident = electrons.incident.copy()
    incident[:7, 3] = 400
    aside = replace(electrons, incident=incident)
    study = study_conditional(make_samples(aside[:300], aside[300:600]), SilentReporter())
    assert study.outside == 7
    assert study.conditions[2].n_reference.sum() == 293


@pytest.mark.parametrize("paired", [False, True])
def test_errors_of_shifts_cover(paired):
    rng = np.random.default_rng(1)
    pulls = []
    for _ in range(300):
        common = rng.normal(size=100) if paired else 0
        reference, generated = common + rng.normal(size=(2, 100))
        sigma = math.sqrt(2) if paired else 1
        found = mean_shift(reference, generated + 0.5, paired=paired)
        pulls.append((found.value - 0.5 / sigma) / found.error)
    assert abs(np.mean(pulls)) < 0.2
    assert 0.9 < np.std(pulls) < 1.12


def test_a_constant_has_no_shift():
    found = mean_shift(np.ones(5), np.ones(4), paired=False)
    assert isinstance(found, Estimate)
    assert math.isnan(found.value)
