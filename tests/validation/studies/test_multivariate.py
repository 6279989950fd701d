"""All metrics of many numbers on samples that are equal, and on one whose cells are shuffled."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.toy import toy_geometry, toy_showers
from calogan.physics.observables import OBSERVABLES, compute_observables
from calogan.progress import SilentReporter
from calogan.validation.samples import Samples
from calogan.validation.studies import multivariate
from calogan.validation.studies.multivariate import study_multivariate

NAMES = ("response", "radial_width", "occupancy", "depth", "layer_fraction_0", "layer_fraction_1", "layer_fraction_2")


def study(reference, generated, threshold=1e-3):
    sides = [side.above(threshold) for side in (reference, generated)]
    values = [compute_observables(side.cell_energy, side.incident, side.geometry, NAMES) for side in sides]
    groups = np.arange(len(reference)), np.arange(len(generated)) + len(reference)
    settings = ValidationConfig(bootstrap=20, cell_thresholds=[3e-2, 1e-2])
    observables = {name: OBSERVABLES[name] for name in NAMES}
    return study_multivariate(
        Samples(*sides, threshold, observables, *values, False, *groups, settings), SilentReporter()
    )


@pytest.fixture(scope="module")
def reference():
    return toy_showers(np.random.default_rng(1), toy_geometry(), 600)


@pytest.fixture(scope="module")
def truth(reference):
    return study(reference, toy_showers(np.random.default_rng(2), toy_geometry(), 500))


def test_truth_against_truth_is_at_its_floors(truth):
    for metric in truth.metrics:
        assert metric.value == pytest.approx(metric.floor, abs=4 * metric.excess_error + 1e-9), metric.name
        assert metric.p_value is None or metric.p_value > 0.04, metric.name
    assert truth.correlation.significant <= 2


def test_every_metric_has_a_name_of_its_own(truth):
    names = [metric.name for metric in truth.metrics]
    assert len(set(names)) == len(names)
    assert {"FPD", "KPD", "PRD area", "recall at 1 MeV", "coverage at 30 MeV", "correlation difference"} <= set(names)
    assert [entry.threshold for entry in truth.coverage] == [1e-3, 1e-2, 3e-2]
    assert truth.observables == NAMES


def test_cells_of_other_showers_are_seen_by_all(reference):
    rng = np.random.default_rng(3)
    shuffled = replace(reference, cell_energy=rng.permuted(reference.cell_energy, axis=0))
    found = {metric.name: metric for metric in study(reference, shuffled).metrics}
    for name in ("FPD", "KPD", "PRD area", "correlation difference"):
        assert found[name].p_value == pytest.approx(1 / 21), name
    for name in ("FPD", "KPD", "correlation difference"):
        assert found[name].excess > 5 * found[name].excess_error, name
    assert found["PRD area"].excess < -5 * found["PRD area"].excess_error
    assert found["precision at 1 MeV"].excess < -5 * found["precision at 1 MeV"].excess_error


def test_the_distance_is_extrapolated_where_there_are_showers_enough(reference, truth, monkeypatch):
    assert truth.fpd_infinite is None
    monkeypatch.setattr(multivariate, "_LEAST_EXTRAPOLATED", 500)
    found = study(reference, toy_showers(np.random.default_rng(2), toy_geometry(), 500))
    assert found.fpd == truth.fpd
    assert found.fpd_infinite.value == pytest.approx(0, abs=4 * found.fpd_infinite.error)
    assert found.metrics[1] is found.fpd_infinite


def test_without_a_threshold_of_the_data_those_of_the_settings_are_used(reference):
    found = study(reference[:200], reference[200:400], threshold=0.0)
    assert [entry.threshold for entry in found.coverage] == [1e-2, 3e-2]
