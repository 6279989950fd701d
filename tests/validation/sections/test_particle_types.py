from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calogan.data.toy import toy_geometry, toy_showers
from calogan.metrics.metric import Metric
from calogan.progress import SilentReporter
from calogan.validation.sections.particle_types import type_sections, types_section
from calogan.validation.studies.particle_types import TypeAreas, study_types


@pytest.fixture(scope="module")
def types(make_samples):
    rng = np.random.default_rng(1)
    samples = [toy_showers(rng, toy_geometry(), 300) for _ in range(2)]
    pdg = np.resize(np.array([-11, 11], dtype=np.int32), 300)
    return study_types(make_samples(*(replace(one, pdg=pdg) for one in samples)), None, SilentReporter())


def test_every_type_has_its_row_with_verdict_and_numbers(types, make_verdict):
    rows = [make_verdict("width_x", "fail", group="e+ · separation power"), make_verdict("a", group="e- · response")]
    area = Metric("low-level AUC", 0.61, 0.01, 0.5, 0.02, 9, 9, "")

    section = types_section([replace(types[0], classifiers=TypeAreas(area, area)), types[1]], rows)

    first, second = section.tables[0].rows
    assert first[:3] == ("e+", "fail", "150 / 150")
    assert second[:3] == ("e-", "pass", "150 / 150")
    assert first[6] == "0.610 ± 0.010"
    assert second[6] == "–"
    assert all(len(row) == len(section.tables[0].header) for row in (first, second))
    assert section.finding == (
        "Criteria of each type: e+: 0 pass, 1 fail, 0 undecided; e-: 1 pass, 0 fail, 0 undecided."
    )


def test_names_of_figures_and_sections_differ_from_type_to_type(types):
    positrons, electrons = type_sections(types)

    assert (positrons.id, electrons.id) == ("type_minus_11", "type_11")
    assert (positrons.title, electrons.title) == ("Type e+ (pdg -11)", "Type e- (pdg 11)")
    names = [drawing.name for section in (positrons, electrons) for drawing in section.drawings]
    assert len(set(names)) == len(names)
    assert {"response_trend_11", "layer_shares_minus_11", "radial_profile_11"} <= set(names)
    for drawing in electrons.drawings:
        assert drawing.caption.startswith("e-")
        assert drawing.title.startswith("e-: ")
        assert not drawing.key
    assert all(table.caption for table in electrons.tables)
    assert "Response and resolution: Generated over reference" in " ".join(electrons.text)


def test_other_particles_of_a_type_are_warned_of(types):
    check = replace(types[0].condition, tests=tuple(replace(one, p_value=0.0) for one in types[0].condition.tests))

    (section,) = type_sections([replace(types[0], condition=check)])

    assert section.warning.startswith("e+: The samples were made for different incident particles")
