"""MLflow's store: where it is, how to open it, and what it raises when it fails."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from calogan.config import Config, TrackingConfig
from calogan.redaction import redact

__all__ = [
    "Failures",
    "is_local",
    "load_mlflow",
    "missing_as_none",
    "network_file_system",
    "one_line",
    "remedy",
    "store_uri",
]

Failures = tuple[type[Exception], ...]

_SQLITE = "sqlite:///"
_NETWORK = ("afs", "beegfs", "ceph", "cifs", "fuse", "gpfs", "lustre", "nfs", "panfs", "smb", "wekafs")


def store_uri(config: Config | None = None) -> str:
    """MLflow's store: `MLFLOW_TRACKING_URI` where that is set, else `config.tracking.uri` or its default."""
    return os.environ.get("MLFLOW_TRACKING_URI") or (TrackingConfig() if config is None else config.tracking).uri


def load_mlflow() -> tuple[Callable[[str], Any], Failures]:
    """What opens a client of a store, and what a failing store raises: MLflow's own exception first.

    The model registry is in the same store, or in that of `MLFLOW_REGISTRY_URI`.

    Raises:
        ImportError: MLflow is not installed.
    """
    _quieten()
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from sqlalchemy.exc import SQLAlchemyError

    def connect(uri: str) -> Any:
        registry = os.environ.get("MLFLOW_REGISTRY_URI")
        return MlflowClient(_checked_sqlite(uri), registry and _checked_sqlite(registry))

    return connect, (MlflowException, SQLAlchemyError, sqlite3.Error, OSError)


def missing_as_none(call: Callable[[str], Any], name: str, failures: Failures) -> Any:
    """What a call finds by a name or id; None if the store has no such thing."""
    try:
        return call(name)
    except failures[0] as error:
        if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def one_line(error: BaseException) -> str:
    """The text of an error without secrets, cut to what fits a line."""
    return redact(" ".join(str(error).split()))[:200]


def remedy(error: BaseException) -> str:
    """What is to be done about a store that fails, where trying again does not help; else nothing."""
    refused = "Invalid Host header" in str(error)
    return "let it answer to this name: mlflow server --allowed-hosts HOST:PORT" if refused else ""


def is_local(uri: str) -> bool:
    """Whether a store is a file of this machine, which answers sooner or later."""
    return uri.startswith("sqlite:")


def network_file_system(uri: str) -> str | None:
    """Kind of the network file system that a SQLite store lies on; None if it is on a disk, or no SQLite store."""
    if not uri.startswith(_SQLITE):
        return None
    import psutil

    path = _database(uri)
    mounts = {Path(part.mountpoint): part.fstype for part in psutil.disk_partitions(all=True)}
    kind = next((mounts[folder] for folder in path.parents if folder in mounts), "")
    return kind if kind.startswith(_NETWORK) else None


def _database(uri: str) -> Path:
    return Path(uri.removeprefix(_SQLITE).partition("?")[0]).absolute()


def _checked_sqlite(uri: str) -> str:
    """Fail at once on a database that cannot be written, where MLflow would try again for two minutes."""
    if not uri.startswith(_SQLITE) or "?" in uri:
        return uri
    path = _database(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")
    return f"{_SQLITE}{path}"


def _quieten() -> None:
    """Keep MLflow from reporting usage, from talking, and from waiting minutes for a dead server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    for name in ("mlflow", "alembic", "urllib3.connectionpool"):
        logging.getLogger(name).setLevel(logging.ERROR)
