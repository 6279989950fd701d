from __future__ import annotations

import io
from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.toy import toy_showers
from calogan.geometry import Geometry, Layer
from calogan.progress import SilentReporter
from calogan.validation.comparison import compare
from calogan.validation.criteria import Outcome, judge
from calogan.validation.figures import draw

EDGES = (-40.0, -20.0, 0.0, 20.0, 40.0)


@pytest.fixture(scope="module")
def dark_comparison():
    """A generator that gives nothing, and a momentum bin without showers."""
    showers = toy_showers(np.random.default_rng(1), Geometry((Layer(EDGES, EDGES, depth=20.0),)), 120)
    dark = replace(showers, cell_energy=0 * showers.cell_energy)
    settings = ValidationConfig(momentum_bins=[1.0, 64.0, 100.0], bootstrap=20, classifier_repeats=1)
    return compare(showers, dark, settings, 3e-4, SilentReporter())


def test_figures_are_pictures_of_the_size_they_say(pictures):
    for picture in pictures:
        pixels = mpl.image.imread(io.BytesIO(picture.png))
        assert pixels.shape[:2] == (picture.height, picture.width)
        assert pixels[..., :3].std() > 0
    assert len({picture.name for picture in pictures}) == len(pictures)


def test_samples_without_energy_are_drawn(dark_comparison):
    kept = next(one for one in dark_comparison.distributions if one.name == "centre_x")
    before = dict(mpl.rcParams)

    pictures = draw(replace(dark_comparison, distributions=(kept,), pairs=dark_comparison.pairs[:1]), SilentReporter())

    assert dict(mpl.rcParams) == before

    assert {"observable_centre_x", "response", "radial_profile", "cell_spectrum"} <= {one.name for one in pictures}


def test_samples_without_energy_fail(dark_comparison):
    outcomes = {row.criterion: row.outcome for row in judge(dark_comparison, ValidationConfig().criteria)}

    assert outcomes["response, 1 to 64 GeV"] is Outcome.FAIL
    assert outcomes["response, 64 to 100 GeV"] is Outcome.UNDECIDED
    assert outcomes["mean number of lit cells"] is Outcome.FAIL
    assert outcomes["centre_x"] is Outcome.FAIL
