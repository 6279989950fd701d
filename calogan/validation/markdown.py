"""The report as Markdown: what fits into the comment of a merge request."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Sequence

from calogan.metrics.metric import Metric
from calogan.validation.criteria import Outcome, Verdict, overall
from calogan.validation.document import PAGE, Document
from calogan.validation.numbers import number, with_error
from calogan.validation.sections.metrics import metric_row, significance
from calogan.validation.summary import by_type, criterion_name, sentence, tally

__all__ = ["markdown"]

_SIGNS = {Outcome.PASS: "✅ pass", Outcome.FAIL: "❌ fail", Outcome.UNDECIDED: "❔ undecided"}
_KEY = (
    *("response difference", "resolution difference", "lit cells difference"),
    *("low-level AUC", "high-level AUC", "FPD", "KPD", "PRD area", "copies", "nearest is a training shower"),
)
_OTHERS = 5  # metrics shown beside the key ones
_LONGEST = 160  # letters of a value of the provenance
_WORDS = {"criterion", "verdict", "note", "metric", "what", "is", "type", "criteria"}
_CRITERIA = ("criterion", "verdict", "difference", "floor", "effect size", "note")
_TYPES = ("type", "verdict", "criteria")
_METRICS = ("metric", "value", "floor", "from floor", "p-value")


def markdown(document: Document, warnings: Sequence[str]) -> str:
    """Summary of a report: verdict, criteria that do not pass, key metrics, provenance.

    Args:
        document: The report.
        warnings: What a reader must know before any number.
    """
    wanting = [row for one in (Outcome.FAIL, Outcome.UNDECIDED) for row in document.criteria if row.outcome is one]
    metrics = _notable(document.metrics)
    lines = [
        f"## {_escape(document.title)}: {_SIGNS[document.outcome]}",
        "",
        *(line for warning in warnings for line in (f"> ⚠️ **{_escape(warning)}**", "")),
        _escape(sentence(document.criteria)),
        "",
        f"{document.reference_count} reference showers against {document.generated_count} generated ones.",
        f"Criteria: {tally(document.criteria)}. Page: [{PAGE}]({PAGE})",
        "",
        *(("### Particle types", "", *_table(_TYPES, _types(document.criteria)), "") if document.types else ()),
        *(("### Criteria that do not pass", "", *_table(_CRITERIA, map(_criterion, wanting)), "") if wanting else ()),
        f"### Key metrics ({len(metrics)} of {len(document.metrics)})",
        "",
        *_table(_METRICS, map(metric_row, metrics)),
        "",
        *_folded("Provenance", _table(("what", "is"), map(_origin, document.provenance.items()))),
    ]
    return "\n".join(lines)


def _types(rows: Sequence[Verdict]) -> Iterator[tuple[str, ...]]:
    for kind, some in by_type(rows).items():
        yield kind, _SIGNS[overall(some)], tally(some)


def _criterion(row: Verdict) -> tuple[str, ...]:
    return (
        criterion_name(row.group, row.criterion),
        _SIGNS[row.outcome],
        with_error(row.difference, row.error),
        number(row.floor, 2),
        number(row.bound),
        row.note,
    )


def _notable(metrics: Sequence[Metric]) -> list[Metric]:
    """The headline metrics, in their order, and the others that stand out most from their floors."""
    named = [metric for name in _KEY for metric in metrics if metric.name == name]
    others = sorted((metric for metric in metrics if metric.name not in _KEY), key=_rank)
    return [*named, *others[:_OTHERS]]


def _origin(entry: tuple[str, str]) -> tuple[str, str]:
    what, value = entry
    return what, value if len(value) <= _LONGEST else f"{value[:_LONGEST]}…"


def _rank(metric: Metric) -> float:
    found = significance(metric)
    return -abs(found) if math.isfinite(found) else 0.0


def _folded(title: str, lines: Iterable[str]) -> list[str]:
    return [f"<details><summary>{title}</summary>", "", *lines, "", "</details>", ""]


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    rule = ["---" if head in _WORDS else "---:" for head in header]
    return [
        f"| {' | '.join(header)} |",
        f"|{'|'.join(rule)}|",
        *(f"| {' | '.join(_escape(cell) for cell in row)} |" for row in rows),
    ]


def _escape(text: str) -> str:
    """A text on one line, in which Markdown and HTML find nothing to act on."""
    one_line = " ".join(text.split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|~#@!])", r"\\\1", one_line)
