"""Section of the distributions."""

from __future__ import annotations

from dataclasses import replace

from calogan.progress import SilentReporter
from calogan.validation.sections.distributions import distributions_section
from calogan.validation.studies.distributions import DistributionsStudy, study_distributions


def test_tables_and_histograms_of_every_observable(electron_samples):
    study = study_distributions(electron_samples, SilentReporter())
    section = distributions_section(study, key={"occupancy"})
    for table in section.tables:
        assert [row[0] for row in table.rows] == ["response", "occupancy", "radial_width"]
        assert {len(row) for row in table.rows} == {len(table.header)}
    assert [drawing.name for drawing in section.drawings if drawing.key] == ["histogram_occupancy"]
    assert "±" in section.tables[0].rows[0][1]
    assert section.tables[1].rows[2][1] == "mm"
    assert section.drawings[2].make().axes[0].get_title() == "radial_width"


def test_what_differs_most_is_named_first_and_the_rest_is_folded(electron_samples):
    study = study_distributions(electron_samples, SilentReporter())
    response, occupancy, width = study.distributions
    worst = replace(occupancy, separation=replace(occupancy.separation, value=0.5, error=0.01, floor=0.1))
    others = tuple(replace(response, name=f"other_{number}") for number in range(12))

    section = distributions_section(DistributionsStudy((response, *others, worst, width)), key={"occupancy"})

    assert section.finding.startswith("Worst: occupancy, separation power 0.500 ± 0.010, +40 σ from its floor of 0.1.")
    assert section.tables[0].rows[0][0] == "occupancy"
    assert len(section.tables[0].rows) == 10
    assert [table.folded for table in section.tables] == [False, True, True]
    assert len(section.tables[1].rows) == 15
    assert sum(drawing.folded for drawing in section.drawings) == 15 - 1 - 6
