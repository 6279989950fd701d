from __future__ import annotations

from calogan.validation.sections.verdicts import verdicts_section


def test_what_does_not_pass_comes_first_failures_before_the_undecided(make_verdict):
    rows = [make_verdict("a"), make_verdict("b", "undecided"), make_verdict("c", "fail"), make_verdict("d", "fail")]

    first, every = verdicts_section(rows).tables

    assert [row[0] for row in first.rows] == ["separation power", "c", "d", "b"]
    assert every.folded
    assert len(every.rows) == 1 + 4


def test_criteria_stand_under_the_headings_of_their_groups(make_verdict):
    rows = [
        make_verdict("a", "fail", group="response"),
        make_verdict("b", "fail"),
        make_verdict("c", "undecided", note="more showers"),
    ]

    (table,) = verdicts_section(rows).tables

    assert [row[0] for row in table.rows] == ["response", "a", "separation power", "b", "c"]
    assert [len(row) for row in table.rows] == [1, 9, 1, 9, 9]
    assert table.rows[3] == ("b", "fail", "0.0100 ± 0.0020", "0.003", "0.01", "0.02", "–", "–", "")
    assert table.rows[4][-1] == "more showers"
