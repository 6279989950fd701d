from __future__ import annotations

import numpy as np
import pytest

from calogan.data.showers import Showers
from calogan.geometry import Geometry, Layer, PolarLayer
from calogan.validation.studies.profiles import cell_spectrum, occupancy_curve, radial_profile

GEOMETRY = Geometry((Layer((-15.0, -5.0, 5.0, 15.0), (-15.0, -5.0, 5.0, 15.0), depth=0.0),))
STRAIGHT = np.array([[0.0, 0.0, 10.0, 0.0, 0.0]], dtype=np.float32)


def showers(*rows):
    cells = np.array(rows, dtype=np.float32)
    count = len(cells)
    return Showers(GEOMETRY, np.arange(count), STRAIGHT.repeat(count, axis=0), cells, np.zeros(count, dtype=np.int32))


CENTRE = [0, 0, 0, 0, 1, 0, 0, 0, 0]
CROSS = [0, 0.5, 0, 0.5, 2, 0.5, 0, 0.5, 0]


def test_radial_profile_of_known_showers():
    profile = radial_profile(showers(CROSS, CROSS), showers(CENTRE, CROSS))

    assert profile.x[:3].tolist() == [0, 10, 20]
    assert profile.reference[:2] == pytest.approx([0.5, 0.5])
    assert profile.reference_error[:2] == pytest.approx([0, 0])
    assert profile.generated[:2] == pytest.approx([0.75, 0.25])
    assert profile.generated_error[0] == pytest.approx(0.25)  # of 1 and 0.5: standard deviation 0.354 over root 2


def test_rings_of_a_calorimeter_are_those_of_its_profile():
    geometry = Geometry((PolarLayer((0.0, 1.0, 50.0), 2, 0.0), PolarLayer((0.0, 50.0, 2000.0), 1, 9.0)))
    cells = np.array([[1, 2, 0, 4, 3, 10]] * 2, dtype=np.float32)  # two rings of two sectors, and two whole rings
    sample = Showers(geometry, np.arange(2), STRAIGHT.repeat(2, axis=0), cells, np.zeros(2, dtype=np.int32))
    profile = radial_profile(sample, sample)
    assert profile.x.tolist() == [0, 1, 50, 2000]
    assert profile.reference == pytest.approx([1 / 20, 9 / 20, 10 / 20])


def test_empty_showers_have_no_radial_profile():
    profile = radial_profile(showers(CROSS, CROSS, [0] * 9), showers(CROSS, CROSS))

    assert profile.reference.sum() == pytest.approx(1)


def test_cell_spectrum_counts_each_lit_cell_once():
    profile = cell_spectrum(showers(CROSS, CENTRE), showers(CENTRE, CENTRE))

    assert profile.reference.sum() == pytest.approx(3)
    assert profile.generated.sum() == pytest.approx(1)


def test_occupancy_falls_from_all_lit_cells_to_the_hottest():
    profile = occupancy_curve(showers(CROSS, CROSS), showers(CENTRE, CENTRE))

    assert profile.reference[0] == pytest.approx(5)
    assert profile.reference[-1] == pytest.approx(1)
    assert np.all(np.diff(profile.reference) <= 0)
    assert profile.generated[0] == pytest.approx(1)


def test_nothing_lit_is_not_an_error():
    dark = showers([0] * 9, [0] * 9)

    assert cell_spectrum(dark, dark).reference.sum() == 0
    assert occupancy_curve(dark, dark).reference.sum() == 0
    assert np.isnan(radial_profile(dark, dark).reference).all()
