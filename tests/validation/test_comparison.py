"""All studies together: what truth and a gross defect come to, and what the samples must be."""

from __future__ import annotations

import json
from dataclasses import fields, replace

import jsonschema
import numpy as np
import pytest

from calogan.config import ValidationConfig
from calogan.data.toy import toy_geometry, toy_showers
from calogan.errors import ConfigError, DataError, ShapeError
from calogan.physics.observables import observable_names
from calogan.progress import SilentReporter
from calogan.validation.comparison import compare, make_samples
from calogan.validation.criteria import Outcome, judge
from calogan.validation.studies.particle_types import TypeStudy

THRESHOLD = 3e-4
SETTINGS = ValidationConfig(momentum_bins=[1.0, 8.0, 64.0], bootstrap=20, classifier_repeats=3)


def samples_of(reference, generated, settings=SETTINGS):
    return make_samples(reference, generated, settings, THRESHOLD, SilentReporter())


def test_a_gross_defect_fails_and_truth_does_not(electrons):
    generated = electrons[800:]
    rng = np.random.default_rng(5)
    cells = generated.cell_energy * np.float32(1.1)
    cells[:400] = rng.permuted(cells[:400], axis=1)
    outcomes = []
    for sample in (generated, replace(generated, cell_energy=cells)):
        comparison = compare(electrons[:800], sample, SETTINGS, THRESHOLD, SilentReporter())
        outcomes.append({row.criterion: row.outcome for row in judge(comparison, SETTINGS.criteria)})

    assert Outcome.FAIL not in outcomes[0].values()
    assert outcomes[1]["same distributions: p-value, at least"] is Outcome.PASS
    for criterion in (
        "response, all momenta",
        "response, 8 to 64 GeV",
        "radial_width",
        "centre_x",
        "low-level classifier (cells)",
        "high-level classifier (observables)",
    ):
        assert outcomes[1][criterion] is Outcome.FAIL, criterion


def test_every_observable_of_three_layers_is_compared(toy_comparison):
    names = [one.name for one in toy_comparison.distributions.distributions]

    assert names == observable_names(toy_geometry())
    assert [images.layer for images in toy_comparison.images] == [0, 1, 2]
    assert [images.reference.shape for images in toy_comparison.images] == [(3, 12), (6, 6), (4, 2)]


def test_metrics_have_names_of_their_own(toy_comparison):
    names = [metric.name for metric in toy_comparison.metrics]

    assert len(names) == len(set(names)) > 100


def test_the_seed_fixes_every_number(toy_comparison):
    rng = np.random.default_rng(3)
    reference = toy_showers(rng, toy_geometry(), 400)
    generated = toy_showers(rng, toy_geometry(), 300, first_event=1000)

    again = compare(reference, generated, SETTINGS, THRESHOLD, SilentReporter())

    numbers = [[(one.name, one.value, one.error) for one in found.metrics] for found in (toy_comparison, again)]
    assert np.array_equal(*[[row[1:] for row in rows] for rows in numbers], equal_nan=True)


def test_empty_showers_are_counted_not_dropped(make_samples):
    from calogan.validation.studies.distributions import study_distributions

    showers = toy_showers(np.random.default_rng(4), toy_geometry(), 200)
    cells = showers.cell_energy.copy()
    cells[:30] = 0
    samples = make_samples(showers, replace(showers, cell_energy=cells), paired=True, names=("centre_x",))

    centre = study_distributions(samples, SilentReporter()).distributions[0]

    assert (centre.reference_undefined, centre.generated_undefined) == (0, 30)
    assert centre.separation.value > 0.07  # 15% of the generated showers are in a bin that the reference leaves empty


def test_too_few_showers_are_refused(electrons):
    with pytest.raises(DataError, match="generated sample has 50 showers; a comparison needs at least 100"):
        samples_of(electrons[:200], electrons[:50])


def test_different_cells_are_refused(electrons):
    toys = toy_showers(np.random.default_rng(1), toy_geometry(), 200)

    with pytest.raises(ShapeError, match=r"different cells: 900 in 1 layer\(s\) against 80 in 3"):
        samples_of(electrons[:200], toys)


def test_showers_of_the_same_particles_are_pairs_in_whatever_order():
    showers = toy_showers(np.random.default_rng(6), toy_geometry(), 300)
    order = np.random.default_rng(7).permutation(300)

    found = samples_of(showers, replace(showers, cell_energy=2 * showers.cell_energy)[order])

    assert found.paired
    assert np.array_equal(found.generated.event, found.reference.event)
    assert found.generated_values["total_energy"] == pytest.approx(2 * found.reference_values["total_energy"], rel=0.02)
    assert np.array_equal(found.reference_group, found.generated_group)


def test_observables_of_the_user_are_compared_with_the_others(tmp_path, monkeypatch):
    (tmp_path / "my_observables.py").write_text(
        "def brightest(cells, incident, geometry):\n    return cells.max(axis=1)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    settings = SETTINGS.model_copy(update={"observables": {"brightest": "my_observables:brightest"}})
    showers = toy_showers(np.random.default_rng(1), toy_geometry(), 150)

    found = samples_of(showers, showers, settings)

    assert found.reference_values["brightest"] == pytest.approx(showers.above(THRESHOLD).cell_energy.max(axis=1))
    assert "response" in found.observables


def test_an_observable_that_cannot_be_had_is_named(electrons):
    settings = SETTINGS.model_copy(update={"observables": {"mine": "no_such_module:thing"}})

    with pytest.raises(ConfigError, match=r"'mine' \(no_such_module:thing\)"):
        samples_of(electrons[:200], electrons[200:400], settings)


def test_a_type_that_fails_fails_the_report(tmp_path):
    """Electrons and photons of which the generated photons alone have a fifth too much energy."""
    from calogan.validation.document import read_document, schema
    from calogan.validation.report import read_report, write_report
    from calogan.validation.side_by_side import put_side_by_side

    rng = np.random.default_rng(8)
    pdg = np.resize(np.array([11, 22, 11], dtype=np.int32), 360)
    reference, generated = (replace(toy_showers(rng, toy_geometry(), 360), pdg=pdg) for _ in range(2))
    cells = generated.cell_energy * np.where(pdg == 22, 1.2, 1.0)[:, None].astype(np.float32)
    settings = SETTINGS.model_copy(update={"classifiers": False})

    comparison = compare(reference, replace(generated, cell_energy=cells), settings, THRESHOLD, SilentReporter())
    rows = judge(comparison, settings.criteria)
    verdicts = write_report(comparison, rows, [], tmp_path, title="t", inputs={"a": "b"}, reporter=SilentReporter())

    outcomes = {(row.group, row.criterion): row.outcome for row in rows}
    assert outcomes["gamma · response: relative difference", "response, all momenta"] is Outcome.FAIL
    assert verdicts.outcomes["gamma"] is Outcome.FAIL
    assert Outcome.FAIL not in {row.outcome for row in rows if row.group.startswith("e- · ")}
    assert not verdicts.passed
    assert read_report(tmp_path, {"a": "b"}).outcomes == verdicts.outcomes

    document = read_document(tmp_path)
    jsonschema.Draft202012Validator(schema()).validate(json.loads((tmp_path / "report.json").read_text()))
    photons = document.types["22"]
    assert (photons["name"], photons["verdict"], photons["showers"]["reference"]) == ("gamma", "fail", 120)
    assert photons["studies"]["response"]["response"]["difference"]["value"] == pytest.approx(0.2, abs=0.06)
    names = [metric.name for metric in document.metrics]
    assert len(names) == len(set(names))
    assert document.figures["gamma_response_difference"] == pytest.approx(0.2, abs=0.06)
    assert "| gamma | ❌ fail |" in (tmp_path / "report.md").read_text()
    assert put_side_by_side(document, document).missing == ()


def test_all_criteria_of_all_types_share_the_chance_of_a_false_failure(toy_comparison):
    """The same studies again as those of two types: three times the tests, each with less of the chance."""

    def of_type(name, pdg):
        known = {one.name for one in fields(TypeStudy)} - {"pdg", "name", "classifiers"}
        return TypeStudy(pdg=pdg, name=name, classifiers=None, **{one: getattr(toy_comparison, one) for one in known})

    alone = judge(toy_comparison, SETTINGS.criteria)
    rows = judge(replace(toy_comparison, types=(of_type("e-", 11), of_type("gamma", 22))), SETTINGS.criteria)

    assert [row.group for row in rows[: len(alone)]] == [row.group for row in alone]
    p_values = [row.generated for row in rows if row.group.endswith("incident particles")]
    assert p_values == [min(1.0, 3 * alone[0].generated)] * 3
    one = [row for row in alone if row.outcome is Outcome.UNDECIDED and row.note.startswith("needs")]
    other = {(row.group, row.criterion): row for row in rows}
    assert one
    for row in one:
        needed = [int(text.note.split()[2]) for text in (row, other[row.group, row.criterion])]
        assert needed[0] < needed[1]
