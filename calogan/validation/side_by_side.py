"""Two reports side by side: which of two surrogates is nearer to the full simulation, and by how much."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from calogan.errors import StoreError
from calogan.metrics.metric import Metric
from calogan.validation.criteria import Verdict
from calogan.validation.document import Document, digest_of, plain, short
from calogan.validation.figures import Picture
from calogan.validation.numbers import number, with_error
from calogan.validation.page import Section, Table
from calogan.validation.render import Headline, render
from calogan.validation.report import write_together
from calogan.validation.summary import criterion_name, tally

__all__ = ["Row", "SideBySide", "put_side_by_side", "write_side_by_side"]

_FORMAT = 1
_TOLD_APART = 2.0  # standard errors
# Beginnings of names of inputs that two reports should not share.
_OF_THE_MODEL = ("bundle", "generated", "trained", "digest of the generated")
_PICTURE = re.compile(r"[A-Za-z0-9_]+")  # as drawings are named: no way to another folder


@dataclass(frozen=True)
class Row:
    """A criterion or metric of two reports.

    Attributes:
        group: Heading of a criterion; empty for a metric.
        name: What is measured.
        first: Value in the first report.
        first_error: Its standard error.
        first_excess: How far it is from its floor, without sign.
        second: Value in the second report.
        second_error: Its standard error.
        second_excess: How far it is from its floor, without sign.
        sigmas: Second less first excess over its standard error; NaN where it cannot be had.
        outcomes: Verdicts of both; empty for a metric.
    """

    group: str
    name: str
    first: float
    first_error: float
    first_excess: float
    second: float
    second_error: float
    second_excess: float
    sigmas: float
    outcomes: tuple[str, str] = ("", "")

    @property
    def better(self) -> str:
        """The report nearer to its floor, ``A`` or ``B``; empty where they cannot be told apart."""
        if not abs(self.sigmas) >= _TOLD_APART:
            return ""
        return "A" if self.sigmas > 0 else "B"


@dataclass(frozen=True)
class SideBySide:
    """Two reports compared.

    Attributes:
        titles: Their titles.
        tallies: How many criteria of each say what.
        warnings: Why their numbers may not be comparable.
        criteria: Criteria that both have.
        metrics: Metrics that both have.
        missing: Criteria and metrics that only one of them has.
    """

    titles: tuple[str, str]
    tallies: tuple[str, str]
    warnings: tuple[str, ...]
    criteria: tuple[Row, ...]
    metrics: tuple[Row, ...]
    missing: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """The outcome in a sentence."""
        return f"{_share(self.metrics, 'metrics')} {_share(self.criteria, 'criteria')}"

    def criteria_table(self) -> Table:
        """Criteria of both as texts."""
        header = ("criterion", "A", "B", "difference A", "difference B", "B − A", "better")
        rows = tuple(
            (criterion_name(row.group, row.name), *row.outcomes, *_values(row), _sigmas(row), row.better)
            for row in self.criteria
        )
        return Table(header, rows, "Criteria of both reports", left=(0, 1, 2, 6))

    def metrics_table(self, *, told_apart: bool = False) -> Table:
        """Metrics of both as texts; with `told_apart` only those that differ by more than two standard errors."""
        header = ("metric", "A", "B", "from floor, A", "from floor, B", "B − A", "better")
        rows = tuple(
            (
                row.name,
                *_values(row),
                *_excesses(row),
                _sigmas(row),
                row.better,
            )
            for row in self.metrics
            if row.better or not told_apart
        )
        caption = "Metrics that tell both reports apart" if told_apart else "Metrics of both reports"
        return Table(header, rows, caption, left=(0, 6))


def put_side_by_side(first: Document, second: Document) -> SideBySide:
    """Compare two reports, criterion by criterion and metric by metric.

    The nearer a value to its floor, the better. The errors of both count as independent; for reports on the same
    reference showers they are not quite, and true differences are then a little more certain than printed.

    Args:
        first: Report A.
        second: Report B.
    """
    criteria = [{(row.group, row.criterion): row for row in one.criteria} for one in (first, second)]
    metrics = [{metric.name: metric for metric in one.metrics} for one in (first, second)]
    lonely = [criterion_name(group, name) for group, name in sorted(criteria[0].keys() ^ criteria[1].keys())]
    return SideBySide(
        titles=(first.title, second.title),
        tallies=(tally(first.criteria), tally(second.criteria)),
        warnings=tuple(_warnings(first, second)),
        criteria=tuple(_criterion(row, criteria[1][key]) for key, row in criteria[0].items() if key in criteria[1]),
        metrics=tuple(_metric(one, metrics[1][name]) for name, one in metrics[0].items() if name in metrics[1]),
        missing=(*lonely, *sorted(metrics[0].keys() ^ metrics[1].keys())),
    )


def write_side_by_side(
    compared: SideBySide, first: Document, second: Document, pictures: Sequence[Path], folder: Path
) -> Path:
    """Write ``compare.html``, with the key figures of both, and ``compare.json``.

    Args:
        compared: What both reports come to.
        first: Report A.
        second: Report B.
        pictures: Folders of the figures of A and of B.
        folder: Where the files go; made if missing.

    Returns:
        Path of the page.

    Raises:
        CaloganError: The folder cannot be written, or a report names a figure that is none of a report's.
    """
    page = render(
        Headline(
            "calogan: two validation reports side by side",
            f"A: {first.title} · B: {second.title}",
            compared.sentence,
            (f"Criteria of A: {compared.tallies[0]}", f"Criteria of B: {compared.tallies[1]}"),
            numbers="compare.json",
            in_pairs=True,
        ),
        _sections(compared, first, second),
        tuple(_pictures((first, second), pictures)),
        digest_of({**first.inputs, **{f"{name} of B": value for name, value in second.inputs.items()}}),
    )
    numbers = {"format": _FORMAT, "sentence": compared.sentence, **plain(compared)}
    text = json.dumps(numbers, indent=1, allow_nan=False) + "\n"
    write_together(folder, {"compare.html": page.encode(), "compare.json": text.encode()})
    return folder / "compare.html"


def _sections(compared: SideBySide, first: Document, second: Document) -> tuple[Section, ...]:
    keys = {**first.provenance, **second.provenance}
    provenance = tuple((key, first.provenance.get(key, "–"), second.provenance.get(key, "–")) for key in keys)
    meaning = (
        "The last columns compare the distances of A and of B from their floors, in standard errors; below two they "
        "cannot be told apart. Better is what is nearer to its floor."
    )
    missing = (f"Only one of the reports has: {', '.join(compared.missing)}.",) if compared.missing else ()
    warning = "These reports were not made in the same way. " + " ".join(f"{text}." for text in compared.warnings)
    return (
        Section("criteria", "Criteria", (meaning,), (compared.criteria_table(),)),
        Section("metrics", "Metrics", missing, (compared.metrics_table(),)),
        Section(
            "provenance",
            "Provenance",
            (),
            (Table(("what", "A", "B"), provenance, "What both reports were made of", left=(0, 1, 2)),),
            warning=warning if compared.warnings else "",
        ),
    )


def _pictures(documents: Sequence[Document], folders: Sequence[Path]) -> Iterator[Picture]:
    """Key figures that both reports have, A beside B; a file that is not there is left out with its partner."""
    for name in documents[0].key_pictures:
        if not _PICTURE.fullmatch(name):
            msg = f"{documents[0].title}: {name!r} is no name of a figure of a report; make the report again"
            raise StoreError(msg)
        files = [folder / f"{name}.png" for folder in folders]
        if any(name not in one.pictures for one in documents) or not all(file.is_file() for file in files):
            continue
        for letter, document, file in zip("AB", documents, files, strict=True):
            title, caption = f"{letter}: {document.pictures[name]}", f"{letter}: {document.title}"
            yield Picture(f"{letter}_{name}", "figures", title, file.read_bytes(), caption, key=True)


def _warnings(first: Document, second: Document) -> Iterator[str]:
    for name in dict.fromkeys((*first.inputs, *second.inputs)):
        one, other = (document.inputs.get(name, "not known") for document in (first, second))
        if name == "settings" and one != other:
            yield "A and B were made with other settings (validation, threshold)"
        elif not name.startswith(_OF_THE_MODEL):
            yield from _differ(name, one, other)
    yield from _differ("threshold [GeV]", number(first.threshold), number(second.threshold))
    yield from _differ("number of reference showers", str(first.reference_count), str(second.reference_count))
    yield from _differ("number of generated showers", str(first.generated_count), str(second.generated_count))


def _differ(name: str, first: str, second: str) -> Iterator[str]:
    if first != second:
        yield f"{name}: A has {short(first)}, B has {short(second)}"


def _criterion(first: Verdict, second: Verdict) -> Row:
    return _row(
        first.group,
        first.criterion,
        (first.difference, first.error, first.floor, first.error),
        (second.difference, second.error, second.floor, second.error),
        (first.outcome.value, second.outcome.value),
    )


def _metric(first: Metric, second: Metric) -> Row:
    values = [(one.value, one.error, one.floor, one.excess_error) for one in (first, second)]
    return _row("", first.name, values[0], values[1], ("", ""))


def _row(
    group: str,
    name: str,
    first: tuple[float, float, float, float],
    second: tuple[float, float, float, float],
    outcomes: tuple[str, str],
) -> Row:
    excess = [abs(value - floor) for value, _, floor, _ in (first, second)]
    error = math.hypot(first[3], second[3])
    sigmas = (excess[1] - excess[0]) / error if error > 0 else math.nan
    return Row(group, name, *first[:2], excess[0], *second[:2], excess[1], sigmas, outcomes)


def _values(row: Row) -> tuple[str, str]:
    return with_error(row.first, row.first_error), with_error(row.second, row.second_error)


def _share(rows: Sequence[Row], what: str) -> str:
    wins = {name: sum(row.better == name for row in rows) for name in ("A", "B", "")}
    return (
        f"Of {len(rows)} {what}, A is nearer to the full simulation in {wins['A']} and B in {wins['B']}; "
        f"in {wins['']} they cannot be told apart."
    )


def _excesses(row: Row) -> tuple[str, str]:
    return number(row.first_excess, 2), number(row.second_excess, 2)


def _sigmas(row: Row) -> str:
    return f"{row.sigmas:+.1f} σ" if math.isfinite(row.sigmas) else "–"
