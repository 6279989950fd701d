from __future__ import annotations

import json
import os
import re
from dataclasses import replace

import pytest

from calogan.errors import CaloganError
from calogan.progress import SilentReporter
from calogan.validation import report
from calogan.validation.figures import Picture
from calogan.validation.report import read_report, write_report


@pytest.fixture
def quick(monkeypatch):
    """Draw one figure of no content."""
    monkeypatch.setattr(report, "draw", lambda comparison, reporter: [Picture("one", "images", "", b"png", 1, 1)])


def test_page_is_self_contained(toy_report):
    page = toy_report.report.read_text()

    links = re.findall(r"""(?:src|href)=["']([^"']*)""", page)
    assert all(link.startswith(("data:", "#")) for link in links)
    assert "url(" not in page
    assert "@import" not in page


def test_texts_are_escaped(toy_report):
    page = toy_report.report.read_text()

    assert "<script" not in page
    assert "&lt;script&gt;document.title" in page


def test_figures_are_written_and_embedded(toy_report, small_comparison):
    files = {path.stem for path in (toy_report.report.parent / "figures").iterdir()}
    page = toy_report.report.read_text()

    names = {f"observable_{one.name}" for one in small_comparison.distributions}
    assert names | {"response", "resolution", "radial_profile", "layer1_ratio", "shower_0", "classifiers"} <= files
    assert page.count("<img ") == len(files)
    assert not list(toy_report.report.parent.rglob("*.partial"))


def test_reference_comes_before_generated(toy_report):
    page = toy_report.report.read_text()

    assert page.index("<th>reference</th>") < page.index("<th>generated</th>")
    assert page.index("cells of layer 1, reference") < page.index("cells of layer 1, generated")


def test_every_number_is_in_the_json(toy_report, small_comparison):
    document = json.loads((toy_report.report.parent / "report.json").read_text())

    separation = document["comparison"]["distributions"][0]["separation"]
    assert separation["value"] == small_comparison.distributions[0].separation.value
    assert document["comparison"]["classifier_low"]["floor"] == small_comparison.classifier_low.floor
    assert document["verdicts"][0]["reference"] is None
    assert document["figures"]["fpd"] == small_comparison.fpd.value


def test_numbers_that_are_not_finite_become_null(tmp_path, small_comparison, quick):
    comparison = replace(small_comparison, fpd=replace(small_comparison.fpd, value=float("nan"), error=float("inf")))

    write_report(comparison, (), tmp_path, title="t", inputs={}, reporter=SilentReporter())

    document = json.loads((tmp_path / "report.json").read_text(), parse_constant=pytest.fail)
    assert [document["comparison"]["fpd"][name] for name in ("value", "error")] == [None, None]


def test_report_is_found_again_for_the_same_inputs(toy_report):
    again = read_report(toy_report.report.parent, {"bundle": "abc"})

    assert again is not None
    assert again.report == toy_report.report
    assert again.figures == toy_report.figures
    assert [row.outcome for row in again.rows] == [row.outcome for row in toy_report.rows]
    assert again.table() == toy_report.table()


def test_report_on_other_inputs_is_not_found(toy_report, tmp_path):
    assert read_report(toy_report.report.parent, {"bundle": "other"}) is None
    assert read_report(tmp_path, {"bundle": "abc"}) is None


def test_page_of_other_inputs_is_not_taken_for_the_report(tmp_path, small_comparison, quick):
    """As after a kill between the moves of the page and of the numbers."""
    for inputs in ({"bundle": "old"}, {"bundle": "new"}):
        write_report(small_comparison, (), tmp_path, title="t", inputs=inputs, reporter=SilentReporter())
        if inputs["bundle"] == "old":
            numbers = (tmp_path / "report.json").read_bytes()
    assert read_report(tmp_path, {"bundle": "new"}) is not None

    (tmp_path / "report.json").write_bytes(numbers)

    assert read_report(tmp_path, {"bundle": "old"}) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 2, "inputs": {}, "verdicts": 3}'])
def test_damaged_report_is_not_found(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    (tmp_path / "report.html").write_text("page")

    assert read_report(tmp_path, {}) is None


def test_old_report_stays_whole_if_the_new_one_cannot_be_written(tmp_path, small_comparison, quick, monkeypatch):
    def write(title):
        write_report(small_comparison, (), tmp_path, title=title, inputs={}, reporter=SilentReporter())

    write("first")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    staged = []

    def fsync(descriptor):
        staged.append(descriptor)
        if len(staged) > 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(CaloganError, match="cannot write the report: No space left on device"):
        write("second")

    assert {path: path.read_bytes() for path in before} == before


def test_table_shows_the_worst_separation_only(toy_report):
    header, *rows = toy_report.table()

    assert header[0] == "criterion"
    assert all(len(row) == len(header) for row in rows)
    separations = [row for row in toy_report.rows if row.group == "separation power"]
    worst = max(separations, key=lambda row: row.difference - row.floor)
    assert f"{worst.criterion} (separation power)" in [row[0] for row in rows]


def test_figures_of_an_older_report_go_and_other_files_stay(tmp_path, small_comparison, monkeypatch):
    for names in (("one", "two"), ("one",)):
        pictures = [Picture(name, "images", "", b"png", 1, 1) for name in names]
        monkeypatch.setattr(report, "draw", lambda comparison, reporter, pictures=pictures: pictures)
        write_report(small_comparison, (), tmp_path, title="t", inputs={}, reporter=SilentReporter())
        (tmp_path / "figures" / "mine.png").write_bytes(b"kept")

    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"one.png", "mine.png"}
