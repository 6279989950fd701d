"""The record of a run in MLflow; beside the registry and serving nothing imports mlflow, and all works without it."""

from __future__ import annotations

from calogan.tracking.machine import gpu_driver
from calogan.tracking.mirror import Mirror, Sent, kept_run
from calogan.tracking.record import Attempt, Note, RunRecord, Status
from calogan.tracking.store import load_mlflow, missing_as_none, one_line, remedy, store_uri
from calogan.tracking.tracker import PARENT, NullTracker, RunTracker, Tracker, make_tracker, tracked

__all__ = [
    "PARENT",
    "Attempt",
    "Mirror",
    "Note",
    "NullTracker",
    "RunRecord",
    "RunTracker",
    "Sent",
    "Status",
    "Tracker",
    "gpu_driver",
    "kept_run",
    "load_mlflow",
    "make_tracker",
    "missing_as_none",
    "one_line",
    "remedy",
    "store_uri",
    "tracked",
]
