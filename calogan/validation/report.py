"""The report as files: one self-contained page, and every number as JSON."""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from calogan.errors import CaloganError
from calogan.progress import Reporter
from calogan.validation.comparison import Comparison
from calogan.validation.criteria import Outcome, Verdict, overall
from calogan.validation.definitions import DEFINITIONS
from calogan.validation.figures import Picture, draw
from calogan.validation.numbers import number, with_error
from calogan.validation.summary import Verdicts, summarise

__all__ = ["FORMAT", "read_report", "render", "write_report"]

FORMAT = 2


def write_report(
    comparison: Comparison,
    verdicts: Sequence[Verdict],
    folder: Path,
    *,
    title: str,
    inputs: Mapping[str, str],
    reporter: Reporter,
) -> Verdicts:
    """Write ``report.html``, ``report.json`` and ``figures/``.

    Every file is written beside its place first and moved there in the end, one by one: figures, the page (which needs
    no other file), and last ``report.json``, which names the inputs and without which `read_report` finds no report.
    Figures that only an older report in this folder had are removed after that.

    Args:
        comparison: Numbers.
        verdicts: What they mean.
        folder: Where the report goes; made if missing.
        title: Name of the study.
        inputs: What the report was made of; `read_report` wants the same.
        reporter: Told about the drawing.

    Returns:
        The verdicts with the path of the page.

    Raises:
        CaloganError: The folder cannot be written.
    """
    figures = summarise(comparison)
    pictures = draw(comparison, reporter)
    document = {
        "format": FORMAT,
        "title": title,
        "inputs": dict(inputs),
        "pictures": [picture.name for picture in pictures],
        "verdict": overall(verdicts).value,
        "verdicts": verdicts,
        "figures": figures,
        "comparison": comparison,
    }
    files = {f"figures/{picture.name}.png": picture.png for picture in pictures}
    files["report.html"] = render(comparison, verdicts, pictures, title, _digest(inputs)).encode()
    files["report.json"] = json.dumps(_plain(document), indent=1, allow_nan=False).encode()
    stale = _picture_files(folder) - set(files)
    _write_together(folder, files)
    for name in stale:
        (folder / name).unlink(missing_ok=True)
    return Verdicts(tuple(verdicts), figures, comparison.reference_count, folder / "report.html")


def read_report(folder: Path, inputs: Mapping[str, str]) -> Verdicts | None:
    """What a report says that is already there for the same inputs; None if there is none.

    Args:
        folder: Folder of the report.
        inputs: What the report should have been made of.
    """
    page = folder / "report.html"
    try:
        document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        if document["format"] != FORMAT or document["inputs"] != dict(inputs):
            return None
        if _digest(inputs) not in page.read_text(encoding="utf-8"):
            return None
        rows = tuple(_verdict(row) for row in document["verdicts"])
        figures = {str(name): float(value) for name, value in document["figures"].items()}
        return Verdicts(rows, figures, int(document["comparison"]["reference_count"]), page)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        # an unreadable report is no report: it is made again
        return None


def render(
    comparison: Comparison, verdicts: Sequence[Verdict], pictures: Sequence[Picture], title: str, digest: str
) -> str:
    """The page as a string; every text is escaped, nothing is loaded from elsewhere, `digest` names the inputs."""
    environment = Environment(
        loader=PackageLoader("calogan.validation"), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(number=number, with_error=with_error, base64=_base64)
    groups: dict[str, list[Verdict]] = {}
    for verdict in verdicts:
        groups.setdefault(verdict.group, []).append(verdict)
    counts = Counter(verdict.outcome.value for verdict in verdicts)
    return environment.get_template("report.html.j2").render(
        title=title,
        digest=digest,
        comparison=comparison,
        verdicts=verdicts,
        groups=groups,
        overall=overall(verdicts),
        tally={outcome.value: counts[outcome.value] for outcome in Outcome},
        undefined=[one for one in comparison.distributions if one.reference_undefined or one.generated_undefined],
        pictures=pictures,
        definitions=DEFINITIONS,
    )


def _picture_files(folder: Path) -> set[str]:
    """Figures of the report that is in a folder; none if there is none, or it cannot be read."""
    try:
        document = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        return {f"figures/{Path(name).name}.png" for name in document["pictures"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _verdict(row: Mapping[str, Any]) -> Verdict:
    values: dict[str, Any] = {key: math.nan if value is None else value for key, value in row.items()}
    values["outcome"] = Outcome(row["outcome"])
    return Verdict(**values)


def _digest(inputs: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(dict(inputs), sort_keys=True).encode()).hexdigest()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _plain(value: Any) -> Any:
    """The same as dicts, lists, numbers and strings; a number that is not finite becomes None."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _write_together(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write all files under temporary names, then move all of them to their places, in the order given."""
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
