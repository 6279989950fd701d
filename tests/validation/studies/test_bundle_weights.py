"""Weights that undo what was done to a sample, given with its showers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.progress import SilentReporter
from calogan.validation.sections.bundle_weights import bundle_weights_section
from calogan.validation.studies.bundle_weights import study_bundle_weights

pytest.importorskip("sklearn")


@pytest.fixture(scope="module")
def study(electrons, make_samples):
    """Half of the showers are too bright, and have no weight."""
    bright = np.arange(600) % 2 == 0
    cells = electrons[600:1200].cell_energy * np.where(bright, 1.6, 1.0)[:, None]
    generated = replace(electrons[600:1200], cell_energy=cells.astype(np.float32))
    samples = make_samples(electrons[:600], generated, names=("response", "occupancy"))
    return study_bundle_weights(samples, np.where(bright, 0.01, 2.0).astype(np.float32), SilentReporter())


def test_weights_take_away_what_is_too_bright(study):
    mean = study.moments[0]
    assert mean.before.value - mean.reference.value > 4 * np.hypot(mean.before.error, mean.reference.error)
    assert abs(mean.after.value - mean.reference.value) < 3 * np.hypot(mean.after.error, mean.reference.error)
    assert study.separation[0].after.excess < 0.2 * study.separation[0].before.excess
    assert study.mean_excess[1] < 0.2 * study.mean_excess[0]
    assert study.high.before.value > 0.65
    assert study.high.after.value < 0.6
    assert study.effective == pytest.approx(303, abs=1)
    assert (study.n_generated, study.mean, study.largest) == (600, pytest.approx(1.005), 2.0)
    assert [metric.name for metric in study.metrics] == [
        "bundle-weighted separation response",
        "bundle-weighted separation occupancy",
        "bundle-weighted high-level AUC",
    ]


def test_the_section_says_what_they_are_worth(study):
    section = bundle_weights_section(study)
    assert "600 weighted showers are worth 303" in section.text[1]
    assert section.finding.startswith("The bundle's own weights bring the high-level AUC from 0.")
    table, separations = section.tables
    assert [row[0] for row in table.rows] == ["mean response", "relative width of the response", "high-level AUC"]
    assert [row[0] for row in separations.rows] == ["response", "occupancy"]
