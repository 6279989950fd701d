"""Section of the conditional checks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from calogan.progress import SilentReporter
from calogan.validation.sections.conditional import conditional_section
from calogan.validation.studies.conditional import study_conditional


def test_the_worst_bin_comes_first_and_every_property_has_a_map(electron_samples):
    slow = electron_samples.generated.momentum < np.quantile(electron_samples.reference.momentum, 0.25)
    values = electron_samples.generated_values["radial_width"]
    broken = {**electron_samples.generated_values, "radial_width": np.where(slow, 1.5 * values, values)}
    study = study_conditional(replace(electron_samples, generated_values=broken), SilentReporter())
    section = conditional_section(study)
    worst, edges = section.tables
    assert worst.rows[0][0] == "radial_width"
    assert worst.rows[0][1].startswith("|p| 1.01 to ")
    assert len(worst.rows) == 10
    assert [row[0] for row in edges.rows][:2] == ["all showers", "lowest 5% of |p|"]
    assert edges.rows[3][1].endswith("degrees")
    assert [drawing.name for drawing in section.drawings] == [
        "conditional_momentum",
        "conditional_angle",
        "conditional_entry_point",
    ]
    assert section.drawings[0].make().axes


def test_without_conditions_the_edges_are_left(electron_samples):
    study = study_conditional(electron_samples, SilentReporter())
    section = conditional_section(replace(study, conditions=(), outside=2))
    assert len(section.tables) == 1
    assert section.text[-1].startswith("2 reference showers enter outside")
