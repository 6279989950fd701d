from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.data.toy import toy_geometry, toy_showers
from calogan.metrics.metric import Estimate
from calogan.metrics.resolution import Comparison
from calogan.progress import SilentReporter
from calogan.validation.sections.longitudinal import longitudinal_section
from calogan.validation.studies.longitudinal import study_longitudinal


@pytest.fixture(scope="module")
def study(make_samples):
    rng = np.random.default_rng(3)
    samples = [toy_showers(rng, toy_geometry(), 200) for _ in range(2)]
    return study_longitudinal(make_samples(*samples), SilentReporter())


def _equal():
    """The same response in both samples."""
    one = Estimate(0.5, 0.1)
    return Comparison(one, one, Estimate(0.0, 0.2))


def test_every_layer_has_its_figures_and_rows(study):
    section = longitudinal_section(study)

    names = [drawing.name for drawing in section.drawings]
    assert names[:3] == ["layer_shares", "depth_growth", "layer_correlations"]
    assert names[3:6] == ["layer_0_response", "layer_0_resolution", "layer_0_radial_profile"]
    assert [row[0] for row in section.tables[0].rows] == ["0", "1", "2"]
    assert [row[0] for row in section.tables[2].rows] == ["0 and 1", "0 and 2", "1 and 2"]
    assert len(section.tables[1].rows) == 2 * 3  # two momentum bins
    assert "layer 2" in section.finding
    assert "the mean depth grows by" in section.finding


def test_axes_have_units_and_panels_their_momenta(study):
    drawings = {drawing.name: drawing.make() for drawing in longitudinal_section(study).drawings}

    shares = drawings["layer_shares"].axes
    assert [axes.get_title() for axes in shares] == ["1 to 8 GeV", "8 to 64 GeV"]
    assert all(axes.get_xlabel() == "depth of the layer [mm]" for axes in shares)
    main, ratio = drawings["depth_growth"].axes
    assert (main.get_ylabel(), ratio.get_xlabel()) == ("mean depth [mm]", "$|p|$ [GeV]")
    main, _ = drawings["layer_2_response"].axes
    assert main.get_title() == "Response, layer 2"
    assert main.get_ylabel() == "mean of $E_{2}/|p|$ [MeV/GeV]"
    names = [text.get_text() for text in drawings["layer_correlations"].axes[0].get_xticklabels()]
    assert names == ["layer 0", "layer 1", "layer 2"]


def test_what_cannot_be_known_is_left_out(study):
    section = longitudinal_section(replace(study, growth=None, correlation=None))

    assert not {"depth_growth", "layer_correlations"} & {drawing.name for drawing in section.drawings}
    assert "grows" not in section.finding


def test_figures_of_many_layers_are_folded_but_those_that_differ_most(study):
    alike = tuple(replace(study.layers[0], layer=number, response=_equal()) for number in (3, 4))
    many = replace(study, depth=np.arange(5.0), layers=(*study.layers, *alike))

    drawings = longitudinal_section(many).drawings

    open_ = [drawing.name for drawing in drawings if drawing.name.endswith("_response") and not drawing.folded]
    assert open_ == ["layer_0_response", "layer_1_response", "layer_2_response"]


def test_six_panels_at_most_show_the_momenta_from_the_lowest_to_the_highest(study):
    bins = tuple(replace(study.momentum_bins[0], low=float(low), high=low + 1.0) for low in range(1, 10))

    drawing = longitudinal_section(replace(study, momentum_bins=bins)).drawings[0]

    titles = [axes.get_title() for axes in drawing.make().axes]
    assert len(titles) == 6
    assert (titles[0], titles[-1]) == ("1 to 2 GeV", "9 to 10 GeV")
    assert drawing.caption == "6 of 9 momentum bins"
