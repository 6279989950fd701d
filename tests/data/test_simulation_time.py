from __future__ import annotations

from calogan.data.simulation_time import SimulationTime


def test_files_are_weighted_by_their_showers():
    both = SimulationTime.of_all([SimulationTime("time", 10, 4.0), SimulationTime("time", 30, 8.0)])

    assert both == SimulationTime("time", 40, 7.0)


def test_other_branches_are_all_named():
    assert SimulationTime.of_all([SimulationTime("a", 1, 1.0), SimulationTime("b", 1, 3.0)]).branch == "a, b"


def test_no_showers_have_no_time():
    assert SimulationTime.of_all([]) is None
    assert SimulationTime.of_all([SimulationTime("time", 0, 0.0)]) is None
