"""Section of the distributions."""

from __future__ import annotations

from calogan.progress import SilentReporter
from calogan.validation.sections.distributions import distributions_section
from calogan.validation.studies.distributions import study_distributions


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
