"""What a report comes to: its verdicts, and the few figures worth keeping beside a model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calogan.validation.comparison import Comparison
from calogan.validation.criteria import SEPARATION, Outcome, Verdict, overall
from calogan.validation.numbers import number, with_error

__all__ = ["Verdicts", "summarise"]


@dataclass(frozen=True)
class Verdicts:
    """Verdicts of a report that has been written.

    Attributes:
        rows: One verdict a criterion.
        figures: Name to number: the differences and metrics, as for tracking a run.
        showers: Reference showers compared.
        report: Path of the page.
    """

    rows: tuple[Verdict, ...]
    figures: Mapping[str, float]
    showers: int
    report: Path

    @property
    def passed(self) -> bool:
        """Every criterion passes; an undecided one does not."""
        return overall(self.rows) is Outcome.PASS

    def table(self) -> list[tuple[str, ...]]:
        """Header and rows of text; of the separation powers the worst one and those that do not pass."""
        header = ("criterion", "reference", "generated", "difference", "floor", "bound", "verdict")
        return [header, *(_text(row) for row in _shortened(self.rows))]


def summarise(comparison: Comparison) -> dict[str, float]:
    """Figures of a comparison by name; those that could not be measured are left out."""
    figures = {
        "occupancy_difference": comparison.occupancy.difference.value,
        "separation_mean": sum(one.separation.value for one in comparison.distributions)
        / len(comparison.distributions),
    }
    for one in comparison.momentum_bins:
        place = f"{one.low:g}_to_{one.high:g}_gev"
        figures[f"response_difference_{place}"] = one.response.difference.value
        figures[f"resolution_difference_{place}"] = one.resolution.difference.value
    for distribution in comparison.distributions:
        figures[f"separation_{distribution.name}"] = distribution.separation.value
    for name, metric in (
        ("auc_low", comparison.classifier_low),
        ("auc_high", comparison.classifier_high),
        ("fpd", comparison.fpd),
    ):
        figures[name], figures[f"{name}_floor"] = metric.value, metric.floor
    return {name: value for name, value in figures.items() if math.isfinite(value)}


def _shortened(rows: Sequence[Verdict]) -> list[Verdict]:
    separations = [row for row in rows if row.group == SEPARATION]
    worst = max(separations, key=lambda row: row.difference - row.floor, default=None)
    return [row for row in rows if row.group != SEPARATION or row is worst or row.outcome is not Outcome.PASS]


def _text(row: Verdict) -> tuple[str, ...]:
    name = f"{row.criterion} (separation power)" if row.group == SEPARATION else row.criterion
    verdict = f"{row.outcome.value}, {row.note}" if row.note else row.outcome.value
    difference = with_error(row.difference, row.error)
    return (
        name,
        number(row.reference),
        number(row.generated),
        difference,
        number(row.floor, 2),
        number(row.bound),
        verdict,
    )
