"""Response, linearity and resolution of both samples."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.progress import SilentReporter
from calogan.validation.studies.response import study_response


def test_truth_against_truth_agrees(electron_samples):
    study = study_response(electron_samples, SilentReporter())
    assert [(one.low, one.high) for one in study.momentum_bins] == [(1, 8), (8, 64)]
    assert sum(one.n_reference for one in study.fine_bins) == 800
    assert (study.reference_outside, study.generated_outside) == (0, 0)
    assert len({metric.name for metric in study.metrics}) == 5
    for metric in study.metrics:
        assert abs(metric.excess) < 4 * metric.excess_error
        assert metric.p_value > 1e-3


def test_a_scaled_sample_differs_by_the_scale_alone(electrons, make_samples):
    brighter = replace(electrons, cell_energy=electrons.cell_energy * np.float32(1.02))[:800]
    # the threshold is in the way of an exact 2%, by a thousandth at most
    study = study_response(make_samples(electrons[:800], brighter, paired=True), SilentReporter())
    assert study.response.difference.value == pytest.approx(0.02, abs=1e-3)
    assert study.response.difference.error < 1e-3
    assert study.resolution.difference.value == pytest.approx(0, abs=5e-3)
    assert study.linearity.difference.value < 5e-3
    assert 0 < study.occupancy.difference.value < 0.05


def test_resolution_terms_are_those_of_the_calorimeter(electron_samples):
    stochastic, constant, *_ = study_response(electron_samples, SilentReporter()).fit.parameters
    assert stochastic.reference.value == pytest.approx(0.078, abs=0.012)
    assert abs(constant.sigmas) < 4


def test_showers_of_one_momentum_have_one_bin_and_no_fit(electrons, make_samples):
    incident = electrons.incident.copy()
    incident[:, :3] *= (10 / electrons.momentum)[:, None]
    same = replace(electrons, incident=incident)
    samples = make_samples(same[:200], same[200:400])
    samples = replace(samples, settings=samples.settings.model_copy(update={"momentum_bins": None}))
    study = study_response(samples, SilentReporter())
    assert len(study.fine_bins) == 1
    assert study.fit is None
    assert study.linearity is None
    assert len(study.metrics) == 4
