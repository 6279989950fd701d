from __future__ import annotations

from calogan.validation.sections.provenance import definitions_section, provenance_section


def test_provenance_is_listed_in_its_order():
    (table,) = provenance_section({"study": "demo", "bundle": "abc"}).tables

    assert table.rows == (("study", "demo"), ("bundle", "abc"))


def test_no_word_is_defined_twice_and_none_without_a_meaning():
    (table,) = definitions_section().tables
    names = [row[0] for row in table.rows]

    assert len(set(names)) == len(names)
    assert all(len(row) == 3 and row[1].endswith(".") and row[2] for row in table.rows)
