from __future__ import annotations

import re

import pytest

from calogan.validation.document import read_document
from calogan.validation.markdown import markdown


@pytest.fixture(scope="module")
def text(toy_report):
    return (toy_report.report.parent / "report.md").read_text()


def test_verdict_comes_first_and_then_warnings(text):
    first, _, warning = text.splitlines()[:3]

    assert first.endswith("❌ fail")
    assert warning == "> ⚠️ **Particles &lt;differ&gt;.**"
    assert "1 of 3 criteria fails; 1 more cannot be decided" in text


def test_every_table_has_as_many_cells_in_every_row(text):
    tables = re.findall(r"(?:^\|.*\n)+", text, re.MULTILINE)

    assert len(tables) == 3  # criteria that do not pass, key metrics, provenance
    for table in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()}) == 1


def test_nothing_acts_but_what_is_meant_to(text):
    tags = set(re.findall(r"<[^>]*>", text))

    assert tags == {"<details>", "</details>", "<summary>", "</summary>"}
    assert r"radial\|width" in text
    assert "](report.html)" in text


def test_values_have_errors_and_floors(text):
    assert "| separation E/p | 0.0120 ± 0.0020 | 0.004 | +4.0 σ | 0.003 |" in text


def test_key_metrics_come_first_and_then_those_that_stand_out(toy_report):
    document = read_document(toy_report.report.parent)

    lines = markdown(document, ()).splitlines()
    shown = lines[lines.index("### Key metrics (2 of 2)") + 4 :][:2]

    assert [line.split("|")[1].strip() for line in shown] == ["KPD", "separation E/p"]


def test_only_criteria_that_do_not_pass_are_listed(text):
    table = text[text.index("### Criteria that do not pass") : text.index("### Key metrics")]

    assert re.findall("[❌❔✅] [a-z]+", table) == [
        "❌ fail",
        "❔ undecided",
    ]
