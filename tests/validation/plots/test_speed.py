from __future__ import annotations

import pytest

from calogan.validation.plots.speed import speed_bars
from calogan.validation.studies.speed import SimulationTime, SpeedStudy, Timing


@pytest.mark.parametrize("simulation", [None, SimulationTime("time", 10, 40.0)])
def test_bars_are_the_medians(simulation):
    timings = (Timing(1, 100, 0.5, 0.4, 0.7, None), Timing(10_000, 5, 0.02, 0.01, 0.03, None))

    figure = speed_bars(SpeedStudy("torch 2", "cpu", "1", "float32", "a processor", timings, simulation))

    widths = [bar.get_width() for bar in figure.axes[0].patches]
    assert widths == ([40.0] if simulation else []) + [0.5, 0.02]
    assert figure.axes[0].get_xscale() == "log"
