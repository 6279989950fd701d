"""The report as files: one self-contained page, every number as JSON, and a summary in Markdown."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from calogan.errors import CaloganError, StoreError
from calogan.progress import Reporter
from calogan.validation.criteria import Outcome, Verdict, overall
from calogan.validation.document import (
    NUMBERS,
    PAGE,
    SUMMARY,
    Document,
    Measured,
    digest_of,
    read_document,
)
from calogan.validation.figures import Picture, draw
from calogan.validation.markdown import markdown
from calogan.validation.numbers import number
from calogan.validation.page import Section
from calogan.validation.render import Headline, render
from calogan.validation.sections.metrics import metrics_section
from calogan.validation.sections.provenance import definitions_section, provenance_section
from calogan.validation.sections.verdicts import verdicts_section
from calogan.validation.summary import Verdicts, by_type, figures_of, obstacles, sentence, tally

__all__ = ["read_report", "write_report", "write_together"]


def write_report(
    comparison: Measured,
    verdicts: Sequence[Verdict],
    sections: Sequence[Section],
    folder: Path,
    *,
    title: str,
    inputs: Mapping[str, str],
    reporter: Reporter,
) -> Verdicts:
    """Write ``report.html``, ``report.md``, ``report.json`` and ``figures/``.

    Every file is written beside its place first and moved there in the end, one by one: figures, the page (which needs
    no other file), the summary, and last ``report.json``, which names the inputs and without which `read_report` finds
    no report. Figures that only an older report in this folder had are removed after that.

    Args:
        comparison: Numbers, a dataclass; each field that is not named in `Measured` is a study and goes to the JSON.
        verdicts: What they mean.
        sections: Parts of the page between the verdicts and the table of all metrics. Provenance and definitions
            follow by themselves.
        folder: Where the report goes; made if missing.
        title: Name of the study.
        inputs: What the report was made of; `read_report` wants the same.
        reporter: Told about the drawing.

    Returns:
        The verdicts with the path of the page.

    Raises:
        CaloganError: The folder cannot be written.
    """
    pictures = draw(sections, reporter)
    document = _document(comparison, verdicts, pictures, title, inputs)
    every = (
        verdicts_section(verdicts),
        *sections,
        metrics_section(document.metrics),
        provenance_section(document.provenance),
        definitions_section(),
    )
    files = {f"figures/{picture.name}.png": picture.png for picture in pictures}
    files[PAGE] = render(_headline(document), every, pictures, digest_of(inputs)).encode()
    files[SUMMARY] = markdown(document, [section.warning for section in sections if section.warning]).encode()
    files[NUMBERS] = document.to_json().encode()
    stale = _picture_files(folder) - set(files)
    write_together(folder, files)
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return Verdicts(document.criteria, document.figures, document.reference_count, folder / PAGE)


def read_report(folder: Path, inputs: Mapping[str, str]) -> Verdicts | None:
    """What a report says that is already there for the same inputs; None if there is none.

    Args:
        folder: Folder of the report.
        inputs: What the report should have been made of.
    """
    page = folder / PAGE
    try:
        document = read_document(folder / NUMBERS)
        if document.inputs != dict(inputs) or digest_of(inputs) not in page.read_text(encoding="utf-8"):
            return None
    except (StoreError, OSError, UnicodeDecodeError):
        # an unreadable report is no report: it is made again
        return None
    return Verdicts(document.criteria, document.figures, document.reference_count, page)


def write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files under temporary names, then move all of them to their places, in the order given.

    Args:
        folder: Where they go; made if missing.
        files: Path inside the folder, and content.

    Raises:
        CaloganError: The folder cannot be written.
    """
    try:
        staged = []
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_name(f".{path.name}.partial")
            with temporary.open("wb") as stream:
                stream.write(content)
                stream.flush()
                os.fsync(stream.fileno())
            staged.append((temporary, path))
        for temporary, path in staged:
            temporary.replace(path)
    except OSError as error:
        msg = f"{folder}: cannot write the report: {error.strerror or error}"
        raise CaloganError(msg) from error


def _document(
    comparison: Measured,
    verdicts: Sequence[Verdict],
    pictures: Sequence[Picture],
    title: str,
    inputs: Mapping[str, str],
) -> Document:
    metrics = tuple(comparison.metrics)
    return Document(
        title=title,
        inputs=dict(inputs),
        provenance=dict(comparison.provenance),
        reference_count=comparison.reference_count,
        generated_count=comparison.generated_count,
        threshold=comparison.threshold,
        criteria=tuple(verdicts),
        metrics=metrics,
        figures=figures_of(metrics),
        pictures={picture.name: picture.title for picture in pictures},
        key_pictures=tuple(picture.name for picture in pictures if picture.key),
        studies=_studies(comparison),
        types=_types(comparison, verdicts),
    )


def _studies(comparison: Any) -> dict[str, Any]:
    known = {"provenance", "reference_count", "generated_count", "threshold", "metrics", "types", "pdg", "name"}
    return {one.name: getattr(comparison, one.name) for one in fields(comparison) if one.name not in known}


def _types(comparison: Any, verdicts: Sequence[Verdict]) -> dict[str, Any]:
    rows = by_type(verdicts)
    return {
        str(one.pdg): {
            "name": one.name,
            "verdict": overall(rows[one.name]).value,
            "showers": {"reference": one.reference_count, "generated": one.generated_count},
            "studies": _studies(one),
        }
        for one in getattr(comparison, "types", ())
    }


def _headline(document: Document) -> Headline:
    named = ((one, obstacles(document.criteria, one)) for one in (Outcome.FAIL, Outcome.UNDECIDED))
    return Headline(
        "calogan validation report",
        document.title,
        sentence(document.criteria),
        (
            f"{tally(document.criteria)}, of {len(document.criteria)} criteria",
            f"{document.reference_count} reference and {document.generated_count} generated showers",
            f"cells below {number(document.threshold)} GeV count as 0 in both",
        ),
        document.outcome,
        obstacles=tuple((outcome, names) for outcome, names in named if names),
    )


def _picture_files(folder: Path) -> set[str]:
    """Figures of the report that is in a folder, whatever its format; none if there is none, or it is damaged."""
    try:
        values = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        return {f"figures/{Path(name).name}.png" for name in values["pictures"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()
