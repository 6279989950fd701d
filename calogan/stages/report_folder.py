"""The folder of a report: whether it can be written, what is there already, and the weights beside the report."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calogan.errors import CaloganError, StoreError
from calogan.progress import Reporter
from calogan.validation.document import read_document
from calogan.validation.report import read_report
from calogan.validation.summary import Verdicts

__all__ = ["require_writable", "reusable_report", "write_weights"]

WEIGHTS = "weights.npz"


def require_writable(folder: Path) -> None:
    """Refuse a folder that cannot be written, before anything is computed for it; nothing is left there.

    Where the folder is missing, the nearest one above it, in which it would be made, is tried.

    Raises:
        CaloganError: Nothing can be written there.
    """
    try:
        there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        msg = f"{folder}: cannot write the report: {error.strerror or error}; choose a folder that can be written"
        raise CaloganError(msg) from error


def reusable_report(folder: Path, inputs: Mapping[str, str], reporter: Reporter, *, force: bool) -> Verdicts | None:
    """What a report says that is there already for the same inputs; None if one has to be made.

    Args:
        folder: Folder of the report.
        inputs: What the report should have been made of.
        reporter: Told whether a report is kept, or one of other inputs will be replaced.
        force: Make the report again even if it is there.
    """
    verdicts = None if force else read_report(folder, inputs)
    if verdicts is not None:
        reporter.message(f"{verdicts.report} is there already for the same showers and settings; --force makes it anew")
        return verdicts
    changed = _changed(folder, inputs)
    if changed:
        what = "settings" if changed == ["settings"] else f"inputs ({', '.join(changed)})"
        reporter.message(f"{folder}: replacing the report made with other {what}")
    return None


def write_weights(weight: NDArray[np.float64] | None, event: NDArray[np.int64], folder: Path) -> None:
    """Write event and weight of each generated shower, whole or not at all; without weights remove those of before.

    Args:
        weight: Weights, shape ``(showers,)``; None if there are none.
        event: Ids of the showers, shape ``(showers,)``.
        folder: Folder of the report; made if missing.

    Raises:
        CaloganError: The file cannot be written.
    """
    path = folder / WEIGHTS
    partial = path.with_name(f".{path.name}.partial")
    try:
        if weight is None:
            path.unlink(missing_ok=True)
            return
        folder.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            np.savez(stream, event=event, weight=weight)
        partial.replace(path)
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}"
        raise CaloganError(msg) from error


def _changed(folder: Path, inputs: Mapping[str, str]) -> list[str]:
    """Names of the inputs in which the report that is in a folder differs; none if there is no report to be read."""
    try:
        found = read_document(folder).inputs
    except StoreError:
        # what cannot be read was made by no run that could be named
        return []
    return [name for name in dict.fromkeys((*inputs, *found)) if inputs.get(name) != found.get(name)]
