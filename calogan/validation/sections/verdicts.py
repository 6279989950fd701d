"""The criteria with all that each verdict rests on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from calogan.validation.criteria import Outcome, Verdict
from calogan.validation.numbers import number, with_error
from calogan.validation.page import Section, Table

__all__ = ["verdicts_section"]

_HEADER = ("criterion", "verdict", "difference", "floor", "limit", "effect size", "reference", "generated", "note")
_TEXT = (
    "The floor is what chance alone gives for samples as large as these. The limit is the upper confidence limit of "
    "the difference less the floor; the effect size, set in the study's configuration, is the smallest such difference "
    "that matters. A criterion passes when its limit is at or under its effect size. It fails when the limit is above "
    "although there are showers enough, or when the difference is above beyond doubt. Else it is undecided: more "
    "showers are needed."
)


def verdicts_section(verdicts: Sequence[Verdict]) -> Section:
    """The criteria that do not pass, failures first, and then all of them, by group."""
    every = Table(_HEADER, tuple(_rows(verdicts)), f"All {len(verdicts)} criteria", left=(0, 1, 8))
    wanting = [row for outcome in (Outcome.FAIL, Outcome.UNDECIDED) for row in verdicts if row.outcome is outcome]
    tables: tuple[Table, ...] = (every,)
    if wanting and len(wanting) < len(verdicts):
        first = Table(_HEADER, tuple(_rows(wanting)), "Criteria that do not pass", left=(0, 1, 8))
        tables = (first, replace(every, folded=True))
    return Section("verdicts", "Verdicts", (_TEXT,), tables)


def _rows(verdicts: Sequence[Verdict]) -> Iterator[tuple[str, ...]]:
    for group, rows in groupby(verdicts, key=lambda row: row.group):
        yield (group,)
        for row in rows:
            yield (
                row.criterion,
                row.outcome.value,
                with_error(row.difference, row.error),
                number(row.floor, 2),
                number(row.limit, 2),
                number(row.bound),
                number(row.reference),
                number(row.generated),
                row.note,
            )
