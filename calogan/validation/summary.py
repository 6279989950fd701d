"""What a report comes to: its verdicts, and the figures worth keeping beside a model."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calogan.metrics.metric import Metric
from calogan.validation.criteria import Outcome, Verdict, overall
from calogan.validation.numbers import number, with_error
from calogan.validation.type_names import of_type, split_type

__all__ = ["Verdicts", "by_type", "criterion_name", "figures_of", "obstacles", "sentence", "tally"]

_MOST_OF_A_GROUP = 5
_MOST_NAMED = 6
_SIGNS = str.maketrans({"+": " plus", "-": " minus", "~": " anti"})


@dataclass(frozen=True)
class Verdicts:
    """Verdicts of a report that has been written.

    Attributes:
        rows: One verdict a criterion.
        figures: Name to number: metrics and their floors, as for tracking a run.
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

    def tags(self, split: str) -> dict[str, object]:
        """Tags for the record of a run: the verdict and how many criteria say what.

        Example:
            >>> Verdicts((), {}, 0, Path("report.html")).tags("test")
            {'calogan.verdict': 'pass', 'calogan.verdict.tally': '0 pass, 0 fail, 0 undecided'}
        """
        name = "calogan.verdict" if split == "test" else f"calogan.verdict.{split}"
        return {name: overall(self.rows).value, f"{name}.tally": tally(self.rows)}

    @property
    def sentence(self) -> str:
        """What the verdict on the whole means."""
        return sentence(self.rows)

    @property
    def outcomes(self) -> dict[str, Outcome]:
        """Verdict on each particle type by its name; none where all showers are of one."""
        return {kind: overall(rows) for kind, rows in by_type(self.rows).items()}

    def types(self) -> tuple[str, ...]:
        """The same with the tally, a text a type."""
        return tuple(f"{kind}: {overall(rows).value} ({tally(rows)})" for kind, rows in by_type(self.rows).items())

    def left_out(self) -> tuple[str, ...]:
        """What the table leaves out, a text a group.

        Example:
            >>> Verdicts((), {}, 0, Path("report.html")).left_out()
            ()
        """
        shown = Counter(row.group for row in _shortened(self.rows))
        every = Counter(row.group for row in self.rows)
        rest = {group: count - shown[group] for group, count in every.items()}
        return tuple(f"... and {more} more of {group} that pass" for group, more in rest.items() if more)

    def table(self) -> list[tuple[str, ...]]:
        """Header and rows of text; of a group of many criteria, the worst and those that do not pass."""
        header = ("criterion", "reference", "generated", "difference", "floor", "effect size", "verdict")
        return [header, *(_text(row) for row in _shortened(self.rows))]


def figures_of(metrics: Iterable[Metric]) -> dict[str, float]:
    """Value and floor of each metric by a name of small letters, digits and underscores; those not finite left out.

    Example:
        >>> figures_of([Metric(name, 0.1, 0.01, float("nan"), 0.0, 9, 9, "") for name in ("KS |p|", "e- · KS |p|")])
        {'ks_p': 0.1, 'e_minus_ks_p': 0.1}
    """
    figures = {}
    for metric in metrics:
        kind, name = split_type(metric.name)
        full = f"{kind.translate(_SIGNS)} {name}".lower()  # e- and e+ are two types
        name = re.sub(r"[\W_]+", "_", full, flags=re.ASCII).strip("_")
        figures[name], figures[f"{name}_floor"] = metric.value, metric.floor
    return {name: float(value) for name, value in figures.items() if math.isfinite(value)}


def tally(rows: Sequence[Verdict]) -> str:
    """How many criteria say what."""
    counts = Counter(row.outcome for row in rows)
    return ", ".join(f"{counts[outcome]} {outcome.value}" for outcome in Outcome)


def by_type(rows: Sequence[Verdict]) -> dict[str, tuple[Verdict, ...]]:
    """The verdicts on each particle type by its name; none where all showers are of one."""
    found: dict[str, list[Verdict]] = {}
    for row in rows:
        kind, _ = split_type(row.group)
        if kind:
            found.setdefault(kind, []).append(row)
    return {kind: tuple(some) for kind, some in found.items()}


def sentence(rows: Sequence[Verdict]) -> str:
    """Say in one sentence what the verdict on the whole means."""
    counts, every = Counter(row.outcome for row in rows), len(rows)
    failed, open_ = counts[Outcome.FAIL], counts[Outcome.UNDECIDED]
    if failed:
        also = f"; {open_} more cannot be decided with so few showers" if open_ else ""
        verb = "fails" if failed == 1 else "fail"
        return f"The samples differ by more than the study allows: {failed} of {every} criteria {verb}{also}."
    if open_:
        return (
            f"No criterion fails, but {open_} of {every} criteria cannot be decided with so few showers; "
            "the notes say how many would do."
        )
    return (
        f"All {every} criteria pass: whatever difference there is beyond chance, each is smaller than the study allows."
    )


def obstacles(rows: Sequence[Verdict], outcome: Outcome) -> str:
    """Names of the criteria of one outcome, the first few of them; empty if there are none."""
    names = [criterion_name(row.group, row.criterion) for row in rows if row.outcome is outcome]
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return "; ".join(names[:_MOST_NAMED]) + more


def _shortened(rows: Sequence[Verdict]) -> list[Verdict]:
    sizes = Counter(row.group for row in rows)
    long = {group for group, size in sizes.items() if size > _MOST_OF_A_GROUP}
    worst = {group: max((row for row in rows if row.group == group), key=_excess) for group in long}
    return [row for row in rows if row.group not in long or row is worst[row.group] or row.outcome is not Outcome.PASS]


def _excess(row: Verdict) -> float:
    excess = row.difference - row.floor
    return excess if math.isfinite(excess) else -math.inf


def criterion_name(group: str, criterion: str) -> str:
    """Criterion with the first words of its group, unless it begins with them.

    Example:
        >>> criterion_name("response: relative difference", "response, all momenta")
        'response, all momenta'
        >>> criterion_name("gamma · separation power", "width_x")
        'gamma · separation power: width_x'
    """
    kind, group = split_type(group)
    first = group.partition(":")[0]
    name = criterion if criterion.startswith(f"{first},") else f"{first}: {criterion}"
    return of_type(kind, name) if kind else name


def _text(row: Verdict) -> tuple[str, ...]:
    return (
        criterion_name(row.group, row.criterion),
        number(row.reference),
        number(row.generated),
        with_error(row.difference, row.error),
        number(row.floor, 2),
        number(row.bound),
        f"{row.outcome.value}, {row.note}" if row.note else row.outcome.value,
    )
