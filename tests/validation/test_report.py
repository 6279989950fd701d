from __future__ import annotations

import html
import json
import os
import re
from dataclasses import replace

import pytest

from calogan.errors import CaloganError
from calogan.progress import SilentReporter
from calogan.validation.page import Drawing
from calogan.validation.report import read_report, write_report

INPUTS = {"bundle": "abc", "split": "test"}


@pytest.fixture
def write(measured, verdicts):
    """Write a report without figures."""

    def write(folder, title="t", inputs=INPUTS, sections=(), comparison=measured):
        return write_report(
            comparison, verdicts, sections, folder, title=title, inputs=inputs, reporter=SilentReporter()
        )

    return write


@pytest.fixture(scope="module")
def page(toy_report):
    return toy_report.report.read_text()


def test_page_is_self_contained(page):
    links = re.findall(r"""(?:src|href)=["']([^"']*)""", page)

    assert all(link.startswith(("data:", "#", "https://arxiv.org/abs/")) for link in links)
    assert not re.search(r"""src=["'](?!data:)""", page)
    assert "url(" not in page
    assert "@import" not in page
    assert "<script" not in page


def test_texts_are_escaped(page):
    assert "&lt;script&gt;document.title" in page
    assert "&lt;b&gt;toy&lt;/<wbr>b&gt;" in page  # a line may break after a slash
    assert "Particles &lt;differ&gt;." in page
    assert "<b>" not in page
    assert "<i>" not in page


def test_every_link_has_its_target_and_no_target_comes_twice(page):
    targets = re.findall(r' id="([^"]*)"', page)

    assert len(set(targets)) == len(targets)
    assert set(re.findall(r'href="#([^"]*)"', page)) <= set(targets)


def test_warning_comes_before_every_number_and_the_verdict_before_the_figures(page):
    body = page[page.index("<main") :]
    warning, badge, table = (body.index(text) for text in ('class="warning"', 'class="badge fail"', "<table"))

    assert warning < badge < table < body.index("<img")
    text = html.unescape(re.sub(r"<[^>]*>", "", body[:warning]))
    assert not re.search(r"\d", text)


def test_key_figures_come_first_and_every_figure_once(page, toy_report):
    alts = re.findall(r'<img [^>]*alt="([^"]*)"', page)

    assert [html.unescape(alt) for alt in alts] == [
        "response of both samples",
        "another of that name",
        'distribution of "<b>E</b>"',
    ]
    assert {path.name for path in (toy_report.report.parent / "figures").iterdir()} == {
        "response.png",
        "b_E_b.png",
        "b_E_b_2.png",
    }
    assert not list(toy_report.report.parent.rglob("*.partial"))


def test_tables_have_captions_and_scopes(page):
    tables = re.findall(r"<table.*?</table>", page, re.DOTALL)

    # what does not pass, all verdicts, two of the section, metrics and their notes, provenance, definitions
    assert len(tables) == 8
    for table in tables:
        assert re.search(r"<caption[^>]*><span>[^<]+</span></caption>", table)
        assert len(re.findall("<th ", table)) == len(re.findall('<th scope="(?:col|row|rowgroup)"', table))
    assert '<th scope="rowgroup" colspan="2"><span>first group</span>' in page


def test_long_tables_and_further_figures_are_folded(page):
    folds = re.findall(r'<details class="fold"><summary>(.*?)</summary>(.*?)</details>', page, re.DOTALL)

    titles = [re.sub(r"<[^>]*>", "", title) for title, _ in folds]
    assert titles[:2] == ["All 3 criteria (3 rows)", "1 more figure"]
    assert len(re.findall("<img ", folds[1][1])) == 1


def test_findings_come_before_the_text_of_their_section(page):
    assert re.search(r'<p class="finding">Nothing &amp; all.</p>\s*<p>Text', page)


def test_sources_are_links(page):
    assert 'Text &amp; <a href="https://arxiv.org/abs/2410.21611">arXiv:2410.21611</a>.' in page


def test_report_is_found_again_for_the_same_inputs(toy_report):
    again = read_report(toy_report.report.parent, INPUTS)

    assert again is not None
    assert again.report == toy_report.report
    assert again.figures == toy_report.figures == {"separation_e_p": 0.012, "separation_e_p_floor": 0.004}
    assert [row.outcome for row in again.rows] == [row.outcome for row in toy_report.rows]
    assert again.table() == toy_report.table()
    assert again.showers == 400


def test_report_on_other_inputs_is_not_found(toy_report, tmp_path):
    assert read_report(toy_report.report.parent, {"bundle": "other"}) is None
    assert read_report(tmp_path, INPUTS) is None


def test_page_of_other_inputs_is_not_taken_for_the_report(tmp_path, write):
    """As after a kill between the moves of the page and of the numbers."""
    write(tmp_path, inputs={"bundle": "old"})
    numbers = (tmp_path / "report.json").read_bytes()
    write(tmp_path, inputs={"bundle": "new"})
    assert read_report(tmp_path, {"bundle": "new"}) is not None

    (tmp_path / "report.json").write_bytes(numbers)

    assert read_report(tmp_path, {"bundle": "old"}) is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": 3, "inputs": {}, "criteria": 3}', '{"format": 2}'])
def test_damaged_or_older_report_is_not_found(tmp_path, content):
    (tmp_path / "report.json").write_text(content)
    (tmp_path / "report.html").write_text("page")

    assert read_report(tmp_path, {}) is None


def test_old_report_stays_whole_if_the_new_one_cannot_be_written(tmp_path, write, monkeypatch):
    write(tmp_path, "first")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    staged = []

    def fsync(descriptor):
        staged.append(descriptor)
        if len(staged) > 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(CaloganError, match="cannot write the report: No space left on device"):
        write(tmp_path, "second")

    assert {path: path.read_bytes() for path in before} == before


def test_figures_of_an_older_report_go_and_other_files_stay(tmp_path, write, toy_sections):
    section = toy_sections[1]
    make = section.drawings[0].make
    for names in (("one", "two"), ("one",)):
        drawings = tuple(Drawing(name, "", make) for name in names)
        write(tmp_path, sections=[replace(section, drawings=drawings)])
        (tmp_path / "figures" / "mine.png").write_bytes(b"kept")

    assert {path.name for path in (tmp_path / "figures").iterdir()} == {"one.png", "mine.png"}


def test_fields_beside_the_known_ones_are_studies(toy_report):
    document = json.loads((toy_report.report.parent / "report.json").read_text(), parse_constant=pytest.fail)

    assert document["studies"] == {"spread": [1.0, None, 3.0]}
