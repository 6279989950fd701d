"""The record of a run in MLflow; nothing else imports mlflow, and everything works without it."""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import re
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Literal, Protocol

import calogan
from calogan.config import Config, TrackingConfig
from calogan.errors import TrainingInterrupted
from calogan.progress import Reporter

__all__ = [
    "MlflowTracker",
    "NullTracker",
    "Status",
    "Tracker",
    "kept_run",
    "load_mlflow",
    "log_history",
    "make_tracker",
    "one_line",
    "store_uri",
    "tracked",
]

Status = Literal["FINISHED", "FAILED", "KILLED"]

_LONGEST_VALUE = 6000
_PARAMS_A_BATCH = 100
_METRICS_A_BATCH = 1000
_SECONDS_BETWEEN_BATCHES = 5.0


class Tracker(Protocol):
    """Where a stage sends what should be remembered of a run."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Remember settings by name."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Remember figures of one step; a figure that is already there is not sent again."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy a file into `folder`, or the content of a folder into `folder` (by default one of its name)."""

    def log_dataset(self, name: str, digest: str, source: Sequence[str], counts: Mapping[str, int]) -> None:
        """Remember the data: hash of the content, files, and showers in each split."""

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set or replace tags."""

    def finish(self, status: Status) -> None:
        """Send what is left and close the record."""


class NullTracker:
    """Remembers nothing."""

    def log_params(self, params: Mapping[str, object]) -> None:
        """Drop the settings."""

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Drop the figures."""

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy nothing."""

    def log_dataset(self, name: str, digest: str, source: Sequence[str], counts: Mapping[str, int]) -> None:
        """Drop the data's hash."""

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Drop the tags."""

    def finish(self, status: Status) -> None:
        """Close nothing."""


class MlflowTracker:
    """One MLflow run, which the same command finds again after a stop.

    A server that fails is reported once and left alone from then on: the run folder holds everything,
    and whatever is missing is sent by the next command on that folder.
    """

    def __init__(self, client: Any, run_id: str, reporter: Reporter, failures: tuple[type[Exception], ...]) -> None:
        self._client, self._run_id, self._reporter, self._failures = client, run_id, reporter, failures
        self._sent: dict[str, dict[int, float]] = {}
        self._pending: list[Any] = []
        self._last_sent = time.monotonic()
        self._lost = False
        self._monitor = self._send(_start_monitor, client.tracking_uri, run_id)

    def log_params(self, params: Mapping[str, object]) -> None:
        """Remember settings that are new to the run; MLflow keeps the first value of each."""
        from mlflow.entities import Param

        run = self._send(self._client.get_run, self._run_id)
        known = run.data.params if run is not None else {}
        texts = {_clean(name): value if isinstance(value, str) else json.dumps(value) for name, value in params.items()}
        new = [Param(key, _cut(text)) for key, text in texts.items() if key not in known]
        for start in range(0, len(new), _PARAMS_A_BATCH):
            self._send(self._client.log_batch, self._run_id, params=new[start : start + _PARAMS_A_BATCH])

    def log_metrics(self, metrics: Mapping[str, float], step: int) -> None:
        """Remember figures of one step; they are sent in batches, every few seconds."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        for name, value in metrics.items():
            key = _clean(name)
            sent = self._sent_values(key)
            if step not in sent or not _same(sent[step], value):
                sent[step] = value
                self._pending.append(Metric(key, float(value), now, step))
        waited = time.monotonic() - self._last_sent
        if len(self._pending) >= _METRICS_A_BATCH or waited > _SECONDS_BETWEEN_BATCHES:
            self._send_pending()

    def log_artifact(self, path: Path, folder: str = "") -> None:
        """Copy a file, or the content of a folder, to the run's artifacts."""
        if path.is_dir():
            self._send(self._client.log_artifacts, self._run_id, str(path), folder or path.name)
        else:
            self._send(self._client.log_artifact, self._run_id, str(path), folder or None)

    def log_dataset(self, name: str, digest: str, source: Sequence[str], counts: Mapping[str, int]) -> None:
        """Record the training data as an input of the run; the digest is cut at MLflow's 36 characters."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        files = json.dumps({"files": list(source)})
        dataset = Dataset(name, digest[:36], "local", files, profile=json.dumps(dict(counts)))
        self._send(
            self._client.log_inputs,
            self._run_id,
            [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])],
        )

    def set_tags(self, tags: Mapping[str, object]) -> None:
        """Set or replace tags."""
        from mlflow.entities import RunTag

        self._send(self._client.log_batch, self._run_id, tags=[RunTag(key, str(tags[key])) for key in tags])

    def finish(self, status: Status) -> None:
        """Send what is left, stop watching the machine and close the run."""
        self._send_pending()
        if self._monitor is not None:
            self._monitor.finish()
        self._send(self._client.set_terminated, self._run_id, status)

    def _send_pending(self) -> None:
        for start in range(0, len(self._pending), _METRICS_A_BATCH):
            self._send(self._client.log_batch, self._run_id, metrics=self._pending[start : start + _METRICS_A_BATCH])
        self._pending.clear()
        self._last_sent = time.monotonic()

    def _sent_values(self, key: str) -> dict[int, float]:
        if key not in self._sent:
            history = self._send(self._client.get_metric_history, self._run_id, key) or []
            self._sent[key] = {metric.step: metric.value for metric in history}
        return self._sent[key]

    def _send(self, call: Callable[..., Any], *arguments: object, **named: object) -> Any:
        if self._lost:
            return None
        try:
            return call(*arguments, **named)
        except self._failures as error:
            self._lost = True
            self._reporter.warning(
                f"MLflow at {self._client.tracking_uri} failed ({one_line(error)}); going on without it, "
                "the run folder has everything and the next command on it sends what is missing"
            )
            return None


def make_tracker(config: Config, reporter: Reporter) -> Tracker:
    """Open the MLflow run of `config.run_dir`: the one that its mlflow.json names, or a new one.

    The store is `MLFLOW_TRACKING_URI` where that is set, else `config.tracking.uri`.

    Returns:
        A tracker that is never in the way: without MLflow, with tracking disabled, or when the store cannot be
        opened (a warning says so), one that does nothing.
    """
    if not config.tracking.enabled:
        return NullTracker()
    try:
        connect, failures = load_mlflow()
    except ImportError as error:
        reporter.message(f"no MLflow record ({one_line(error)}): pip install 'calogan[train]' for one")
        return NullTracker()
    uri = store_uri(config)
    try:
        client = connect(uri)
        run = kept_run(client, config, failures[0])
        run_id = _new_run(client, config) if run is None else _resumed(client, run)
    except failures as error:
        reporter.warning(f"MLflow at {uri} cannot be used ({one_line(error)}); going on without it")
        return NullTracker()
    tracker = MlflowTracker(client, run_id, reporter, failures)
    tracker.set_tags(_origin(config))
    return tracker


@contextmanager
def tracked(config: Config, reporter: Reporter) -> Iterator[Tracker]:
    """Open the run's record and close it with what became of the work: FINISHED, KILLED or FAILED."""
    tracker = make_tracker(config, reporter)
    status: Status = "FAILED"
    try:
        yield tracker
        status = "FINISHED"
    except (KeyboardInterrupt, TrainingInterrupted):
        status = "KILLED"
        raise
    finally:
        tracker.finish(status)


def log_history(path: Path, tracker: Tracker) -> None:
    """Send the lines of a metrics.jsonl that the record lacks, such as those of a server's outage.

    Args:
        path: One JSON object a line with the integer `step` and numbers; a last line cut short is left out.
        tracker: Where they go.
    """
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        if line.endswith("\n"):
            values = json.loads(line)
            tracker.log_metrics(
                {key: value for key, value in values.items() if key != "step" and isinstance(value, int | float)},
                step=values["step"],
            )


def load_mlflow() -> tuple[Callable[[str], Any], tuple[type[Exception], ...]]:
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


def store_uri(config: Config | None = None) -> str:
    """MLflow's store: `MLFLOW_TRACKING_URI` where that is set, else `config.tracking.uri` or its default."""
    return os.environ.get("MLFLOW_TRACKING_URI") or (TrackingConfig() if config is None else config.tracking).uri


def kept_run(client: Any, config: Config, missing: type[Exception]) -> Any:
    """The run that the folder names, or None if it names none that is there."""
    try:
        kept = json.loads(_note(config).read_text(encoding="utf-8"))
        run = client.get_run(kept["run_id"])
    except (FileNotFoundError, json.JSONDecodeError, KeyError):
        return None
    except missing as error:
        if getattr(error, "error_code", "") != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None
    return run if run.info.lifecycle_stage == "active" else None


def _resumed(client: Any, run: Any) -> str:
    client.update_run(run.info.run_id, status="RUNNING")
    return str(run.info.run_id)


def _new_run(client: Any, config: Config) -> str:
    experiment = client.get_experiment_by_name(config.tracking.experiment)
    experiment_id = (
        client.create_experiment(config.tracking.experiment) if experiment is None else experiment.experiment_id
    )
    run = client.create_run(experiment_id, run_name=config.name)
    note = _note(config)
    note.parent.mkdir(parents=True, exist_ok=True)
    partial = note.with_name(f"{note.name}.tmp")
    partial.write_text(json.dumps({"run_id": run.info.run_id, "tracking_uri": client.tracking_uri}), encoding="utf-8")
    partial.replace(note)
    return str(run.info.run_id)


def _note(config: Config) -> Path:
    return config.run_dir / "mlflow.json"


def _checked_sqlite(uri: str) -> str:
    """Fail at once on a database that cannot be written, where MLflow would try again for two minutes."""
    if not uri.startswith("sqlite:///") or "?" in uri:
        return uri
    path = Path(uri.removeprefix("sqlite:///")).absolute()
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=60)) as database:
        database.execute("BEGIN IMMEDIATE")
    return f"sqlite:///{path}"


def _start_monitor(uri: str, run_id: str) -> Any:
    from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

    monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=uri)
    monitor.start()
    return monitor


def _quieten() -> None:
    """Keep MLflow from reporting usage, from talking, and from waiting minutes for a dead server."""
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "20")
    os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
    for name in ("mlflow", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)


def _origin(config: Config) -> dict[str, object]:
    return {
        "calogan.version": calogan.__version__,
        "calogan.source": _source_version(),
        "calogan.config_digest": config.digest(),
        "calogan.host": socket.gethostname(),
        "calogan.python": platform.python_version(),
        "mlflow.source.name": "calogan",
        "mlflow.source.type": "LOCAL",
    }


def _source_version() -> str:
    """The commit of a git checkout, marked where files differ from it; else the version of the package."""
    root = Path(calogan.__file__).parent.parent
    released = f"calogan {calogan.__version__}"
    if not (root / ".git").exists():
        return released
    try:
        commit = _git(root, "rev-parse", "HEAD")
        changed = _git(root, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.CalledProcessError):
        return released
    return f"{commit}-changed" if changed else commit


def _git(root: Path, *arguments: str) -> str:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."


def _same(first: float, second: float) -> bool:
    return first == second or (math.isnan(first) and math.isnan(second))


def _clean(name: str) -> str:
    return re.sub(r"[^\w\-. :/]", "_", name)


def one_line(error: BaseException) -> str:
    """The text of an error, cut to what fits a line."""
    return " ".join(str(error).split())[:200]
