"""The report as data: what report.json holds, written and read back."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from calogan.errors import StoreError
from calogan.metrics.metric import Metric
from calogan.validation.criteria import Outcome, Verdict, overall

__all__ = [
    "FORMAT",
    "NUMBERS",
    "PAGE",
    "SUMMARY",
    "Document",
    "Measured",
    "digest_of",
    "plain",
    "read_document",
    "schema",
    "short",
]

FORMAT = 3
PAGE, NUMBERS, SUMMARY = "report.html", "report.json", "report.md"
_SCHEMA = "report.schema.json"
_DIGEST = re.compile(r"\b([0-9a-f]{8})[0-9a-f]{56}\b")


class Measured(Protocol):
    """What the report needs to know of a comparison, besides its sections; all other fields go to the JSON as well."""

    @property
    def provenance(self) -> Mapping[str, str]:
        """Where both samples come from, in words."""

    @property
    def reference_count(self) -> int:
        """Reference showers."""

    @property
    def generated_count(self) -> int:
        """Generated showers."""

    @property
    def threshold(self) -> float:
        """Cells below it [GeV] were set to 0 in both samples."""

    @property
    def metrics(self) -> Sequence[Metric]:
        """Every metric of every study, each with a name of its own."""


@dataclass(frozen=True)
class Document:
    """Everything that a report says in numbers.

    Attributes:
        title: Name of the study.
        inputs: What the report was made of: digests of the data and settings, by name.
        provenance: Where both samples come from, in words.
        reference_count: Reference showers compared.
        generated_count: Generated showers compared.
        threshold: Cells below it [GeV] count as 0.
        criteria: One verdict a criterion.
        metrics: Every metric.
        figures: Flat name to number, as for tracking a run.
        pictures: Names of the figures' files, each with its title.
        key_pictures: Those shown right below the verdicts.
        studies: Every number behind tables and figures, a field a study.
        types: PDG id to the same of one particle type: its name, verdict, numbers of showers and studies. None where
            all showers are of one type. Criteria and metrics of a type are among those of the report.
    """

    title: str
    inputs: Mapping[str, str]
    provenance: Mapping[str, str]
    reference_count: int
    generated_count: int
    threshold: float
    criteria: tuple[Verdict, ...]
    metrics: tuple[Metric, ...]
    figures: Mapping[str, float]
    pictures: Mapping[str, str]
    key_pictures: tuple[str, ...] = ()
    studies: Mapping[str, Any] = field(default_factory=dict)
    types: Mapping[str, Any] = field(default_factory=dict)

    @property
    def outcome(self) -> Outcome:
        """The verdict on the whole."""
        return overall(self.criteria)

    def to_json(self) -> str:
        """The text of report.json; numbers that are not finite are null."""
        document = {
            "format": FORMAT,
            "title": self.title,
            "verdict": self.outcome.value,
            "showers": {"reference": self.reference_count, "generated": self.generated_count},
            "threshold": self.threshold,
            "inputs": self.inputs,
            "provenance": self.provenance,
            "criteria": self.criteria,
            "metrics": self.metrics,
            "figures": self.figures,
            "pictures": self.pictures,
            "key_pictures": self.key_pictures,
            "studies": self.studies,
            **({"types": self.types} if self.types else {}),
        }
        return json.dumps(plain(document), indent=1, allow_nan=False) + "\n"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Document:
        """Document from the values of `to_json`; null numbers are NaN again.

        Raises:
            KeyError: Something is missing; likewise ValueError and TypeError for what is of a wrong kind.
        """
        return cls(
            title=str(values["title"]),
            inputs=_texts(values["inputs"]),
            provenance=_texts(values["provenance"]),
            reference_count=int(values["showers"]["reference"]),
            generated_count=int(values["showers"]["generated"]),
            threshold=_number(values["threshold"]),
            criteria=tuple(_verdict(row) for row in values["criteria"]),
            metrics=tuple(_metric(row) for row in values["metrics"]),
            figures={str(name): _number(value) for name, value in values["figures"].items()},
            pictures=_texts(values["pictures"]),
            key_pictures=tuple(str(name) for name in values["key_pictures"]),
            studies=dict(values["studies"]),
            types=dict(values.get("types", {})),
        )


def read_document(path: Path) -> Document:
    """Read a report.

    Args:
        path: The file report.json, or the folder that holds it.

    Raises:
        StoreError: There is none, it is damaged, or it is of another format.
    """
    file = path / NUMBERS if path.is_dir() else path
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
        found = values["format"]
        if found == FORMAT:
            return Document.from_dict(values)
    except OSError as error:
        msg = f"{file}: no report there ({error.strerror}); name the folder or the report.json of `calogan validate`"
        raise StoreError(msg) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        msg = f"{file}: damaged, or not a report of `calogan validate` ({error!r}); make it again"
        raise StoreError(msg) from error
    msg = f"{file}: is of format {found!r}, this calogan reads format {FORMAT}; make the report again"
    raise StoreError(msg)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of report.json."""
    text = resources.files("calogan.validation").joinpath(_SCHEMA).read_text(encoding="utf-8")
    loaded: dict[str, Any] = json.loads(text)
    return loaded


def digest_of(inputs: Mapping[str, str]) -> str:
    """SHA-256 that tells what a page was made of."""
    return hashlib.sha256(json.dumps(dict(inputs), sort_keys=True).encode()).hexdigest()


def short(text: str) -> str:
    """The text with the first 8 letters of each SHA-256 in it, as for people.

    Example:
        >>> short(f"made of {'0123456789abcdef' * 4}")
        'made of 01234567'
    """
    return _DIGEST.sub(r"\1", text)


def plain(value: Any) -> Any:
    """The same as dicts, lists, numbers and strings; a number that is not finite becomes None.

    Fields of dataclasses with the metadata ``{"report": False}`` are left out.
    """
    if is_dataclass(value) and not isinstance(value, type):
        shown = (one.name for one in fields(value) if one.metadata.get("report", True))
        return {name: plain(getattr(value, name)) for name in shown}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {str(key): str(value) for key, value in values.items()}


def _verdict(row: Mapping[str, Any]) -> Verdict:
    return Verdict(**_typed(row, ("group", "criterion", "outcome", "note")) | {"outcome": Outcome(row["outcome"])})


def _metric(row: Mapping[str, Any]) -> Metric:
    chance = row["p_value"]
    p_value = None if chance is None else _number(chance)
    return Metric(**_typed(row, ("name", "source", "floor_note")) | {"p_value": p_value})


def _typed(row: Mapping[str, Any], texts: Sequence[str]) -> dict[str, Any]:
    """The values of a row, of which those named are texts and all others numbers."""
    return {key: str(value) if key in texts else _number(value) for key, value in row.items()}


def _number(value: Any) -> float:
    if value is None:
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        msg = f"{value!r} where a number belongs"
        raise TypeError(msg)
    return value if isinstance(value, int) else float(value)
