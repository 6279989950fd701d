"""The section of diversity."""

from __future__ import annotations

from calogan.metrics.metric import Estimate
from calogan.metrics.resolution import Comparison
from calogan.validation.sections.diversity import diversity_section
from calogan.validation.studies.diversity import DiversityStudy, Spread


def test_spreads_stand_in_their_units_and_differences_in_per_cent():
    found = Comparison(Estimate(2.5, 0.1), Estimate(2.0, 0.1), Estimate(-0.2, 0.03))
    spreads = [
        Spread(name, name, unit, main, found, 50, 50)
        for name, unit, main in (("cells", "", True), ("width", "mm", False))
    ]
    section = diversity_section(DiversityStudy((spreads[1],), spreads[0], 0.125, (51, 52), (120, 150)))
    assert section.tables[0].rows[1] == ("width [mm]", "2.50 ± 0.10", "2.00 ± 0.10", "-20.0 ± 3.0", "50, 50")
    assert "differ by 12% in the median" in section.text[2]
    assert "51 and 52 for the observables, 50 and 50 for the cells" in section.text[1]
    assert "have 120 and 150 showers; of the larger one, 120 drawn at random are used" in section.text[1]
    figure = section.drawings[0].make()
    assert len(figure.axes[0].patches) == 1  # the main ones
