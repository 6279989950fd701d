from __future__ import annotations

from calogan.metrics.metric import Estimate, Metric
from calogan.validation.sections.interpolation import interpolation_section
from calogan.validation.studies.interpolation import InterpolationStudy, Zone


def zone(name, low, high, response):
    separation = {"response": Estimate(0.02, 0.01)}
    return Zone(name, low, high, 100, 90, Estimate(response, 0.01), Estimate(0, 0.1), Estimate(0, 0.02), separation)


EDGES = (zone("lower edge", 1.0, 1.5, 0.0), zone("upper edge", 42.0, 64.0, 0.0))


def study(hold_out):
    zones = (zone("below", 5, 10, 0.0), zone("held out", 10, 20, 0.05), zone("above", 20, 40, -0.01))
    metric = Metric("interpolation of the response", 0.055, 0.012, 0, 0, 300, 270, "-")
    parts = (zones, (metric,)) if hold_out else ((), ())
    return InterpolationStudy("configs/demo.yaml", (4.8, 13.0), 1.0, 64.0, hold_out, *parts, EDGES)


def test_without_a_band_the_command_is_printed():
    section = interpolation_section(study(None))

    command = "calogan run configs/demo.yaml --set 'training.hold_out_momentum=[4.8,13]' --set run_dir=runs/holdout"
    assert section.text[0].endswith(command)
    assert section.drawings == ()
    assert "refuses particles outside" in section.text[1]


def test_a_band_is_shown_beside_its_neighbours():
    section = interpolation_section(study((10.0, 20.0)))

    assert "10 to 20 GeV were kept from the training" in section.text[0]
    assert "hold_out_momentum=[10,20]" in section.text[1]
    assert section.tables[0].rows[1] == ("response, difference [%]", "0.0 ± 1.0", "5.0 ± 1.0", "-1.0 ± 1.0")
    assert section.tables[1].rows == (("interpolation of the response", "0.055 ± 0.012", "0"),)
    for table in section.tables:
        assert {len(row) for row in table.rows} == {len(table.header)}
