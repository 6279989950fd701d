"""The report as Markdown: what fits into the comment of a merge request."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence

from calogan.metrics.metric import Metric
from calogan.validation.criteria import Outcome
from calogan.validation.document import PAGE, Document
from calogan.validation.numbers import number, with_error
from calogan.validation.sections.metrics import significance
from calogan.validation.summary import sentence, tally

__all__ = ["markdown"]

_SIGNS = {Outcome.PASS: "✅ pass", Outcome.FAIL: "❌ fail", Outcome.UNDECIDED: "❔ undecided"}
_SHOWN = 10
_WORDS = {"criterion", "verdict", "note", "metric", "what", "is"}
_CRITERIA = ("criterion", "verdict", "difference", "floor", "effect size", "note")
_METRICS = ("metric", "value", "floor", "above floor", "p-value")


def markdown(document: Document, warnings: Sequence[str]) -> str:
    """Summary of a report: verdict, criteria, the metrics that stand out, provenance.

    Args:
        document: The report.
        warnings: What a reader must know before any number.
    """
    ranked = sorted(document.metrics, key=_rank)
    lines = [
        f"## {_escape(document.title)}: {_SIGNS[document.outcome]}",
        "",
        *(line for warning in warnings for line in (f"> ⚠️ **{_escape(warning)}**", "")),
        _escape(sentence(document.criteria)),
        "",
        f"{document.reference_count} reference showers against {document.generated_count} generated ones.",
        f"Criteria: {tally(document.criteria)}. Page: [{PAGE}]({PAGE})",
        "",
        "### Criteria",
        "",
        *_table(_CRITERIA, (_criterion(document, index) for index in range(len(document.criteria)))),
        "",
        f"### Metrics that stand out most from their floors ({min(_SHOWN, len(ranked))} of {len(ranked)})",
        "",
        *_table(_METRICS, map(_metric, ranked[:_SHOWN])),
        "",
        *_folded("All metrics", _table(_METRICS, map(_metric, document.metrics))),
        *_folded("Provenance", _table(("what", "is"), document.provenance.items())),
    ]
    return "\n".join(lines)


def _criterion(document: Document, index: int) -> tuple[str, ...]:
    row = document.criteria[index]
    return (
        f"{row.group}: {row.criterion}",
        _SIGNS[row.outcome],
        with_error(row.difference, row.error),
        number(row.floor, 2),
        number(row.bound),
        row.note,
    )


def _metric(metric: Metric) -> tuple[str, ...]:
    sigmas = significance(metric)
    return (
        metric.name,
        with_error(metric.value, metric.error),
        with_error(metric.floor, metric.floor_error),
        f"{sigmas:+.1f} σ" if math.isfinite(sigmas) else "–",
        number(metric.p_value, 2),
    )


def _rank(metric: Metric) -> float:
    sigmas = significance(metric)
    return -abs(sigmas) if math.isfinite(sigmas) else 0.0


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
