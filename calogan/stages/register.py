"""A bundle whose report on test showers passes -> the champion of MLflow's model registry."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from calogan.bundle import DESCRIPTION, Bundle
from calogan.config import Config
from calogan.data.store import Store
from calogan.errors import StoreError
from calogan.progress import Reporter
from calogan.registry import Registration, open_record, register_bundle
from calogan.stages.run import run_folder
from calogan.stages.validate import report_inputs
from calogan.validation.criteria import Outcome, Verdict
from calogan.validation.document import NUMBERS, Document, read_document, short
from calogan.validation.summary import tally

__all__ = ["FIGURE", "KEY_FIGURES", "Decision", "register_run"]

FIGURE = "calogan.figure."  # tag of a version: a figure of its report, by the name that follows
KEY_FIGURES = ("low_level_auc", "high_level_auc", "fpd", "kpd")


@dataclass(frozen=True)
class Decision:
    """Whether a bundle was registered.

    Attributes:
        registration: Where it is; None if it was not registered.
        in_the_way: Criteria that do not pass.
    """

    registration: Registration | None
    in_the_way: tuple[Verdict, ...] = ()


def register_run(config: Config, reporter: Reporter, name: str | None = None) -> Decision:
    """Register the bundle of a run folder as champion if its report on the test showers passes; else do nothing.

    The version is an MLflow model that holds the bundle and the report; verdict and key figures are among its tags.
    The same bundle with the same report stays the version that it is; new weights or a new report make a new one.

    Args:
        config: Study whose run folder holds bundle and report.
        reporter: Told about what is registered.
        name: Registered model; ``calogan-<name of the study>`` if left out.

    Raises:
        StoreError: There is no report on the test showers, or it is one of another bundle, other data or settings.
        CaloganError: There is no bundle, or MLflow cannot be used.
    """
    with run_folder(config, reporter):
        bundle = Bundle.load(config.run_dir / "bundle")
        document = _fresh_report(config, bundle)
        in_the_way = tuple(row for row in document.criteria if row.outcome is not Outcome.PASS)
        if in_the_way:
            return Decision(None, in_the_way)
        record = open_record(config)
        reporter.message(f"registering bundle {bundle.info.id} of {config.run_dir}")

        def save(folder: Path) -> None:
            from calogan.serving import save_model

            save_model(bundle, folder, _report_folder(config))

        tags = _tags(config, bundle, document)
        contents = _contents(config, bundle)
        return Decision(register_bundle(record, save, bundle.info.id, contents, name or f"calogan-{config.name}", tags))


def _tags(config: Config, bundle: Bundle, document: Document) -> dict[str, str]:
    """What to remember of a version, besides the id of its bundle."""
    return {
        "calogan.study": config.name,
        "calogan.verdict": document.outcome.value,
        "calogan.verdict.tally": tally(document.criteria),
        "calogan.data_digest": document.inputs["data"],
        "calogan.version": bundle.info.calogan_version,
        **{f"{FIGURE}{name}": f"{document.figures[name]:.6g}" for name in KEY_FIGURES if name in document.figures},
    }


def _contents(config: Config, bundle: Bundle) -> str:
    """SHA-256 of the bundle's description, which has the hashes of its files, and of the report's numbers."""
    digest = hashlib.sha256()
    for path in (bundle.path / DESCRIPTION, _report_folder(config) / NUMBERS):
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _report_folder(config: Config) -> Path:
    return config.run_dir / "validation" / "test"


def _fresh_report(config: Config, bundle: Bundle) -> Document:
    """The report on the test showers, which must be one of this very bundle and of these data and settings."""
    folder = _report_folder(config)
    document = read_document(folder)
    store = Store.open(config.run_dir / "prepared")
    wanted = report_inputs(config, "test", store, bundle)
    for key, value in wanted.items():
        found = document.inputs.get(key)
        if found != value:
            msg = f"{folder}: {_out_of_date(key, found, value)}"
            raise StoreError(msg)
    if not document.criteria:
        msg = f"{folder}: the report has no criteria; run `calogan validate` on the test showers first"
        raise StoreError(msg)
    return document


def _out_of_date(key: str, found: str | None, wanted: str) -> str:
    """Say what a report was not made of, and what to do."""
    if key == "settings":
        return (
            "the report was made with other settings (validation, threshold); give register the same --set, --full, "
            "--protocol and --weights as validate, or run `calogan validate CONFIG` without them first"
        )
    return (
        f"the report is out of date: its {key} is {short(found or 'not known')}, that of the study {short(wanted)}; "
        "run `calogan validate CONFIG` first"
    )
