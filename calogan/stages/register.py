"""A bundle whose report on test showers passes -> the champion of MLflow's model registry."""

from __future__ import annotations

from dataclasses import dataclass

from calogan.bundle import Bundle
from calogan.config import Config
from calogan.data.store import Store
from calogan.errors import StoreError
from calogan.progress import Reporter
from calogan.registry import Registration, open_record, register_bundle
from calogan.stages.run import run_folder
from calogan.stages.validate import report_inputs
from calogan.validation.criteria import Outcome, Verdict
from calogan.validation.document import Document, read_document, short

__all__ = ["Decision", "register_run"]


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
        tags = {
            "calogan.verdict": document.outcome.value,
            "calogan.data_digest": document.inputs["data"],
            "calogan.version": bundle.info.calogan_version,
        }
        chosen = name or f"calogan-{config.name}"
        return Decision(register_bundle(record, bundle.path, bundle.info.id, chosen, tags))


def _fresh_report(config: Config, bundle: Bundle) -> Document:
    """The report on the test showers, which must be one of this very bundle and of these data and settings."""
    folder = config.run_dir / "validation" / "test"
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
