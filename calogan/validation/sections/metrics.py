"""Every metric with its error, its floor and its source."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calogan.metrics.metric import Metric
from calogan.validation.numbers import probability, sigmas, with_error
from calogan.validation.page import Section, Table

__all__ = ["metric_row", "metrics_section", "significance"]

_HEADER = ("metric", "value", "floor", "from floor", "p-value", "showers", "note")
_NOTES = ("note", "floor from", "source of the definition")
_TEXT = (
    "All metrics of this report in one place. Each value has its standard error; the floor is what two samples of one "
    "distribution give. The fourth column is the distance of the value from its floor in standard errors, the last the "
    "line of the table of notes that says where floor and definition come from."
)


def metrics_section(metrics: Sequence[Metric]) -> Section:
    """All metrics in one table, and what they rest on in another."""
    notes = {key: str(index) for index, key in enumerate(dict.fromkeys(map(_note, metrics)), 1)}
    rows = tuple(_row(metric, notes[_note(metric)]) for metric in metrics)
    told = tuple((index, *(text or "–" for text in key)) for key, index in notes.items())
    tables = (
        Table(_HEADER, rows, "All metrics", folded=True),
        Table(_NOTES, told, "Notes on the metrics", left=(0, 1, 2), folded=True),
    )
    return Section("metrics", "All metrics", (_TEXT,), tables)


def significance(metric: Metric) -> float:
    """Distance of a value from its floor in standard errors; NaN where there is no error or floor."""
    error = metric.excess_error
    return metric.excess / error if math.isfinite(error) and error > 0 else math.nan


def _note(metric: Metric) -> tuple[str, str]:
    return metric.floor_note, metric.source


def metric_row(metric: Metric) -> tuple[str, str, str, str, str]:
    """Name, value and floor with their errors, distance from the floor and p-value."""
    return (
        metric.name,
        with_error(metric.value, metric.error),
        with_error(metric.floor, metric.floor_error),
        sigmas(metric.excess, metric.excess_error),
        probability(metric.p_value),
    )


def _row(metric: Metric, note: str) -> tuple[str, ...]:
    return *metric_row(metric), f"{metric.n_reference} / {metric.n_generated}", note
