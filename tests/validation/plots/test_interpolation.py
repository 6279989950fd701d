from __future__ import annotations

from calogan.metrics.metric import Estimate
from calogan.validation.plots.interpolation import zone_differences
from calogan.validation.studies.interpolation import Zone


def zone(name, low, high, response):
    return Zone(name, low, high, 100, 90, Estimate(response, 0.01), Estimate(0, 0.1), Estimate(0, 0.02), {})


def test_there_is_a_panel_for_each_number():
    zones = zone("below", 5, 10, 0.0), zone("held out", 10, 20, 0.05), zone("above", 20, 40, -0.01)

    figure = zone_differences(zones)

    labels = [axes.get_ylabel().partition("\n")[0] for axes in figure.axes]
    assert labels == ["response", "resolution", "lit cells"]
    assert figure.axes[0].containers[0].lines[0].get_ydata().tolist() == [0, 5, -1]
    ticks = [label.get_text() for label in figure.axes[2].get_xticklabels()]
    assert ticks == ["below\n5 to 10 GeV", "held out\n10 to 20 GeV", "above\n20 to 40 GeV"]
